"""Building: documents to a new version of the index, which goes live only once it is whole and verified."""

from __future__ import annotations

import datetime
import hashlib
import json
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rag.cache import EmbeddingCache
from rag.chunking import tiktoken_counter
from rag.encoding import Encoder
from rag.errors import BuildError, IndexUnavailable, LoadError
from rag.index import Index
from rag.loading import Skipped, find_files, load_document
from rag.preparing import FORMAT, Prepared, prepare
from rag.records import Document
from rag.settings import Settings
from rag.store import StoreWriter
from rag.terms import Analyzer
from rag.vectors import VectorsWriter
from rag.versions import CHUNK_VECTORS, SEGMENT_VECTORS, STORE, IndexFolder, Manifest, checksums

_TEXTS_PER_BLOCK = 8192
"""Texts encoded and written together: bounds the memory that vectors take while building."""

Watch = Callable[[int, int], None]
"""Called as work goes on with documents done and documents in all."""


@dataclass(frozen=True, slots=True)
class BuildReport:
    """What a build did."""

    version: str
    """The live version after the build."""
    unchanged: bool
    """True where the live version already held exactly this; then nothing was written."""
    documents: int
    chunks: int
    segments: int
    characters: int
    encoded: int
    """Different texts encoded in this build; all others came from the cache."""
    skipped: tuple[Skipped, ...]
    pruned: tuple[str, ...]


def build_corpus(
    roots: Sequence[Path],
    index_dir: Path,
    settings: Settings,
    open_encoder: Callable[[], Encoder],
    watch: Watch = lambda *_: None,
) -> BuildReport:
    """Build from folders and files. Files that cannot be read are reported and the rest is indexed.

    The encoder is opened only once there is something to index. Raises BuildError where nothing can be
    indexed, SourcesError where a `sources.toml` cannot be used; the live version is then as it was.
    """
    files, skipped = find_files(roots)
    documents: dict[str, Document] = {}
    for file in files:
        try:
            document = load_document(file, max_bytes=int(settings.max_file_mib * 2**20))
        except LoadError as error:
            skipped.append(Skipped(file.path, str(error)))
            continue
        if document.id in documents:
            skipped.append(Skipped(file.path, f"has the same text as {documents[document.id].path}"))
        else:
            documents[document.id] = document
    if not documents:
        where = ", ".join(str(root) for root in roots)
        seen = (
            f" {len(skipped)} files were skipped; the first: {skipped[0].path} {skipped[0].reason}." if skipped else ""
        )
        raise BuildError(
            f"There is nothing to index in {where}.{seen} Put .txt or .md files there, or name another folder."
        )
    return build(documents.values(), index_dir, settings, open_encoder(), skipped=skipped, watch=watch)


def build(
    documents: Iterable[Document],
    index_dir: Path,
    settings: Settings,
    encoder: Encoder,
    *,
    skipped: Sequence[Skipped] = (),
    watch: Watch = lambda *_: None,
) -> BuildReport:
    """Build a version from documents with different ids and paths, verify it, and make it live.

    Raises BuildError where another build is running, the disk is full, or the version does not verify;
    the live version is then as it was.
    """
    listed = sorted(documents, key=lambda document: document.path)
    folder = IndexFolder(index_dir)
    with folder.writing():
        corpus_sha256 = _corpus_sha256(listed)
        live = _same_version(folder, corpus_sha256, settings, encoder)
        if live is not None:
            return _report(live, unchanged=True, encoded=0, skipped=skipped, pruned=())
        try:
            with folder.scratch() as scratch:
                manifest, encoded = _write(listed, folder, scratch, corpus_sha256, settings, encoder, watch)
                _verify(scratch)
                folder.publish(scratch, manifest.version)
                folder.make_live(manifest.version)
                pruned = folder.prune(settings.keep_versions)
        except (OSError, sqlite3.OperationalError) as error:
            raise BuildError(
                f"The index in {index_dir} could not be written: {error}. The live index is as it was."
            ) from error
        except IndexUnavailable as error:
            raise BuildError(f"The new version did not verify and was not used: {error}") from error
    return _report(manifest, unchanged=False, encoded=encoded, skipped=skipped, pruned=pruned)


