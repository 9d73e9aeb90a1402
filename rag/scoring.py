"""Scoring: what every segment of the places that were found says to the question.

A segment's score is its chunk's (dense and keyword, fused), plus its own cosine and its share of the
question's words, plus what it takes over from its surroundings: the question it replies to, the
announcement it goes on from, its neighbours.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rag.dialogue import MAX_REPLY_SEGMENTS, questions, reply
from rag.encoding import Vector
from rag.index import Index
from rag.records import Span

Scores = NDArray[np.float64]

_REPLIED = 8
"""Best segments whose replies are looked at."""
_REPLY_DECAY = 0.3
"""How much less than the beginning the end of a long reply takes over."""
_ASKS_THE_SAME = 0.6
"""Cosine from which a question in the documents counts as the reader's."""


@dataclass(frozen=True, slots=True)
class Weights:
    """How scores are put together; docs/choices.md says why."""

    keyword: float = 0.4
    """Share of BM25 in a chunk's score; the rest is dense."""
    reliance: float = 1.0
    """Power of the share of the question's term weight that one chunk holds, by which words count."""
    segment: float = 0.5
    """Share of the best segment's cosine in the dense score; the rest is the chunk's own."""
    own_cosine: float = 0.5
    """Weight of a segment's own cosine beside its chunk's score."""
    coverage: float = 1.0
    """Weight of the share of the question's term weight that the segment holds."""
    reply: float = 0.3
    """Share of a question's score that its reply takes over."""
    focus: float = 8.0
    """For a question with a focus: what a segment of the reply has instead of a score of its own, as a multiple of the
    question's score times the segment's cosine with the focus. 0 leaves it its own."""
    carry: float = 0.3
    """Share of the scores before it that a segment takes over, for questions that ask for several things."""
    fade: float = 0.9
    """What is left of the score that is carried, from one segment to the next."""
    neighbours: float = 0.5
    """Weight of the mean of the neighbours' scores, added to a segment's own."""


RANKING = Weights(reliance=0, own_cosine=0, coverage=0, reply=0, focus=0, carry=0, neighbours=0)
"""To rank places for a search: there the chunk's fused score alone is best; the rest picks the words that answer."""


@dataclass(frozen=True, slots=True)
class Query:
    """A question as retrieval sees it."""

    text: str
    vector: Vector
    stems: tuple[str, ...]
    """Content stems, without repeats."""
    stem_weights: tuple[float, ...]
    """How much each stem counts, beside its rarity; 1 for the question's own, less for those of earlier ones."""
    several: bool = False
    """True where the question asks for more than one thing, so that one short quote cannot answer it."""
    alone: str = ""
    """The question as it can be understood alone: with the earlier ones that it points back to."""
    focus: Vector | None = None
    """What is asked about the subject, without the subject; None where the question does not part so."""


@dataclass(frozen=True, slots=True)
class ScoredSegment:
    """A segment of a place that was found, and what speaks for it."""

    number: int
    document: int
    """Number of its document."""
    chunk: int
    span: Span
    stems: frozenset[str]
    asks: bool
    """True where it belongs to a question, which is no answer."""
    cosine: float
    """Of the question and the segment."""
    score: float
    """All together; comparable within one question only."""
    read: float = 0.0
    """How likely, in [0, 1], the answer stands in it, as the reader has it; 0 where it was not read."""


def idf(index: Index, stem: str) -> float:
    """Inverse document frequency over chunks, as in BM25: log(1 + (N - n + 0.5) / (n + 0.5)), above 0."""
    n, total = index.store.document_frequency(stem), index.manifest.chunks
    return math.log(1 + (total - n + 0.5) / (n + 0.5))


