"""The gate: whether the questions that ship are answered significantly worse than when the baseline was taken."""

from __future__ import annotations

from dataclasses import dataclass

from evals import comparing, scoring, statistics
from evals.comparing import Paired
from evals.gold import Format
from evals.runs import Run
from rag.errors import UserError

TOLERANCE = 0.02
"""A main measure that drops by more than this fails even where so few questions cannot prove the drop."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """One main measure against the baseline."""

    measure: str
    baseline: float
    now: float
    p: float
    """One-sided, that it is worse now, after Holm's correction over the main measures."""
    worse_by: float
    """In the measure's own unit; negative where it is better now."""

    @property
    def failed(self) -> str:
        """Why it fails; empty where it passes."""
        if self.worse_by > 0 and self.p <= comparing.SIGNIFICANT:
            return f"significantly worse (p = {self.p:.4f})"
        return f"worse by more than {TOLERANCE}" if self.worse_by > TOLERANCE else ""


def judge(baseline: Run, now: Run) -> list[Verdict]:
    """Every main measure of the set. Raises UserError where the baseline and the run are not of the same questions."""
    if baseline.identity.questions_hash != now.identity.questions_hash:
        raise UserError(
            "The baseline was taken with other questions, gold or documents. "
            "Take it again with: python -m evals run seeds --out evals/results/baseline.json"
        )
    if baseline.identity.own_documents != now.identity.own_documents:
        raise UserError("The baseline was taken with --own-documents. Take it again without.")
    pairs = comparing.pair(baseline, now)
    if len(pairs) < len(baseline.outcomes):
        raise UserError(f"{len(baseline.outcomes) - len(pairs)} questions of the baseline were not taken any more.")
    found: list[Paired] = []
    for name in scoring.MAIN[Format(now.identity.format)]:
        both = comparing.paired(name, pairs)
        if both is None:
            raise UserError(f"The measure {name!r} is missing from the baseline or from the run: it cannot be judged.")
        found.append(both)
    corrected = statistics.holm([both.p_worse() for both in found])
    verdicts: list[Verdict] = []
    for both, p in zip(found, corrected, strict=True):
        before, after = both.value(both.a) or 0.0, both.value(both.b) or 0.0
        sign = 1 if both.measure in scoring.LOWER_IS_BETTER else -1
        verdicts.append(Verdict(both.measure, before, after, p, sign * (after - before)))
    return verdicts
