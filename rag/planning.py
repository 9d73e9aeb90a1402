"""Planning: what a build would do, without doing it."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rag.building import Changes, changes_of, check_found, losses_of, max_file_bytes, open_live
from rag.cache import EmbeddingCache
from rag.chunking import tiktoken_counter
from rag.encoding import Encoder
from rag.errors import BuildError
from rag.loaders.isolation import Isolated
from rag.loading import Skipped, check_apart
from rag.preparing import prepare
from rag.scanning import scan
from rag.settings import Settings
from rag.stash import Stash
from rag.terms import Analyzer
from rag.versions import IndexFolder

_SAMPLE = 32
"""Texts encoded to learn how fast this computer is. They are not kept."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What `rag index` would do now."""

    files: int
    documents: int
    changes: Changes
    skipped: tuple[Skipped, ...]
    losses: tuple[str, ...]
    """What --strict would refuse."""
    chunks_to_encode: int
    segments_to_encode: int
    """Of the chunks and segments of new and changed documents, those whose text no build has encoded yet."""
    seconds: float
    """Estimated, for the encoding alone, at the rate of a sample."""
    up_to_date: bool
    """True where the live version already holds exactly this."""


def plan_corpus(
    roots: Sequence[Path], index_dir: Path, settings: Settings, open_encoder: Callable[[], Encoder]
) -> Plan:
    """Look at the files as a build would. Writes nothing below `index_dir`.

    Raises what a build would raise, but for an embedding cache that cannot be read: it is taken for an empty one.
    """
    check_apart(roots, index_dir)
    folder = IndexFolder(index_dir)
    live = open_live(folder)
    try:
        with Stash(None) as stash, Isolated() as isolated:
            corpus = scan(roots, index_dir, max_file_bytes(settings), live.store if live else None, stash, isolated)
            check_found(roots, corpus)
            encoder = open_encoder()
            fits = live is not None and live.fits(settings, encoder.card)
            kept = {known.content_key for known in live.store.kept()} if live is not None and fits else set()
            cache = _opened(folder.cache / "embeddings.sqlite")
            chunks, segments, sample = 0, 0, list[str]()
            try:
                analyzer, count_tokens = Analyzer(), tiktoken_counter()
                for entry in corpus.entries:
                    if entry.content_key in kept:
                        continue
                    prepared = prepare(entry.document(), encoder, analyzer, count_tokens, settings.chunk_tokens)
                    new_chunks = _missing(prepared.chunk_texts(), encoder, cache)
                    new_segments = _missing(prepared.segment_texts(), encoder, cache)
                    chunks, segments = chunks + len(new_chunks), segments + len(new_segments)
                    room = _SAMPLE - len(sample)
                    sample += [*new_chunks[: room // 4], *new_segments[: room - room // 4]]
            finally:
                if cache is not None:
                    cache.close()
            same = live is not None and live.manifest.corpus_sha256 == corpus.sha256()
            return Plan(
                files=len(corpus.entries) + len(corpus.skipped),
                documents=len(corpus.entries),
                changes=changes_of(corpus, live),
                skipped=tuple(corpus.skipped),
                losses=tuple(losses_of(corpus)),
                chunks_to_encode=chunks,
                segments_to_encode=segments,
                seconds=_seconds(sample, chunks + segments, encoder),
                up_to_date=fits and same,
            )
    except (OSError, sqlite3.OperationalError) as error:
        raise BuildError(f"What a build would do cannot be found out: {error}.") from error
    finally:
        if live is not None:
            live.store.close()


def _opened(path: Path) -> EmbeddingCache | None:
    try:
        return EmbeddingCache(path, read_only=True)
    except (BuildError, sqlite3.OperationalError):
        return None


def _missing(texts: Sequence[str], encoder: Encoder, cache: EmbeddingCache | None) -> list[str]:
    if cache is not None:
        try:
            return cache.missing(texts, encoder)
        except (BuildError, sqlite3.OperationalError):  # a build that began meanwhile may have changed its pages
            pass
    return list(dict.fromkeys(texts))


def _seconds(sample: Sequence[str], texts: int, encoder: Encoder) -> float:
    if not sample:
        return 0.0
    encoder.encode_documents(sample[:2])  # the first call also sets up
    started = time.perf_counter()
    encoder.encode_documents(sample)
    return round((time.perf_counter() - started) * texts / len(sample), 1)
