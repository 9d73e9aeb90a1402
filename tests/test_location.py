"""Locations: lines as an editor counts them, and what sources and headings name."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.location import line_at, location
from rag.records import Anchor, AnchorKind, Document, Source
from tests.generated import texts


def document(text: str, *anchors: Anchor, path: str = "a.txt") -> Document:
    return Document("0" * 16, path, "0" * 64, text, Source(), anchors)


@given(texts(), st.data())
def test_line_is_the_one_an_editor_shows(text: str, data: st.DataObject) -> None:
    """The line of an offset is one more than the line ends (LF, CR LF or CR) wholly before it."""
    start = data.draw(st.integers(0, max(0, len(text) - 1)))
    before = text[:start]
    line = 1 + before.count("\n") + before.count("\r") - before.count("\r\n")
    if before.endswith("\r") and text[start : start + 1] == "\n":
        line -= 1  # between the two characters of one line end
    assert location(document(text), start, start + 1).startswith(f"line {line}")


@given(st.text(st.sampled_from("a\r\n")), st.data())
def test_a_line_counted_on_from_another_is_the_same(text: str, data: st.DataObject) -> None:
    """Wherever one stops on the way, also between the two characters of one line end."""
    offset = data.draw(st.integers(0, len(text)))
    counted = data.draw(st.integers(0, offset))
    assert line_at(text, offset, counted, line_at(text, counted)) == line_at(text, offset)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_by_hand(end: str) -> None:
    """The first and the last line of a stretch, whatever the line ends."""
    text = end.join(["one", "two", "three", "four"])
    assert location(document(text), 0, 3) == "line 1"
    assert location(document(text), text.index("two"), text.index("four") + 4) == "lines 2–4"
    assert location(document(text), text.index("two"), text.index("three")) == "line 2"


def test_a_long_line_is_given_with_its_share() -> None:
    """In a line of many screens the share of the way through is given too."""
    text = "x" * 1000
    assert location(document(text), 500, 510) == "line 1, 50 % of the way through"


def test_what_names_the_place_comes_first() -> None:
    """Section and speaker hold from where they begin to the next; an empty speaker ends the one before."""
    text = "\n".join(["# Toll", "ada speaks", "nobody knows", "# End", "per speaks"])
    anchors = (
        Anchor(0, AnchorKind.HEADING, "Toll"),
        Anchor(text.index("ada"), AnchorKind.SPEAKER, "Ada"),
        Anchor(text.index("nobody"), AnchorKind.SPEAKER, ""),
        Anchor(text.index("# End"), AnchorKind.HEADING, "End"),
        Anchor(text.index("per"), AnchorKind.SPEAKER, "Per"),
    )
    made = document(text, *anchors)
    places = [location(made, text.index(word), text.index(word) + 2) for word in ("ada", "nobody", "per")]
    assert places == ["section Toll, Ada, line 2", "section Toll, line 3", "section End, Per, line 5"]


def test_a_page_stands_for_the_lines() -> None:
    """Where there are pages, nobody counts lines."""
    made = document("a\nb", Anchor(0, AnchorKind.PAGE, "p. 1"), Anchor(2, AnchorKind.PAGE, "p. 2"), path="a.pdf")
    assert location(made, 2, 3) == "p. 2"
