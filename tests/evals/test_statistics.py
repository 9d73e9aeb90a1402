from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from evals.measures import auroc
from evals.statistics import Estimate, curve, effect, holm, mean, median, paired_curve_p, paired_p

VALUES = np.array([0.0, 0.0, 0.25, 0.5, 0.5, 0.75, 1.0, 1.0, 1.0, 1.0])


def test_the_interval_of_a_mean_agrees_with_a_bootstrap_written_out() -> None:
    """Percentiles of resampled means, drawn by another generator, lie within the noise of resampling."""
    rng = np.random.default_rng(7)
    drawn = [VALUES[rng.integers(0, 10, 10)].mean() for _ in range(20_000)]
    low, high = np.percentile(drawn, [2.5, 97.5])
    found = mean(VALUES)
    assert found is not None
    assert found.n == 10
    assert (found.value, found.low, found.high) == pytest.approx((0.6, low, high), abs=0.03)


def test_the_interval_of_many_values_is_that_of_the_normal_distribution() -> None:
    """For 1,000 values it is the mean and 1.96 standard errors each way."""
    values = np.random.default_rng(1).random(1000)
    found = mean(values)
    assert found is not None
    error = 1.96 * values.std(ddof=1) / 1000**0.5
    assert (found.low, found.high) == pytest.approx((values.mean() - error, values.mean() + error), abs=0.002)


def test_the_same_data_give_the_same_interval() -> None:
    """Seeds are fixed, so a rerun differs in nothing."""
    assert mean(VALUES) == mean(VALUES.copy())
    assert median(VALUES) == median(VALUES.copy())


def test_weights_count_what_a_question_holds() -> None:
    """One question with 3 facets at 1 and one with a single facet at 0: 3 of 4 facets, not 1 of 2 questions."""
    found = mean(np.array([1.0, 0.0]), np.array([3.0, 1.0]))
    assert found is not None
    assert (found.value, found.n) == (0.75, 2)


def test_no_values_no_estimate_and_one_value_no_interval() -> None:
    """An interval needs two questions."""
    assert mean(np.array([])) is None
    assert median(np.array([])) is None
    assert mean(np.array([0.5])) == Estimate(0.5, None, None, 1)
    assert curve(lambda v: float(v[0]), np.array([0.5])) == Estimate(0.5, None, None, 1)


def test_a_median_is_the_middle() -> None:
    """Of ten values, the mean of the fifth and the sixth: (.5 + .75) / 2."""
    found = median(VALUES)
    assert found is not None
    assert found.value == 0.625


def test_a_curve_s_interval_holds_its_value_and_passes_over_resamples_without_one() -> None:
    """AUROC of 3 x 3 questions; a resample of one kind only has none."""
    confidence, answerable = np.array([0.9, 0.8, 0.3, 0.6, 0.2, 0.1]), np.array([1, 1, 1, 0, 0, 0], dtype=bool)
    found = curve(auroc, confidence, answerable)
    assert found is not None
    assert found.low is not None
    assert found.high is not None
    assert found.value == pytest.approx(8 / 9)
    assert 0 <= found.low <= found.value <= found.high <= 1
    assert curve(auroc, confidence, np.ones(6, dtype=bool)) is None
    assert curve(auroc, confidence, answerable, interval=False) == Estimate(8 / 9, None, None, 6)


def test_the_paired_test_by_hand() -> None:
    """Three questions, all better by one: of 8 sign patterns 1 is as high, 2 are as far from zero."""
    a, b = np.zeros(3), np.ones(3)
    assert paired_p(a, b) == 2 / 8
    assert paired_p(a, b, "greater") == 1 / 8
    assert paired_p(a, b, "less") == 1.0


