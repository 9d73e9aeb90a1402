"""One version of the index, opened for reading. It never changes, and neither does what was opened."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

from rag.dialogue import asks
from rag.errors import IndexUnavailable
from rag.records import Span
from rag.store import Store
from rag.vectors import FaissVectors
from rag.versions import CHUNK_VECTORS, REBUILD, SEGMENT_VECTORS, STORE, Manifest, check_files

_CHUNKS_READ = 8192
"""Chunks whose segments are kept once read: some 3 KiB each."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A segment as scoring needs it."""

    number: int
    span: Span
    stems: frozenset[str]
    asks: bool
    """True where it is worded as a question."""


class Index:
    """Documents, keyword search and vectors of one version."""

    def __init__(
        self, manifest: Manifest, store: Store, chunk_vectors: FaissVectors, segment_vectors: FaissVectors
    ) -> None:
        self.manifest = manifest
        self.store = store
        self.chunk_vectors = chunk_vectors
        self.segment_vectors = segment_vectors
        self.segments_of = lru_cache(maxsize=_CHUNKS_READ)(partial(_segments_of, store))  # not of a method: see Store
        """A chunk's document number and its segments."""

    @classmethod
    def open(cls, folder: Path, *, checked: bool = False) -> Index:
        """Open the version in `folder`. Raises IndexUnavailable where any of its files is not what was built.

        With `checked` the checksums are taken as right: for who has just compared them, or just written the files.
        """
        manifest = Manifest.read(folder)
        if not checked:
            check_files(folder, manifest)
        try:
            index = cls(
                manifest,
                Store(folder / STORE),
                FaissVectors.read(folder / CHUNK_VECTORS),
                FaissVectors.read(folder / SEGMENT_VECTORS),
            )
            index.check_counts()
        except (sqlite3.Error, RuntimeError) as error:
            raise IndexUnavailable(f"The index version {folder.name} is damaged ({error}). {REBUILD}") from error
        return index

    def close(self) -> None:
        """Let go of the files."""
        self.store.close()

    def check_counts(self) -> None:
        """Raises IndexUnavailable where the manifest, the store and the vectors disagree."""
        manifest = self.manifest
        expected = (manifest.documents, manifest.chunks, manifest.segments)
        stored = tuple(self.store.count(table) for table in ("documents", "chunks", "segments"))
        vectors = (self.chunk_vectors.count, self.segment_vectors.count)
        dimensions = {self.chunk_vectors.dimension, self.segment_vectors.dimension}
        if stored != expected or vectors != expected[1:] or dimensions != {manifest.encoder.dimension}:
            raise IndexUnavailable(
                f"The index version {manifest.version} is damaged: its files do not fit together. {REBUILD}"
            )

    def check_spans(self) -> None:
        """Raises IndexUnavailable where a chunk or segment is not a stretch of its document."""
        if fault := self.store.fault():
            raise IndexUnavailable(f"The index version {self.manifest.version} is damaged: {fault}. {REBUILD}")


def _segments_of(store: Store, chunk: int) -> tuple[int, tuple[Segment, ...]]:
    number, _, inside = store.chunk(chunk)
    text = store.document(number).text
    rows = zip(inside, store.segments(inside), strict=True)
    return number, tuple(
        Segment(i, span, frozenset(terms.split()), asks(text[span.start : span.end])) for i, (span, terms) in rows
    )
