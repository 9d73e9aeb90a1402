"""Scanning: folders and files to the entries of a version, each read only if no earlier build has read the same.

Nothing here holds more than one document: what was read waits in the stash, and what is unchanged in the live version.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from rag.errors import LoadError
from rag.freshness import FileState
from rag.loaders.content import Content
from rag.loaders.isolation import Isolated, ReaderFailed
from rag.loading import (
    CorpusFile,
    Skipped,
    find_files,
    load_key,
    read_content,
    read_file_and_status,
    to_document,
    unused_entries,
)
from rag.records import Document
from rag.stash import Stash
from rag.store import Kept, Store


@dataclass(frozen=True, slots=True)
class Entry:
    """A document to be in the version."""

    path: str
    id: str
    load_key: str
    """Empty for a document that comes from no file."""
    content_key: str
    """Names all of the document but its path."""
    loading: str
    """What the loader reported, as JSON; see `Loading`."""
    document: Callable[[], Document]
    """Reads the document, now."""


@dataclass(frozen=True, slots=True)
class Loading:
    """What the loader reported of one file."""

    pages_seen: int = 0
    pages_empty: int = 0
    pages_dropped: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def to_json(self) -> str:
        """As one line."""
        return json.dumps(asdict(self))

    @classmethod
    def of(cls, content: Content) -> Loading:
        """Of what a loader gave."""
        pages = content.pages
        return cls(pages.seen, pages.empty, pages.dropped, content.notes)


@lru_cache(maxsize=1024)  # most files have nothing to report
def loading_of(text: str) -> Loading:
    """From `Loading.to_json`."""
    raw: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in json.loads(text).items()}
    return Loading(**raw)


@dataclass(slots=True)
class Corpus:
    """What was found."""

    entries: list[Entry] = field(default_factory=list)
    """In order of their paths, with different ids."""
    skipped: list[Skipped] = field(default_factory=list)
    files: list[FileState] = field(default_factory=list)
    """Of the entries, in the same order."""
    failed: list[str] = field(default_factory=list)
    """Load keys of files that cannot be read."""
    unused: list[str] = field(default_factory=list)
    """Entries of a `sources.toml` for what is no file that is read, one line each."""

    def sha256(self) -> str:
        """Over the paths and contents of the documents."""
        digest = hashlib.sha256()
        for entry in self.entries:
            digest.update(json.dumps([entry.path, entry.content_key]).encode() + b"\n")
        return digest.hexdigest()


def scan(
    roots: Sequence[Path], index_dir: Path, max_bytes: int, live: Store | None, stash: Stash, isolated: Isolated
) -> Corpus:
    """Find and read all files but those of the index. Those that cannot be read are in `skipped`, with the reason.

    Raises BuildError for a root that is not there, SourcesError where a `sources.toml` cannot be used.
    """
    files, skipped = find_files(roots, index_dir)
    corpus = Corpus(skipped=skipped, unused=unused_entries(roots, files))
    kept = {known.load_key: known for known in live.kept() if known.load_key} if live is not None else {}
    taken: dict[str, str] = {}  # document id to path
    for file in files:
        try:
            entry, state = _entry(file, max_bytes, live, kept, stash, isolated, corpus.failed)
        except LoadError as error:
            corpus.skipped.append(Skipped(file.path, str(error)))
            continue
        if entry.id in taken:
            corpus.skipped.append(Skipped(file.path, f"has the same text as {taken[entry.id]}", lost=False))
            continue
        taken[entry.id] = entry.path
        corpus.entries.append(entry)
        corpus.files.append(state)
    return corpus


def entries_of(documents: Iterable[Document]) -> Corpus:
    """Documents that come from no file."""
    listed = sorted(documents, key=lambda document: document.path)
    return Corpus([Entry(d.path, d.id, "", content_key(d), Loading().to_json(), partial(_same, d)) for d in listed])


def content_key(document: Document) -> str:
    """Names all of a document but its path."""
    parts = [document.id, document.sha256, asdict(document.source), [anchor.row() for anchor in document.anchors]]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _entry(
    file: CorpusFile,
    max_bytes: int,
    live: Store | None,
    kept: Mapping[str, Kept],
    stash: Stash,
    isolated: Isolated,
    failed: list[str],
) -> tuple[Entry, FileState]:
    """One file: from the live version, from the stash, or read now. Raises LoadError."""
    data, status = read_file_and_status(file, max_bytes)
    sha256 = hashlib.sha256(data).hexdigest()
    location = os.path.join(os.getcwd(), file.location)  # half the time of Path.absolute, for every file of a folder
    state = FileState(file.path, location, status.st_size, status.st_mtime_ns, sha256)
    key = load_key(file, sha256)
    if live is not None and (known := kept.get(key)):
        read = partial(_from_live, live, known.number, file.path)
        return Entry(file.path, known.id, key, known.content_key, known.loading, read), state
    found = stash.find(key)
    if found is None:
        try:
            content = read_content(file, data, isolated)
        except ReaderFailed:
            raise
        except LoadError as error:
            stash.put_reason(key, str(error))
            failed.append(key)
            raise
        document = to_document(file, content, sha256)
        found = (document.id, content_key(document), Loading.of(content).to_json(), "")
        stash.put(key, document, *found[1:3])
    document_id, known_content, loading, reason = found
    if reason:
        failed.append(key)
        raise LoadError(reason)
    return Entry(file.path, document_id, key, known_content, loading, partial(stash.document, key, file.path)), state


def _from_live(live: Store, number: int, path: str) -> Document:
    return replace(live.document(number), path=path)


def _same(document: Document) -> Document:
    return document
