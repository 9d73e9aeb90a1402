"""The texts of the page."""

from __future__ import annotations

from rag.chat.texts import Texts
from rag.confidence import FEATURES, READING_FEATURES


def test_every_signal_has_a_name_that_a_reader_understands() -> None:
    """The drawer names each feature of the confidence, and no feature that is no more."""
    assert sorted(name for name, _ in Texts().signal_names) == sorted((*FEATURES, *READING_FEATURES))