def score_segments(
    index: Index,
    query: Query,
    chunks: Sequence[int],
    keyword: Mapping[int, float],
    rarity: Mapping[str, float],
    weights: Weights,
) -> list[ScoredSegment]:
    """All segments of the chunks (sorted numbers), in order; `keyword` is their BM25, `rarity` the stems' idf."""
    read = [index.segments_of(chunk) for chunk in chunks]
    segments = [segment for _, inside in read for segment in inside]
    numbers = [segment.number for segment in segments]
    owner = np.repeat(np.arange(len(chunks)), [len(inside) for _, inside in read])
    documents = [number for number, inside in read for _ in inside]
    spans = [segment.span for segment in segments]
    stems = [segment.stems for segment in segments]
    adjoining = [
        i > 0 and numbers[i] - numbers[i - 1] == 1 and documents[i] == documents[i - 1] for i in range(len(numbers))
    ]
    asking = questions([segment.asks for segment in segments], adjoining)

    cosine = index.segment_vectors.products(query.vector, numbers).astype(np.float64)
    coverage, found = _coverage(query, stems, owner, len(chunks), rarity)
    # Words decide as far as the documents have them: a paraphrase or a misspelt question is left to the vectors.
    trust = found**weights.reliance
    chunk_score = _chunk_scores(index, query, chunks, owner, cosine, keyword, weights, trust)
    own = chunk_score[owner] + weights.own_cosine * _by_best(cosine) + weights.coverage * trust * _by_best(coverage)

    inherited = _replies(index, documents, spans, adjoining, asking, np.where(cosine >= _ASKS_THE_SAME, own, 0.0))
    if weights.focus and query.focus is not None and inherited.any():
        # A reply takes the subject as given: what counts in it is what is asked about the subject.
        nearness = np.clip(index.segment_vectors.products(query.focus, numbers), 0.0, None)
        own = np.where(inherited > 0, weights.focus * nearness * inherited, own)
    own += weights.reply * inherited
    if query.several:
        own += weights.carry * _carried(own, adjoining, weights.fade)
    around = np.zeros(len(own))
    around[1:] += np.where(adjoining[1:], own[:-1], 0.0)
    around[:-1] += np.where(adjoining[1:], own[1:], 0.0)
    score = own + weights.neighbours * around / 2
    return [
        ScoredSegment(
            number=number,
            document=documents[i],
            chunk=chunks[owner[i]],
            span=spans[i],
            stems=stems[i],
            asks=asking[i],
            cosine=float(cosine[i]),
            score=float(score[i]),
        )
        for i, number in enumerate(numbers)
    ]


def _coverage(
    query: Query, stems: Sequence[frozenset[str]], owner: NDArray[np.int64], chunks: int, rarity: Mapping[str, float]
) -> tuple[Scores, float]:
    """Share of the question's term weight that each segment holds, and the highest share that one chunk holds."""
    weight = {stem: w * rarity[stem] for stem, w in zip(query.stems, query.stem_weights, strict=True)}
    total = sum(weight.values()) or 1.0
    held = np.array([[stem in inside for stem in weight] for inside in stems], dtype=bool).reshape(
        len(stems), len(weight)
    )
    by_chunk = np.zeros((chunks, len(weight)), dtype=bool)
    np.logical_or.at(by_chunk, owner, held)
    shares = np.array(list(weight.values())) / total
    return held @ shares, float((by_chunk @ shares).max(initial=0.0))


def _chunk_scores(
    index: Index,
    query: Query,
    chunks: Sequence[int],
    owner: NDArray[np.int64],
    cosine: Scores,
    keyword: Mapping[int, float],
    weights: Weights,
    trust: float,
) -> Scores:
    """The fused score of each chunk: an average of what each search gives it, divided by the best of the question."""
    dense = index.chunk_vectors.products(query.vector, chunks).astype(np.float64)
    inside = np.full(len(chunks), -1.0)
    np.maximum.at(inside, owner, cosine)
    bm25 = np.array([keyword.get(chunk, 0.0) for chunk in chunks])
    vectors = (1 - weights.segment) * _by_best(dense) + weights.segment * _by_best(inside)
    share = weights.keyword * trust
    result: Scores = (1 - share) * vectors + share * _by_best(bm25)
    return result


def _replies(
    index: Index,
    documents: Sequence[int],
    spans: Sequence[Span],
    adjoining: Sequence[bool],
    asking: Sequence[bool],
    own: Scores,
) -> Scores:
    """What each segment takes over from a question before it that is the reader's."""
    taken = np.zeros(len(own))
    for i in np.argsort(-own, kind="stable")[:_REPLIED]:
        if not asking[i] or own[i] <= 0:
            continue
        stop = next((j for j in range(i + 1, len(own)) if not adjoining[j]), len(own))
        stop = min(stop, i + 1 + MAX_REPLY_SEGMENTS)
        for j in reply(index.store.document(documents[i]), spans[i + 1 : stop], asking[i + 1 : stop]):
            taken[i + 1 + j] = max(taken[i + 1 + j], own[i] * (1 - _REPLY_DECAY * j / MAX_REPLY_SEGMENTS))
    return taken


def _carried(own: Scores, adjoining: Sequence[bool], fade: float) -> Scores:
    """The highest score before each segment in the same running text, less by `fade` with every step."""
    carried = np.zeros(len(own))
    for i in range(1, len(own)):
        if adjoining[i]:
            carried[i] = fade * max(carried[i - 1], own[i - 1])
    return carried


def _by_best(scores: Scores) -> Scores:
    """Scores divided by the best of them; what is below 0 counts as 0."""
    best = scores.max(initial=0.0)
    result: Scores = np.clip(scores, 0.0, None) / best if best > 0 else np.zeros_like(scores)
    return result
