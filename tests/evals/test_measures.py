from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np
import pytest
import pytrec_eval
from hypothesis import given
from hypothesis import strategies as st
from ir_measures import RR, R, Success, nDCG
from sklearn.metrics import roc_auc_score

from evals.measures import (
    aurc,
    auroc,
    calibration_error,
    false_abstention,
    false_answer,
    rank_measures,
    reliability,
    risk_coverage,
    score_rankings,
)


def test_rank_measures_by_hand() -> None:
    """Grades 2 and 1 at ranks 2 and 4, a third relevant item not found."""
    qrels = {"q": {"a": 2, "b": 1, "c": 1, "x": 0}}
    ranking = {"q": ["x", "a", "y", "b"]}
    scores = score_rankings([nDCG @ 10, RR @ 10, R @ 5, Success @ 1, Success @ 5], qrels, ranking)["q"]
    # trec_eval's gain is the grade itself: DCG = 2 / log2(3) + 1 / log2(5); ideal = 2 + 1 / log2(3) + 1 / log2(4).
    dcg = 2 / math.log2(3) + 1 / math.log2(5)
    ideal = 2 / math.log2(2) + 1 / math.log2(3) + 1 / math.log2(4)
    assert scores == {
        "nDCG@10": pytest.approx(dcg / ideal),
        "RR@10": pytest.approx(1 / 2),
        "R@5": pytest.approx(2 / 3),
        "Success@1": 0.0,
        "Success@5": 1.0,
    }


def test_a_question_without_gold_has_no_score_and_one_without_results_scores_zero() -> None:
    """Nothing relevant: absent. Nothing found: zero, as it is asked all the same."""
    qrels = {"none": {"a": 0}, "empty": {"a": 1}, "right": {"a": 1}}
    scores = score_rankings([RR @ 10], qrels, {"none": ["a"], "right": ["a"]})
    assert scores == {"empty": {"RR@10": 0.0}, "right": {"RR@10": 1.0}}
    assert score_rankings([RR @ 10], {"none": {}}, {}) == {}


def test_the_order_given_is_the_order_scored() -> None:
    """Names cannot reorder a ranking, as they do among equal scores in trec_eval."""
    for ranking, rank in ((["a", "b", "z"], 3), (["z", "b", "a"], 1)):
        assert score_rankings([RR @ 10], {"q": {"z": 1}}, {"q": ranking})["q"]["RR@10"] == pytest.approx(1 / rank)


def test_only_cut_offs_that_a_ranking_reaches_are_measured() -> None:
    """A ranking of 10 has no R@100, one of 5 no nDCG@10."""
    assert list(map(str, rank_measures(100))) == [
        "nDCG@10", "RR@10", "R@5", "R@10", "R@100", "Success@1", "Success@5", "Success@10",
    ]  # fmt: skip
    assert list(map(str, rank_measures(5))) == ["nDCG@5", "RR@5", "R@5", "Success@1", "Success@5"]


names = st.sampled_from([f"d{i}" for i in range(12)])


@given(st.dictionaries(names, st.integers(0, 3), min_size=1), st.lists(names, unique=True, min_size=1))
def test_rankings_agree_with_pytrec_eval_and_with_a_naive_count(qrels: dict[str, int], ranking: list[str]) -> None:
    """Asked directly, pytrec_eval gives the same; so does counting by hand."""
    relevant = {name for name, grade in qrels.items() if grade > 0}
    scores = score_rankings([nDCG @ 10, R @ 5, Success @ 5, RR @ 10], {"q": qrels}, {"q": ranking})
    if not relevant:
        assert scores == {}
        return
    run = {name: float(len(ranking) - i) for i, name in enumerate(ranking)}
    evaluator = pytrec_eval.RelevanceEvaluator({"q": qrels}, {"ndcg_cut_10", "recall_5", "success_5"})
    direct = evaluator.evaluate({"q": run})["q"]
    assert scores["q"]["nDCG@10"] == pytest.approx(direct["ndcg_cut_10"])
    assert scores["q"]["R@5"] == pytest.approx(direct["recall_5"])
    assert scores["q"]["R@5"] == pytest.approx(len(relevant & set(ranking[:5])) / len(relevant))
    assert scores["q"]["Success@5"] == direct["success_5"]
    first = next((i for i, name in enumerate(ranking[:10], 1) if name in relevant), None)
    assert scores["q"]["RR@10"] == pytest.approx(1 / first if first else 0.0)


