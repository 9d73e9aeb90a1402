"""Scoring: what a question got, held against its gold; and the scores of all questions, put together."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from ir_measures import RR, Success
from numpy.typing import NDArray

from evals import measures, spans, statistics
from evals.gold import Format, Question, Stretch
from evals.runs import DIGITS, Latency, Outcome
from evals.statistics import Estimate

CURVES: dict[str, Callable[[measures.Confidences, measures.Labels], float | None]] = {
    "auroc": measures.auroc,
    "aurc": measures.aurc,
    "calibration_error": measures.calibration_error,
}
"""Measures of the confidence over all questions that are known to be answerable or not."""
BIASED = frozenset({"calibration_error"})
"""Curves without an interval: chance in the bins raises the error of a sample, and of a resample once more, so that a
bootstrap's interval need not even hold the value."""
POOLED = {
    "passages.facet_recall": "passages.facet_recall.pooled",
    "quotes.facet_recall": "quotes.facet_recall.pooled",
    "passages.covered": "passages.covered.pooled",
    "quotes.covered": "quotes.covered.pooled",
}
"""Measures that are also averaged over all gold facets instead of over questions."""
LOWER_IS_BETTER = frozenset({"false_answer", "false_abstention", "aurc", "calibration_error"})
NEITHER_IS_BETTER = frozenset({"quote_words", "chunks.precision_omega"})
MAIN: dict[Format, tuple[str, ...]] = {
    Format.SEEDS: ("passages.facet_recall", "quotes.covered", "quotes.iou", "false_answer", "false_abstention"),
    Format.BEIR: ("nDCG@10", "R@100"),
    Format.SQUAD: ("Success@1", "Success@5", "quotes.facet_recall", "auroc", "false_answer", "false_abstention"),
    Format.CHROMA: ("passages.recall", "passages.iou", "quotes.recall", "quotes.iou"),
    Format.QMSUM: ("utterance_recall",),
    Format.CLAPNQ: ("Success@1", "quotes.facet_recall", "auroc", "false_answer", "false_abstention"),
}
"""What a set is first of all looked at for."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What a question was given, as spans of documents."""

    passages: tuple[Stretch, ...]
    """Best first."""
    quotes: tuple[Stretch, ...] = ()
    abstained: bool | None = None
    """None where it was only searched for, not answered."""
    word_budget: int | None = None
    """Where set, the passages are what fits into this many words."""


def score(
    question: Question, seen: Seen, texts: Mapping[str, str], chunks: Mapping[str, Sequence[Stretch]]
) -> dict[str, float]:
    """Every measure that has a score for this question. `texts` and the index's `chunks` are by document id."""
    facets = question.facets
    scores: dict[str, float | None] = {}
    if facets and seen.word_budget is not None:
        shares = spans.facet_shares(facets, seen.passages, spans.in_words(texts))
        scores["utterance_recall"] = spans.found_share(shares)
    elif facets:
        size = spans.in_characters(texts)
        scores.update(_span_scores("passages", question, seen.passages, size))
        scores.update(_first_hit(question, seen.passages, size))
        scores["chunks.precision_omega"] = spans.precision_omega(
            facets, [chunk for document in question.own for chunk in chunks.get(document, ())]
        )
        if seen.abstained is not None:
            scores.update(_span_scores("quotes", question, seen.quotes, size))
            scores["citation_precision"] = spans.citation_precision(facets, seen.quotes, size)
            scores["citation_recall"] = spans.citation_recall(facets, seen.quotes, size)
    if seen.abstained is not None:
        scores["false_answer"] = measures.false_answer(question.answerable, seen.abstained)
        scores["false_abstention"] = measures.false_abstention(question.answerable, seen.abstained)
        if not seen.abstained:
            scores["quote_words"] = float(sum(map(spans.in_words(texts), seen.quotes)))
    return {name: round(value, DIGITS) for name, value in scores.items() if value is not None}


def _span_scores(
    part: str, question: Question, shown: Sequence[Stretch], size: spans.Measure
) -> dict[str, float | None]:
    shares = spans.facet_shares(question.facets, shown, size)
    overlap = spans.span_scores(question.facets, shown)
    assert overlap is not None  # there are facets
    return {
        f"{part}.facet_recall": spans.found_share(shares),
        f"{part}.covered": sum(shares) / len(shares),
        f"{part}.recall": overlap.recall,
        f"{part}.precision": overlap.precision,
        f"{part}.iou": overlap.iou,
    }