def test_questions_that_do_not_differ_do_not_count() -> None:
    """Ten more ties change no p; nothing but ties is no difference at all; one question can prove nothing."""
    assert paired_p(np.zeros(13), np.array([1.0] * 3 + [0.0] * 10)) == 2 / 8
    assert paired_p(VALUES, VALUES) == 1.0
    one = np.array([0.0]), np.array([1.0])
    assert (paired_p(*one), paired_p(*one, "greater"), paired_p(*one, "less")) == (1.0, 0.5, 1.0)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from([-1.0, -0.5, -0.25, 0.0, 0.25, 0.5, 1.0]), min_size=1, max_size=8))
def test_the_paired_test_agrees_with_trying_every_sign(differences: list[float]) -> None:
    """Counting the sign patterns whose sum is as extreme gives the exact p, on either side and on both."""
    patterns = itertools.product((1, -1), repeat=len(differences))
    sums = [sum(sign * d for sign, d in zip(signs, differences, strict=True)) for signs in patterns]
    seen = sum(differences)
    low = sum(total <= seen for total in sums) / len(sums)
    high = sum(total >= seen for total in sums) / len(sums)
    a, b = np.zeros(len(differences)), np.array(differences)
    assert paired_p(a, b, "less") == pytest.approx(low)
    assert paired_p(a, b, "greater") == pytest.approx(high)
    assert paired_p(a, b) == pytest.approx(min(1.0, 2 * min(low, high)))


def test_a_large_sample_s_p_agrees_with_the_t_test() -> None:
    """With 400 questions the two tests see the same."""
    rng = np.random.default_rng(3)
    a = rng.random(400)
    b = a + rng.normal(0.01, 0.1, 400)
    assert paired_p(a, b) == pytest.approx(stats.ttest_rel(b, a).pvalue, abs=0.02)


def test_a_curve_s_paired_test_sees_a_clear_difference_and_none_where_there_is_none() -> None:
    """A confidence that orders all questions right against one that is reversed; and against itself."""
    answerable = np.array([1, 0] * 20, dtype=bool)
    good = np.where(answerable, 0.9, 0.1) + np.arange(40) / 1000

    def measure(values: np.ndarray) -> float | None:
        return auroc(values, answerable)

    assert paired_curve_p(measure, 1 - good, good) < 0.01
    assert paired_curve_p(measure, 1 - good, good, "greater") < 0.01
    assert paired_curve_p(measure, 1 - good, good, "less") > 0.99
    assert paired_curve_p(measure, good, good) == 1.0


def test_the_effect_by_hand() -> None:
    """Differences 1, 0, 0, 1: mean .5, standard deviation sqrt(1 / 3), d = .5 / .577 = .866."""
    found = effect(np.array([0.0, 0.5, 0.5, 0.0]), np.array([1.0, 0.5, 0.5, 1.0]))
    assert found is not None
    assert found.difference.value == 0.5
    assert found.d == pytest.approx(0.5 / (1 / 3) ** 0.5)
    assert effect(np.array([]), np.array([])) is None
    alike = effect(np.zeros(3), np.ones(3))
    assert alike is not None
    assert alike.d is None  # the differences do not vary


def test_holm_by_hand() -> None:
    """.01 x 4, .02 x 3, .03 x 2, .5 x 1, and none below one before it: .03 x 2 = .06 is, .02 x 3 = .06 too."""
    assert holm([0.03, 0.01, 0.5, 0.02]) == pytest.approx([0.06, 0.04, 0.5, 0.06])
    assert holm([0.04, 0.04]) == pytest.approx([0.08, 0.08])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_agrees_with_its_step_down_procedure(p: list[float]) -> None:
    """An adjusted p is at most alpha exactly where Holm's procedure, run at alpha, rejects."""
    adjusted = holm(p)
    for alpha in (0.01, 0.05, 0.2, 0.9):
        order = sorted(range(len(p)), key=lambda i: p[i])
        rejected: set[int] = set()
        for k, i in enumerate(order):
            if p[i] * (len(p) - k) > alpha:
                break
            rejected.add(i)
        assert {i for i in range(len(p)) if adjusted[i] <= alpha} == rejected
