"""An answer's text in parts."""

from __future__ import annotations

from rag.answering import cite, compose
from rag.chat.parts import Words, parts
from rag.records import Quote
from tests.chat.library import SmallBackend


def test_numbers_inside_quotes_stay_words() -> None:
    """A document that says [9] or [1] makes no citation; only the answer's own numbers do."""
    answer = SmallBackend().ask("What does the lorikeet say?")
    found = parts(answer.text, answer.citations)
    numbers = [part.number for part in found if not isinstance(part, Words)]
    assert numbers == [citation.number for citation in answer.citations]
    assert any(isinstance(part, Words) and part.quoted and "[1] [9]" in part.text for part in found)


def test_parts_make_up_the_text() -> None:
    """Put together again, the parts are the text."""
    answer = SmallBackend().ask("Why did the fishermen strike about the harbour toll?")
    whole = "".join(p.text if isinstance(p, Words) else f"[{p.number}]" for p in parts(answer.text, answer.citations))
    assert whole == answer.text


def test_an_unknown_number_stays_text() -> None:
    """A number that cites nothing is shown as it stands."""
    document = SmallBackend().documents()[0]
    citations = cite([Quote(document, 0, 13, 1.0)])
    assert parts(f"{compose(citations)} and [7]", citations)[-1] == Words(" and [7]")
