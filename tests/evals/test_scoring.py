from __future__ import annotations

import numpy as np
import pytest

from evals.gold import Facet, Question, Stretch
from evals.runs import Outcome
from evals.scoring import LOWER_IS_BETTER, MAIN, Seen, add_rank_measures, aggregate, confidences, latency, score

TEXT = "one two three four five six seven eight nine ten"
TEXTS = {"d": TEXT}
GOLD = Stretch("d", 8, 18)  # three four
OTHER = Stretch("d", 28, 39)  # seven eight
QUESTION = Question("q", "?", (Facet("a", (GOLD,)), Facet("b", (OTHER,))), answerable=True, own=("d",))


def outcome(name: str = "q", **changed: object) -> Outcome:
    values: dict[str, object] = {
        "question": "?", "kind": "", "split": "", "answerable": None, "facets": 0, "abstained": None,
        "confidence": None, "passages": (), "quotes": (), "measures": {}, "timings_ms": {},
    }  # fmt: skip
    return Outcome(id=name, **{**values, **changed})  # type: ignore[arg-type]  # the fields above


def test_an_answered_question_is_scored_on_passages_quotes_and_citations() -> None:
    """Of two facets, the second passage holds one whole; one quote of two words is exactly it."""
    seen = Seen((Stretch("d", 40, 48), Stretch("d", 4, 23)), (GOLD,), abstained=False)
    scores = score(QUESTION, seen, TEXTS, {"d": [Stretch("d", 0, 27), Stretch("d", 27, 48)]})
    assert scores == {
        "passages.facet_recall": 0.5,
        "passages.covered": 0.5,
        "passages.recall": round(10 / 21, 4),  # gold is 10 + 11 characters
        "passages.precision": round(10 / 27, 4),  # shown are 8 + 19
        "passages.iou": round(10 / (27 + 11), 4),
        "passages.Success@1": 0.0,
        "passages.Success@5": 1.0,
        "passages.RR@5": 0.5,
        "chunks.precision_omega": round(21 / 48, 4),
        "quotes.facet_recall": 0.5,
        "quotes.covered": 0.5,
        "quotes.recall": round(10 / 21, 4),
        "quotes.precision": 1.0,
        "quotes.iou": round(10 / (10 + 11), 4),
        "citation_precision": 1.0,
        "citation_recall": 0.5,
        "false_abstention": 0.0,
        "quote_words": 2.0,
    }


def test_an_abstention_on_an_answerable_question_loses_its_quotes_but_not_its_passages() -> None:
    """Quote recall is zero, quote precision and words have no score, the abstention is false."""
    scores = score(QUESTION, Seen((GOLD,), (), abstained=True), TEXTS, {})
    assert scores["passages.facet_recall"] == 0.5
    assert (scores["quotes.facet_recall"], scores["quotes.iou"], scores["false_abstention"]) == (0.0, 0.0, 1.0)
    assert not {"quotes.precision", "citation_precision", "quote_words", "false_answer"} & scores.keys()


def test_a_question_without_gold_is_scored_on_answering_only() -> None:
    """No gold means no score, not zero."""
    unanswerable = Question("u", "?", answerable=False)
    answered = score(unanswerable, Seen((GOLD,), (GOLD,), abstained=False), TEXTS, {})
    assert answered == {"false_answer": 1.0, "quote_words": 2.0}
    assert score(unanswerable, Seen((GOLD,), (), abstained=True), TEXTS, {}) == {"false_answer": 0.0}
    assert score(Question("n", "?"), Seen((GOLD,)), TEXTS, {}) == {}


def test_a_search_is_scored_without_quotes() -> None:
    """What was never asked has no quotes to score."""
    names = score(QUESTION, Seen((GOLD,)), TEXTS, {})
    assert not any(name.startswith(("quote", "citation", "false")) for name in names)


def test_within_a_word_budget_utterances_are_counted() -> None:
    """One of two utterances has half of its words shown."""
    assert score(QUESTION, Seen((Stretch("d", 8, 13),), word_budget=10), TEXTS, {}) == {"utterance_recall": 0.5}


def test_rank_measures_are_added_for_questions_with_qrels_only() -> None:
    """A question that was not asked is not scored either."""
    questions = [Question("a", "?", relevant={"x": 1}), Question("b", "?"), Question("c", "?", relevant={"x": 1})]
    scored = add_rank_measures([outcome("a"), outcome("b")], questions, {"a": ["y", "x"], "b": ["x"]}, 5)
    assert [o.measures.get("RR@5") for o in scored] == [0.5, None]
    assert [o.id for o in scored] == ["a", "b"]


def test_a_measure_is_averaged_over_the_questions_that_have_it() -> None:
    """Two of three questions have it; the third is not a zero. Pooled, its facets are averaged: (1 x 3 + 0 x 1) / 4."""
    outcomes = [
        outcome("a", measures={"quotes.covered": 1.0}, facets=3, kind="facets", split="tune"),
        outcome("b", measures={"quotes.covered": 0.0}, facets=1, kind="fact", split="test"),
        outcome("c", kind="near miss", split="test"),
    ]
    groups = aggregate(outcomes)
    assert (groups["all"]["quotes.covered"].value, groups["all"]["quotes.covered"].n) == (0.5, 2)
    assert groups["all"]["quotes.covered.pooled"].value == 0.75
    assert groups["split test"]["quotes.covered"].value == 0.0
    assert list(groups) == ["all", "split test", "split tune", "kind facets", "kind fact", "kind near miss"]
    assert groups["kind near miss"] == {}


def test_confidence_is_measured_where_there_are_questions_of_both_kinds() -> None:
    """With one kind only, or where nothing is known, no number is given."""
    both = [outcome("a", answerable=True, confidence=0.9), outcome("b", answerable=False, confidence=0.2)]
    groups = aggregate([*both, outcome("c", confidence=0.4)])
    assert groups["all"]["auroc"].value == 1.0
    assert groups["all"]["auroc"].n == 2
    assert "auroc" not in aggregate(both[:1])["all"]
    values, answerable = confidences([*both, outcome("c", confidence=0.4)])
    assert (values.tolist(), answerable.tolist()) == ([0.9, 0.2], [True, False])
    assert values.dtype == np.float64


def test_the_median_of_the_words_shown_is_given_beside_their_mean() -> None:
    """10, 20 and 90 words: median 20, mean 40."""
    groups = aggregate([outcome(str(n), measures={"quote_words": float(n)}) for n in (10, 20, 90)])
    assert (groups["all"]["quote_words"].value, groups["all"]["quote_words.median"].value) == (40.0, 20.0)


def test_latency_is_median_and_95th_percentile_of_each_stage() -> None:
    """Of 1 to 21 milliseconds: 11 and 20."""
    taken = latency([outcome(str(i), timings_ms={"retrieve": float(i)}) for i in range(1, 22)])
    assert (taken["retrieve"].median, taken["retrieve"].p95) == (11.0, 20.0)


def test_false_answers_and_false_abstentions_are_always_looked_at_together() -> None:
    """Whichever set has one among its main measures has the other next to it."""
    for main in MAIN.values():
        assert ("false_answer" in main) == ("false_abstention" in main)
    assert {"false_answer", "false_abstention"} <= LOWER_IS_BETTER


@pytest.mark.parametrize("measure", ["passages.recall", "quotes.iou", "nDCG@10", "auroc"])
def test_more_is_better_unless_it_is_said(measure: str) -> None:
    """Only errors are better when lower."""
    assert measure not in LOWER_IS_BETTER
