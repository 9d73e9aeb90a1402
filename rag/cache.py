"""Embeddings kept by content, so that no text is encoded twice by the same encoder."""

from __future__ import annotations

import hashlib
import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from rag.encoding import LENGTH_TOLERANCE, Encoder, Matrix, Progress, Vector
from rag.errors import BuildError

_BLOCK = 64
"""Texts encoded between two commits: what a killed build may have to do again."""
_LOOKUP = 512
_PAGES_BEFORE_CHECKPOINT = 16_000
"""64 MiB, against SQLite's 4: a page that many keys share is written back once for all of them."""
_CACHE_KIB = 1 << 16


class EmbeddingCache:
    """A SQLite file of vectors, keyed by encoder and text. For one writer at a time."""

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        """Open or make the file; with `read_only`, open it only, and leave no trace beside it either.

        Raises BuildError, here and later, where it is damaged, and sqlite3.OperationalError where it cannot be had.
        """
        self._path = path
        self.encoded = 0
        """Different texts that were not in it and were encoded."""
        if read_only:
            self._db = sqlite3.connect(_read_only(path), isolation_level=None, uri=True)
            with self._whole():
                self._db.execute("SELECT 1 FROM vectors LIMIT 1")  # now is when the file is opened
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(path, isolation_level=None)
        with self._whole():
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = NORMAL")
            # A table with row numbers: keys come in no order, and so only their index is written to all over.
            self._db.execute("CREATE TABLE IF NOT EXISTS vectors (key BLOB PRIMARY KEY, vector BLOB NOT NULL)")
            self._db.execute(f"PRAGMA wal_autocheckpoint = {_PAGES_BEFORE_CHECKPOINT}")
            self._db.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")

    def close(self) -> None:
        self._db.close()

    def encode(self, texts: Sequence[str], encoder: Encoder, progress: Progress | None = None) -> Matrix:
        """One row a text, as `encoder.encode_documents` gives it; only texts not seen before are encoded."""
        keys = _keys(encoder, texts)
        known = self._known(keys, encoder.card.dimension)
        if progress is not None:
            progress(sum(key in known for key in keys))
        todo = {key: text for key, text in zip(keys, texts, strict=True) if key not in known}
        known |= self._encode_new(todo, encoder, progress)
        vectors = np.empty((len(texts), encoder.card.dimension), dtype=np.float32)
        for row, key in enumerate(keys):
            vectors[row] = known[key]
        return vectors

    def missing(self, texts: Sequence[str], encoder: Encoder) -> list[str]:
        """The different texts that are not in the cache yet, in their order."""
        keys = dict(zip(_keys(encoder, texts), texts, strict=True))
        known = self._known(list(keys), encoder.card.dimension)
        return [text for key, text in keys.items() if key not in known]

    def _encode_new(
        self, todo: Mapping[bytes, str], encoder: Encoder, progress: Progress | None
    ) -> dict[bytes, Vector]:
        found: dict[bytes, Vector] = {}
        # Similar lengths together, so that little of a batch is padding.
        waiting = sorted(todo, key=lambda key: -len(todo[key]))
        for at in range(0, len(waiting), _BLOCK):
            block = waiting[at : at + _BLOCK]
            vectors = encoder.encode_documents([todo[key] for key in block], progress)
            found.update(zip(block, vectors, strict=True))
            with self._whole():
                self._db.execute("BEGIN")
                self._db.executemany(
                    "INSERT OR REPLACE INTO vectors VALUES (?, ?)",
                    [(key, vector.astype("<f4").tobytes()) for key, vector in zip(block, vectors, strict=True)],
                )
                self._db.execute("COMMIT")
            self.encoded += len(block)
        return found

    def _known(self, keys: Sequence[bytes], dimension: int) -> dict[bytes, Vector]:
        """The vectors that are kept and sound, by key."""
        found: dict[bytes, Vector] = {}
        for at in range(0, len(keys), _LOOKUP):
            some = keys[at : at + _LOOKUP]
            marks = ",".join("?" * len(some))
            with self._whole():
                rows = self._db.execute(f"SELECT key, vector FROM vectors WHERE key IN ({marks})", some).fetchall()
            found.update((key, vector) for key, blob in rows if (vector := _vector(blob, dimension)) is not None)
        return found

    @contextmanager
    def _whole(self) -> Iterator[None]:
        """Turns what SQLite says of a damaged file into a BuildError that names the remedy."""
        try:
            yield
        except sqlite3.OperationalError:  # the disk, not the file
            raise
        except sqlite3.DatabaseError as error:
            raise BuildError(
                f"The embedding cache {self._path} is damaged ({error}). Delete it and build again; "
                "nothing is lost but time."
            ) from error


def _read_only(path: Path) -> str:
    """A URI by which SQLite reads the file and writes nothing.

    Of a file in WAL mode even a reader makes the files beside it. Where there is a log, because a process writes or
    was killed, it is read, and its index made in memory; where there is none, the file is taken as it is.
    """
    kind = "readonly_shm=1" if os.path.exists(f"{path}-wal") else "immutable=1"
    return f"{path.absolute().as_uri()}?mode=ro&{kind}"


def _vector(blob: bytes, dimension: int) -> Vector | None:
    """A kept vector; None for one that is not of length 1, which a fault of the disk has changed."""
    if len(blob) != 4 * dimension:
        return None
    vector: Vector = np.frombuffer(blob, dtype="<f4")
    return vector if abs(float(vector @ vector) - 1) < LENGTH_TOLERANCE else None


def _keys(encoder: Encoder, texts: Sequence[str]) -> list[bytes]:
    encoder_id = encoder.card.id  # once: making it takes longer than hashing a text
    return [hashlib.sha256(f"{encoder_id}\0{text}".encode("utf-8", "surrogatepass")).digest() for text in texts]
