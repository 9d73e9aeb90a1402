"""An answer's text as parts: words, quotes and the numbers that cite them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from rag.records import Citation

_NUMBER = re.compile(r"\[(\d{1,2})\]")


@dataclass(frozen=True, slots=True)
class Words:
    """Text of the answer itself, or the words of a quote."""

    text: str
    quoted: bool = False


Part = Words | Citation


def parts(text: str, citations: Sequence[Citation]) -> list[Part]:
    """The text in order, with every "[n]" that cites a quote as that citation.

    A "[n]" inside a quote's own words stays words: a document cannot make a citation.
    """
    found: list[tuple[int, int]] = []
    position = 0
    for citation in citations:
        # White space may be folded in the text; the words are the same.
        words = r"\s+".join(re.escape(word) for word in citation.quote.text.split())
        match = re.compile(words).search(text, position) if words else None
        if match is not None:
            found.append(match.span())
            position = match.end()
    numbers = {citation.number: citation for citation in citations}
    result: list[Part] = []
    position = 0
    for start, end in [*found, (len(text), len(text))]:
        result.extend(_plain(text[position:start], numbers))
        if start < end:
            result.append(Words(text[start:end], quoted=True))
        position = end
    return result


def _plain(text: str, numbers: dict[int, Citation]) -> list[Part]:
    result: list[Part] = []
    position = 0
    for match in _NUMBER.finditer(text):
        citation = numbers.get(int(match[1]))
        if citation is not None:
            result.extend([Words(text[position : match.start()]), citation])
            position = match.end()
    result.append(Words(text[position:]))
    return [part for part in result if not isinstance(part, Words) or part.text]
