"""Follow-ups: a question that cannot stand alone brings its subject along, and only such a one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.conversation import needs_context, understand
from rag.encoding import HashingEncoder
from rag.terms import Analyzer

ANALYZER, ENCODER = Analyzer(), HashingEncoder()


@pytest.mark.parametrize("question", ["And how much is it?", "Why?", "What about them?", "Who said that?"])
def test_questions_that_point_back(question: str) -> None:
    """A pronoun, an opening such as "and", or hardly a word of its own points back."""
    assert needs_context(question, ANALYZER)


def test_subject_is_inherited_at_less_weight() -> None:
    """A follow-up is searched with the words of the question before it, which count less than its own."""
    query = understand("And what does it cost?", ["What is the digital Silk Road?"], ENCODER, ANALYZER)
    weights = dict(zip(query.stems, query.stem_weights, strict=True))
    assert weights["cost"] == 1.0
    assert 0 < weights["silk"] < 1
    assert query.text == "And what does it cost?"


def test_question_that_stands_alone_is_left_alone() -> None:
    """A whole question is understood the same with a history as without."""
    question = "How many joint laboratories has China built along the Belt and Road?"
    alone, after = (understand(question, h, ENCODER, ANALYZER) for h in ([], ["How big is Tianjin?"]))
    assert alone.stems == after.stems
    np.testing.assert_array_equal(alone.vector, after.vector)


@given(st.text(max_size=80), st.lists(st.text(max_size=80), max_size=3))
def test_any_conversation_is_understood(question: str, history: list[str]) -> None:
    """Whatever was asked: a vector of length 1, and each stem once with its weight."""
    query = understand(question, history, ENCODER, ANALYZER)
    assert float(np.linalg.norm(query.vector)) == pytest.approx(1, abs=1e-4)
    assert len(query.stems) == len(set(query.stems)) == len(query.stem_weights)
