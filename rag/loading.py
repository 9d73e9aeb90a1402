"""Loading: files to documents.

A loader turns a file's bytes into canonical text and anchors. `LOADERS` is the seam for more formats.
"""

from __future__ import annotations

import codecs
import hashlib
import os
import re
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from charset_normalizer import from_bytes

from rag.errors import BuildError, LoadError
from rag.records import Anchor, AnchorKind, Document, Source
from rag.sources import FILE_NAME, SourceEntry, read_sources, speaker_anchors

Loaded = tuple[str, tuple[Anchor, ...]]
"""Canonical text and the anchors found in it."""
Loader = Callable[[bytes], Loaded]

_MARKS = (  # longest first: the UTF-32 mark begins with the UTF-16 one
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_HEADING = re.compile(r"^ {0,3}(#{1,6})[ \t]+([^\r\n]+?)[ \t]*#*[ \t]*$", re.MULTILINE)
_FENCE = re.compile(r"^ {0,3}(```|~~~)[^\r\n]*$", re.MULTILINE)
_DETECTION_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file that was not indexed."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class CorpusFile:
    """A file to load."""

    location: Path
    """Where it is opened."""
    path: str
    """How it is named: relative to its corpus root, with forward slashes."""
    entry: SourceEntry


def decode(data: bytes) -> str:
    """The text of a file: by its byte-order mark, else UTF-8, else the most likely encoding.

    The text keeps its own line ends, so offsets are those of the file's characters; a byte-order mark
    is not a character of the text. Raises LoadError for bytes that are no text.
    """
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            try:
                return data[len(mark) :].decode(encoding)
            except UnicodeDecodeError as error:
                raise LoadError(f"begins with a {encoding} mark but is not {encoding} text") from error
    if b"\0" in data[:_DETECTION_BYTES]:
        raise LoadError("is a binary file, not text")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        pass
    best = from_bytes(data[:_DETECTION_BYTES]).best()
    if best is None:
        raise LoadError("is a binary file or text in no known encoding; save it as UTF-8")
    try:
        return data.decode(best.encoding)
    except UnicodeDecodeError as error:
        raise LoadError("is text in no known encoding; save it as UTF-8") from error


def load_text(data: bytes) -> Loaded:
    """Plain text: the text itself, no anchors."""
    return decode(data), ()


def load_markdown(data: bytes) -> Loaded:
    """Markdown: the text as written, with its headings (outside fenced code) as anchors."""
    text = decode(data)
    fences = [match.start() for match in _FENCE.finditer(text)]
    anchors = tuple(
        Anchor(match.start(), AnchorKind.HEADING, match[2])
        for match in _HEADING.finditer(text)
        if sum(fence < match.start() for fence in fences) % 2 == 0
    )
    return text, anchors


LOADERS: dict[str, Loader] = {".txt": load_text, ".text": load_text, ".md": load_markdown, ".markdown": load_markdown}
"""By file name ending, in lower case."""


def load_document(file: CorpusFile, *, max_bytes: int) -> Document:
    """Read one file. Raises LoadError with the reason, and SourcesError where its entry does not fit it."""
    loader = LOADERS.get(file.location.suffix.lower())
    if loader is None:
        raise LoadError(f"has a kind that is not read; these are: {', '.join(sorted(LOADERS))}")
    data = _read(file.location, max_bytes)
    if not data.strip():
        raise LoadError("is empty")
    text, anchors = loader(data)
    if not text.strip():
        raise LoadError("has no text in it")
    source = file.entry.source
    if not source.title and (first := next((a for a in anchors if a.kind is AnchorKind.HEADING), None)):
        source = replace(source, title=first.label)
    turns = speaker_anchors(text, file.entry, file.path)
    encoded = text.encode("utf-8", "surrogatepass")
    return Document(
        id=hashlib.sha256(encoded).hexdigest()[:16],
        path=file.path,
        sha256=hashlib.sha256(data).hexdigest(),
        text=text,
        source=source,
        anchors=tuple(sorted((*anchors, *turns), key=lambda anchor: anchor.start)),
    )


def _read(location: Path, max_bytes: int) -> bytes:
    """The bytes of a regular file of at most `max_bytes`."""
    try:
        with open(location, "rb", opener=_open_without_waiting) as stream:
            status = os.fstat(stream.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise LoadError("is not a regular file")
            if status.st_size > max_bytes:
                raise LoadError(
                    f"is {status.st_size / 2**20:.0f} MiB, more than the {max_bytes / 2**20:g} MiB that "
                    "max_file_mib allows"
                )
            return stream.read(max_bytes + 1)
    except OSError as error:
        raise LoadError(f"cannot be read: {error.strerror or error}") from error


def _open_without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))  # a named pipe must not stop the build


def find_files(roots: Sequence[Path]) -> tuple[list[CorpusFile], list[Skipped]]:
    """The files of a corpus: each root is a folder, searched through, or a file. Sorted by path.

    Hidden files, `sources.toml`, and files of kinds that are not read are passed over; the last are
    reported. Links that lead out of their folder are not followed. Raises BuildError for a root that is
    not there.
    """
    files: dict[str, CorpusFile] = {}
    skipped: list[Skipped] = []
    for root in roots:
        if root.is_dir():
            entries = read_sources(root)
            for location in _walk(root, skipped):
                relative = location.relative_to(root).as_posix()
                path = relative if relative not in files else f"{root.name}/{relative}"
                if location.suffix.lower() in LOADERS:
                    files[path] = CorpusFile(location, path, entries.get(relative, SourceEntry(Source())))
                else:
                    skipped.append(
                        Skipped(path, f"has a kind that is not read; these are: {', '.join(sorted(LOADERS))}")
                    )
        elif root.exists():
            entries = read_sources(root.parent)
            files[root.name] = CorpusFile(root, root.name, entries.get(root.name, SourceEntry(Source())))
        else:
            raise BuildError(
                f"There is no file or folder {str(root)!r}. Name a folder of documents, such as: rag index seeds"
            )
    return [files[path] for path in sorted(files)], skipped


def _walk(root: Path, skipped: list[Skipped]) -> Iterator[Path]:
    def unreadable(error: OSError) -> None:
        skipped.append(Skipped(Path(error.filename).relative_to(root).as_posix(), f"cannot be read: {error.strerror}"))

    real_root = root.resolve()
    for folder, folders, names in os.walk(root, onerror=unreadable):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            location = Path(folder) / name
            if name.startswith(".") or name == FILE_NAME:
                continue
            if location.is_symlink() and not location.resolve().is_relative_to(real_root):
                skipped.append(Skipped(location.relative_to(root).as_posix(), "is a link that leads out of the folder"))
                continue
            yield location
