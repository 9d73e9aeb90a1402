"""Measures over spans: how much of the gold is inside what was shown, and how much of what was shown is gold.

All lengths are in characters of the document unless a name says words. Shown spans are passages or quotes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from evals.gold import Facet, Stretch

COVERED = 0.5
"""Share of a stretch that must be shown for it to count as found."""
_WORD = re.compile(r"\S+")

Measure = Callable[[Stretch], int]
"""The size of a stretch in some unit."""


def union(spans: Sequence[Stretch]) -> list[Stretch]:
    """The same characters as `spans`, each once, in order."""
    merged: list[Stretch] = []
    for span in sorted(spans):
        last = merged[-1] if merged else None
        if last and last.document == span.document and span.start <= last.end:
            merged[-1] = last._replace(end=max(last.end, span.end))
        else:
            merged.append(span)
    return merged


def common(spans: Sequence[Stretch], others: Sequence[Stretch]) -> list[Stretch]:
    """The characters that stand in both, each once."""
    return union(
        [
            Stretch(a.document, max(a.start, b.start), min(a.end, b.end))
            for a in spans
            for b in others
            if a.document == b.document and a.start < b.end and b.start < a.end
        ]
    )


def length(spans: Sequence[Stretch]) -> int:
    """Characters in all spans; what overlaps counts each time."""
    return sum(span.end - span.start for span in spans)


def in_characters(texts: Mapping[str, str]) -> Measure:
    """Counts characters that are not white space, so that line breaks weigh nothing."""
    return lambda s: sum(not character.isspace() for character in texts[s.document][s.start : s.end])


def in_words(texts: Mapping[str, str]) -> Measure:
    """Counts words (runs of anything but white space) that lie wholly inside."""

    def count(s: Stretch) -> int:
        text = texts[s.document]
        found = sum(1 for _ in _WORD.finditer(text, s.start, s.end))
        cut_first = found and s.start > 0 and not text[s.start - 1].isspace() and not text[s.start].isspace()
        cut_last = found and s.end < len(text) and not text[s.end].isspace() and not text[s.end - 1].isspace()
        return max(0, found - bool(cut_first) - bool(cut_last))

    return count


def facet_shares(facets: Sequence[Facet], shown: Sequence[Stretch], size: Measure) -> list[float]:
    """For each facet, the largest share of one of its stretches that is shown.

    Size of the stretch inside the union of the shown spans / size of the stretch; the best of its
    alternatives. Range 0 to 1, where 1 is all of it.
    """
    covered = union(shown)
    return [_best(facet, covered, size)[0] for facet in facets]


def _best(facet: Facet, shown: Sequence[Stretch], size: Measure) -> tuple[float, Stretch]:
    """The largest share shown and the alternative it is of; the first one where several are equal."""
    shares = [(sum(map(size, common([s], shown))) / max(1, size(s)), s) for s in facet.any_of]
    return max(shares, key=lambda pair: pair[0])


def found_share(shares: Sequence[float], covered: float = COVERED) -> float | None:
    """Facet recall: facets of which at least `covered` is shown / facets. Range 0 to 1; None without gold."""
    return sum(share >= covered for share in shares) / len(shares) if shares else None


@dataclass(frozen=True, slots=True)
class SpanScores:
    """Overlap of shown and gold characters, each in [0, 1]."""

    recall: float
    precision: float | None
    """None where nothing was shown."""
    iou: float


def span_scores(facets: Sequence[Facet], shown: Sequence[Stretch]) -> SpanScores | None:
    """Recall, precision and intersection over union in characters; None without gold.

    With `right` the shown characters that are gold, each counted once: recall is right / gold, precision
    is right / shown, IoU is right / (shown + gold that was missed). Shown characters count each time they
    are shown, so overlapping passages cost precision and IoU. Smith and Troynikov, "Evaluating Chunking
    Strategies for Retrieval", Chroma 2024, whose numbers are in characters too.

    Where a facet has alternatives, its gold is the one that is shown best, and characters of the
    others count as right but are not missed; with one alternative each this is the published measure.
    """
    if not facets:
        return None
    covered = union(shown)
    chosen = [_best(facet, covered, lambda s: s.end - s.start)[1] for facet in facets]
    right = length(common(covered, union([s for facet in facets for s in facet.any_of])))
    found = length(common(covered, union(chosen)))
    gold = length(union(chosen))
    return SpanScores(
        recall=found / gold,
        precision=right / length(shown) if shown else None,
        iou=right / (length(shown) + gold - found),
    )


def precision_omega(facets: Sequence[Facet], chunks: Sequence[Stretch]) -> float | None:
    """The precision of a perfect retrieval with these chunks: every chunk that holds gold, and no other.

    Gold inside chunks / (union of the chunks that hold gold, and of gold that no chunk holds). Range 0 to
    1; None without gold. A property of the chunking alone. Chroma 2024, as above.
    """
    gold = union([s for facet in facets for s in facet.any_of])
    if not gold:
        return None
    holding = [chunk for chunk in chunks if any(_overlap(chunk, s) for s in gold)]
    return length(common(gold, holding)) / length(union([*holding, *gold]))


def citation_precision(facets: Sequence[Facet], quotes: Sequence[Stretch], size: Measure) -> float | None:
    """Citations that support the answer / citations shown. Range 0 to 1; None without gold or citations.

    A quote supports the answer when it holds at least half of a gold stretch by itself, or when at
    least half of it is gold.
    """
    if not facets or not quotes:
        return None
    gold = [s for facet in facets for s in facet.any_of]
    return sum(_supports(quote, gold, size) for quote in quotes) / len(quotes)


def _supports(quote: Stretch, gold: Sequence[Stretch], size: Measure) -> bool:
    if any(sum(map(size, common([s], [quote]))) >= COVERED * size(s) for s in gold if _overlap(s, quote)):
        return True
    return sum(map(size, common([quote], gold))) >= COVERED * max(1, size(quote))


def citation_recall(facets: Sequence[Facet], quotes: Sequence[Stretch], size: Measure) -> float | None:
    """Facets that one single quote covers by at least half / facets. Range 0 to 1; None without gold.

    Stricter than facet recall over quotes, where two quotes may cover a stretch together.
    """
    if not facets:
        return None
    alone = [max((_best(facet, [quote], size)[0] for quote in quotes), default=0.0) for facet in facets]
    return found_share(alone)


def within_words(passages: Sequence[Stretch], texts: Mapping[str, str], budget: int) -> list[Stretch]:
    """The passages in rank order until `budget` words are shown; the last is cut where the budget ends.

    A word that an earlier passage showed costs nothing again.
    """
    kept: list[Stretch] = []
    seen: set[tuple[str, int]] = set()
    for passage in passages:
        end = passage.start
        for word in _WORD.finditer(texts[passage.document], passage.start, passage.end):
            if (passage.document, word.end()) not in seen:
                if len(seen) == budget:
                    break
                seen.add((passage.document, word.end()))
            end = word.end()
        if end > passage.start:
            kept.append(passage._replace(end=end))
        if len(seen) == budget:
            break
    return kept


def _overlap(a: Stretch, b: Stretch) -> bool:
    return a.document == b.document and a.start < b.end and b.start < a.end
