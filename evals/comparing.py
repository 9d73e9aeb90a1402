"""Comparing: two runs over the same questions, measure by measure and question by question."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from evals import scoring, statistics
from evals.gold import Format
from evals.measures import Confidences, Labels
from evals.runs import Outcome, Run
from evals.statistics import Alternative, Effect, Values
from rag.errors import UserError

SIGNIFICANT = 0.05
"""Largest p that is called significant, after Holm's correction."""

Pair = tuple[Outcome, Outcome]
"""What one question got in two runs."""


@dataclass(frozen=True, slots=True)
class Paired:
    """One measure of the same questions in two runs."""

    measure: str
    a: Values
    """One value a question; for a measure of the confidence, the confidences."""
    b: Values
    answerable: Labels | None
    """For a measure of the confidence, which questions are answerable; else None, and the measure is a mean."""

    def value(self, values: Values) -> float | None:
        """The measure of one side."""
        if self.answerable is None:
            return float(values.mean())
        return scoring.CURVES[self.measure](values, self.answerable)

    def effect(self) -> Effect | None:
        """Of b against a."""
        if self.answerable is None:
            return statistics.effect(self.a, self.b)
        measure = scoring.CURVES[self.measure]

        def difference(a: Confidences, b: Confidences, labels: Labels) -> float | None:
            before, after = measure(a, labels), measure(b, labels)
            return None if before is None or after is None else after - before

        estimate = statistics.curve(difference, self.a, self.b, self.answerable)
        return Effect(estimate, None, self.p("two-sided")) if estimate else None

    def p(self, alternative: Alternative) -> float:
        """By paired randomisation; "less" asks whether b is lower than a."""
        if self.answerable is None:
            return statistics.paired_p(self.a, self.b, alternative)
        return statistics.paired_curve_p(self.value, self.a, self.b, alternative)

    def p_worse(self) -> float:
        """One-sided p that b is worse than a."""
        return self.p("greater" if self.measure in scoring.LOWER_IS_BETTER else "less")


@dataclass(frozen=True, slots=True)
class Change:
    """One measure in two runs."""

    measure: str
    a: float
    b: float
    n: int
    """Questions that have it in both."""
    effect: Effect
    p_holm: float
    """The effect's p after Holm's correction, over its family: see `_family`."""

    @property
    def verdict(self) -> str:
        """What to make of it, in a word or two."""
        difference = self.effect.difference.value
        if not difference:
            return "same"
        if self.p_holm > SIGNIFICANT:
            return "not significant"
        if self.measure in scoring.NEITHER_IS_BETTER:
            return "differs"
        return "better" if (difference > 0) != (self.measure in scoring.LOWER_IS_BETTER) else "worse"


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two runs side by side."""

    a: Run
    b: Run
    pairs: tuple[Pair, ...]
    """The questions that are in both."""
    notes: tuple[str, ...]
    """What differs between the runs, and what limits the comparison."""
    changes: tuple[Change, ...]
    """Every measure of single questions or of the confidence that both have; the main ones of the set first."""


def compare(a: Run, b: Run) -> Comparison:
    """Hold two runs of one question set against each other. Raises UserError where they have no question in common."""
    pairs = pair(a, b)
    found: list[tuple[Paired, Effect]] = []
    for name in names(a):
        both = paired(name, pairs)
        effect = both and both.effect()
        if both and effect:
            found.append((both, effect))
    families = [_family(both.measure, Format(a.identity.format)) for both, _ in found]
    corrected = _corrected([effect.p for _, effect in found], families)
    changes = [
        Change(both.measure, both.value(both.a) or 0.0, both.value(both.b) or 0.0, len(both.a), effect, p)
        for (both, effect), p in zip(found, corrected, strict=True)
    ]
    return Comparison(a, b, tuple(pairs), tuple(_notes(a, b, len(pairs))), tuple(changes))


def _family(measure: str, format: Format) -> str:
    """What a measure is corrected with: the main ones of a set, those of the confidence, or all others.

    So looking at more of the others costs the main ones nothing. Those of the confidence are tested with fewer
    randomisations, too few to be told from chance among many others.
    """
    if measure in scoring.MAIN[format]:
        return "main"
    return "confidence" if measure in scoring.CURVES else "other"


def _corrected(p: Sequence[float], families: Sequence[str]) -> list[float]:
    """Holm's correction within each family."""
    corrected = {
        family: iter(statistics.holm([v for v, f in zip(p, families, strict=True) if f == family]))
        for family in set(families)
    }
    return [next(corrected[family]) for family in families]


