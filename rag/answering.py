"""Answering: quotes to a text with numbered citations, made of the documents' own words."""

from __future__ import annotations

from collections.abc import Sequence

from rag.location import location
from rag.records import Citation, Quote

ABSTENTION = "The documents do not answer this."


def cite(quotes: Sequence[Quote]) -> tuple[Citation, ...]:
    """Number the quotes from 1 and say where each stands."""
    return tuple(
        Citation(number, quote, location(quote.document, quote.start, quote.end))
        for number, quote in enumerate(quotes, 1)
    )


def compose(citations: Sequence[Citation]) -> str:
    """The answer in the documents' words: one quote a line, each with its number; the abstention where there is none.

    White space within a quote is shown as single spaces; the citation holds the exact stretch.
    """
    if not citations:
        return ABSTENTION
    return "\n".join(f"“{' '.join(citation.quote.text.split())}” [{citation.number}]" for citation in citations)
