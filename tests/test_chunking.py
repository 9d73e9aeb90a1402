"""Chunks: exact spans that lose nothing and fit the encoder."""

from __future__ import annotations

import logging
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag.chunking import chunk, tiktoken_counter
from rag.encoding import HashingEncoder, OnnxEncoder
from rag.records import Document, Span
from rag.segmenting import segments
from tests.generated import assert_partition, inside_word, texts

COUNT = tiktoken_counter()


def chunks(text: str, max_tokens: int, encoder: HashingEncoder | OnnxEncoder, cuts: tuple[int, ...] = ()) -> list[Span]:
    return chunk(
        text,
        segments(text, cuts),
        max_tokens=max_tokens,
        count_tokens=COUNT,
        max_encoder_tokens=encoder.card.max_tokens,
        count_encoder_tokens=encoder.count_tokens,
    )


@given(texts(), st.integers(16, 200), st.integers(8, 64))
def test_chunks_partition_any_text(text: str, max_tokens: int, max_encoder_tokens: int) -> None:
    """Chunks are exact spans in order, lose nothing but white space, and none is longer than the encoder reads."""
    encoder = HashingEncoder(max_tokens=max_encoder_tokens)
    found = chunks(text, max_tokens, encoder)
    assert_partition(text, found)
    assert all(encoder.count_tokens(text[a:b]) <= max_encoder_tokens for a, b in found)


@settings(max_examples=40)
@given(text=texts(), max_tokens=st.integers(16, 600))
def test_chunks_fit_the_real_encoder(real_encoder: OnnxEncoder, text: str, max_tokens: int) -> None:
    """Counted with the encoder's own tokenizer, special tokens included, no chunk is longer than it reads."""
    found = chunks(text, max_tokens, real_encoder)
    assert_partition(text, found)
    assert all(real_encoder.count_tokens(text[a:b]) <= real_encoder.card.max_tokens for a, b in found)


@pytest.mark.parametrize("max_tokens", [16, 64, 128, 512])
def test_chunks_of_the_seeds(real_encoder: OnnxEncoder, seed_documents: tuple[Document, ...], max_tokens: int) -> None:
    """On the real documents chunks are exact, whole words, within both limits, and filled at least to half."""
    for document in seed_documents:
        found = chunks(document.text, max_tokens, real_encoder, tuple(a.start for a in document.anchors))
        assert_partition(document.text, found)
        counts = [COUNT(document.text[a:b]) for a, b in found]
        assert max(counts) <= max_tokens
        assert max(real_encoder.count_tokens(document.text[a:b]) for a, b in found) <= real_encoder.card.max_tokens
        assert not any(inside_word(document.text, offset) for span in found for offset in span)
        if max_tokens >= 128:
            assert sum(counts) / len(counts) > min(max_tokens, 190) / 2


def test_chunks_hold_whole_segments(seed_documents: tuple[Document, ...]) -> None:
    """Where nothing is too long, a chunk begins with a segment and ends with one."""
    for document in seed_documents:
        inside = segments(document.text)
        found = chunks(document.text, 128, HashingEncoder(max_tokens=10_000))
        assert {span.start for span in found} <= {span.start for span in inside}
        assert {span.end for span in found} <= {span.end for span in inside}


def test_a_chunk_too_long_for_the_encoder_is_divided_between_segments(seed_documents: tuple[Document, ...]) -> None:
    """Where every segment fits, none is cut, however little of a chunk the encoder reads."""
    for document in seed_documents:
        inside = segments(document.text)
        found = chunks(document.text, 254, HashingEncoder(max_tokens=100))
        assert len(found) > len(chunks(document.text, 254, HashingEncoder(max_tokens=10_000)))
        assert {span.start for span in found} <= {span.start for span in inside}
        assert {span.end for span in found} <= {span.end for span in inside}


def test_special_token_text_is_plain_text() -> None:
    """A document that writes "<|endoftext|>" is counted and kept as those characters."""
    assert COUNT("<|endoftext|>") > 1
    text = "The token <|endoftext|> ends a text. " * 50
    assert_partition(text, chunks(text, 32, HashingEncoder()))


@pytest.mark.parametrize("gap", ["\n", "\t", "\u00a0", "\r\n", "\u3000"])
def test_a_long_segment_is_cut_at_any_white_space(gap: str) -> None:
    """A segment over the limit is cut between words, whatever stands between them, and not inside one."""
    text = gap.join(f"word{i}" for i in range(300))
    found = chunk(
        text, [Span(0, len(text))], max_tokens=40, count_tokens=COUNT, max_encoder_tokens=256,
        count_encoder_tokens=COUNT,
    )  # fmt: skip
    assert_partition(text, found)
    assert len(found) > 1
    assert not any(inside_word(text, offset) for span in found for offset in span)


def test_a_word_is_cut_only_where_it_alone_is_too_long() -> None:
    """White space in the second half of a stretch is taken before a word in its middle is cut."""
    text = "x" * 60 + " " + "y" * 20
    found = chunk(
        text, [Span(0, len(text))], max_tokens=70, count_tokens=len, max_encoder_tokens=70, count_encoder_tokens=len
    )
    assert [text[a:b] for a, b in found] == ["x" * 60, "y" * 20]


@pytest.mark.parametrize("text", ["", " ", "\n\r\n\t\u3000"])
def test_a_text_of_white_space_has_no_chunks(text: str) -> None:
    """Where nothing is to be found, there is no chunk."""
    assert chunks(text, 64, HashingEncoder()) == []


def test_white_space_without_end_does_not_complain(caplog: pytest.LogCaptureFixture) -> None:
    """A sentence followed by 100,000 line breaks is one chunk, and nothing is said on the terminal."""
    text = "One sentence." + "\n" * 100_000 + "Another sentence."
    with caplog.at_level(logging.WARNING):
        found = chunks(text, 16, HashingEncoder())
    assert_partition(text, found)
    assert caplog.records == []


@pytest.mark.parametrize(
    "text",
    ["x" * 200_000, "数字" * 100_000, "a\n" * 100_000],
    ids=lambda text: repr(text[:4]),
)
def test_takes_about_linear_time(real_encoder: OnnxEncoder, text: str) -> None:
    """200,000 characters, with or without a space, are cut in seconds, and each part fits."""
    started = time.perf_counter()
    found = chunks(text, 128, real_encoder)
    assert time.perf_counter() - started < 20
    assert_partition(text, found)
    assert max(COUNT(text[a:b]) for a, b in found) <= 128
    assert max(real_encoder.count_tokens(text[a:b]) for a, b in found) <= real_encoder.card.max_tokens
