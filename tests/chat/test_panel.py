"""The panel: a whole document with its quotes marked by offsets."""

from __future__ import annotations

import html
import re
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.chat import panel
from rag.chat.panel import View, source_view
from rag.chat.places import Place
from rag.chat.texts import ENGLISH
from rag.location import location
from rag.records import Anchor, AnchorKind, Source
from tests.chat.library import HARBOUR, MARKUP, document, library


class Reader(HTMLParser):
    """The text of an article, of its current mark and of its other marks."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.stack: list[str] = []
        self.text = self.now = self.other = ""
        self.tags: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        name = dict(attrs).get("class") or ""
        self.stack.append(f"{tag}.{name}")
        self.tags.add(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.stack.pop().split(".")[0] == tag

    def handle_data(self, data: str) -> None:
        if "article." in self.stack and "span.line" not in self.stack and not any("anchor" in s for s in self.stack):
            self.text += data
            self.now += data if "mark.now" in self.stack else ""
            self.other += data if "mark.other" in self.stack else ""


def read(markup: str) -> Reader:
    """Parse a view."""
    reader = Reader()
    reader.feed(markup)
    assert reader.stack == []
    return reader


words = st.text(st.sampled_from("ab <&\n\n\r.é中$`{}"), min_size=1, max_size=400)


@given(words, st.data())
def test_marks_are_the_quotes_and_all_else_is_the_text(text: str, data: st.DataObject) -> None:
    """Whatever the text and the quotes, the mark holds exactly the quote, and nothing but blank lines is left out."""
    start = data.draw(st.integers(0, len(text) - 1))
    end = data.draw(st.integers(start + 1, len(text)))
    other_start = data.draw(st.integers(0, len(text) - 1))
    anchors = tuple(
        Anchor(at, AnchorKind.SPEAKER, "Somebody")
        for at in sorted(data.draw(st.sets(st.integers(0, len(text) - 1), max_size=3)))
    )
    item = document("a.txt", text, Source(), anchors)
    current, other = Place(item, start, end), Place(item, other_start, len(text))
    seen = read(source_view(View(item, current, (other, current)), ENGLISH))
    squeeze = str.split
    assert "".join(squeeze(seen.text)) == "".join(squeeze(text))
    assert "".join(squeeze(seen.now)) == "".join(squeeze(text[start:end]))
    rest = text[other_start : max(start, other_start)] + text[max(end, other_start) :]
    assert "".join(squeeze(seen.other)) == "".join(squeeze(rest))


def test_line_numbers_count_every_line() -> None:
    """The number beside a paragraph is the number of its first line in the file."""
    item = library()[0]
    view = source_view(View(item), ENGLISH)
    numbered = re.findall(r'title="Line (\d+)">\d+</span><p>([^<]{5,12})', view)
    lines = HARBOUR.split("\n")
    assert len(numbered) == 4
    for number, begins in numbered:
        assert lines[int(number) - 1].startswith(html.unescape(begins)[:5])


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_line_has_the_number_that_its_citation_gives(end: str) -> None:
    """Whatever the line ends, and where a speaker begins within a line."""
    text = end.join(["one", "", "three", "four", "five"])
    item = document("a.txt", text, Source(), (Anchor(text.index("four") + 2, AnchorKind.SPEAKER, ""),))
    shown = re.findall(r'title="Line (\d+)">\d+</span><p>(\w+)', source_view(View(item), ENGLISH))
    assert shown == [("1", "one"), ("3", "three"), ("4", "fo"), ("4", "ur"), ("5", "five")]
    for number, words in shown:
        at = text.index(words)
        assert location(item, at, at + len(words)) == f"line {number}"


def test_hostile_documents_make_no_markup() -> None:
    """A document's text, title, file name and metadata are text in the panel."""
    item = library()[2]
    start = item.text.index("<img")
    seen = read(source_view(View(item, Place(item, start, start + 60)), ENGLISH))
    assert seen.tags <= {"div", "h2", "p", "button", "span", "a", "article", "mark"}
    assert "".join(MARKUP.split()) in "".join(seen.text.split())


def test_a_long_document_is_sent_in_parts() -> None:
    """Only a window of a very long document is sent, with the quote in it and links to what is before and after."""
    text = "A line of a very long document that goes on.\n" * 40_000
    item = document("long.txt", text, Source())
    place = Place(item, 900_000, 900_040)
    view = source_view(View(item, place), ENGLISH)
    assert len(view) < 3 * panel.WINDOW_CHARACTERS
    assert read(view).now == place.text
    assert view.count(f'href="#read/{item.id}.') == 2


@pytest.mark.parametrize("line", ["A line of a very long document that goes on.\n", "no lines at all "])
def test_the_parts_of_a_long_document_leave_nothing_out(monkeypatch: pytest.MonkeyPatch, line: str) -> None:
    """Read forwards or backwards they are the text, each word once; from a quote on none is skipped either."""
    monkeypatch.setattr(panel, "WINDOW_CHARACTERS", 4000)
    text = "".join(f"{number} {line}" for number in range(1000))
    item = document("long.txt", text, Source())

    def follow(view: View, label: str) -> list[str]:
        """What one reads on the way from a view through its links of this label."""
        markup = source_view(view, ENGLISH)
        link = re.search(rf'href="#read/{item.id}\.(\d+)">{label}', markup)
        said = read(markup).text.replace(ENGLISH.earlier_part, "").replace(ENGLISH.later_part, "")
        return [said, *(follow(View(item, offset=int(link[1])), label) if link else [])]

    forwards = follow(View(item), ENGLISH.later_part)
    assert len(forwards) > 4
    assert "".join(forwards) == text
    last = text.rindex(forwards[-1])
    assert follow(View(item, offset=last), ENGLISH.earlier_part) == forwards[::-1]
    quote = View(item, Place(item, 9000, 9040))
    shown, *later = follow(quote, ENGLISH.later_part)
    assert text.endswith(shown + "".join(later))
    before = follow(quote, ENGLISH.earlier_part)[1:][::-1]
    assert text.startswith("".join(before))
    assert len("".join(before)) >= text.index(shown)


def test_previous_and_next_lead_through_the_quotes() -> None:
    """The buttons hold the neighbours' references, and the first quote has no previous one."""
    item = library()[0]
    places = [Place(item, 0, 10), Place(item, 20, 40), Place(item, 50, 60)]
    first = source_view(View(item, places[0], tuple(places)), ENGLISH)
    assert re.search(r'class="icon previous" disabled', first)
    assert f'class="icon next" data-do="step" data-ref="{places[1].ref}"' in first
    assert "Quote 1 of 3" in first
