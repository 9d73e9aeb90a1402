"""Retrieval: a question to passages.

Chunks find the places: dense and keyword search are run side by side and their scores, each divided by the
best of the question, are averaged. Segments then decide what is shown of them: a passage is the best
segment with its better neighbours, grown to a length, so it does not depend on where a chunk happens to end.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from rag.encoding import Vector
from rag.index import Index
from rag.records import Passage, PassageScores, Span

Scores = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Weights:
    """How scores are put together. Defaults: see docs/choices.md for what each was measured to give."""

    keyword: float = 0.4
    """Share of BM25 in a chunk's score; the rest is dense."""
    segment: float = 0.5
    """Share of the best segment's cosine in the dense score; the rest is the chunk's own."""
    own_cosine: float = 0.5
    """Weight of a segment's own cosine beside its chunk's score."""
    coverage: float = 1.0
    """Weight of the share of the question's term weight that the segment holds."""
    reliance: float = 1.0
    """Power of the share of the question's term weight that one chunk holds, by which words count."""
    neighbours: float = 0.5
    """Weight of the mean of the neighbours' scores, added to a segment's own."""


@dataclass(frozen=True, slots=True)
class Query:
    """A question as retrieval sees it."""

    text: str
    vector: Vector
    stems: tuple[str, ...]
    """Content stems, without repeats."""
    stem_weights: tuple[float, ...]
    """How much each stem counts, beside its rarity; 1 for the question's own, less for those of earlier ones."""


@dataclass(frozen=True, slots=True)
class ScoredSegment:
    """A segment of a retrieved place and what speaks for it."""

    number: int
    document: int
    """Number of its document."""
    chunk: int
    span: Span
    stems: frozenset[str]
    cosine: float
    """Of the question and the segment."""
    coverage: float
    """Share, in [0, 1], of the question's term weight that the segment holds."""
    score: float
    """All together, neighbours included; comparable within one question only."""


@dataclass(frozen=True, slots=True)
class Retrieved:
    """What was found for a question."""

    passages: tuple[Passage, ...]
    inside: tuple[tuple[ScoredSegment, ...], ...]
    """The segments of each passage, in reading order."""
    idf: dict[str, float]
    """Rarity of each of the question's stems, 0 for one that stands in no document."""
    best_bm25: float
    """Highest BM25 of any chunk; 0 where none holds a stem."""


def idf(index: Index, stem: str) -> float:
    """Inverse document frequency over chunks, as in BM25: log(1 + (N - n + 0.5) / (n + 0.5)), 0 or more."""
    n, total = index.store.document_frequency(stem), index.manifest.chunks
    return math.log(1 + (total - n + 0.5) / (n + 0.5))


def retrieve(
    index: Index,
    query: Query,
    k: int,
    *,
    characters: int,
    least: float = 0.0,
    within: Sequence[range] | None = None,
    weights: Weights | None = None,
) -> Retrieved:
    """The at most `k` passages for a question, best first, none overlapping another.

    A passage grows to about `characters`. Passages that score less than `least` times the best one are left
    out. `within` limits the search to ranges of chunk numbers.
    """
    weights = weights or Weights()
    rarity = {stem: idf(index, stem) for stem in query.stems}
    depth = max(50, 2 * k)
    chunks, keyword = _candidates(index, query, depth, within)
    if not chunks:
        return Retrieved((), (), rarity, 0.0)
    best_bm25 = max(keyword.values(), default=0.0)
    places = _neighbourhood(index, chunks[: max(30, k)])
    scored = _score(index, query, places, keyword, best_bm25, rarity, weights)
    return _passages(index, scored, keyword, k, characters, least, rarity, best_bm25, query.vector)


