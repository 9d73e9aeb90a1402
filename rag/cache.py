"""Embeddings kept by content, so that no text is encoded twice by the same encoder."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from rag.encoding import Encoder, Matrix, Progress

_BLOCK = 512
"""Texts encoded between two commits: what a killed build may have to do again."""
_LOOKUP = 512


class EmbeddingCache:
    """A SQLite file of vectors, keyed by encoder and text. For one writer at a time."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")
        self._db.execute(
            "CREATE TABLE IF NOT EXISTS vectors (key BLOB PRIMARY KEY, vector BLOB NOT NULL) WITHOUT ROWID"
        )

    def close(self) -> None:
        self._db.close()

    def encode(self, texts: Sequence[str], encoder: Encoder, progress: Progress | None = None) -> Matrix:
        """One row a text, as `encoder.encode_documents` gives it; only texts not seen before are encoded."""
        keys = [_key(encoder.card.id, text) for text in texts]
        self._encode_missing(texts, keys, encoder, progress)
        known = self._known(keys)
        vectors = np.empty((len(texts), encoder.card.dimension), dtype=np.float32)
        for row, key in enumerate(keys):
            vectors[row] = np.frombuffer(known[key], dtype="<f4")
        return vectors

    def missing(self, texts: Sequence[str], encoder: Encoder) -> int:
        """How many different texts are not in the cache yet."""
        keys = {_key(encoder.card.id, text) for text in texts}
        return len(keys) - len(self._known(list(keys)))

    def _encode_missing(
        self, texts: Sequence[str], keys: Sequence[bytes], encoder: Encoder, progress: Progress | None
    ) -> None:
        known = self._known(keys)
        todo = {key: text for key, text in zip(keys, texts, strict=True) if key not in known}
        if progress is not None:
            progress(sum(key in known for key in keys))
        # Similar lengths together, so that little of a batch is padding.
        waiting = sorted(todo, key=lambda key: -len(todo[key]))
        for at in range(0, len(waiting), _BLOCK):
            block = waiting[at : at + _BLOCK]
            vectors = encoder.encode_documents([todo[key] for key in block], progress)
            self._db.execute("BEGIN")
            self._db.executemany(
                "INSERT OR REPLACE INTO vectors VALUES (?, ?)",
                [(key, vector.astype("<f4").tobytes()) for key, vector in zip(block, vectors, strict=True)],
            )
            self._db.execute("COMMIT")

    def _known(self, keys: Sequence[bytes]) -> dict[bytes, bytes]:
        found: dict[bytes, bytes] = {}
        for at in range(0, len(keys), _LOOKUP):
            some = keys[at : at + _LOOKUP]
            marks = ",".join("?" * len(some))
            found.update(self._db.execute(f"SELECT key, vector FROM vectors WHERE key IN ({marks})", some).fetchall())
        return found


def _key(encoder_id: str, text: str) -> bytes:
    return hashlib.sha256(f"{encoder_id}\0{text}".encode("utf-8", "surrogatepass")).digest()
