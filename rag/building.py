"""Building: documents to a new version of the index, which goes live only once it is whole and verified.

What the live version holds already is copied from it, rows and vectors; what an earlier build encoded comes from the
cache; and documents pass through one by one, so that the memory a build takes does not grow with the corpus.
"""

from __future__ import annotations

import datetime
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rag.cache import EmbeddingCache
from rag.chunking import tiktoken_counter
from rag.encoding import LENGTH_TOLERANCE, Encoder, EncoderCard
from rag.errors import BuildError, IndexUnavailable
from rag.freshness import write_files
from rag.loaders.isolation import Isolated
from rag.loading import ENDINGS, Skipped, check_apart
from rag.preparing import FORMAT, Prepared, prepare
from rag.records import Document
from rag.scanning import Corpus, Entry, entries_of, loading_of, scan
from rag.settings import Settings
from rag.stash import Stash
from rag.store import Kept, Store, StoreWriter
from rag.terms import Analyzer
from rag.vectorfile import VectorFile, VectorFileWriter
from rag.versions import CHUNK_VECTORS, SEGMENT_VECTORS, STORE, IndexFolder, Manifest, check_files, checksums

_TEXTS_PER_BLOCK = 8192
"""Texts encoded and written together: bounds the memory that vectors take while building."""

Watch = Callable[[int, int], None]
"""Called as work goes on with documents done and documents in all."""


@dataclass(frozen=True, slots=True)
class Changes:
    """Paths of documents against the version that was live before."""

    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    renamed: tuple[str, ...] = ()
    """New names of documents that were there under another one."""
    removed: tuple[str, ...] = ()
    unchanged: int = 0
    """How many are as they were."""


@dataclass(frozen=True, slots=True)
class PageCounts:
    """Pages and slides of all documents."""

    seen: int = 0
    empty: int = 0
    dropped: tuple[str, ...] = ()
    """Path, page and reason of each one that is not in the index."""


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
    """Different texts encoded in this build; all others came from the cache or the version before."""
    skipped: tuple[Skipped, ...]
    pruned: tuple[str, ...]
    files: int = 0
    """Seen, the skipped ones included."""
    changes: Changes = Changes()
    pages: PageCounts = PageCounts()
    notes: tuple[str, ...] = ()
    """Path and what there is to know of it, such as page headers that were left out."""
    unused_entries: tuple[str, ...] = ()
    """What a `sources.toml` names that is no file that is read, and why not."""


class Incomplete(BuildError):
    """A strict build would have left something out."""

    def __init__(self, losses: Sequence[str]) -> None:
        super().__init__(
            f"Not everything can be indexed, and --strict is set: {losses[0]}"
            + (f", and {len(losses) - 1} more" if len(losses) > 1 else "")
            + ". The live index is as it was. Mend or remove the files, or build without --strict."
        )
        self.losses = tuple(losses)


def build_corpus(
    roots: Sequence[Path],
    index_dir: Path,
    settings: Settings,
    open_encoder: Callable[[], Encoder],
    watch: Watch = lambda *_: None,
    *,
    strict: bool = False,
) -> BuildReport:
    """Build from folders and files. Files that cannot be read are reported and the rest is indexed.

    The encoder is opened only once there is something to index. Raises BuildError where nothing can be
    indexed (with `strict`, Incomplete where anything cannot), SourcesError where a `sources.toml` cannot be
    used, UserError where the documents lie in the index folder; the live version is then as it was.
    """
    check_apart(roots, index_dir)
    folder = IndexFolder(index_dir)
    with (
        _verified(),
        folder.writing(),
        _live(folder) as live,
        Stash(folder.cache / "documents.sqlite") as stash,
        Isolated() as isolated,
    ):
        corpus = scan(roots, index_dir, max_file_bytes(settings), live.store if live else None, stash, isolated)
        check_found(roots, corpus)
        if strict and (losses := losses_of(corpus)):
            raise Incomplete(losses)
        report = _build(corpus, folder, live, settings, open_encoder(), watch)
        with suppress(OSError, sqlite3.OperationalError):  # the version is live: a full disk cannot undo that
            write_files(index_dir, corpus.files)
            stash.keep_only(_still_needed(corpus, folder))
        return report


