from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals.gold import Facet, Stretch
from evals.spans import (
    citation_precision,
    citation_recall,
    common,
    facet_shares,
    found_share,
    in_characters,
    in_words,
    length,
    precision_omega,
    span_scores,
    union,
    within_words,
)

TEXT = "one two three four five six seven eight nine ten"
TEXTS = {"d": TEXT, "e": TEXT}


def s(start: int, end: int, document: str = "d") -> Stretch:
    return Stretch(document, start, end)


def facet(*any_of: Stretch) -> Facet:
    return Facet("f", any_of)


places = st.builds(
    lambda document, start, n: Stretch(document, start, start + n),
    st.sampled_from("de"),
    st.integers(0, 40),
    st.integers(1, 8),
)
spans = st.lists(places, max_size=6)


def characters(stretches: list[Stretch]) -> set[tuple[str, int]]:
    """The naive way: every character by itself."""
    return {(x.document, i) for x in stretches for i in range(x.start, x.end)}


@given(spans, spans)
def test_union_and_common_are_those_of_the_sets_of_characters(a: list[Stretch], b: list[Stretch]) -> None:
    """Merged and intersected spans hold exactly the characters that the sets do, each once."""
    assert characters(union(a)) == characters(a)
    assert length(union(a)) == len(characters(a))
    assert characters(common(a, b)) == characters(a) & characters(b)
    assert length(common(a, b)) == len(characters(a) & characters(b))


def test_a_facet_is_covered_by_the_best_of_its_alternatives_in_characters_that_are_not_space() -> None:
    """Half of a stretch shown is a share of one half, and white space weighs nothing."""
    size = in_characters(TEXTS)
    # "one two" has 6 letters; shown 0:5 holds "one t" with 4 letters: 4 / 6.
    assert facet_shares([facet(s(0, 7))], [s(0, 5)], size) == [4 / 6]
    # The second alternative, "three" at 8:13, is shown whole.
    assert facet_shares([facet(s(0, 7), s(8, 13))], [s(0, 5), s(7, 14)], size) == [1.0]
    # The same place in another document is another place.
    assert facet_shares([facet(s(0, 7))], [s(0, 7, "e")], size) == [0.0]
    # Two shown spans that meet within the stretch cover it together, and overlap counts once: "one two" is whole.
    assert facet_shares([facet(s(0, 7))], [s(0, 5), s(3, 7)], size) == [1.0]


def test_facet_recall_counts_shares_of_at_least_one_half() -> None:
    """Of shares 1, .5, .49 and 0 two of four are found; without gold there is no score."""
    assert found_share([1.0, 0.5, 0.49, 0.0]) == 0.5
    assert found_share([0.49], covered=0.4) == 1.0
    assert found_share([]) is None


def test_words_count_where_they_lie_wholly_inside() -> None:
    """Words cut at either end do not count; a span inside one word holds none."""
    count = in_words(TEXTS)
    assert count(s(0, 13)) == 3  # one two three
    assert count(s(1, 13)) == 2  # (o)ne two three
    assert count(s(0, 12)) == 2  # one two thre(e)
    assert count(s(1, 12)) == 1  # (o)ne two thre(e)
    assert count(s(9, 11)) == 0  # hr
    assert count(s(3, 8)) == 1  # " two "
    assert count(s(0, len(TEXT))) == 10


def test_span_scores_by_hand() -> None:
    """Recall, precision and IoU of two passages, one of them partly right."""
    # Gold 10:20 and 30:40, 20 characters. Shown 5:15 and 50:60: right are 10:15, 5 characters.
    scores = span_scores([facet(s(10, 20)), facet(s(30, 40))], [s(5, 15), s(50, 60)])
    assert scores is not None
    assert scores.recall == 5 / 20
    assert scores.precision == 5 / 20
    assert scores.iou == 5 / (20 + 15)  # shown 20, missed 5 + 10


def test_repeated_characters_cost_precision_and_iou_as_published() -> None:
    """A passage shown twice counts twice below the line, once above it."""
    # Gold 0:10. Shown 0:10 twice: 10 right of 20 shown; IoU 10 / (20 + 0).
    scores = span_scores([facet(s(0, 10))], [s(0, 10), s(0, 10)])
    assert scores is not None
    assert (scores.recall, scores.precision, scores.iou) == (1.0, 0.5, 0.5)


def test_alternatives_are_not_missed_and_not_wrong() -> None:
    """One alternative shown is full recall; showing the other too costs no precision."""
    gold = [facet(s(0, 10), s(20, 30))]
    one, both = span_scores(gold, [s(20, 30)]), span_scores(gold, [s(0, 10), s(20, 30)])
    assert one is not None
    assert both is not None
    assert (one.recall, one.precision, one.iou) == (1.0, 1.0, 1.0)
    assert (both.recall, both.precision, both.iou) == (1.0, 1.0, 1.0)