def _candidates(
    index: Index, query: Query, depth: int, within: Sequence[range] | None
) -> tuple[list[int], dict[int, float]]:
    """Chunks that any of the three searches finds, best first by a quick fused score, and the BM25 scores."""
    keyword = dict(index.store.search(query.stems, depth, within))
    dense = dict(index.chunk_vectors.search(query.vector, depth, within))
    inside = None if within is None else [_segment_range(index, r) for r in within]
    hits = index.segment_vectors.search(query.vector, depth, inside)
    owners = index.store.chunks_of_segments([row for row, _ in hits])
    segment: dict[int, float] = {}
    for chunk, (_, cosine) in zip(owners, hits, strict=True):
        segment[chunk] = max(cosine, segment.get(chunk, -1.0))
    best = [max(scores.values(), default=1.0) or 1.0 for scores in (keyword, dense, segment)]
    found = keyword.keys() | dense.keys() | segment.keys()

    def rank(chunk: int) -> tuple[float, int]:
        parts = (keyword.get(chunk, 0.0) / best[0], dense.get(chunk, 0.0) / best[1], segment.get(chunk, 0.0) / best[2])
        return -(parts[0] * 0.8 + parts[1] * 0.6 + parts[2] * 0.6), chunk

    return sorted(found, key=rank), keyword


def _segment_range(index: Index, chunks: range) -> range:
    """The segments of consecutive chunks."""
    if not chunks:
        return range(0)
    return range(index.store.chunk(chunks.start)[2].start, index.store.chunk(chunks.stop - 1)[2].stop)


def _neighbourhood(index: Index, chunks: Sequence[int]) -> list[int]:
    """The chunks with the ones before and after them in the same document, in order."""
    wanted: set[int] = set()
    for chunk in chunks:
        document = index.store.chunk(chunk)[0]
        bounds = index.store.chunk_range(document)
        wanted.update(n for n in (chunk - 1, chunk, chunk + 1) if n in bounds)
    return sorted(wanted)


def _score(
    index: Index,
    query: Query,
    chunks: Sequence[int],
    keyword: dict[int, float],
    best_bm25: float,
    rarity: dict[str, float],
    weights: Weights,
) -> list[ScoredSegment]:
    """All segments of the chunks, in order, with their scores."""
    records = [index.store.chunk(chunk) for chunk in chunks]
    numbers = [n for _, _, inside in records for n in inside]
    owner = np.repeat(np.arange(len(chunks)), [len(inside) for _, _, inside in records])
    rows = [row for first, last in _runs(numbers) for row in index.store.segments(range(first, last))]
    stems = [frozenset(terms.split()) for _, terms in rows]

    cosine = index.segment_vectors.products(query.vector, numbers).astype(np.float64)
    dense = index.chunk_vectors.products(query.vector, chunks).astype(np.float64)
    best_inside = np.full(len(chunks), -1.0)
    np.maximum.at(best_inside, owner, cosine)
    bm25 = np.array([keyword.get(chunk, 0.0) for chunk in chunks])
    term_weight = {stem: weight * rarity[stem] for stem, weight in zip(query.stems, query.stem_weights, strict=True)}
    total = sum(term_weight.values()) or 1.0
    coverage = np.array([sum(w for stem, w in term_weight.items() if stem in held) / total for held in stems])
    held_by_chunk = [frozenset().union(*(stems[i] for i in np.flatnonzero(owner == c))) for c in range(len(chunks))]
    found = max(sum(w for stem, w in term_weight.items() if stem in held) / total for held in held_by_chunk)
    # Words decide as far as the documents have them: a paraphrase or a misspelt question is left to the vectors.
    keyword_share = weights.keyword * found**weights.reliance
    chunk_score = (1 - keyword_share) * (
        (1 - weights.segment) * _by_best(dense) + weights.segment * _by_best(best_inside)
    ) + keyword_share * (bm25 / best_bm25 if best_bm25 else bm25)
    own = (
        chunk_score[owner]
        + weights.own_cosine * _by_best(cosine)
        + weights.coverage * found**weights.reliance * _by_best(coverage)
    )

    documents = np.array([records[i][0] for i in owner])
    adjoining = (np.diff(numbers) == 1) & (np.diff(documents) == 0)
    around = np.zeros(len(own))
    around[1:] += np.where(adjoining, own[:-1], 0.0)
    around[:-1] += np.where(adjoining, own[1:], 0.0)
    score = own + weights.neighbours * around / 2
    return [
        ScoredSegment(
            number,
            int(documents[i]),
            chunks[owner[i]],
            rows[i][0],
            stems[i],
            float(cosine[i]),
            float(coverage[i]),
            float(score[i]),
        )
        for i, number in enumerate(numbers)
    ]


