"""Freshness: whether the file a document was read from is still the file that was read."""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from rag.records import Document, SourceState

FILE_NAME = "FILES.json"
"""In the index folder: where the files of the last build are. Versions can be moved; this is of one machine."""


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

    def folder(self) -> str:
        """The folder that was indexed; that of the file where its name there was taken and it got another path."""
        inside = os.sep + self.path.replace("/", os.sep)
        return self.location.removesuffix(inside) if self.location.endswith(inside) else os.path.dirname(self.location)


def write_files(index_dir: Path, files: Iterable[FileState]) -> None:
    """Note where the files of a build are, in one atomic rename."""
    path = index_dir / FILE_NAME
    temporary = path.with_name(f".{FILE_NAME}-{os.getpid()}")
    rows = [[f.path, f.location, f.bytes, f.modified_ns, f.sha256] for f in files]  # `astuple` takes ten times as long
    temporary.write_text(json.dumps(rows) + "\n", encoding="utf-8")
    temporary.replace(path)


class Freshness:
    """Compares documents with the files they came from. Safe for use by several threads."""

    def __init__(self, index_dir: Path) -> None:
        self._path = index_dir / FILE_NAME
        self._stamp: tuple[int, int] | None = None
        self._files: dict[str, tuple[str, str, int, int, str]] = {}
        self._compared: dict[str, tuple[int, int, str]] = {}  # location to size and time, and the SHA-256 they had
        self._lock = threading.Lock()

    def state(self, document: Document) -> SourceState:
        """Costs one look at the file's size and time; only a file of the same size and another time is read, once."""
        file = self._file(document.path)
        if file is None:
            return SourceState.UNKNOWN
        try:
            status = os.stat(file.location)
        except (FileNotFoundError, NotADirectoryError):
            # Where the whole folder is not there, this is another machine, or a disk that is not connected.
            return SourceState.GONE if os.path.isdir(file.folder()) else SourceState.UNKNOWN
        except (OSError, ValueError):
            return SourceState.UNKNOWN
        if (status.st_size, status.st_mtime_ns) == (file.bytes, file.modified_ns):
            return _same(file.sha256 == document.sha256)
        if file.sha256 == document.sha256 and status.st_size != file.bytes:
            return SourceState.CHANGED
        sha256 = self._sha256(file.location, status)
        return _same(sha256 == document.sha256) if sha256 else SourceState.UNKNOWN

    def stale(self, documents: Iterable[Document]) -> dict[str, SourceState]:
        """The documents among these whose files have changed or gone, by id."""
        states = {document.id: self.state(document) for document in {d.id: d for d in documents}.values()}
        return {key: state for key, state in states.items() if state in (SourceState.CHANGED, SourceState.GONE)}

    def _file(self, path: str) -> FileState | None:
        """What the last build knew of the file of a document; None where it knew of none, or the list is damaged."""
        with self._lock:
            try:
                status = self._path.stat()
                stamp = (status.st_mtime_ns, status.st_ino)
                if stamp != self._stamp:
                    self._files = {entry[0]: entry for entry in json.loads(self._path.read_text(encoding="utf-8"))}
                    self._stamp = stamp
                return FileState(*self._files[path])
            except (OSError, ValueError, TypeError, LookupError):
                return None

    def _sha256(self, location: str, status: os.stat_result) -> str:
        """The file's SHA-256, empty where it cannot be read."""
        known = self._compared.get(location)
        if known is None or known[:2] != (status.st_size, status.st_mtime_ns):
            try:
                with open(location, "rb") as stream:
                    sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
            except OSError:
                return ""
            known = self._compared[location] = (status.st_size, status.st_mtime_ns, sha256)
        return known[2]


def _same(true: bool) -> SourceState:
    return SourceState.SAME if true else SourceState.CHANGED
