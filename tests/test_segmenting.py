"""Segments: an exact partition of any text, cut where a sentence or a clause ends."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.records import Document, Span
from rag.segmenting import MAX_WORDS, first_words, segments, strip, word_count
from tests.generated import assert_no_cut, assert_partition, inside_word, texts


def shown(text: str) -> list[str]:
    return [text[span.start : span.end] for span in segments(text)]


@given(texts())
def test_segments_partition_any_text(text: str) -> None:
    """Segments are in order, do not overlap, leave out nothing but white space, and never cut a word."""
    found = segments(text)
    assert_partition(text, found)
    assert not any(inside_word(text, offset) for span in found for offset in span)


@given(texts(), st.lists(st.integers(0, 400), max_size=8))
def test_no_segment_goes_across_a_cut(text: str, cuts: list[int]) -> None:
    """Wherever a new speaker or page begins, so does a new segment, and still nothing is lost."""
    found = segments(text, cuts)
    assert_partition(text, found)
    assert_no_cut(found, cuts)


def test_words_of_unspaced_scripts_are_counted() -> None:
    """Two characters of a script without spaces are a word, with the marks after them."""
    assert word_count("the  GDP\nof 2023") == 4
    assert word_count("数字经济，发展快。") == 4
    assert word_count("中国GDP增长 5%") == 4


def test_the_first_words_end_where_their_count_ends() -> None:
    """By the same count, in every script; there is no more than all."""
    assert first_words("the  GDP\nof 2023", 2) == 8
    assert first_words("数字经济，发展快。", 2) == 5
    assert first_words(" a ", 5) == 2
    assert first_words("  ", 5) == 0


def test_a_long_chinese_sentence_is_divided_at_its_commas() -> None:
    sentence = "，".join(["各省政府面临预算不足的问题"] * 12) + "。"
    found = [sentence[a:b] for a, b in segments(sentence)]
    assert len(found) > 1
    assert all(part[-1] in "，。" for part in found)


@given(texts())
def test_long_sentences_are_cut_into_quotable_clauses(text: str) -> None:
    """No segment has more words than can be quoted."""
    assert all(word_count(text[span.start : span.end]) <= MAX_WORDS for span in segments(text))


def test_seeds_are_partitioned(seed_documents: tuple[Document, ...]) -> None:
    """On the real documents segments lose nothing, cut no word, cross no turn, and are short enough to quote."""
    for document in seed_documents:
        turns = [anchor.start for anchor in document.anchors]
        found = segments(document.text, turns)
        assert_partition(document.text, found)
        assert_no_cut(found, turns)
        assert not any(inside_word(document.text, offset) for span in found for offset in span)
        assert max(word_count(document.text[a:b]) for a, b in found) <= MAX_WORDS


def test_sentences_end_where_they_end() -> None:
    """Full stops of abbreviations, initials and numbers end no sentence; closing quotes belong to theirs."""
    text = "Dr. Ada L. Holm paid 2.5 crowns, e.g. in May. “It is too high.” She said so! Why? 很好。港は古い。"
    assert shown(text) == [
        "Dr. Ada L. Holm paid 2.5 crowns, e.g. in May.",
        "“It is too high.”",
        "She said so!",
        "Why?",
        "很好。",
        "港は古い。",
    ]
    for text in ("यह पहला है। यह दूसरा है॥", "یہ ایک ہے۔ یہ دو ہے؟", "Մեկ։ Երկու։"):
        assert len(shown(text)) == 2


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_line_breaks_within_a_sentence_do_not_cut_it(end: str) -> None:
    """A wrapped sentence is one segment whatever its line ends; a heading and a list item stand alone."""
    lines = [
        "# Tolls",
        "The harbour of Norby was built in 1874 by the engineer",
        "Ada Holm and it kept the town alive for a century.",
        "",
        "- two crowns",
        "- five crowns",
    ]
    text = end.join(lines)
    assert shown(text) == ["# Tolls", f"{lines[1]}{end}{lines[2]}", "- two crowns", "- five crowns"]


def test_unpunctuated_speech_is_cut_at_pauses() -> None:
    """A transcript without punctuation is cut into clauses of 8 words or more, and names stay whole."""
    text = (
        "so I think we have seen that the toll was raised uh because the harbour needed a new wall and then Ada Holm "
        "said that the Bank of Norby would not pay for it so the fishermen went on strike for eleven days but nobody "
        "in the capital understood why the herring mattered so much to us"
    )
    found = shown(text)
    assert len(found) > 1
    assert all(8 <= word_count(segment) <= MAX_WORDS for segment in found)
    assert any("Ada Holm" in segment for segment in found)
    assert any("Bank of Norby" in segment for segment in found)


@pytest.mark.parametrize(
    "text",
    [
        "x" * 200_000,
        "数字" * 100_000,
        "很好。" * 70_000,
        "😀" * 200_000,
        "a " * 100_000,
        ". " * 100_000,
        "." * 200_000,
        "\n" * 200_000,
        "a\n" * 100_000,
        "-" * 200_000,
        "Dr. " * 50_000,
        "“" * 100_000 + "x. " * 30_000,
        "a. " + " " * 200_000 + "b",
    ],
    ids=lambda text: repr(text[:4]),
)
def test_takes_linear_time(text: str) -> None:
    """200,000 characters of anything are segmented in seconds; a quadratic step would take minutes."""
    started = time.perf_counter()
    found = segments(text)
    assert time.perf_counter() - started < 6
    assert_partition(text, found)


def test_many_cuts_take_linear_time() -> None:
    """A cut at every character of a long text is no problem."""
    started = time.perf_counter()
    assert len(segments("x" * 50_000, range(50_000))) == 50_000
    assert time.perf_counter() - started < 3


def test_strip() -> None:
    """A span without the white space at its ends; None for one that is nothing else."""
    text = " \u3000a b\x0c\r\n"
    assert strip(text, Span(0, len(text))) == Span(2, 5)
    assert strip(text, Span(5, 8)) is None
    assert strip(text, Span(3, 3)) is None
