"""Documents that were read and are not yet in a version: a build streams through them, and a killed one keeps them."""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any

from rag.errors import BuildError
from rag.records import Anchor, Document, Source


class Stash:
    """A SQLite file of documents, and of reasons why files could not be read, by load key. For one writer at a time."""

    def __init__(self, path: Path | None) -> None:
        """Open or make the file; without a path, one in temporary storage. A damaged file is made anew."""
        self._path = path
        if path is None:
            self._db = _open("")  # SQLite keeps it in memory and on disk as it grows
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._db = _open(str(path))
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):
                raise
            for name in (path.name, f"{path.name}-wal", f"{path.name}-shm"):
                path.with_name(name).unlink(missing_ok=True)
            self._db = _open(str(path))

    def __enter__(self) -> Stash:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._db.close()

    def put(self, key: str, document: Document, content_key: str, loading: str) -> None:
        """Keep a document."""
        raw = asdict(document)
        raw["anchors"] = [anchor.row() for anchor in document.anchors]
        packed = zlib.compress(json.dumps(raw).encode("ascii"), 1)
        self._db.execute(
            "INSERT OR REPLACE INTO loaded VALUES (?, ?, ?, ?, ?, '')", (key, document.id, content_key, loading, packed)
        )

    def put_reason(self, key: str, reason: str) -> None:
        """Keep why a file cannot be read, where it never will be."""
        self._db.execute("INSERT OR REPLACE INTO loaded VALUES (?, '', '', '', x'', ?)", (key, reason))

    def find(self, key: str) -> tuple[str, str, str, str] | None:
        """Document id, content key, what the loader reported, and the reason; the first three or the last are empty."""
        row: tuple[str, str, str, str] | None = self._db.execute(
            "SELECT id, content_key, loading, reason FROM loaded WHERE key = ?", (key,)
        ).fetchone()
        return row

    def document(self, key: str, path: str) -> Document:
        """The document kept under a key, as one with this path."""
        ((packed,),) = self._db.execute("SELECT document FROM loaded WHERE key = ?", (key,)).fetchall()
        try:
            raw: dict[str, Any] = json.loads(zlib.decompress(packed))
        except zlib.error as error:
            raise BuildError(
                f"The cache of documents {self._path} is damaged ({error}). Delete it and build again; "
                "nothing is lost but time."
            ) from error
        anchors = tuple(map(Anchor.from_row, raw["anchors"]))
        return Document(raw["id"], path, raw["sha256"], raw["text"], Source.from_fields(raw["source"]), anchors)

    def keep_only(self, keys: Iterable[str]) -> None:
        """Drop all but what is kept under these keys."""
        self._db.execute("CREATE TEMP TABLE wanted (key TEXT PRIMARY KEY)")
        self._db.executemany("INSERT OR IGNORE INTO wanted VALUES (?)", ((key,) for key in keys))
        gone = self._db.execute("DELETE FROM loaded WHERE key NOT IN (SELECT key FROM wanted)").rowcount
        self._db.execute("DROP TABLE wanted")
        if gone:
            self._db.execute("VACUUM")


def _open(path: str) -> sqlite3.Connection:
    db = sqlite3.connect(path, isolation_level=None)
    try:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = NORMAL")
        db.execute(
            "CREATE TABLE IF NOT EXISTS loaded (key TEXT PRIMARY KEY, id TEXT NOT NULL, content_key TEXT NOT NULL, "
            "loading TEXT NOT NULL, document BLOB NOT NULL, reason TEXT NOT NULL) STRICT"
        )
        if (found := db.execute("PRAGMA integrity_check(1)").fetchone()) != ("ok",):
            raise sqlite3.DatabaseError(*found)
    except sqlite3.DatabaseError:
        db.close()
        raise
    return db
