"""The cache of embeddings: no text is encoded twice, and nothing wrong is ever taken from it."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.cache import EmbeddingCache
from rag.encoding import HashingEncoder, Matrix
from rag.errors import BuildError

TEXTS = ["toll", "herring", "toll", "", "\ud800", "a\0b", "toll "]


@given(st.lists(st.lists(st.sampled_from("abcdefgh"), max_size=20), max_size=5))
def test_each_text_is_encoded_once(tmp_path_factory: pytest.TempPathFactory, rounds: list[list[str]]) -> None:
    """Over any sequence of calls each different text is encoded exactly once, and every row is its text's."""
    cache, encoder, plain = (
        EmbeddingCache(tmp_path_factory.mktemp("c") / "e.sqlite"),
        HashingEncoder(),
        HashingEncoder(),
    )
    seen: set[str] = set()
    for texts in rounds:
        assert len(cache.missing(texts, encoder)) == len(set(texts) - seen)
        np.testing.assert_array_equal(cache.encode(texts, encoder), plain.encode_documents(texts))
        seen.update(texts)
        assert encoder.encoded == cache.encoded == len(seen)
    cache.close()


def test_vectors_live_on_in_the_file(tmp_path: Path) -> None:
    """A cache opened again knows what was encoded before, bit for bit, odd characters included."""
    cache = EmbeddingCache(tmp_path / "new" / "e.sqlite")
    rows = cache.encode(TEXTS, HashingEncoder())
    cache.close()
    cache, encoder = EmbeddingCache(tmp_path / "new" / "e.sqlite"), HashingEncoder()
    np.testing.assert_array_equal(cache.encode(TEXTS, encoder), rows)
    assert encoder.encoded == 0
    cache.close()


def test_encoders_do_not_share_vectors(tmp_path: Path) -> None:
    """Another encoder, even one that differs in its name only, encodes anew."""
    cache, other = EmbeddingCache(tmp_path / "e.sqlite"), HashingEncoder(name="other")
    cache.encode(["toll"], HashingEncoder())
    cache.encode(["toll"], other)
    assert other.encoded == 1
    cache.close()


def test_progress_counts_known_and_new(tmp_path: Path) -> None:
    """Progress adds up to the texts, those from the cache first."""
    cache, encoder, seen = EmbeddingCache(tmp_path / "e.sqlite"), HashingEncoder(), list[int]()
    cache.encode(["a", "b"], encoder)
    cache.encode(["a", "b", "c"], encoder, seen.append)
    assert seen == [2, 1]
    cache.close()


class _Failing(HashingEncoder):
    """Fails at its second block."""

    def encode_documents(self, texts: object, progress: object = None) -> Matrix:
        if self.encoded:
            raise KeyboardInterrupt
        return super().encode_documents(list(texts))  # type: ignore[call-overload]


def test_what_was_encoded_before_a_stop_is_kept(tmp_path: Path) -> None:
    """A run that is stopped loses the block it was at, not those before."""
    texts = [f"text {i}" for i in range(1500)]
    cache, encoder = EmbeddingCache(tmp_path / "e.sqlite"), _Failing()
    with pytest.raises(KeyboardInterrupt):
        cache.encode(texts, encoder)
    assert 0 < encoder.encoded < 1500
    assert len(cache.missing(texts, encoder)) == 1500 - encoder.encoded
    cache.close()


@pytest.mark.parametrize("blob", [b"", b"\0" * 256, b"\xff" * 256, np.ones(64, dtype="<f4").tobytes(), b"\0" * 255])
def test_vector_that_is_no_unit_vector_is_encoded_again(tmp_path: Path, blob: bytes) -> None:
    """A kept vector that a fault has changed in length or size is not used."""
    cache, encoder = EmbeddingCache(tmp_path / "e.sqlite"), HashingEncoder()
    expected = cache.encode(["toll", "herring"], encoder)
    with sqlite3.connect(tmp_path / "e.sqlite") as db:
        db.execute("UPDATE vectors SET vector = ? WHERE key = (SELECT min(key) FROM vectors)", (blob,))
    db.close()
    assert len(cache.missing(["toll", "herring"], encoder)) == 1
    np.testing.assert_array_equal(cache.encode(["toll", "herring"], encoder), expected)
    assert encoder.encoded == 3
    assert len(cache.missing(["toll", "herring"], encoder)) == 0
    cache.close()


@pytest.mark.parametrize("data", [b"no database at all" * 100, b"SQLite format 3\0" + b"\xff" * 5000])
def test_damaged_file_is_named_with_the_remedy(tmp_path: Path, data: bytes) -> None:
    """A cache that is no database stops the build with its name and what to do."""
    (tmp_path / "e.sqlite").write_bytes(data)
    with pytest.raises(BuildError, match=r"The embedding cache .*e\.sqlite is damaged .*Delete it and build again"):
        EmbeddingCache(tmp_path / "e.sqlite")


def test_damage_found_later_is_named_too(tmp_path: Path) -> None:
    """A cache whose pages are damaged beyond the first stops the build in the same words."""
    cache, encoder = EmbeddingCache(tmp_path / "e.sqlite"), HashingEncoder()
    texts = [f"text {i}" for i in range(2000)]
    cache.encode(texts, encoder)
    cache.close()
    data = bytearray((tmp_path / "e.sqlite").read_bytes())
    data[8192:-4096] = b"\xff" * (len(data) - 8192 - 4096)
    (tmp_path / "e.sqlite").write_bytes(data)
    cache = EmbeddingCache(tmp_path / "e.sqlite")
    with pytest.raises(BuildError, match=r"e\.sqlite is damaged .*Delete it"):
        cache.encode(texts, encoder)
    cache.close()
