"""The drawer that says why an answer is what it is."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rag.chat.escaping import escape
from rag.chat.texts import ENGLISH
from rag.chat.why import why_view
from tests.chat.library import SmallBackend


@pytest.mark.parametrize(
    ("abstained", "confidence", "said"),
    [
        (False, 0.93, "Answered, because the confidence of 0.93 reaches the threshold of 0.30."),
        (True, 0.12, "Not answered, because the confidence of 0.12 stays below the threshold of 0.30."),
        (True, 0.93, "reaches the threshold of 0.30, but nothing was found that could be quoted."),
        (True, 0.3, "reaches the threshold of 0.3000, but nothing was found that could be quoted."),
        (True, 0.2961, "Not answered, because the confidence of 0.2961 stays below the threshold of 0.3000."),
    ],
)
def test_the_verdict_is_true(abstained: bool, confidence: float, said: str) -> None:
    """An abstention is laid on the confidence only where that is too low, and else on there being nothing to quote."""
    answer = replace(SmallBackend().ask("Who built the harbour?"), abstained=abstained, confidence=confidence)
    view = why_view(answer, 0.3, ENGLISH)
    assert escape(said) in view
    assert ("stays below" in view) == (confidence < 0.3)
