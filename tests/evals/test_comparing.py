from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest

from evals import comparing
from evals.runs import Outcome, Run
from evals.scoring import aggregate
from rag.errors import UserError

Ask = Callable[..., Run]


def with_measure(run: Run, name: str, values: list[float]) -> Run:
    """The run as if its first questions had these values of one measure, and nothing else."""
    outcomes: list[Outcome] = []
    for outcome, value in zip(run.outcomes, values, strict=False):
        outcomes.append(dataclasses.replace(outcome, measures={name: value}, facets=1, confidence=None))
    return dataclasses.replace(run, outcomes=tuple(outcomes), aggregates=aggregate(outcomes))


def test_a_difference_is_of_the_questions_that_have_the_measure_in_both(ask: Ask) -> None:
    """Four questions go up by 1, one down by .5: the mean difference is 3.5 / 5, with its interval and p."""
    run = ask()
    a = with_measure(run, "passages.facet_recall", [0.0, 0.0, 0.0, 0.0, 1.0])
    b = with_measure(run, "passages.facet_recall", [1.0, 1.0, 1.0, 1.0, 0.5])
    (change,) = comparing.compare(a, b).changes
    assert (change.a, change.b, change.n) == (0.2, 0.9, 5)
    assert change.effect.difference.value == pytest.approx(0.7)
    # Of 32 sign patterns, those with a sum of at least 3.5 are: all plus but the last, and all plus (4.5).
    assert change.effect.p == 2 * 2 / 32
    assert change.verdict == "not significant"


def test_what_is_significant_and_which_way(ask: Ask) -> None:
    """Eight questions of eight moving the same way have p = 2 / 256; whether that is better depends on the measure."""
    run = ask()
    low, high = [0.0] * 8, [1.0] * 8
    verdicts = {"passages.facet_recall": "better", "false_answer": "worse", "quote_words": "differs"}
    for measure, verdict in verdicts.items():
        result = comparing.compare(with_measure(run, measure, low), with_measure(run, measure, high))
        assert [(change.p_holm, change.verdict) for change in result.changes] == [(2 / 256, verdict)]
    same = comparing.compare(with_measure(run, "false_answer", low), with_measure(run, "false_answer", low))
    assert [change.verdict for change in same.changes] == ["same"]


def test_holm_corrects_over_the_main_measures_by_themselves(ask: Ask) -> None:
    """Five main measures multiply the smallest p by 5, however many other measures are shown."""
    result = comparing.compare(ask(), ask({"passages": 1, "answer_threshold": 0.0}))
    main = [change for change in result.changes if change.measure in ("false_answer", "false_abstention")]
    smallest = min(main, key=lambda change: change.effect.p)
    assert [change.measure for change in result.changes[:5]] == [
        "passages.facet_recall", "quotes.covered", "quotes.iou", "false_answer", "false_abstention",
    ]  # fmt: skip
    assert smallest.p_holm <= 5 * smallest.effect.p


def test_the_confidence_s_measures_are_compared_too(ask: Ask) -> None:
    """AUROC has a difference with an interval and a p, from the questions' confidences."""
    run = ask()
    inverted = [dataclasses.replace(o, confidence=1 - (o.confidence or 0.0)) for o in run.outcomes]
    other = dataclasses.replace(run, outcomes=tuple(inverted), aggregates=aggregate(inverted))
    change = next(c for c in comparing.compare(run, other).changes if c.measure == "auroc")
    assert change.a == pytest.approx(1 - change.b)
    assert change.effect.difference.value == pytest.approx(change.b - change.a)
    assert change.effect.difference.n == 8


def test_what_differs_between_the_runs_is_told(ask: Ask) -> None:
    """Settings that differ, gold that was changed, questions that only one run has."""
    a, b = ask(), ask({"passages": 2})
    changed = dataclasses.replace(b.identity, questions_hash="x")
    fewer = dataclasses.replace(b, outcomes=b.outcomes[1:], identity=changed)
    assert "passages: 5 → 2" in comparing.compare(a, b).notes
    notes = comparing.compare(a, fewer).notes
    assert notes[0].startswith("The question sets differ")
    assert notes[1] == "1 questions are only in the first run; they are left out."
    assert comparing.compare(a, a).notes == ("The runs have the same identity: they should not differ but in timings.",)


def test_a_question_that_was_reworded_is_another_question(ask: Ask) -> None:
    """Under its old id, it is not held against the old words; with none in common there is nothing to compare."""
    run = ask()
    reworded = [dataclasses.replace(outcome, question="Other words?") for outcome in run.outcomes]
    mixed = dataclasses.replace(run, outcomes=(*reworded[:3], *run.outcomes[3:]))
    assert len(comparing.compare(run, mixed).pairs) == len(run.outcomes) - 3
    with pytest.raises(UserError, match="no question in common"):
        comparing.compare(run, dataclasses.replace(run, outcomes=tuple(reworded)))


def test_the_questions_that_moved_are_given_by_size(ask: Ask) -> None:
    """Up and down apart, the largest change first; the ones that stayed are in neither."""
    run = ask()
    a = with_measure(run, "quotes.covered", [0.0, 0.5, 0.5, 1.0])
    b = with_measure(run, "quotes.covered", [0.25, 1.0, 0.5, 0.0])
    up, down = comparing.moved("quotes.covered", comparing.pair(a, b))
    names = [outcome.id for outcome in run.outcomes]
    assert [x.id for x, _ in up] == [names[1], names[0]]
    assert [x.id for x, _ in down] == [names[3]]


def test_each_family_of_measures_is_corrected_by_itself(ask: Ask) -> None:
    """Looking at other measures costs the main ones nothing, and those of the confidence are not lost among them."""
    run = ask()
    shuffled = [dataclasses.replace(o, confidence=i / 10) for i, o in enumerate(run.outcomes)]
    changes = comparing.compare(run, dataclasses.replace(run, outcomes=tuple(shuffled))).changes
    curves = [change for change in changes if change.measure in ("auroc", "aurc", "calibration_error")]
    assert len(curves) == 3 < len(changes)
    assert min(change.p_holm for change in curves) == min(1.0, 3 * min(change.effect.p for change in curves))
