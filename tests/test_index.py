"""An opened version: whole, fitting, and never another encoder's."""

from __future__ import annotations

from pathlib import Path

import pytest

from rag.encoding import HashingEncoder
from rag.errors import IndexUnavailable
from rag.index import Index
from rag.records import Document
from rag.versions import IndexFolder


def test_wrong_encoder_is_refused_with_both_names(hashing_index: Index) -> None:
    """An index answers only with the encoder it was built with; the message names both and the two remedies."""
    hashing_index.manifest.check_encoder(HashingEncoder().card)
    for other in (HashingEncoder(name="other"), HashingEncoder(dimension=32), HashingEncoder(max_tokens=128)):
        with pytest.raises(IndexUnavailable, match=r"built with the encoder hashing@.* Build it again .*set encoder ="):
            hashing_index.manifest.check_encoder(other.card)


def test_index_holds_the_documents_as_loaded(hashing_index: Index, seeds: Path) -> None:
    """Texts in the index are the characters of the files, found again by id and by number."""
    documents = list(hashing_index.store.documents())
    assert [document.path for document in documents] == sorted(path.name for path in seeds.glob("*.txt"))
    for number, document in enumerate(documents):
        with open(seeds / document.path, encoding="utf-8", newline="") as stream:
            assert document.text == stream.read()
        assert hashing_index.store.document_number(document.id) == number
    assert hashing_index.store.document_number("no such id") is None


def test_counts_and_spans_hold(hashing_index: Index) -> None:
    """Manifest, store and vectors agree, and every chunk and segment is a stretch of its document."""
    hashing_index.check_counts()
    hashing_index.check_spans()


def test_reader_keeps_the_version_it_opened(hashing_index_dir: Path, seed_documents: tuple[Document, ...]) -> None:
    """Two readers of one version do not disturb each other, and one goes on when the other is closed."""
    first, second = (Index.open(IndexFolder(hashing_index_dir).live()) for _ in range(2))
    first.close()
    assert list(second.store.documents()) == list(seed_documents)
    second.close()
