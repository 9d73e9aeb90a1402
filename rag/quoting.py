"""Quoting: from the passages, the few stretches that answer.

Every quote is a run of whole segments, so it begins and ends where a sentence or a clause does.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from rag.records import Document, Quote, Span
from rag.retrieval import Retrieved
from rag.scoring import ScoredSegment
from rag.segmenting import word_count

MAX_WORDS = 60
"""Of one quote."""
MIN_WORDS = 8
"""A quote shorter than this takes the better of its neighbours along."""
_REPEATED = 0.7
"""Share of words in common from which a quote repeats one shown before."""
_LEADING = r"(?:[Uu]h|[Ee]rm|[Mm]hm|ah|oh)(?:[\s,.]+|\Z)"
_BEFORE = r"(?<![\s,])[\s,]+"  # from its beginning, or a long stretch of blanks takes the square of its length
_FILLERS = {
    "en": (re.compile(rf"{_LEADING}|[Uu]m(?:[\s,.]+|\Z)"), re.compile(rf"{_BEFORE}(?:uh|um|erm|mhm)\Z")),
    "": (re.compile(rf"{_LEADING}|[Uu]m[,.]\s*"), re.compile(rf"{_BEFORE}(?:uh|erm|mhm)\Z")),
}
"""By language, "" where it is not known: what is cut off before a quote, and after it. In small letters or at the
beginning of a sentence: ER is a ward, and Oh and Ah are names. "Um" begins a clause in German and Portuguese, though
not before a comma."""


@dataclass(frozen=True, slots=True)
class QuoteRules:
    """How much is quoted."""

    least: float
    """Segments that score less than this times the best one are not quoted."""
    words: int
    """Words quoted in all, about: no further quote is begun once they are reached."""


ONE_THING = QuoteRules(least=0.75, words=70)
"""For a question that asks for one thing."""
ONE_THING_READ = QuoteRules(least=0.65, words=80)
"""For the same where the passages were read, which sets the best segment further apart."""
SEVERAL_THINGS = QuoteRules(least=0.5, words=240)
"""For a question that asks for several: reasons, ways, a list."""
ONE_OF_SEVERAL = QuoteRules(least=0.6, words=240)
"""For a question worded like that where the reader is sure of one place."""


def rules_for(several: bool, retrieved: Retrieved) -> QuoteRules:
    """The rules for a question that asks for several things, or not."""
    if not several:
        return ONE_THING_READ if retrieved.answering else ONE_THING
    return ONE_OF_SEVERAL if retrieved.sure else SEVERAL_THINGS


@dataclass(slots=True)
class _Run:
    """Consecutive segments of a passage that are quoted together."""

    passage: int
    first: int
    last: int
    score: float


def select_quotes(retrieved: Retrieved, max_quotes: int, rules: QuoteRules = ONE_THING) -> tuple[Quote, ...]:
    """The at most `max_quotes` stretches that answer, best first; none overlaps or repeats another."""
    ranked = sorted(
        ((segment.score, -p, -i) for p, inside in enumerate(retrieved.inside) for i, segment in enumerate(inside)),
        reverse=True,
    )
    best = ranked[0][0] if ranked else 0.0
    if best <= 0:
        return ()  # nothing has anything to do with the question
    runs: list[_Run] = []
    words = 0
    for score, minus_p, minus_i in ranked:
        p, i = -minus_p, -minus_i
        inside, document = retrieved.inside[p], retrieved.passages[p].document
        if inside[i].asks:
            continue  # a question is no answer
        if score < rules.least * best or words >= rules.words:
            break
        if any(run.passage == p and run.first <= i <= run.last for run in runs):
            continue
        first, last = _long_enough(inside, i, document)
        grown = _joined(runs, p, first, last, inside, document)
        if grown is None:
            if len(runs) == max_quotes or _repeats(inside[first : last + 1], runs, retrieved):
                continue
            runs.append(_Run(p, first, last, score))
        words = sum(_words(retrieved, run) for run in runs)
    quotes = []
    for run in sorted(runs, key=lambda run: -run.score):
        document = retrieved.passages[run.passage].document
        inside = retrieved.inside[run.passage]
        span = Span(inside[run.first].span.start, inside[run.last].span.end)
        span = _without_fillers(document.text, span, document.source.language.partition("-")[0])
        quotes.append(Quote(document, span.start, span.end, max(0.0, min(1.0, run.score / best))))
    return tuple(quotes)


def _long_enough(inside: Sequence[ScoredSegment], i: int, document: Document) -> tuple[int, int]:
    """Segment `i`, with its better neighbours where it is too short to be understood alone."""
    first = last = i
    while _length(inside, first, last, document) < MIN_WORDS:
        options = [(inside[o].score, o) for o in (first - 1, last + 1) if 0 <= o < len(inside)]
        if not options:
            break
        chosen = max(options)[1]
        first, last = min(first, chosen), max(last, chosen)
    return first, last


def _joined(
    runs: Sequence[_Run], p: int, first: int, last: int, inside: Sequence[ScoredSegment], document: Document
) -> _Run | None:
    """The run beside segments `first` to `last`, grown over them; None where there is none or it would be too long."""
    for run in runs:
        if run.passage != p or first > run.last + 1 or last < run.first - 1:
            continue
        low, high = min(run.first, first), max(run.last, last)
        clear = not any(o is not run and o.passage == p and o.first <= high and low <= o.last for o in runs)
        if clear and _length(inside, low, high, document) <= MAX_WORDS:
            run.first, run.last = low, high
            return run
    return None


def _repeats(segments: Sequence[ScoredSegment], runs: Sequence[_Run], retrieved: Retrieved) -> bool:
    """True where most words of the segments, or their very place, are quoted already."""
    mine = frozenset().union(*(segment.stems for segment in segments))
    numbers = {segment.number for segment in segments}
    for run in runs:
        shown = retrieved.inside[run.passage][run.first : run.last + 1]
        theirs = frozenset().union(*(segment.stems for segment in shown))
        if numbers & {segment.number for segment in shown} or len(mine & theirs) >= _REPEATED * max(
            1, min(len(mine), len(theirs))
        ):
            return True
    return False


def _words(retrieved: Retrieved, run: _Run) -> int:
    return _length(retrieved.inside[run.passage], run.first, run.last, retrieved.passages[run.passage].document)


def _length(inside: Sequence[ScoredSegment], first: int, last: int, document: Document) -> int:
    """Words from segment `first` to the end of segment `last`."""
    return word_count(document.text[inside[first].span.start : inside[last].span.end])


def _without_fillers(text: str, span: Span, language: str) -> Span:
    """The span without "uh" and "um" at its ends, where its language is English or not known."""
    if language not in _FILLERS:
        return span
    leading, trailing = _FILLERS[language]
    start, end = span
    while match := leading.match(text, start, end):
        start = match.end()
    while match := trailing.search(text[start:end]):
        end = start + match.start()
    return Span(start, end) if start < end else span
