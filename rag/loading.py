"""Loading: files to documents.

A loader turns a file's bytes into canonical text and anchors. `LOADERS` is the seam for more formats.
"""

from __future__ import annotations

import codecs
import hashlib
import os
import re
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, count
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
_LINE = re.compile(r"[^\r\n]+")
_HEADING = re.compile(r" {0,3}#{1,6}[ \t]+(.+)")
_CLOSING_MARKS = re.compile(r"(?:^|[ \t])#+\Z")
_FENCE = re.compile(r" {0,3}(```|~~~)")
_DETECTION_BYTES = 256 * 1024
_WESTERN = "cp1252"
_ABOUT_AS_WELL = 0.1
"""In the measures of charset-normalizer, shares from 0 to 1."""


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
    except UnicodeDecodeError as error:
        first = max(0, error.start - _DETECTION_BYTES // 2)  # the stretch that tells one encoding from another
    detected = _detected(data[first : first + _DETECTION_BYTES])
    if detected is None:
        raise LoadError("is a binary file or text in no known encoding; save it as UTF-8")
    try:
        return data.decode(detected)
    except UnicodeDecodeError as error:
        raise LoadError("is text in no known encoding; save it as UTF-8") from error


def _detected(data: bytes) -> str | None:
    """The most likely encoding of bytes that are no UTF-8; None where none is likely.

    Where Windows-1252 reads about as well as the best, it is taken: charset-normalizer alone reads French
    and Portuguese as Windows-1257 or -1250, its first in the alphabet of equals.
    """
    matches = from_bytes(data)
    best = matches.best()
    if best is None:
        return None
    western = any(
        _WESTERN in match.could_be_from_charset
        and match.chaos <= best.chaos + _ABOUT_AS_WELL
        and match.coherence >= best.coherence - _ABOUT_AS_WELL / 2
        for match in matches
    )
    return _WESTERN if western else best.encoding


def load_text(data: bytes) -> Loaded:
    """Plain text: the text itself, no anchors."""
    return decode(data), ()


def load_markdown(data: bytes) -> Loaded:
    """Markdown: the text as written, with its headings (outside fenced code) as anchors."""
    text = decode(data)
    anchors: list[Anchor] = []
    fence = ""  # the mark that closes the code block we are in
    for line in _LINE.finditer(text):
        if mark := _FENCE.match(line[0]):
            fence = mark[1] if not fence else "" if mark[1] == fence else fence
        elif not fence and (heading := _HEADING.match(line[0])):
            label = _CLOSING_MARKS.sub("", heading[1].strip()).strip()
            if label:
                anchors.append(Anchor(line.start(), AnchorKind.HEADING, label))
    return text, tuple(anchors)


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
        if _is(root, Path.is_dir):
            entries = read_sources(root)
            for location in _walk(root, skipped):
                relative = location.relative_to(root).as_posix()
                path = _free_path(_shown(relative), root, files)
                if location.suffix.lower() in LOADERS:
                    files[path] = CorpusFile(location, path, entries.get(relative, SourceEntry(Source())))
                else:
                    skipped.append(
                        Skipped(path, f"has a kind that is not read; these are: {', '.join(sorted(LOADERS))}")
                    )
        elif _is(root, Path.exists):
            entries = read_sources(root.parent)
            path = _free_path(_shown(root.name), root.parent, files)
            files[path] = CorpusFile(root, path, entries.get(root.name, SourceEntry(Source())))
        else:
            raise BuildError(
                f"There is no file or folder {str(root)!r}. Name a folder of documents, such as: rag index seeds"
            )
    return [files[path] for path in sorted(files)], skipped


def _is(root: Path, test: Callable[[Path], bool]) -> bool:
    try:
        return test(root)
    except OSError as error:  # a name that is too long, or a folder that may not be entered
        raise BuildError(f"{str(root)!r} cannot be read: {error.strerror or error}.") from error


def _shown(path: str) -> str:
    """A path as text: bytes of a file name that are no UTF-8 become replacement characters."""
    return os.fsencode(path).decode("utf-8", "replace")


def _free_path(path: str, folder: Path, taken: Mapping[str, object]) -> str:
    """The path, told apart from those taken by the name of its folder and, if need be, a number."""
    if path not in taken:
        return path
    name = _shown(folder.resolve().name)
    candidates = chain((f"{name}/{path}",), (f"{name} ({i})/{path}" for i in count(2)))
    return next(candidate for candidate in candidates if candidate not in taken)


def _walk(root: Path, skipped: list[Skipped]) -> Iterator[Path]:
    def unreadable(error: OSError) -> None:
        skipped.append(Skipped(_relative(Path(error.filename), root), f"cannot be read: {error.strerror}"))

    real_root = os.path.realpath(root)
    for folder, folders, names in os.walk(root, onerror=unreadable):
        links = [name for name in folders if (Path(folder) / name).is_symlink() and not name.startswith(".")]
        skipped.extend(
            Skipped(_relative(Path(folder) / name, root), "is a link to a folder, which is not followed")
            for name in sorted(links)
        )
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            location = Path(folder) / name
            if name.startswith(".") or name == FILE_NAME:
                continue
            # os.path.realpath, for Path.resolve raises where a link leads to itself
            if location.is_symlink() and not Path(os.path.realpath(location)).is_relative_to(real_root):
                skipped.append(Skipped(_relative(location, root), "is a link that leads out of the folder"))
                continue
            yield location


def _relative(location: Path, root: Path) -> str:
    return _shown(location.relative_to(root).as_posix())
