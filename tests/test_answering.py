"""Answering: the documents' own words with their numbers, or the abstention."""

from __future__ import annotations

from rag.answering import ABSTENTION, cite, compose
from rag.records import Document, Quote, Source

DOCUMENT = Document("0" * 16, "a.txt", "0" * 64, "The toll was\r\n  two crowns.\nNobody paid it.", Source())


def test_quotes_are_numbered_in_order_and_located() -> None:
    """Citations count from 1 in the order given, each with its place."""
    citations = cite([Quote(DOCUMENT, 28, 43, 0.5), Quote(DOCUMENT, 0, 27, 1.0)])
    assert [(c.number, c.quote.start, c.location) for c in citations] == [(1, 28, "line 3"), (2, 0, "lines 1–2")]


def test_answer_is_made_of_quotes_only() -> None:
    """One quote a line with its number; white space is shown as single spaces, the citation keeps it."""
    citations = cite([Quote(DOCUMENT, 0, 27, 1.0), Quote(DOCUMENT, 28, 43, 0.5)])
    assert compose(citations) == "“The toll was two crowns.” [1]\n“Nobody paid it.” [2]"
    assert citations[0].quote.text == "The toll was\r\n  two crowns."


def test_nothing_to_quote_is_the_abstention() -> None:
    """Without a quote the answer is the plain sentence."""
    assert compose(()) == ABSTENTION == "The documents do not answer this."