def _by_best(scores: Scores) -> Scores:
    """Scores divided by the best of them; what is below 0 counts as 0."""
    best = scores.max(initial=0.0)
    result: Scores = np.clip(scores, 0.0, None) / best if best > 0 else np.zeros_like(scores)
    return result


def _runs(numbers: Sequence[int]) -> list[tuple[int, int]]:
    """Consecutive stretches of sorted numbers, as first and exclusive last."""
    if not numbers:
        return []
    cuts = [0, *(i for i, (a, b) in enumerate(pairwise(numbers), 1) if b != a + 1), len(numbers)]
    return [(numbers[a], numbers[b - 1] + 1) for a, b in pairwise(cuts)]


def _passages(
    index: Index,
    segments: Sequence[ScoredSegment],
    keyword: dict[int, float],
    k: int,
    characters: int,
    least: float,
    rarity: dict[str, float],
    best_bm25: float,
    vector: Vector,
) -> Retrieved:
    """Grow passages around the best segments, best first, leaving out texts that were taken already."""
    order = sorted(range(len(segments)), key=lambda i: (-segments[i].score, i))
    used = [False] * len(segments)
    seen: set[str] = set()
    passages: list[Passage] = []
    inside: list[tuple[ScoredSegment, ...]] = []
    for i in order:
        if used[i] or len(passages) == k:
            continue
        if segments[i].score < least * segments[order[0]].score:
            break
        first, last = _grow(segments, used, i, characters)
        for j in range(first, last + 1):
            used[j] = True
        mine = segments[first : last + 1]
        document = index.store.document(mine[0].document)
        start, end = mine[0].span.start, mine[-1].span.end
        words = " ".join(document.text[start:end].split()).casefold()
        if words in seen:
            continue
        seen.add(words)
        chunk_numbers = sorted({segment.chunk for segment in mine})
        scores = PassageScores(
            dense=float(index.chunk_vectors.products(vector, chunk_numbers).max()),
            segment=max(segment.cosine for segment in mine),
            keyword=max((keyword[n] for n in chunk_numbers if n in keyword), default=None),
            fused=segments[i].score,
        )
        passages.append(Passage(len(passages) + 1, segments[i].score, document, start, end, scores))
        inside.append(tuple(mine))
    return Retrieved(tuple(passages), tuple(inside), rarity, best_bm25)


def _grow(segments: Sequence[ScoredSegment], used: Sequence[bool], i: int, characters: int) -> tuple[int, int]:
    """First and last segment of the passage around segment `i`: always the better neighbour next."""
    first = last = i

    def joins(outer: int, inner: int) -> bool:
        if not 0 <= outer < len(segments) or used[outer]:
            return False
        a, b = segments[outer], segments[inner]
        return a.document == b.document and abs(a.number - b.number) == 1

    while segments[last].span.end - segments[first].span.start < characters:
        options = [(segments[o].score, o) for o, inner in ((first - 1, first), (last + 1, last)) if joins(o, inner)]
        if not options:
            break
        chosen = max(options)[1]
        start, end = segments[min(first, chosen)].span.start, segments[max(last, chosen)].span.end
        if end - start > characters * 1.15:
            break
        first, last = min(first, chosen), max(last, chosen)
    return first, last