def _still_needed(corpus: Corpus, folder: IndexFolder) -> list[str]:
    """Load keys that the live version does not know: of files that cannot be read, and of files read anew (by another
    version of a loader, say) whose documents came out as they were and were copied."""
    store = Store(folder.live() / STORE)
    try:
        known = {document.load_key for document in store.kept()}
    finally:
        store.close()
    return [*corpus.failed, *(entry.load_key for entry in corpus.entries if entry.load_key not in known)]


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
    corpus = entries_of(documents)
    corpus.skipped.extend(skipped)
    folder = IndexFolder(index_dir)
    with _verified(), folder.writing(), _live(folder) as live:
        return _build(corpus, folder, live, settings, encoder, watch)


def max_file_bytes(settings: Settings) -> int:
    """Size from which a file is skipped."""
    return int(settings.max_file_mib * 2**20)


def check_found(roots: Sequence[Path], corpus: Corpus) -> None:
    """Raises BuildError where there is no document at all."""
    if not corpus.entries:
        where, skipped = ", ".join(str(root) for root in roots), corpus.skipped
        seen = (
            f" {len(skipped)} files were skipped; the first: {skipped[0].path} {skipped[0].reason}." if skipped else ""
        )
        raise BuildError(
            f"There is nothing to index in {where}.{seen} Put documents there ({', '.join(ENDINGS)}), "
            "or name another folder."
        )


def losses_of(corpus: Corpus) -> list[str]:
    """Everything that a reader would miss: files left out, and pages that could not be read."""
    losses = [f"{skipped.path} {skipped.reason}" for skipped in corpus.skipped if skipped.lost]
    return losses + [
        f"{entry.path}: {page}" for entry in corpus.entries for page in loading_of(entry.loading).pages_dropped
    ]


@dataclass(frozen=True, slots=True)
class Live:
    """The live version, opened to copy from."""

    folder: Path
    manifest: Manifest
    store: Store

    def fits(self, settings: Settings, card: EncoderCard) -> bool:
        """True where documents of it can be copied with what was prepared and encoded of them."""
        return (
            self.manifest.encoder == card
            and self.manifest.chunk_tokens == settings.chunk_tokens
            and self.manifest.preparing_format == FORMAT
        )


@contextmanager
def _live(folder: IndexFolder) -> Iterator[Live | None]:
    """The live version, None where there is none that is whole."""
    live = open_live(folder)
    try:
        yield live
    finally:
        if live is not None:
            live.store.close()


def open_live(folder: IndexFolder) -> Live | None:
    """The live version once its checksums are compared; None where there is none that is whole."""

    def opened(path: Path) -> Live:
        manifest = Manifest.read(path)
        check_files(path, manifest)
        return Live(path, manifest, Store(path / STORE))

    try:
        return folder.with_live(opened)
    except (IndexUnavailable, sqlite3.Error):
        return None


@contextmanager
def _verified() -> Iterator[None]:
    """Turns what a check finds in a new version into a BuildError."""
    try:
        yield
    except IndexUnavailable as error:
        raise BuildError(f"The new version did not verify and was not used: {error}") from error


def _build(
    corpus: Corpus, folder: IndexFolder, live: Live | None, settings: Settings, encoder: Encoder, watch: Watch
) -> BuildReport:
    corpus_sha256 = corpus.sha256()
    changes = changes_of(corpus, live)
    fitting = live if live is not None and live.fits(settings, encoder.card) else None
    if fitting is not None and fitting.manifest.corpus_sha256 == corpus_sha256:
        return _report(fitting.manifest, corpus, changes, unchanged=True, encoded=0, pruned=())
    with folder.scratch() as scratch:
        manifest, encoded = _write(corpus, folder, scratch, corpus_sha256, settings, encoder, fitting, watch)
        verify_written(scratch, manifest)
        folder.publish(scratch, manifest.version)
        folder.make_live(manifest.version)
        pruned = folder.prune(settings.keep_versions)
    return _report(manifest, corpus, changes, unchanged=False, encoded=encoded, pruned=pruned)


