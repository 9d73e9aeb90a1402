"""Confidence: the arithmetic of the model, and features that stay within their ranges."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import rag
from rag.confidence import FEATURES, READING_FEATURES, Model, measure
from rag.conversation import understand
from rag.encoding import HashingEncoder
from rag.index import Index
from rag.retrieval import Retrieved, retrieve
from rag.terms import Analyzer


def test_probability_by_hand() -> None:
    """Log-odds 0.5 + 2 (0.75 - 0.5) - 1 (1 - 0.25) = 0.25, probability 1 / (1 + e^-0.25); most telling first."""
    model = Model(0.5, {"a": 2.0, "b": -1.0}, {"a": 0.5, "b": 0.25})
    probability, signals = model.estimate({"a": 0.75, "b": 1.0, "unused": 9.0})
    assert probability == pytest.approx(1 / (1 + math.exp(-0.25)))
    assert [(s.name, s.value, s.contribution) for s in signals] == [("b", 1.0, -0.75), ("a", 0.75, 0.5)]


@given(st.floats(-1e6, 1e6), st.floats(-1e3, 1e3))
def test_probability_is_one(weight: float, value: float) -> None:
    """Whatever the numbers, the confidence lies between 0 and 1."""
    probability, _ = Model(0.0, {"a": weight}, {"a": 0.0}).estimate({"a": value})
    assert 0 <= probability <= 1


def test_shipped_coefficients_fit_the_features() -> None:
    """What ships weighs features that are measured, has a mean for each, and is finite."""
    for reading, features in ((False, set(FEATURES)), (True, {*FEATURES, *READING_FEATURES})):
        model = Model.shipped(reading=reading)
        assert set(model.weights) == set(model.means) <= features
        assert all(math.isfinite(v) for v in (model.intercept, *model.weights.values(), *model.means.values()))
    folder = Path(next(iter(rag.__path__)))
    assert json.loads((folder / "confidence.json").read_text(encoding="utf-8"))["fitted"]


@settings(max_examples=40)
@given(st.text(max_size=120))
def test_features_are_shares(hashing_index: Index, question: str) -> None:
    """For any question every feature is measured, finite, and within [-1, 1]."""
    analyzer = Analyzer()
    query = understand(question, (), HashingEncoder(), analyzer)
    features = measure(query, retrieve(hashing_index, query, 5, characters=1200), analyzer)
    assert tuple(features) == FEATURES
    assert all(math.isfinite(value) and -1 - 1e-6 <= value <= 1 + 1e-6 for value in features.values())


def test_nothing_found_is_nothing_measured() -> None:
    """Without passages every feature is 0."""
    analyzer = Analyzer()
    query = understand("toll", (), HashingEncoder(), analyzer)
    assert measure(query, Retrieved((), (), {}), analyzer) == dict.fromkeys((*FEATURES, *READING_FEATURES), 0.0)
