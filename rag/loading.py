"""Loading: files to documents.

A loader turns a file's bytes into canonical text and anchors. Plain text and Markdown are read here; `rag.loaders`
holds one module for each further format, and `rag.loaders.registry` is the seam for more.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from itertools import chain, count
from pathlib import Path

from rag.errors import BuildError, LoadError, UserError
from rag.loaders.content import FORMAT, Content
from rag.loaders.isolation import Isolated
from rag.loaders.registry import DIRECT, ISOLATED, loader
from rag.records import Anchor, AnchorKind, Document, Source
from rag.sources import FILE_NAME, SourceEntry, read_sources, speaker_anchors
from rag.texts import decode

Loaded = tuple[str, tuple[Anchor, ...]]
"""Canonical text and the anchors found in it."""
Loader = Callable[[bytes], Loaded]

_LINE = re.compile(r"[^\r\n]+")
_HEADING = re.compile(r" {0,3}#{1,6}[ \t]+(.+)")
_CLOSING_MARKS = re.compile(r"(?:^|[ \t])#+\Z")
_FENCE = re.compile(r" {0,3}(`{3,}+(?!.*`)|~{3,}+)(.*)")


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file that was not indexed."""

    path: str
    reason: str
    lost: bool = True
    """False where nothing in it is missing from the index: another file holds the same text."""


@dataclass(frozen=True, slots=True)
class CorpusFile:
    """A file to load."""

    location: Path
    """Where it is opened."""
    path: str
    """How it is named: relative to its corpus root, with forward slashes."""
    entry: SourceEntry


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
            if not fence:
                fence = mark[1]
            elif mark[1].startswith(fence) and not mark[2].strip():  # at least as long, and alone on its line
                fence = ""
        elif not fence and (heading := _HEADING.match(line[0])):
            label = _CLOSING_MARKS.sub("", heading[1].strip()).strip()
            if label:
                anchors.append(Anchor(line.start(), AnchorKind.HEADING, label))
    return text, tuple(anchors)


LOADERS: dict[str, Loader] = {".txt": load_text, ".text": load_text, ".md": load_markdown, ".markdown": load_markdown}
"""Formats whose text is the file's own characters, by file name ending in lower case."""
ENDINGS = tuple(sorted({*LOADERS, *DIRECT, *ISOLATED}))
"""All file name endings that are read."""
_UNKNOWN_KIND = f"has a kind that is not read; these are: {', '.join(ENDINGS)}"


def load_document(file: CorpusFile, *, max_bytes: int, isolated: Isolated | None = None) -> Document:
    """Read one file. Raises LoadError with the reason, and SourcesError where its entry does not fit it."""
    data = read_file(file, max_bytes)
    if isolated is not None:
        return to_document(file, read_content(file, data, isolated), hashlib.sha256(data).hexdigest())
    with Isolated() as own:
        return to_document(file, read_content(file, data, own), hashlib.sha256(data).hexdigest())


def read_content(file: CorpusFile, data: bytes, isolated: Isolated) -> Content:
    """What the bytes of a file hold. Raises LoadError with the reason."""
    suffix = file.location.suffix.lower()
    if not data.strip():
        raise LoadError("is empty")
    if suffix in LOADERS:
        text, anchors = LOADERS[suffix](data)
        content = Content(text, anchors)
    elif suffix in DIRECT:
        content = loader(suffix)(data)
    else:
        content = isolated.load(suffix, data)
    if not content.text.strip():
        raise LoadError("has no text in it")
    return content


def to_document(file: CorpusFile, content: Content, sha256: str) -> Document:
    """The document in a file. Raises SourcesError where the entry in `sources.toml` does not fit the text."""
    text, anchors = content.text, content.anchors
    known = {key: value for key, value in asdict(file.entry.source).items() if value}
    source = replace(content.source, **known)
    if not source.title and (first := next((a for a in anchors if a.kind is AnchorKind.HEADING and a.label), None)):
        source = replace(source, title=first.label)
    turns = speaker_anchors(text, file.entry, file.path)
    encoded = text.encode("utf-8", "surrogatepass")
    return Document(
        id=hashlib.sha256(encoded).hexdigest()[:16],
        path=file.path,
        sha256=sha256,
        text=text,
        source=source,
        anchors=tuple(sorted((*anchors, *turns), key=lambda anchor: anchor.start)),
    )


def load_key(file: CorpusFile, sha256: str) -> str:
    """Names what is loaded: two files with equal keys are the same document, but for the path."""
    parts = f"{FORMAT}\0{file.location.suffix.lower()}\0{sha256}\0{_entry_json(file.entry)}"
    return hashlib.sha256(parts.encode("utf-8", "surrogatepass")).hexdigest()


@lru_cache(maxsize=1024)  # most files of a folder have the same entry: none
def _entry_json(entry: SourceEntry) -> str:
    return json.dumps(asdict(entry), sort_keys=True)


def read_file(file: CorpusFile, max_bytes: int) -> bytes:
    """The bytes of a regular file of at most `max_bytes`, of a kind that is read. Raises LoadError."""
    return read_file_and_status(file, max_bytes)[0]