def test_without_gold_there_is_no_score_and_without_passages_no_precision() -> None:
    """Nothing to find is None; nothing shown is recall 0, IoU 0 and no precision."""
    assert span_scores([], [s(0, 5)]) is None
    nothing = span_scores([facet(s(0, 5))], [])
    assert nothing is not None
    assert (nothing.recall, nothing.precision, nothing.iou) == (0.0, None, 0.0)


@given(spans.filter(bool), spans)
def test_span_scores_agree_with_sets_of_characters(gold: list[Stretch], shown: list[Stretch]) -> None:
    """With one place a facet, the scores are those computed character by character."""
    wanted, seen = characters(gold), characters(shown)
    total = sum(x.end - x.start for x in shown)
    scores = span_scores([facet(x) for x in gold], shown)
    assert scores is not None
    assert scores.recall == pytest.approx(len(wanted & seen) / len(wanted))
    assert scores.precision == (pytest.approx(len(wanted & seen) / total) if total else None)
    assert scores.iou == pytest.approx(len(wanted & seen) / (total + len(wanted - seen)))


def test_precision_omega_by_hand() -> None:
    """The precision had all chunks with gold been shown, and no other."""
    # Gold 5:15 and 25:30. Chunks 0:10, 10:20, 20:24, 24:40: three hold gold, 10 + 10 + 16 = 36 characters, 15 gold.
    gold = [facet(s(5, 15)), facet(s(25, 30))]
    chunks = [s(0, 10), s(10, 20), s(20, 24), s(24, 40), s(0, 40, "e")]
    assert precision_omega(gold, chunks) == 15 / 36
    # Gold that no chunk holds counts below the line: 40:44 adds 4.
    assert precision_omega([*gold, facet(s(40, 44))], chunks) == 15 / 40
    assert precision_omega([], chunks) is None


def test_a_citation_supports_when_it_holds_half_of_the_gold_or_is_half_gold() -> None:
    """Of three quotes, one long around the gold, one short inside it and one beside it, two support."""
    size = in_characters(TEXTS)
    gold = [facet(s(8, 18))]  # "three four": 9 letters
    around, inside, beside = s(0, 30), s(8, 10), s(19, 30)
    assert citation_precision(gold, [around, inside, beside], size) == 2 / 3
    # "two three": 8 letters of which 5 are gold; 5 of the gold's 9 are held as well.
    assert citation_precision(gold, [s(4, 13)], size) == 1.0
    assert citation_precision(gold, [], size) is None
    assert citation_precision([], [around], size) is None


def test_citation_recall_asks_for_one_quote_that_covers_half_by_itself() -> None:
    """Two quotes that cover a stretch only together find it for facet recall, not for citation recall."""
    size = in_characters(TEXTS)
    gold = [facet(s(0, 18))]  # "one two three four": 15 letters
    parts = [s(0, 5), s(10, 18)]  # "one t": 4; "ree four": 7
    assert found_share(facet_shares(gold, parts, size)) == 1.0  # 11 of 15
    assert citation_recall(gold, parts, size) == 0.0  # 4 of 15, 7 of 15
    assert citation_recall(gold, [s(4, 18)], size) == 1.0  # 12 of 15
    assert citation_recall(gold, [], size) == 0.0
    assert citation_recall([], parts, size) is None


def test_a_budget_of_words_cuts_the_passage_in_which_it_ends() -> None:
    """Passages in rank order; a word shown before is free; what comes after the budget is not shown."""
    # "four five" 14:23 spends 2; "three four five six" 8:27 shows "three" and "six" anew: 4; then "nine" 40:44: 5.
    passages = [s(14, 23), s(8, 27), s(40, 48), s(0, 3)]
    assert within_words(passages, TEXTS, 5) == [s(14, 23), s(8, 27), s(40, 44)]
    assert within_words(passages, TEXTS, 3) == [s(14, 23), s(8, 23)]
    assert within_words(passages, TEXTS, 2) == [s(14, 23)]
    assert within_words(passages, TEXTS, 100) == passages
    assert within_words([], TEXTS, 5) == []


def test_an_utterance_counts_when_half_of_its_words_are_inside() -> None:
    """Two of four words are half; one of three is not."""
    size = in_words(TEXTS)
    turns = [facet(s(0, 18)), facet(s(19, 33))]  # one two three four; five six seven
    assert facet_shares(turns, [s(4, 13), s(19, 23)], size) == [2 / 4, 1 / 3]
