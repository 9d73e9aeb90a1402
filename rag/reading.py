"""Reading: a question and a text together, token by token, for where in the text the answer stands, if it does.

The retriever compares a question with a text by one number each; the reader looks at both at once, so it can tell
another year, place or quantity than the one asked for. It reads only the few places that were found.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from rag.encoding import encodable
from rag.retrieval import Retrieved
from rag.scoring import Query, ScoredSegment

if TYPE_CHECKING:
    from onnxruntime import InferenceSession
    from tokenizers import Tokenizer

MAX_TOKENS = 256
QUESTION_TOKENS = 64
WINDOW = 360
"""Characters read at once, about as many as in training."""
_NOISE = 0.02
"""Likelihood below which a segment counts as not read."""
_SURE = 0.6
"""Likelihood of one segment from which the reader counts as sure of it."""
_WEIGHT_UNSURE = 0.4
"""What the reading counts where it is not, against 1 where it is."""


@dataclass(frozen=True, slots=True)
class Extent:
    """How much is read for a question. What it may take decides."""

    passages: int
    """Retrieved at least to be read, of which as many are kept as are wanted."""
    windows: int
    """Read at most, the best."""
    least: float
    """Windows that score less than this times the best one are not among them, but for the best of each passage."""
    weight: float = 1.0
    """What the reading counts against retrieval."""


ONE_THING = Extent(passages=8, windows=6, least=0.6)
SEVERAL_THINGS = Extent(passages=8, windows=14, least=0.5)
"""For a question that asks for several, the later of which score less."""
A_SEARCH = Extent(passages=14, windows=30, least=0.3, weight=0.5)
"""To rank passages, and not to choose what is quoted of them."""


def extent_for(several: bool) -> Extent:
    """What is read to answer a question that asks for several things, or not."""
    return SEVERAL_THINGS if several else ONE_THING


@dataclass(frozen=True, slots=True)
class Pair:
    """A question and a text as the reader's tokens."""

    ids: tuple[int, ...]
    types: tuple[int, ...]
    """0 for the question and what frames both, 1 for the text."""
    spans: tuple[tuple[int, int], ...]
    """Characters of each token of the text, within the text."""
    first: int
    """Position of the text's first token."""

    def offsets(self) -> Iterator[tuple[int, tuple[int, int]]]:
        """Position and characters of each token of the text."""
        return enumerate(self.spans, self.first)


def pair(tokenizer: Tokenizer, question: str, text: str) -> Pair:
    """The question with one text."""
    return pairs(tokenizer, question, [text])[0]


def pairs(tokenizer: Tokenizer, question: str, texts: Sequence[str]) -> list[Pair]:
    """[CLS] question [SEP] text [SEP], for each text. Of a text that is too long the end is cut off; of a question the
    beginning, where the earlier ones stand that it goes on from."""
    asked = tokenizer.encode(encodable(question), add_special_tokens=False).ids[-QUESTION_TOKENS:]
    room = MAX_TOKENS - len(asked) - 3
    begin, end = tokenizer.encode("").ids  # [CLS] and [SEP]
    made = []
    for text in texts:
        read = tokenizer.encode(encodable(text), add_special_tokens=False)
        shown = read.ids[:room]
        made.append(
            Pair(
                ids=(begin, *asked, end, *shown, end),
                types=(*[0] * (len(asked) + 2), *[1] * len(shown), 0),
                spans=tuple(read.offsets[:room]),
                first=len(asked) + 2,
            )
        )
    return made


@dataclass(frozen=True, slots=True)
class Reading:
    """What the reader makes of one text."""

    spans: tuple[tuple[int, int], ...]
    """Characters of each token of the text that was read, within the text."""
    weights: NDArray[np.float64]
    """Of each token, how likely the answer begins or ends there; with `nowhere` they sum to 1."""
    nowhere: float
    """How likely the text does not answer, in [0, 1]."""

    def within(self, start: int, end: int) -> float:
        """How likely the answer stands in characters `start` to `end` of the text, in [0, 1]."""
        return float(sum(w for w, (a, b) in zip(self.weights, self.spans, strict=True) if a < end and b > start))