def _write(
    documents: Sequence[Document],
    folder: IndexFolder,
    scratch: Path,
    corpus_sha256: str,
    settings: Settings,
    encoder: Encoder,
    watch: Watch,
) -> tuple[Manifest, int]:
    """Write all files of a version into `scratch`. Returns its manifest and the number of texts encoded."""
    analyzer, count_tokens = Analyzer(), tiktoken_counter()
    chunk_vectors, segment_vectors = VectorsWriter(encoder.card.dimension), VectorsWriter(encoder.card.dimension)
    cache = EmbeddingCache(folder.cache / "embeddings.sqlite")
    encoded = 0
    waiting: list[Prepared] = []

    def flush() -> int:
        chunk_texts = [text for prepared in waiting for text in prepared.chunk_texts()]
        segment_texts = [text for prepared in waiting for text in prepared.segment_texts()]
        new = cache.missing([*chunk_texts, *segment_texts], encoder)
        rows = cache.encode([*chunk_texts, *segment_texts], encoder)
        chunk_vectors.add(rows[: len(chunk_texts)])
        segment_vectors.add(rows[len(chunk_texts) :])
        waiting.clear()
        return new

    try:
        with StoreWriter(scratch / STORE) as store:
            for done, document in enumerate(documents):
                watch(done, len(documents))
                prepared = prepare(document, encoder, analyzer, count_tokens, settings.chunk_tokens)
                store.add(prepared)
                waiting.append(prepared)
                if sum(len(p.chunks) + sum(map(len, p.segments)) for p in waiting) >= _TEXTS_PER_BLOCK:
                    encoded += flush()
            encoded += flush()
            watch(len(documents), len(documents))
    finally:
        cache.close()
    chunk_vectors.write(scratch / CHUNK_VECTORS)
    segment_vectors.write(scratch / SEGMENT_VECTORS)
    manifest = Manifest(
        version=folder.new_name(corpus_sha256),
        created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        encoder=encoder.card,
        chunk_tokens=settings.chunk_tokens,
        preparing_format=FORMAT,
        corpus_sha256=corpus_sha256,
        documents=store.documents,
        chunks=store.chunks,
        segments=store.segments,
        characters=sum(len(document.text) for document in documents),
        files=checksums(scratch),
    )
    manifest.write(scratch)
    return manifest, encoded


def _verify(folder: Path) -> None:
    """Open a version as a reader would, and check every span in it. Raises IndexUnavailable."""
    index = Index.open(folder)
    try:
        index.check_spans()
    finally:
        index.close()


def _same_version(folder: IndexFolder, corpus_sha256: str, settings: Settings, encoder: Encoder) -> Manifest | None:
    """The live version's manifest, where building would make the same version again and it verifies."""
    try:
        manifest = Manifest.read(folder.live())
        same = (
            manifest.corpus_sha256 == corpus_sha256
            and manifest.encoder == encoder.card
            and manifest.chunk_tokens == settings.chunk_tokens
            and manifest.preparing_format == FORMAT
        )
        if not same:
            return None
        _verify(folder.live())
    except IndexUnavailable:
        return None
    return manifest


def _corpus_sha256(documents: Sequence[Document]) -> str:
    digest = hashlib.sha256()
    for document in documents:
        anchors = [[anchor.start, anchor.kind, anchor.label] for anchor in document.anchors]
        entry = [document.path, document.id, document.sha256, asdict(document.source), anchors]
        digest.update(json.dumps(entry, ensure_ascii=True, sort_keys=True).encode() + b"\n")
    return digest.hexdigest()


def _report(
    manifest: Manifest, *, unchanged: bool, encoded: int, skipped: Sequence[Skipped], pruned: Sequence[str]
) -> BuildReport:
    return BuildReport(
        version=manifest.version,
        unchanged=unchanged,
        documents=manifest.documents,
        chunks=manifest.chunks,
        segments=manifest.segments,
        characters=manifest.characters,
        encoded=encoded,
        skipped=tuple(skipped),
        pruned=tuple(pruned),
    )