def _arrays(confidence: Sequence[float], answerable: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    return np.array(confidence, dtype=float), np.array(answerable, dtype=bool)


def test_auroc_by_hand() -> None:
    """Of 2 x 2 pairs, .9 beats both, .4 ties with one and loses to none: 3.5 / 4."""
    assert auroc(*_arrays([0.9, 0.4, 0.4, 0.1], [1, 1, 0, 0])) == 3.5 / 4
    assert auroc(*_arrays([0.5, 0.5], [1, 0])) == 0.5
    assert auroc(*_arrays([0.9, 0.1], [1, 1])) is None
    assert auroc(*_arrays([], [])) is None


def test_risk_coverage_by_hand() -> None:
    """Answering the most confident first: right, wrong, right."""
    # Risk at 1 of 3: 0 / 1, at 2 of 3: 1 / 2, at 3 of 3: 1 / 3. Their mean is 5 / 18.
    coverage, risk = risk_coverage(*_arrays([0.5, 0.9, 0.7], [1, 1, 0]))
    assert coverage.tolist() == pytest.approx([1 / 3, 2 / 3, 1])
    assert risk.tolist() == pytest.approx([0, 1 / 2, 1 / 3])
    assert aurc(*_arrays([0.5, 0.9, 0.7], [1, 1, 0])) == pytest.approx(5 / 18)
    assert aurc(*_arrays([], [])) is None


def test_a_confidence_that_says_nothing_risks_the_share_of_the_unanswerable() -> None:
    """With all confidences equal the risk is 1 of 4 at every coverage."""
    assert risk_coverage(*_arrays([0.5] * 4, [0, 1, 1, 1]))[1].tolist() == [0.25] * 4


def test_calibration_error_by_hand() -> None:
    """Two bins of two: |.15 - .5| and |.85 - 1|, each with half of the weight."""
    values = _arrays([0.1, 0.2, 0.8, 0.9], [0, 1, 1, 1])
    low, high = reliability(*values, bins=2)
    assert low == pytest.approx((0.15, 0.5, 2))
    assert high == pytest.approx((0.85, 1.0, 2))
    assert calibration_error(*values, bins=2) == pytest.approx(0.35 / 2 + 0.15 / 2)
    assert calibration_error(*_arrays([], [])) is None


def test_equal_confidences_share_a_bin() -> None:
    """Were they split, the order of the questions would change the number."""
    confidence = [0.5] * 6 + [0.9] * 2
    one = calibration_error(*_arrays(confidence, [1, 1, 1, 0, 0, 0, 1, 1]), bins=4)
    other = calibration_error(*_arrays(confidence, [0, 1, 0, 1, 0, 1, 1, 1]), bins=4)
    assert one == other == pytest.approx(0 * 6 / 8 + 0.1 * 2 / 8)


def test_false_answers_and_abstentions_are_of_their_own_kind_of_question() -> None:
    """Each has a score only where it could happen."""
    assert [false_answer(answerable, abstained=False) for answerable in (False, True, None)] == [1.0, None, None]
    assert [false_abstention(answerable, abstained=True) for answerable in (False, True, None)] == [None, 1.0, None]
    assert false_answer(False, abstained=True) == false_abstention(True, abstained=False) == 0.0


judged = st.lists(st.tuples(st.sampled_from([0.1, 0.2, 0.35, 0.5, 0.7, 0.9]), st.booleans()), min_size=2, max_size=30)


@given(judged)
def test_auroc_agrees_with_scikit_learn(pairs: list[tuple[float, bool]]) -> None:
    """With and without ties, in any order."""
    confidence, answerable = _arrays([c for c, _ in pairs], [a for _, a in pairs])
    expected = roc_auc_score(answerable, confidence) if 0 < answerable.sum() < len(answerable) else None
    assert auroc(confidence, answerable) == (None if expected is None else pytest.approx(expected))


@given(judged.map(lambda pairs: pairs[:6]))
def test_risk_is_the_mean_over_all_orders_of_equal_confidences(pairs: list[tuple[float, bool]]) -> None:
    """Every order that the confidences allow, averaged, gives the same curve."""
    orders = [o for o in itertools.permutations(pairs) if all(a[0] >= b[0] for a, b in itertools.pairwise(o))]
    curves = [[sum(not a for _, a in order[:k]) / k for k in range(1, len(order) + 1)] for order in orders]
    _, risk = risk_coverage(*_arrays([c for c, _ in pairs], [a for _, a in pairs]))
    assert risk.tolist() == pytest.approx(np.mean(curves, axis=0).tolist())


@given(st.lists(st.booleans(), min_size=1, max_size=60))
def test_calibration_error_agrees_with_cutting_a_sorted_list(labels: list[bool]) -> None:
    """Without ties the bins are the parts of the sorted list."""
    n = len(labels)
    confidence, answerable = _arrays([(i + 0.5) / n for i in range(n)], labels)
    parts: dict[int, list[int]] = {}
    for i in range(n):
        parts.setdefault(i * 15 // n, []).append(i)
    naive = sum(abs(sum((i + 0.5) / n for i in p) - sum(labels[i] for i in p)) for p in parts.values()) / n
    assert calibration_error(confidence, answerable) == pytest.approx(naive)
