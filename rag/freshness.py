"""Freshness: whether the file a document was read from is still the file that was read."""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from rag.records import Document

FILE_NAME = "FILES.json"
"""In the index folder: where the files of the last build are. Versions can be moved; this is of one machine."""


class State(StrEnum):
    """Of a document's file against the document."""

    SAME = "same"
    CHANGED = "changed"
    """Since the build; the quote is what the file said then."""
    GONE = "gone"
    """Deleted, moved or renamed."""
    UNKNOWN = "unknown"
    """The document comes from no file, or the index was built on another machine."""


@dataclass(frozen=True, slots=True)
class FileState:
    """A file as it was when it was read."""

    path: str
    """As the document has it."""
    location: str
    """Absolute."""
    bytes: int
    modified_ns: int
    """Nanoseconds since 1970."""
    sha256: str


def write_files(index_dir: Path, files: Iterable[FileState]) -> None:
    """Note where the files of a build are, in one atomic rename."""
    path = index_dir / FILE_NAME
    temporary = path.with_name(f".{FILE_NAME}-{os.getpid()}")
    temporary.write_text(
        json.dumps([[f.path, f.location, f.bytes, f.modified_ns, f.sha256] for f in files]) + "\n", encoding="utf-8"
    )
    temporary.replace(path)


class Freshness:
    """Compares documents with the files they came from. Safe for use by several threads."""

    def __init__(self, index_dir: Path) -> None:
        self._path = index_dir / FILE_NAME
        self._stamp: tuple[int, int] | None = None
        self._files: dict[str, FileState] = {}
        self._compared: dict[tuple[str, int, int], str] = {}  # location, size and time to the SHA-256 they had
        self._lock = threading.Lock()

    def state(self, document: Document) -> State:
        """Costs one look at the file's size and time; the file is read only where these have changed."""
        with self._lock:
            self._refresh()
            file = self._files.get(document.path)
        if file is None:
            return State.UNKNOWN
        try:
            status = os.stat(file.location)
        except (FileNotFoundError, NotADirectoryError):
            return State.GONE
        except OSError:
            return State.UNKNOWN
        if (status.st_size, status.st_mtime_ns) == (file.bytes, file.modified_ns):
            return State.SAME if file.sha256 == document.sha256 else State.CHANGED
        return State.SAME if self._sha256(file.location, status) == document.sha256 else State.CHANGED

    def stale(self, documents: Sequence[Document]) -> dict[str, State]:
        """The documents among these whose files have changed or gone, by id."""
        states = {document.id: self.state(document) for document in documents}
        return {key: state for key, state in states.items() if state in (State.CHANGED, State.GONE)}

    def _refresh(self) -> None:
        try:
            status = self._path.stat()
            stamp = (status.st_mtime_ns, status.st_ino)
            if stamp != self._stamp:
                raw = json.loads(self._path.read_text(encoding="utf-8"))
                self._files = {entry[0]: FileState(*entry) for entry in raw}
                self._stamp = stamp
        except (OSError, ValueError, TypeError, IndexError):
            self._files, self._stamp = {}, None

    def _sha256(self, location: str, status: os.stat_result) -> str:
        key = (location, status.st_size, status.st_mtime_ns)
        if key not in self._compared:
            try:
                with open(location, "rb") as stream:
                    self._compared[key] = hashlib.file_digest(stream, "sha256").hexdigest()
            except OSError:
                return ""
        return self._compared[key]
