"""How far a number can be trusted, and whether two of them differ.

Seeds are fixed: the same data give the same numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Values = NDArray[np.float64]
"""Rank 1; one value a question."""
Alternative = Literal["two-sided", "less", "greater"]

SEED = 20_240_917
RESAMPLES = 2000
"""Of a bootstrap. The ends of a 95 % interval then move by less than a tenth of its width between seeds."""
CURVE_RESAMPLES = 500
"""For measures such as AUROC that have to be computed anew for each resample."""
RANDOMISATIONS = 9999
CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number with its 95 % interval."""

    value: float
    low: float | None
    """None where fewer than two questions have the measure."""
    high: float | None
    n: int
    """Questions it is over."""


@dataclass(frozen=True, slots=True)
class Effect:
    """The difference of two runs over the same questions."""

    difference: Estimate
    """Mean of b - a, with its interval by paired bootstrap."""
    d: float | None
    """Cohen's d for paired differences: mean / standard deviation of them; None where they do not vary."""
    p: float
    """By paired randomisation."""


def mean(values: Values, weights: Values | None = None) -> Estimate | None:
    """The mean over questions with its percentile bootstrap interval; None without values.

    With weights, sum(value * weight) / sum(weight): the mean over what the weights count. Questions,
    not what they hold, are resampled.
    """
    if not len(values):
        return None
    weights = np.ones_like(values) if weights is None else weights

    def ratio(v: Values, w: Values, axis: int = -1) -> Values:
        total: Values = (v * w).sum(axis=axis) / w.sum(axis=axis)
        return total

    return _bootstrap(ratio, (values, weights))


def median(values: Values) -> Estimate | None:
    """The median over questions with its percentile bootstrap interval; None without values."""
    if not len(values):
        return None

    def middle(v: Values, axis: int = -1) -> Values:
        found: Values = np.median(v, axis=axis)
        return found

    return _bootstrap(middle, (values,))


def curve(
    measure: Callable[..., float | None], *samples: NDArray[np.generic], interval: bool = True
) -> Estimate | None:
    """A measure over whole samples, such as AUROC, with its percentile bootstrap interval unless it shall have none.

    Resamples in which the measure has no value are passed over. None where it has none at all.
    """
    value = measure(*samples)
    if value is None:
        return None
    n = len(samples[0])
    if not interval:
        return Estimate(value, None, None, n)
    rng = np.random.default_rng(SEED)
    drawn = (measure(*(s[rows] for s in samples)) for rows in rng.integers(0, n, (CURVE_RESAMPLES, n)))
    seen = [v for v in drawn if v is not None]
    if n < 2 or not seen:
        return Estimate(value, None, None, n)
    low, high = np.percentile(seen, [50 * (1 - CONFIDENCE), 100 - 50 * (1 - CONFIDENCE)])
    return Estimate(value, float(low), float(high), n)


def _bootstrap(statistic: Callable[..., Values], samples: Sequence[Values]) -> Estimate:
    n = len(samples[0])
    value = float(statistic(*samples))
    if n < 2:
        return Estimate(value, None, None, n)
    result = stats.bootstrap(
        tuple(samples),
        statistic,
        n_resamples=RESAMPLES,
        batch=max(1, 4_000_000 // n),  # bounds the memory to some 100 MB
        paired=True,
        vectorized=True,
        confidence_level=CONFIDENCE,
        method="percentile",
        rng=np.random.default_rng(SEED),
    )
    return Estimate(value, float(result.confidence_interval.low), float(result.confidence_interval.high), n)


def paired_p(a: Values, b: Values, alternative: Alternative = "two-sided") -> float:
    """Paired randomisation test: how often random signs make the mean of b - a as far from 0 as it is.

    "less" asks whether b is lower than a. Exact where few questions differ, else 9,999 random sign
    patterns. Range 0 to 1; 1 where nothing differs. Fisher 1935; Smucker et al. 2007 for retrieval.
    """
    difference = b - a
    changed = difference[difference != 0]  # a sign on zero changes nothing
    if not len(changed):
        return 1.0
    if len(changed) == 1:  # two patterns, which scipy refuses to enumerate for one observation
        return 1.0 if alternative == "two-sided" or (changed[0] > 0) == (alternative == "less") else 0.5

    def total(d: Values, axis: int = -1) -> Values:
        summed: Values = d.sum(axis=axis)
        return summed

    result = stats.permutation_test(
        (changed,),
        total,
        permutation_type="samples",
        vectorized=True,
        n_resamples=RANDOMISATIONS,
        batch=max(1, 4_000_000 // len(changed)),
        alternative=alternative,
        rng=np.random.default_rng(SEED),
    )
    return float(result.pvalue)


def paired_curve_p(
    measure: Callable[[Values], float | None], a: Values, b: Values, alternative: Alternative = "two-sided"
) -> float:
    """Paired randomisation test of a measure over whole samples: each question's two values are swapped at random."""
    first, second = measure(a), measure(b)
    if first is None or second is None:
        return 1.0
    seen = second - first
    rng = np.random.default_rng(SEED)
    extreme = {"less": 0, "greater": 0}
    for _ in range(CURVE_RESAMPLES):
        swap = rng.random(len(a)) < 0.5
        one, other = measure(np.where(swap, b, a)), measure(np.where(swap, a, b))
        drawn = 0.0 if one is None or other is None else other - one
        extreme["less"] += drawn <= seen + 1e-12
        extreme["greater"] += drawn >= seen - 1e-12
    p = {side: (count + 1) / (CURVE_RESAMPLES + 1) for side, count in extreme.items()}
    return min(1.0, 2 * min(p.values())) if alternative == "two-sided" else p[alternative]


def effect(a: Values, b: Values) -> Effect | None:
    """What changed from a to b over the same questions; None without questions."""
    if not len(a):
        return None
    difference = b - a
    estimate = mean(difference)
    assert estimate is not None
    spread = float(difference.std(ddof=1)) if len(difference) > 1 else 0.0
    return Effect(estimate, estimate.value / spread if spread > 0 else None, paired_p(a, b))


def holm(p: Sequence[float]) -> list[float]:
    """Holm's correction: p values adjusted so that the chance of one false claim among all stays bounded.

    The k-th smallest of m is multiplied by m - k + 1, then none may be smaller than one before it, or
    larger than 1. Holm 1979.
    """
    adjusted = [0.0] * len(p)
    highest = 0.0
    for k, i in enumerate(sorted(range(len(p)), key=lambda i: p[i])):
        highest = max(highest, min(1.0, (len(p) - k) * p[i]))
        adjusted[i] = highest
    return adjusted
