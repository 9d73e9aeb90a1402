"""What people read: nothing of a document acts on the terminal, and an abstention says what it is."""

from __future__ import annotations

import unicodedata
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.answering import cite, compose
from rag.assistant import Assistant
from rag.cleaning import clean
from rag.display import reference, show_answer, show_passages
from rag.records import Anchor, AnchorKind, Answer, Document, Quote, Source, SourceState

EVIL = "a\x1b[31mb\x07c\u202ed\u2066e\x9bf\r\ng\x00"


@given(st.text())
def test_clean_text_is_printable(text: str) -> None:
    """What is left has no control, format or surrogate characters but joiners, and no white space but single spaces."""
    cleaned = clean(text)
    assert all(c in "\u200c\u200d" or unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Zl", "Zp") for c in cleaned)
    assert " ".join(cleaned.split()) == cleaned
    assert clean(cleaned) == cleaned


def test_clean_keeps_what_can_be_read() -> None:
    """Letters of any script, emoji with their joiners and punctuation stay."""
    for text in ("naïve Ελλάδα 数字经济 “yes” – 53 %", "👨‍👩‍👧", "می‌خواهم"):
        assert clean(text) == text
    assert clean(EVIL) == "a\ufffd[31mb\ufffdc\ufffdd\ufffde\ufffdf g\ufffd"


@pytest.mark.parametrize("mark", ["\u00ad", "\u200b", "\u2060", "\ufeff"])
def test_clean_leaves_out_marks_of_line_breaks(mark: str) -> None:
    """A soft hyphen or a zero-width space inside a word does not tear it apart, and between spaces leaves one."""
    assert clean(f"{mark}lan{mark}guage {mark} ភាសា{mark}ខ្មែរ") == "language ភាសាខ្មែរ"


@pytest.fixture
def evil() -> Document:
    """A document whose every field holds control characters."""
    text = f"{EVIL} the toll of the harbour"
    source = Source(title=EVIL, publisher=EVIL, date=EVIL)
    return Document("0" * 16, f"{EVIL}.txt", "0" * 64, text, source, (Anchor(0, AnchorKind.SPEAKER, EVIL),))


def test_nothing_of_a_document_acts_on_the_terminal(capsys: pytest.CaptureFixture[str], evil: Document) -> None:
    """Text, title, publisher, date and speaker are cleaned where an answer is shown."""
    citations = cite([Quote(evil, 0, len(evil.text), 1.0)])
    show_answer(Answer("?", compose(citations), citations, False, 0.9, (), (), "v", "e", {"total": 1.0}))
    out = capsys.readouterr().out
    assert "the toll of the" in out
    assert all(c.isprintable() or c == "\n" for c in out)
    assert all(c.isprintable() for c in reference(evil))


def test_a_source_that_has_changed_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    """An answer from a document whose file has changed or gone says which, and the command that mends it."""
    documents = [Document(c * 16, f"{c}.txt", "0" * 64, "the toll of the harbour", Source()) for c in "ab"]
    citations = cite([Quote(document, 0, 8, 1.0) for document in documents])
    answer = Answer("?", compose(citations), citations, False, 0.9, (), (), "v", "e", {"total": 1.0})
    show_answer(answer)
    assert "rag index" not in capsys.readouterr().out
    show_answer(replace(answer, stale={"b" * 16: SourceState.CHANGED}))
    out = " ".join(capsys.readouterr().out.split())
    assert "b.txt has changed since the index was built" in out
    assert "a.txt" not in out.partition("b.txt has")[2]
    assert "rag index" in out


def test_markup_is_shown_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    """Square brackets and colons in a document are not rich's markup or emoji."""
    document = Document("0" * 16, "a.txt", "0" * 64, "[bold red]x[/] :smile: [link=http://e]", Source())
    citations = cite([Quote(document, 0, len(document.text), 1.0)])
    show_answer(Answer("?", compose(citations), citations, False, 0.9, (), (), "v", "e", {"total": 1.0}))
    assert "[bold red]x[/] :smile: [link=http://e]" in capsys.readouterr().out


def test_abstention_offers_the_closest_as_exactly_that(
    capsys: pytest.CaptureFixture[str], assistant: Assistant
) -> None:
    """An abstention is the plain sentence and, marked as such, at most three passages."""
    answer = assistant.ask("How do I bake sourdough bread?")
    show_answer(answer)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "The documents do not answer this."
    assert "The closest passages, which may not answer it:" in lines
    assert sum(line.startswith(("1. ", "2. ", "3. ", "4. ")) for line in lines) <= 3


def test_no_passages_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    """A search that finds nothing says so."""
    show_passages([])
    assert capsys.readouterr().out == "Nothing was found.\n"


def test_piped_output_has_no_colours(capsys: pytest.CaptureFixture[str], assistant: Assistant) -> None:
    """Where stdout is no terminal there are no escape sequences."""
    show_answer(assistant.ask("What is the digital Silk Road?"))
    out = capsys.readouterr().out
    assert "[1]" in out
    assert "\x1b" not in out
