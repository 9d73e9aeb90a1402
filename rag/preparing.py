"""Preparing: a document to what is encoded and stored: chunks, their segments, and the texts that stand for them."""

from __future__ import annotations

from dataclasses import dataclass

from rag.chunking import TokenCounter, chunk
from rag.encoding import Encoder
from rag.records import AnchorKind, Document, Span
from rag.segmenting import segments
from rag.terms import Analyzer

FORMAT = 5
"""Changes whenever the same document would be prepared differently, so that indexes are built anew."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A document ready to be encoded. All sequences are one entry a chunk, in order."""

    document: Document
    chunks: tuple[Span, ...]
    segments: tuple[tuple[Span, ...], ...]
    """Segments that begin in the chunk, cut at its ends; together they cover it but for white space."""
    terms: tuple[tuple[str, ...], ...]
    """What keyword search sees of each segment: stems separated by spaces."""
    title_terms: tuple[str, ...]
    """Stems of the title: keyword search finds each chunk by them too."""

    def chunk_texts(self) -> list[str]:
        """The texts the encoder reads for the chunks."""
        return [self.document.text[s.start : s.end] for s in self.chunks]

    def segment_texts(self) -> list[str]:
        """The texts the encoder reads for the segments, over all chunks."""
        return [self.document.text[s.start : s.end] for inside in self.segments for s in inside]


def prepare(
    document: Document, encoder: Encoder, analyzer: Analyzer, count_tokens: TokenCounter, chunk_tokens: int
) -> Prepared:
    """Cut a document into chunks of at most `chunk_tokens` and their segments."""
    # A sentence may go on across the end of a page or of a caption, not into another section or another mouth.
    cuts = [a.start for a in document.anchors if a.kind in (AnchorKind.HEADING, AnchorKind.SPEAKER)]
    all_segments = segments(document.text, cuts)
    chunks = chunk(
        document.text,
        all_segments,
        max_tokens=chunk_tokens,
        count_tokens=count_tokens,
        max_encoder_tokens=encoder.card.max_tokens,
        count_encoder_tokens=encoder.count_tokens,
    )
    inside: list[tuple[Span, ...]] = []
    i = 0
    for span in chunks:
        mine = []
        while i < len(all_segments) and all_segments[i].start < span.end:
            segment = all_segments[i]
            mine.append(Span(max(segment.start, span.start), min(segment.end, span.end)))
            if segment.end > span.end:
                break  # cut where it alone is over a limit: the rest belongs to the next chunk
            i += 1
        inside.append(tuple(mine))
    text = document.text
    return Prepared(
        document,
        tuple(chunks),
        tuple(inside),
        tuple(tuple(analyzer.index_text(text[s.start : s.end]) for s in spans) for spans in inside),
        tuple(term.stem for term in analyzer.terms(document.source.title)),
    )
