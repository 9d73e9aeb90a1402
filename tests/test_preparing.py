"""Preparing: chunks and the segments in them, whatever the text."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rag.chunking import tiktoken_counter
from rag.encoding import HashingEncoder
from rag.preparing import prepare
from rag.records import Anchor, AnchorKind, Document, Source
from rag.terms import Analyzer
from tests.generated import assert_no_cut, assert_partition, texts

COUNT, ANALYZER = tiktoken_counter(), Analyzer()


@given(texts(), st.integers(4, 64), st.lists(st.integers(0, 300), max_size=5))
def test_segments_lie_in_their_chunks_and_lose_nothing(text: str, limit: int, places: list[int]) -> None:
    """Chunks, and their segments, each part the whole text; a segment lies in its chunk and crosses no anchor."""
    anchors = tuple(Anchor(place, AnchorKind.SPEAKER, "Ada") for place in sorted(places) if place < len(text))
    document = Document("0" * 16, "a.txt", "0" * 64, text, Source("The Tolls"), anchors)
    encoder = HashingEncoder(max_tokens=limit)
    prepared = prepare(document, encoder, ANALYZER, COUNT, 64)
    assert_partition(text, prepared.chunks)
    assert_partition(text, [segment for inside in prepared.segments for segment in inside])
    assert_no_cut([segment for inside in prepared.segments for segment in inside], [a.start for a in anchors])
    for chunk, inside, terms in zip(prepared.chunks, prepared.segments, prepared.terms, strict=True):
        assert inside
        assert all(chunk.start <= segment.start < segment.end <= chunk.end for segment in inside)
        assert [ANALYZER.index_text(text[a:b]) for a, b in inside] == list(terms)
    assert prepared.chunk_texts() == [text[a:b] for a, b in prepared.chunks]
    assert all(encoder.count_tokens(part) <= limit for part in prepared.chunk_texts() + prepared.segment_texts())
    assert prepared.title_terms == ("the", "toll")
