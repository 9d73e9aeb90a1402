"""The records: frozen, and a quote is a stretch of its document or nothing."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.records import Document, Passage, PassageScores, Quote, Source

TEXT = "The toll of the harbour was two crowns. 😀 数字"
DOCUMENT = Document("0" * 16, "folder/a.txt", "0" * 64, TEXT, Source())


@given(st.integers(-5, 60), st.integers(-5, 60))
def test_quote_is_a_stretch_or_nothing(start: int, end: int) -> None:
    """A quote inside its document shows exactly its characters; any other cannot be made."""
    if 0 <= start < end <= len(TEXT):
        assert Quote(DOCUMENT, start, end, 1.0).text == TEXT[start:end]
    else:
        with pytest.raises(ValueError, match="lies outside its document"):
            Quote(DOCUMENT, start, end, 1.0)


def test_records_cannot_change() -> None:
    """No field of a record can be set, and none can be added."""
    quote = Quote(DOCUMENT, 0, 3, 1.0)
    with pytest.raises(dataclasses.FrozenInstanceError):
        quote.start = 1  # type: ignore[misc]  # this is the point
    assert not hasattr(quote, "__dict__")


def test_title_falls_back_to_the_file_name() -> None:
    """A document without a title is cited by its file name, without its folder."""
    assert DOCUMENT.title == "a.txt"
    assert dataclasses.replace(DOCUMENT, source=Source("The Toll")).title == "The Toll"
    assert dataclasses.replace(DOCUMENT, source=Source(" \n")).title == "a.txt"


def test_passage_text_is_the_stretch() -> None:
    """A passage shows exactly its characters."""
    assert Passage(1, 0.5, DOCUMENT, 4, 8, PassageScores(0.5, 0.5, None, 0.5)).text == "toll"