def _write(
    corpus: Corpus,
    folder: IndexFolder,
    scratch: Path,
    corpus_sha256: str,
    settings: Settings,
    encoder: Encoder,
    live: Live | None,
    watch: Watch,
) -> tuple[Manifest, int]:
    """Write all files of a version into `scratch`. Returns its manifest and the number of texts encoded."""
    kept = {known.content_key: known for known in live.store.kept()} if live is not None else {}
    base = live if live is not None and any(entry.content_key in kept for entry in corpus.entries) else None
    with (  # a full disk may show only when a file is closed; the others are closed all the same
        closing(EmbeddingCache(folder.cache / "embeddings.sqlite")) as cache,
        closing(VectorFileWriter(scratch / CHUNK_VECTORS, encoder.card.dimension)) as chunk_vectors,
        closing(VectorFileWriter(scratch / SEGMENT_VECTORS, encoder.card.dimension)) as segment_vectors,
        StoreWriter(scratch / STORE, base.folder / STORE if base else None) as store,
    ):
        writer = _Rows(store, chunk_vectors, segment_vectors, cache, encoder, settings.chunk_tokens, base)
        done = 0
        for run in _runs(corpus.entries, kept if base else {}):
            watch(done, len(corpus.entries))
            if run.copied is not None:
                writer.copy(run.copied, run.renamed)
            else:
                writer.add(run.entries[0])
            done += len(run.entries)
        writer.flush()
        watch(len(corpus.entries), len(corpus.entries))
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
        characters=store.characters,
        files=checksums(scratch),
    )
    manifest.write(scratch)
    return manifest, cache.encoded


@dataclass(slots=True)
class _Run:
    """Documents that are written in one go: consecutive ones of the live version, or a single new one."""

    entries: list[Entry]
    copied: range | None = None
    """Their numbers in the live version."""
    renamed: str | None = None


def _runs(entries: Sequence[Entry], kept: dict[str, Kept]) -> Iterator[_Run]:
    run: _Run | None = None
    for entry in entries:
        known = kept.get(entry.content_key)
        follows = run is not None and run.copied is not None and run.renamed is None and known is not None
        if follows and run and run.copied and known and (known.number, known.path) == (run.copied.stop, entry.path):
            run.entries.append(entry)
            run.copied = range(run.copied.start, run.copied.stop + 1)
            continue
        if run is not None:
            yield run
        if known is None:
            run = _Run([entry])
        else:
            renamed = entry.path if known.path != entry.path else None
            run = _Run([entry], range(known.number, known.number + 1), renamed)
    if run is not None:
        yield run


class _Rows:
    """Writes documents, new or copied, to the store and the vector files, row by row in step."""

    def __init__(
        self,
        store: StoreWriter,
        chunk_vectors: VectorFileWriter,
        segment_vectors: VectorFileWriter,
        cache: EmbeddingCache,
        encoder: Encoder,
        chunk_tokens: int,
        base: Live | None,
    ) -> None:
        self._store = store
        self._chunk_vectors = chunk_vectors
        self._segment_vectors = segment_vectors
        self._cache = cache
        self._encoder = encoder
        self._chunk_tokens = chunk_tokens
        self._analyzer, self._count_tokens = Analyzer(), tiktoken_counter()
        if base is not None:
            self._base_chunks = VectorFile(base.folder / CHUNK_VECTORS)
            self._base_segments = VectorFile(base.folder / SEGMENT_VECTORS)
        self._waiting: list[Prepared] = []
        self._texts = 0

    def add(self, entry: Entry) -> None:
        """A new document: cut it up now, encode it with others."""
        prepared = prepare(entry.document(), self._encoder, self._analyzer, self._count_tokens, self._chunk_tokens)
        self._store.add(prepared, load_key=entry.load_key, content_key=entry.content_key, loading=entry.loading)
        self._waiting.append(prepared)
        self._texts += len(prepared.chunks) + sum(map(len, prepared.segments))
        if self._texts >= _TEXTS_PER_BLOCK:
            self.flush()

    def copy(self, documents: range, path: str | None) -> None:
        """Documents of the live version, by their numbers there."""
        self.flush()
        chunks, segments = self._store.copy(documents, path)
        self._chunk_vectors.copy(self._base_chunks, chunks)
        self._segment_vectors.copy(self._base_segments, segments)

    def flush(self) -> None:
        """Encode and write what waits."""
        self._encode([text for p in self._waiting for text in p.chunk_texts()], self._chunk_vectors)
        self._encode([text for p in self._waiting for text in p.segment_texts()], self._segment_vectors)
        self._waiting.clear()
        self._texts = 0

    def _encode(self, texts: Sequence[str], vectors: VectorFileWriter) -> None:
        for at in range(0, len(texts), _TEXTS_PER_BLOCK):  # one document alone may be more than a block
            vectors.add(self._cache.encode(texts[at : at + _TEXTS_PER_BLOCK], self._encoder))