def pair(a: Run, b: Run) -> list[Pair]:
    """The questions asked in both runs with the same words. Raises UserError where there is none."""
    other = {outcome.id: outcome for outcome in b.outcomes}
    pairs = [(o, other[o.id]) for o in a.outcomes if o.id in other and other[o.id].question == o.question]
    if not pairs:
        raise UserError(
            f"The runs have no question in common: one is of {a.identity.set!r}, the other of {b.identity.set!r}. "
            "Compare two runs of one set."
        )
    return pairs


def names(run: Run) -> list[str]:
    """The measures of a run, the main ones of its set first."""
    measured = run.aggregates.get("all", {})
    main = [name for name in scoring.MAIN[Format(run.identity.format)] if name in measured]
    return [*main, *(name for name in measured if name not in main)]


def paired(name: str, pairs: Sequence[Pair]) -> Paired | None:
    """One measure over the questions that have it in both runs; None where none has."""
    if name in scoring.CURVES:
        known = [(x, y) for x, y in pairs if x.answerable is not None and None not in (x.confidence, y.confidence)]
        a, answerable = scoring.confidences([x for x, _ in known])
        b, _ = scoring.confidences([y for _, y in known])
        return Paired(name, a, b, answerable) if 0 < answerable.sum() < len(answerable) else None
    both = [(x.measures[name], y.measures[name]) for x, y in pairs if name in x.measures and name in y.measures]
    if not both:
        return None
    return Paired(name, np.array([x for x, _ in both]), np.array([y for _, y in both]), None)


def moved(name: str, pairs: Sequence[Pair]) -> tuple[list[Pair], list[Pair]]:
    """The questions that a measure went up for, and those that it went down for; the largest change first."""
    both = [(x, y) for x, y in pairs if x.measures.get(name) != y.measures.get(name)]
    known = [(x, y) for x, y in both if name in x.measures and name in y.measures]
    change = {x.id: y.measures[name] - x.measures[name] for x, y in known}
    ordered = sorted(known, key=lambda p: -abs(change[p[0].id]))
    return [p for p in ordered if change[p[0].id] > 0], [p for p in ordered if change[p[0].id] < 0]


def _notes(a: Run, b: Run, common: int) -> Iterator[str]:
    """In the order of weight."""
    first, second = a.identity, b.identity
    if first.questions_hash != second.questions_hash:
        yield "The question sets differ: gold was changed between the runs, so a difference may be the gold's."
    for run, which in ((a, "first"), (b, "second")):
        if len(run.outcomes) > common:
            yield f"{len(run.outcomes) - common} questions are only in the {which} run; they are left out."
    ours, theirs = asdict(first), asdict(second)
    for part in ("settings", "versions"):
        for key in sorted(ours[part].keys() | theirs[part].keys()):
            if ours[part].get(key) != theirs[part].get(key):
                yield f"{key}: {ours[part].get(key)} → {theirs[part].get(key)}"
    for part in ("encoder", "corpus_hash", "own_documents", "code_hash", "commit"):
        if ours[part] != theirs[part]:
            yield f"{part}: {ours[part]} → {theirs[part]}"
    if first.key == second.key:
        yield "The runs have the same identity: they should not differ but in timings."
