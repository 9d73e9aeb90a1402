"""Verifying: everything that can be checked of a version on disk, each check by itself."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rag.building import verify_written
from rag.encoding import Encoder
from rag.errors import IndexUnavailable, RagError
from rag.index import Index
from rag.store import Store
from rag.versions import STORE, Manifest, check_files

_LEAST_COSINE = 0.9999
"""Of a vector and the same text encoded again: batches of other shapes differ in the last digits."""


@dataclass(frozen=True, slots=True)
class Check:
    """One line of a report."""

    name: str
    ok: bool
    said: str
    """What was found; for a failure, and what mends it."""


def verify(folder: Path, open_encoder: Callable[[], Encoder] | None, sample: int = 64) -> Iterator[Check]:
    """Check the version in `folder`; `open_encoder` is for the sample that is encoded again, None leaves that out.

    Later checks are left out where an earlier one makes them meaningless.
    """
    try:
        manifest = Manifest.read(folder)
        yield Check("manifest", True, f"format {manifest.format}, built {manifest.created}")
        check_files(folder, manifest)
        yield Check(
            "checksums", True, ", ".join(f"{name} {file.bytes:,} bytes" for name, file in manifest.files.items())
        )
    except IndexUnavailable as error:
        yield Check("files", False, str(error))
        return
    yield _checked("spans and vectors", lambda: _structure(folder, manifest))
    yield _checked("texts", lambda: _texts(folder))
    yield _checked("keyword index", lambda: _keywords(folder))
    yield _checked("opens as a reader opens it", lambda: _opens(folder))
    if open_encoder is not None:
        opened = open_encoder
        yield _checked("sample encoded again", lambda: _sample(folder, manifest, opened(), sample))


def _checked(name: str, check: Callable[[], str]) -> Check:
    try:
        return Check(name, True, check())
    except (RagError, sqlite3.Error, ValueError, RuntimeError, OSError) as error:
        return Check(name, False, " ".join(str(error).split()))


def _structure(folder: Path, manifest: Manifest) -> str:
    verify_written(folder, manifest)
    return f"{manifest.documents} documents, {manifest.chunks} chunks and {manifest.segments} segments fit together"


def _texts(folder: Path) -> str:
    """Every text is the one its id names, and as long as its spans were checked against."""
    store, characters = Store(folder / STORE), 0
    try:
        for number, known in enumerate(store.kept()):
            document = store.document(number)
            encoded = document.text.encode("utf-8", "surrogatepass")
            if hashlib.sha256(encoded).hexdigest()[:16] != known.id or store.characters(number) != len(document.text):
                raise IndexUnavailable(f"the text of {known.path!r} is not the one that was indexed")
            characters += len(document.text)
    finally:
        store.close()
    return f"{characters:,} characters, each text with its own id"


def _keywords(folder: Path) -> str:
    """The keyword index holds a row for every chunk, and no other."""
    store = Store(folder / STORE)
    try:
        if fault := store.keyword_fault():
            raise IndexUnavailable(fault)
        return f"{store.count('chunks')} rows for as many chunks"
    finally:
        store.close()


def _opens(folder: Path) -> str:
    index = Index.open(folder, checked=True)
    index.close()
    return f"{index.chunk_vectors.count} and {index.segment_vectors.count} vectors in FAISS"


def _sample(folder: Path, manifest: Manifest, encoder: Encoder, sample: int) -> str:
    index = Index.open(folder, checked=True)
    try:
        manifest.check_encoder(encoder.card)
        lowest = 1.0
        numbers = np.random.default_rng(0).choice(manifest.chunks, min(sample, manifest.chunks), replace=False)
        rows = index.chunk_vectors.rows([int(n) for n in np.sort(numbers)])
        texts = []
        for number in np.sort(numbers):
            document, span, _ = index.store.chunk(int(number))
            texts.append(index.store.document(document).text[span.start : span.end])
        lowest = min(lowest, float(np.min(np.sum(encoder.encode_documents(texts) * rows, axis=1))))
        segments = np.sort(
            np.random.default_rng(1).choice(manifest.segments, min(sample, manifest.segments), replace=False)
        )
        rows = index.segment_vectors.rows([int(n) for n in segments])
        texts = []
        for number, chunk in zip(segments, index.store.chunks_of_segments([int(n) for n in segments]), strict=True):
            document, _, _ = index.store.chunk(chunk)
            ((span, _),) = index.store.segments(range(int(number), int(number) + 1))
            texts.append(index.store.document(document).text[span.start : span.end])
        lowest = min(lowest, float(np.min(np.sum(encoder.encode_documents(texts) * rows, axis=1))))
    finally:
        index.close()
    if lowest < _LEAST_COSINE:
        raise IndexUnavailable(
            f"a text encoded again gives another vector (cosine {lowest:.4f}); build the index again with: rag index"
        )
    return f"{len(numbers)} chunks and {len(segments)} segments, lowest cosine {lowest:.6f}"
