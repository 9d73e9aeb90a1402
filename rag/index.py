"""One version of the index, opened for reading. It never changes, and neither does what was opened."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from rag.encoding import EncoderCard
from rag.errors import IndexUnavailable
from rag.store import Store
from rag.vectors import FaissVectors
from rag.versions import CHUNK_VECTORS, REBUILD, SEGMENT_VECTORS, STORE, Manifest, check_files


class Index:
    """Documents, keyword search and vectors of one version."""

    def __init__(
        self, manifest: Manifest, store: Store, chunk_vectors: FaissVectors, segment_vectors: FaissVectors
    ) -> None:
        self.manifest = manifest
        self.store = store
        self.chunk_vectors = chunk_vectors
        self.segment_vectors = segment_vectors

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

    def check_encoder(self, card: EncoderCard) -> None:
        """Raises IndexUnavailable where the index was built with another encoder."""
        if card != self.manifest.encoder:
            raise IndexUnavailable(
                f"The index was built with the encoder {self.manifest.encoder.id}, but the settings name {card.id}. "
                f"{REBUILD}, or set encoder = {self.manifest.encoder.name!r}."
            )

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
