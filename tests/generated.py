"""Texts that hypothesis draws, and what spans of any text must satisfy."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from hypothesis import strategies as st

from rag.records import Span

WORDS = (
    "harbour toll Ada Holm and so because the of Dr. e.g. U.S. 2.44 15,152 53 % Proença’s naïve 数字经济 很好。 "
    "港は古い 😀👨‍👩‍👧 <|endoftext|> <|fim_prefix|> [SEP] [CLS] «oui» “yes.” (no!) wait... uh um, finally; I it's "
    "http://example.org/a?b=c#d - • 1. | ``` # ## \u202eevil\u202c \u200b x"
).split(" ")
GAPS = (
    " ",
    " ",
    " ",
    "\n",
    "\r\n",
    "\r",
    "\n\n",
    "\r\n\r\n",
    "\t",
    "  ",
    "\u00a0",
    "\u3000",
    "\u2028",
    "\x0c",
    "\ufeff",
)


def texts() -> st.SearchStrategy[str]:
    """Running text of awkward words, white space of every kind, and, now and then, anything at all."""
    pieces = st.one_of(st.sampled_from(WORDS), st.sampled_from(GAPS), st.sampled_from([". ", ", ", "! ", " and "]))
    running = st.lists(pieces, max_size=300).map("".join)
    spaced = st.lists(st.tuples(st.sampled_from(WORDS), st.sampled_from(GAPS)), max_size=200).map(
        lambda pairs: "".join(part for pair in pairs for part in pair)
    )
    anything = st.text(st.characters(exclude_categories=["Cs"]), max_size=200)
    return st.one_of(running, spaced, anything)


def assert_partition(text: str, spans: Sequence[Span]) -> None:
    """Spans are in order, do not overlap, hold no white space at their ends, and leave nothing else out."""
    position = 0
    for span in spans:
        assert position <= span.start < span.end <= len(text)
        assert not text[position : span.start].strip(), "something other than white space lies between two spans"
        assert text[span.start : span.end] == text[span.start : span.end].strip()
        position = span.end
    assert not text[position:].strip(), "something other than white space is left at the end"


def inside_word(text: str, offset: int) -> bool:
    """True where a cut at the offset would part two letters or digits of one word, in a script with spaces."""
    if not 0 < offset < len(text):
        return False
    before, after = text[offset - 1], text[offset]
    return before.isalnum() and after.isalnum() and before.isascii() and after.isascii()


def assert_no_cut(spans: Sequence[Span], cuts: Sequence[int]) -> None:
    """No span goes across a cut."""
    for span in spans:
        assert not any(span.start < cut < span.end for cut in cuts)


def gaps(spans: Sequence[Span]) -> list[tuple[int, int]]:
    """The stretches between consecutive spans."""
    return [(a.end, b.start) for a, b in pairwise(spans)]