def _first_hit(question: Question, passages: Sequence[Stretch], size: spans.Measure) -> dict[str, float | None]:
    """Rank measures whose items are passages: one is relevant when it covers half of a gold stretch by itself."""
    items = [f"{p.document}:{p.start}-{p.end}" for p in passages]
    hits = [
        i
        for i, p in zip(items, passages, strict=True)
        if max(spans.facet_shares(question.facets, [p], size)) >= spans.COVERED
    ]
    qrels = {question.id: dict.fromkeys(hits or ["what was not found"], 1)}
    found = measures.score_rankings([Success @ 1, Success @ 5, RR @ 5], qrels, {question.id: items})
    return {f"passages.{name}": value for name, value in found[question.id].items()}


def add_rank_measures(
    outcomes: Sequence[Outcome], questions: Sequence[Question], rankings: Mapping[str, Sequence[str]], depth: int
) -> list[Outcome]:
    """The outcomes with the measures of their rankings of documents, for questions with qrels."""
    asked = {outcome.id for outcome in outcomes}
    qrels = {q.id: q.relevant for q in questions if q.id in asked}
    scored = measures.score_rankings(measures.rank_measures(depth), qrels, rankings)
    return [
        replace(o, measures={**{k: round(v, DIGITS) for k, v in scored.get(o.id, {}).items()}, **o.measures})
        for o in outcomes
    ]


def aggregate(outcomes: Sequence[Outcome]) -> dict[str, dict[str, Estimate]]:
    """Group of questions to measure to its estimate: all of them, each split, each kind."""
    groups: dict[str, list[Outcome]] = {"all": list(outcomes)}
    for outcome in outcomes:
        for what, which in (("split", outcome.split), ("kind", outcome.kind)):
            if which:
                groups.setdefault(f"{what} {which}", []).append(outcome)
    ordered = sorted(groups, key=lambda g: (g != "all", not g.startswith("split"), g))
    return {group: _estimates(groups[group], curves=not group.startswith("kind")) for group in ordered}


def _estimates(outcomes: Sequence[Outcome], *, curves: bool) -> dict[str, Estimate]:
    found: dict[str, Estimate | None] = {}
    for name in dict.fromkeys(m for outcome in outcomes for m in outcome.measures):
        scored = [o for o in outcomes if name in o.measures]
        values = np.array([o.measures[name] for o in scored])
        found[name] = statistics.mean(values)
        if name == "quote_words":
            found["quote_words.median"] = statistics.median(values)
        if name in POOLED:
            found[POOLED[name]] = statistics.mean(values, np.array([float(o.facets) for o in scored]))
    if curves:
        confidence, answerable = confidences(outcomes)
        for name, measure in CURVES.items():
            # Without both kinds of question these say nothing of whether the confidence tells them apart.
            if 0 < answerable.sum() < len(answerable):
                found[name] = statistics.curve(measure, confidence, answerable, interval=name not in BIASED)
    return {name: estimate for name, estimate in found.items() if estimate is not None}


def confidences(outcomes: Sequence[Outcome]) -> tuple[measures.Confidences, measures.Labels]:
    """Confidence and answerability of every question that has both."""
    both = [(o.confidence, o.answerable) for o in outcomes if o.confidence is not None and o.answerable is not None]
    values: NDArray[np.float64] = np.array([c for c, _ in both], dtype=np.float64)
    return values, np.array([a for _, a in both], dtype=np.bool_)


def latency(outcomes: Sequence[Outcome]) -> dict[str, Latency]:
    """Median and 95th percentile of every stage."""
    stages = dict.fromkeys(stage for outcome in outcomes for stage in outcome.timings_ms)
    taken = {stage: [o.timings_ms[stage] for o in outcomes if stage in o.timings_ms] for stage in stages}
    return {s: Latency(round(float(np.median(t)), 1), round(float(np.percentile(t, 95)), 1)) for s, t in taken.items()}
