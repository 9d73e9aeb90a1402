"""Retrieval: a question to passages.

Chunks find the places: dense search over chunks and over segments and keyword search run side by side.
Segments then decide what is shown of them: a passage is the best segment with its better neighbours,
grown to a length, so it does not depend on where a chunk happens to end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rag.encoding import Vector
from rag.index import Index
from rag.records import Passage, PassageScores
from rag.scoring import Query, ScoredSegment, Weights, idf, score_segments

_MIN_DEPTH = 50
"""Chunks that each of the searches names, at least."""
_MIN_PLACES = 30
"""Chunks whose segments are scored, at least."""
_FOLLOWED = 8
"""Best chunks after which more is looked at, so that a reply to a question is seen whole."""
_CHUNKS_AFTER = 6
_SAME = 0.9
"""Share of all their words that two passages have in common from which the lower one only repeats the other."""


@dataclass(frozen=True, slots=True)
class Retrieved:
    """What was found for a question."""

    passages: tuple[Passage, ...]
    inside: tuple[tuple[ScoredSegment, ...], ...]
    """The segments of each passage, in reading order."""
    idf: dict[str, float]
    """Rarity of each of the question's stems."""
    answering: tuple[float, ...] = ()
    """How likely each passage answers, in [0, 1], as the reader has it; 0 for one that was not read, and empty where
    there is no reader."""
    sure: bool = False
    """True where the reader is sure of one place."""


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
    out. `within` limits the search to ranges of chunk numbers, each a whole document.
    """
    rarity = {stem: idf(index, stem) for stem in query.stems}
    chunks, keyword = _candidates(index, query, max(_MIN_DEPTH, 2 * k), within)
    if not chunks:
        return Retrieved((), (), rarity)
    places = _neighbourhood(index, chunks[: max(_MIN_PLACES, k)])
    scored = score_segments(index, query, places, keyword, rarity, weights or Weights())
    passages, inside = _passages(index, scored, keyword, k, characters, least, query.vector)
    return Retrieved(passages, inside, rarity)


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
    """The chunks with the ones before and after them in the same document, in order; more after the best ones."""
    wanted: set[int] = set()
    for rank, chunk in enumerate(chunks):
        bounds = index.store.chunk_range(index.segments_of(chunk)[0])
        after = _CHUNKS_AFTER if rank < _FOLLOWED else 1
        wanted.update(range(max(bounds.start, chunk - 1), min(bounds.stop, chunk + after + 1)))
    return sorted(wanted)


def _passages(
    index: Index,
    segments: Sequence[ScoredSegment],
    keyword: dict[int, float],
    k: int,
    characters: int,
    least: float,
    vector: Vector,
) -> tuple[tuple[Passage, ...], tuple[tuple[ScoredSegment, ...], ...]]:
    """Grow passages around the best segments, best first, leaving out texts that were taken already."""
    order = sorted(range(len(segments)), key=lambda i: (-segments[i].score, i))
    used = [False] * len(segments)
    seen: list[frozenset[str]] = []
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
        stems = frozenset().union(*(segment.stems for segment in mine))
        if any(len(stems & other) > _SAME * len(stems | other) for other in seen):
            continue
        seen.append(stems)
        chunk_numbers = sorted({segment.chunk for segment in mine})
        scores = PassageScores(
            dense=float(index.chunk_vectors.products(vector, chunk_numbers).max()),
            segment=max(segment.cosine for segment in mine),
            keyword=max((keyword[n] for n in chunk_numbers if n in keyword), default=None),
            fused=segments[i].score,
        )
        passages.append(Passage(len(passages) + 1, segments[i].score, document, start, end, scores))
        inside.append(tuple(mine))
    return tuple(passages), tuple(inside)


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