def verify_written(folder: Path, manifest: Manifest) -> None:
    """Check a version as a whole: counts, spans, and every vector's length. Raises IndexUnavailable.

    The vectors are read in blocks, not held. Their checksums were taken from what is on disk.
    """
    store = Store(folder / STORE)
    try:
        counts = tuple(store.count(table) for table in ("documents", "chunks", "segments"))
        fault = store.fault()
    except sqlite3.Error as error:
        fault, counts = str(error), ()
    finally:
        store.close()
    if not fault and counts != (manifest.documents, manifest.chunks, manifest.segments):
        fault = "the store does not hold what was written"
    for name, rows in ((CHUNK_VECTORS, manifest.chunks), (SEGMENT_VECTORS, manifest.segments)):
        fault = fault or _vector_fault(folder / name, rows, manifest.encoder.dimension)
    if fault:
        raise IndexUnavailable(f"version {manifest.version}: {fault}")


def _vector_fault(path: Path, rows: int, dimension: int) -> str:
    try:
        file = VectorFile(path)
    except ValueError as error:
        return str(error)
    if (file.rows, file.dimension) != (rows, dimension):
        return f"{path.name} holds {file.rows} vectors of {file.dimension} numbers, not {rows} of {dimension}"
    for block in file.blocks():
        if not np.all(np.abs(np.einsum("ij,ij->i", block, block) - 1) < LENGTH_TOLERANCE):
            return f"{path.name} holds a vector that is not of length 1"
    return ""


def changes_of(corpus: Corpus, live: Live | None) -> Changes:
    """What is new, changed, renamed and gone against the live version."""
    before = {known.path: known.content_key for known in live.store.kept()} if live is not None else {}
    contents = set(before.values())
    now = {entry.path for entry in corpus.entries}
    still = {entry.content_key for entry in corpus.entries}
    new = [entry for entry in corpus.entries if entry.path not in before]
    renamed = [entry.path for entry in new if entry.content_key in contents]
    return Changes(
        added=tuple(entry.path for entry in new if entry.content_key not in contents),
        changed=tuple(e.path for e in corpus.entries if e.path in before and before[e.path] != e.content_key),
        renamed=tuple(renamed),
        removed=tuple(path for path, content in before.items() if path not in now and content not in still),
        unchanged=sum(before.get(entry.path) == entry.content_key for entry in corpus.entries),
    )


def _report(
    manifest: Manifest, corpus: Corpus, changes: Changes, *, unchanged: bool, encoded: int, pruned: Sequence[str]
) -> BuildReport:
    loadings = [(entry.path, loading_of(entry.loading)) for entry in corpus.entries]
    return BuildReport(
        version=manifest.version,
        unchanged=unchanged,
        documents=manifest.documents,
        chunks=manifest.chunks,
        segments=manifest.segments,
        characters=manifest.characters,
        encoded=encoded,
        skipped=tuple(corpus.skipped),
        pruned=tuple(pruned),
        files=len(corpus.entries) + len(corpus.skipped),
        changes=changes,
        pages=PageCounts(
            sum(loading.pages_seen for _, loading in loadings),
            sum(loading.pages_empty for _, loading in loadings),
            tuple(f"{path}: {page}" for path, loading in loadings for page in loading.pages_dropped),
        ),
        notes=tuple(f"{path}: {note}" for path, loading in loadings for note in loading.notes),
        unused_entries=tuple(corpus.unused),
    )