def read_file_and_status(file: CorpusFile, max_bytes: int) -> tuple[bytes, os.stat_result]:
    """The same, and size and time as they were before it was read: a change meanwhile shows as one after it."""
    if file.location.suffix.lower() not in ENDINGS:
        raise LoadError(_UNKNOWN_KIND)
    try:
        with open(file.location, "rb", opener=_open_without_waiting) as stream:
            status = os.fstat(stream.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise LoadError("is not a regular file")
            if status.st_size > max_bytes:
                raise LoadError(
                    f"is {status.st_size / 2**20:.0f} MiB, more than the {max_bytes / 2**20:g} MiB that "
                    "max_file_mib allows"
                )
            return stream.read(max_bytes + 1), status
    except OSError as error:
        raise LoadError(f"cannot be read: {error.strerror or error}") from error


def _open_without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))  # a named pipe must not stop the build


def find_files(roots: Sequence[Path], index_dir: Path | None = None) -> tuple[list[CorpusFile], list[Skipped]]:
    """The files of a corpus: each root is a folder, searched through, or a file. Sorted by path.

    Hidden files, `sources.toml`, the index where it lies below a root, and files of kinds that are not read are
    passed over; the last are reported, and so is a `sources.toml` that is not of the root itself. Links
    that lead out of their folder are not followed. Raises BuildError for a root that is not there.
    """
    files: dict[str, CorpusFile] = {}
    skipped: list[Skipped] = []
    for root in roots:
        if _is(root, Path.is_dir):
            entries = read_sources(root)
            for location in _walk(root, index_dir, skipped):
                relative = location.relative_to(root).as_posix()
                path = _free_path(_shown(relative), root, files)
                if location.suffix.lower() in ENDINGS:
                    files[path] = CorpusFile(location, path, entries.get(relative, SourceEntry(Source())))
                else:
                    skipped.append(Skipped(path, _UNKNOWN_KIND))
        elif _is(root, Path.exists):
            entries = read_sources(root.parent)
            path = _free_path(_shown(root.name), root.parent, files)
            files[path] = CorpusFile(root, path, entries.get(root.name, SourceEntry(Source())))
        else:
            raise BuildError(
                f"There is no file or folder {str(root)!r}. Name a folder of documents, such as: rag index seeds"
            )
    return [files[path] for path in sorted(files)], skipped


def check_apart(roots: Sequence[Path], index_dir: Path) -> None:
    """Raises UserError for a root that is the index folder or lies in it, where files of an index are to be alone."""
    for root in roots:
        if Path(os.path.realpath(root)).is_relative_to(os.path.realpath(index_dir)):
            raise UserError(
                f"The documents {str(root)!r} lie in the index folder {str(index_dir)!r}. "
                "Name a folder for the index alone, such as: --index index"
            )


def unused_entries(roots: Sequence[Path], files: Sequence[CorpusFile]) -> list[str]:
    """What the `sources.toml` of each folder names that is none of these files as found there, one line each."""
    unused: list[str] = []
    locations = {file.location for file in files}
    for root in roots:
        for name in read_sources(root) if os.path.isdir(root) else ():
            path = os.path.join(root, name)
            meant = Path(os.path.relpath(path, root)).as_posix()
            is_file = root / meant in locations
            if is_file and meant == name:
                continue
            if is_file:
                reason = f"which must be written {meant!r}"
            elif os.path.exists(path):
                reason = "which is no file that is read"
            else:
                reason = "which is not there"
            unused.append(f"{root / FILE_NAME} names {name!r}, {reason}")
    return unused


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


def _walk(root: Path, index_dir: Path | None, skipped: list[Skipped]) -> Iterator[Path]:
    def unreadable(error: OSError) -> None:
        skipped.append(Skipped(_relative(Path(error.filename), root), f"cannot be read: {error.strerror}"))

    real_root = os.path.realpath(root)
    index = os.path.realpath(index_dir) if index_dir is not None else ""
    for folder, folders, names in os.walk(root, onerror=unreadable):
        # os.path.islink, for Path.is_symlink raises below a folder that may be listed and not entered
        links = [name for name in folders if os.path.islink(os.path.join(folder, name)) and not name.startswith(".")]
        skipped.extend(
            Skipped(_relative(Path(folder) / name, root), "is a link to a folder, which is not followed")
            for name in sorted(links)
        )
        folders[:] = sorted(
            name
            for name in folders
            if not name.startswith(".") and os.path.realpath(os.path.join(folder, name)) != index
        )
        for name in sorted(names):
            location = Path(folder) / name
            if name == FILE_NAME and Path(folder) != root:
                reason = f"is not read; only the {FILE_NAME} of the folder that is indexed is"
                skipped.append(Skipped(_relative(location, root), reason, lost=False))
            if name.startswith(".") or name == FILE_NAME:
                continue
            # os.path.realpath, for Path.resolve raises where a link leads to itself
            if os.path.islink(location) and not Path(os.path.realpath(location)).is_relative_to(real_root):
                skipped.append(Skipped(_relative(location, root), "is a link that leads out of the folder"))
                continue
            yield location


def _relative(location: Path, root: Path) -> str:
    return _shown(location.relative_to(root).as_posix())
