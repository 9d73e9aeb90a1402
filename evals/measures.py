"""Measures over rankings and over confidences.

Rankings are scored by ir_measures, whose providers (pytrec_eval, …) do the arithmetic. A question
without gold has no score: it is absent from the results, never zero.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import ir_measures
import numpy as np
from ir_measures import RR, R, Success, nDCG
from numpy.typing import NDArray
from scipy.stats import rankdata

Confidences = NDArray[np.float64]
"""Rank 1; a probability in [0, 1] for each question."""
Labels = NDArray[np.bool_]
"""Rank 1; whether each question is answerable."""

CALIBRATION_BINS = 15


def rank_measures(depth: int) -> list[ir_measures.Measure]:
    """What a ranking of `depth` items is scored by: only cut-offs that it reaches."""
    cutoffs = [k for k in (1, 5, 10, 100) if k <= depth]
    ten = min(10, depth)
    return [
        nDCG @ ten,
        RR @ ten,
        *(R @ k for k in cutoffs if k > 1),
        *(Success @ k for k in cutoffs if k <= 10),
    ]


def score_rankings(
    measures: Sequence[ir_measures.Measure],
    qrels: Mapping[str, Mapping[str, int]],
    rankings: Mapping[str, Sequence[str]],
) -> dict[str, dict[str, float]]:
    """Question id to measure name to value, for every question that has a relevant item in `qrels`.

    A ranking is item names, best first; the order given is the order scored. A question with gold
    for which nothing was found scores 0. All values lie in [0, 1].
    """
    judged = {q: grades for q, grades in qrels.items() if any(grade > 0 for grade in grades.values())}
    if not judged:
        return {}
    scored: dict[str, dict[str, float]] = {q: {str(measure): 0.0 for measure in measures} for q in judged}
    run = {q: {name: float(-at) for at, name in enumerate(rankings[q])} for q in judged if rankings.get(q)}
    if run:
        for metric in ir_measures.iter_calc(list(measures), {q: dict(grades) for q, grades in judged.items()}, run):
            scored[metric.query_id][str(metric.measure)] = float(metric.value)
    return scored


def auroc(confidence: Confidences, answerable: Labels) -> float | None:
    """Area under the ROC curve: how often an answerable question gets more confidence than an unanswerable one.

    Over all such pairs, ties counting one half. Range 0 to 1; .5 is chance. None without both kinds.
    """
    positives = int(answerable.sum())
    negatives = len(answerable) - positives
    if not positives or not negatives:
        return None
    ranks = rankdata(confidence)
    return float((ranks[answerable].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def risk_coverage(confidence: Confidences, answerable: Labels) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Coverage and risk when only the k most confident questions are answered, for k = 1 to all.

    Coverage is the share of questions answered; risk is the share of the answered that the documents do
    not answer. Among equal confidences the expected risk over their orders is taken.
    """
    n = len(confidence)
    _, group = np.unique(-confidence, return_inverse=True)
    error_rate = np.bincount(group, weights=~answerable) / np.maximum(1, np.bincount(group))
    expected = error_rate[np.sort(group)]
    answered = np.arange(1, n + 1)
    return answered / n, np.cumsum(expected) / answered


def aurc(confidence: Confidences, answerable: Labels) -> float | None:
    """Area under the risk-coverage curve: mean risk over all coverages. Range 0 to 1; lower is better.

    An uninformative confidence gives the share of unanswerable questions. Geifman et al., 2019. None
    without questions.
    """
    return float(risk_coverage(confidence, answerable)[1].mean()) if len(confidence) else None


def reliability(
    confidence: Confidences, answerable: Labels, bins: int = CALIBRATION_BINS
) -> list[tuple[float, float, int]]:
    """Mean confidence, share answerable, and number of questions in bins of equal mass.

    Questions sorted by confidence are cut into `bins` parts of equal size; equal confidences stay
    together in the part of the first of them, so that the order of the questions cannot matter.
    """
    if not len(confidence):
        return []
    order = np.sort(confidence)
    part = (np.arange(len(order)) * bins) // len(order)
    owner = part[np.searchsorted(order, confidence, side="left")]
    count = np.bincount(owner)
    mean = np.bincount(owner, weights=confidence) / np.maximum(1, count)
    share = np.bincount(owner, weights=answerable) / np.maximum(1, count)
    return [(float(mean[b]), float(share[b]), int(count[b])) for b in np.flatnonzero(count)]


def calibration_error(confidence: Confidences, answerable: Labels, bins: int = CALIBRATION_BINS) -> float | None:
    """Expected calibration error: |mean confidence - share answerable|, averaged over bins by their size.

    15 bins of equal mass. Range 0 to 1; lower is better. None without questions. Naeini et al., 2015
    (there with bins of equal width).
    """
    parts = reliability(confidence, answerable, bins)
    total = sum(count for _, _, count in parts)
    return sum(abs(mean - share) * count for mean, share, count in parts) / total if total else None


def false_answer(answerable: bool | None, abstained: bool) -> float | None:
    """1 where an unanswerable question was answered, else 0; None unless it is unanswerable.

    Its mean is the share of unanswerable questions answered. Read it only beside `false_abstention`:
    never answering makes one perfect, always answering the other.
    """
    return float(not abstained) if answerable is False else None


def false_abstention(answerable: bool | None, abstained: bool) -> float | None:
    """1 where an answerable question was not answered, else 0; None unless it is answerable."""
    return float(abstained) if answerable else None