class Reader:
    """Runs the reader exported by `rag.adapting` with onnxruntime."""

    def __init__(self, tokenizer: Tokenizer, session: InferenceSession) -> None:
        self.tokenizer = tokenizer
        self._session = session

    def read(self, question: str, texts: Sequence[str]) -> list[Reading]:
        """One reading a text, in the order given. All are read in one batch."""
        if not texts:
            return []
        read = pairs(self.tokenizer, question, texts)
        width = max(len(p.ids) for p in read)
        ids, types = np.zeros((len(read), width), dtype=np.int64), np.zeros((len(read), width), dtype=np.int64)
        for row, p in enumerate(read):
            ids[row, : len(p.ids)], types[row, : len(p.types)] = p.ids, p.types
        (logits,) = self._session.run(["logits"], {"input_ids": ids, "token_type_ids": types})
        return [reading_of(p, rows) for p, rows in zip(read, np.asarray(logits, dtype=np.float64), strict=True)]


def reading_of(p: Pair, logits: NDArray[np.float64]) -> Reading:
    """Start and end logits, (tokens, 2), to probabilities over the text and nowhere."""
    seen = np.concatenate([logits[:1], logits[p.first : p.first + len(p.spans)]])
    seen = np.exp(seen - seen.max(axis=0))
    likely = (seen / seen.sum(axis=0)).mean(axis=1)
    return Reading(p.spans, likely[1:], float(likely[0]))


def reread(
    reader: Reader, query: Query, retrieved: Retrieved, extent: Extent, *, k: int, least: float = 0.0
) -> Retrieved:
    """What was found, with what the reader makes of every segment: the best `k` passages by both, best first.

    A segment's score is multiplied by 1 to 1 plus the extent's weight; passages that then score less than `least` times
    the best one are left out. Only the best windows are read.
    """
    windows = _worth_reading(retrieved.inside, extent)
    texts = []
    for p, first, last in windows:
        segments, text = retrieved.inside[p], retrieved.passages[p].document.text
        texts.append(text[segments[first].span.start : segments[last].span.end])
    inside = [list(segments) for segments in retrieved.inside]
    answering = [0.0] * len(inside)
    highest = 0.0
    for (p, first, last), reading in zip(windows, reader.read(query.alone, texts), strict=True):
        answering[p] = max(answering[p], 1 - reading.nowhere)
        base = inside[p][first].span.start
        for i in range(first, last + 1):
            segment = inside[p][i]
            likely = reading.within(segment.span.start - base, segment.span.end - base)
            likely = likely if likely >= _NOISE else 0.0
            inside[p][i] = replace(segment, read=likely)
            highest = max(highest, 0.0 if segment.asks else likely)
    sure = highest >= _SURE
    weight = extent.weight * (1.0 if sure else _WEIGHT_UNSURE)
    for read in inside:
        # The root, so that the second and third of several answers, between which the reader divides what is likely,
        # are raised as well.
        read[:] = [replace(s, score=max(0.0, s.score) * (1 + weight * math.sqrt(s.read))) for s in read]
    scores = [max(segment.score for segment in read) for read in inside]
    ranking = sorted(range(len(inside)), key=lambda p: (-scores[p], p))[:k]
    order = [p for p in ranking if scores[p] >= least * max(scores)]
    passages = [replace(retrieved.passages[p], rank=rank, score=scores[p]) for rank, p in enumerate(order, start=1)]
    return replace(
        retrieved,
        passages=tuple(passages),
        inside=tuple(tuple(inside[p]) for p in order),
        answering=tuple(answering[p] for p in order),
        sure=sure,
    )


def _worth_reading(inside: Sequence[Sequence[ScoredSegment]], extent: Extent) -> list[tuple[int, int, int]]:
    """Passage, first and last segment of the windows that may hold an answer, best first.

    They are each passage's best and all other good ones, as many as may be read.
    """
    highest = max((segment.score for segments in inside for segment in segments), default=0.0)
    found = []
    for p, segments in enumerate(inside):
        windows = [
            (max(segment.score for segment in segments[first : last + 1]), p, first, last)
            for first, last in _windows(segments)
        ]
        best = max(windows)[0]
        found += [window for window in windows if window[0] == best or window[0] >= extent.least * highest]
    found.sort(key=lambda window: (-window[0], window[1:]))
    return [window[1:] for window in found[: extent.windows]]


def _windows(inside: Sequence[ScoredSegment]) -> Iterator[tuple[int, int]]:
    """First and last segments of each run that is read at once, within WINDOW characters."""
    first = 0
    while first < len(inside):
        last = first
        while last + 1 < len(inside) and inside[last + 1].span.end - inside[first].span.start <= WINDOW:
            last += 1
        yield first, last
        first = last + 1
