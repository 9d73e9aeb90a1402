"""Quoting, whatever its rules: exact stretches, apart, few, and never half a word."""

from __future__ import annotations

import time
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag.conversation import understand
from rag.encoding import HashingEncoder
from rag.index import Index
from rag.quoting import MAX_WORDS, ONE_THING, QuoteRules, _without_fillers, select_quotes
from rag.records import Span
from rag.retrieval import Retrieved, retrieve
from rag.terms import Analyzer
from tests.generated import inside_word

WORDS = "digital economy China province talent GDP Hefei 5G 2024 innovation what hurdles do face Ruby finance".split()


@settings(max_examples=40)
@given(
    words=st.lists(st.sampled_from(WORDS), min_size=1, max_size=8),
    most=st.integers(1, 6),
    least=st.floats(0, 1),
    total=st.integers(0, 400),
)
def test_quotes_keep_the_contract_under_any_rules(
    hashing_index: Index, words: list[str], most: int, least: float, total: int
) -> None:
    """At most as many as asked for, within a passage, apart, of whole words, 60 at most, scored from 0 to 1."""
    query = understand(" ".join(words), (), HashingEncoder(), Analyzer())
    retrieved = retrieve(hashing_index, query, 5, characters=1200)
    quotes = select_quotes(retrieved, most, QuoteRules(least=least, words=total))
    assert len(quotes) <= most
    for quote in quotes:
        text = quote.document.text
        assert quote.text == text[quote.start : quote.end] == quote.text.strip()
        assert not inside_word(text, quote.start)
        assert not inside_word(text, quote.end)
        assert len(quote.text.split()) <= MAX_WORDS
        assert 0 <= quote.score <= 1
        assert any(
            p.document.id == quote.document.id and p.start <= quote.start and quote.end <= p.end
            for p in retrieved.passages
        )
    spans = sorted((q.document.path, q.start, q.end) for q in quotes)
    assert all(a[0] != b[0] or a[2] <= b[1] for a, b in pairwise(spans))
    assert [q.score for q in quotes] == sorted((q.score for q in quotes), reverse=True)


def test_nothing_found_is_nothing_quoted() -> None:
    """Without passages there are no quotes."""
    assert select_quotes(Retrieved((), (), {}), 6, ONE_THING) == ()


@pytest.mark.parametrize(
    ("said", "quoted"),
    [
        ("um, uh so the budgets shrank", "so the budgets shrank"),
        ("Um the budgets shrank uh", "the budgets shrank"),
        ("ER admissions doubled", "ER admissions doubled"),
        ("Oh Se-hoon said so", "Oh Se-hoon said so"),
        ("Ah-Ming left", "Ah-Ming left"),
        ("umbrellas sold well um", "umbrellas sold well"),
        ("uh", "uh"),
    ],
)
def test_hesitations_at_the_ends_are_left_out_and_words_like_them_are_not(said: str, quoted: str) -> None:
    start, end = _without_fillers(f"before. {said} after", Span(8, 8 + len(said)), "en")
    assert f"before. {said} after"[start:end] == quoted


def test_blanks_within_a_quote_cost_no_more_than_their_length() -> None:
    """From each of them the end would be looked for anew: minutes for what a file may hold."""
    said = "one" + " " * 40_000 + "two"  # some 8 s where it is the square
    began = time.process_time()
    assert _without_fillers(said, Span(0, len(said)), "en") == Span(0, len(said))
    assert time.process_time() - began < 2


@pytest.mark.parametrize(
    ("language", "said", "quoted"),
    [
        ("", "Um die Förderung zu erhalten", "Um die Förderung zu erhalten"),
        ("de", "Um, äh, die Förderung", "Um, äh, die Förderung"),
        ("", "Um, uh the budgets shrank uh", "the budgets shrank"),
        ("", "und kommt um", "und kommt um"),
    ],
)
def test_um_is_a_word_where_the_language_may_have_it(language: str, said: str, quoted: str) -> None:
    start, end = _without_fillers(said, Span(0, len(said)), language)
    assert said[start:end] == quoted
