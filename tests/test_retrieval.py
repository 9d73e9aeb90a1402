"""Retrieval, whatever its weights: passages are exact, apart, ranked, limited, and the same each time."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag.building import build_corpus
from rag.conversation import understand
from rag.encoding import HashingEncoder
from rag.index import Index
from rag.retrieval import Retrieved, retrieve
from rag.scoring import RANKING
from rag.settings import Settings
from rag.terms import Analyzer
from rag.versions import IndexFolder

WORDS = "digital economy China province talent GDP Hefei 5G 2024 innovation the of blended finance Ruby herring".split()


def found(index: Index, question: str, k: int, within: Sequence[range] | None = None) -> Retrieved:
    query = understand(question, (), HashingEncoder(), Analyzer())
    return retrieve(index, query, k, characters=1200, within=within)


@settings(max_examples=40)
@given(words=st.lists(st.sampled_from(WORDS), min_size=1, max_size=8), k=st.integers(1, 40))
def test_passages_are_ranked_apart_and_made_of_segments(hashing_index: Index, words: list[str], k: int) -> None:
    """At most k passages, best first, none overlapping another, each from its first segment to its last."""
    result = found(hashing_index, " ".join(words), k)
    assert 1 <= len(result.passages) <= k
    assert [p.rank for p in result.passages] == list(range(1, len(result.passages) + 1))
    assert [p.score for p in result.passages] == sorted((p.score for p in result.passages), reverse=True)
    spans = sorted((p.document.path, p.start, p.end) for p in result.passages)
    assert all(a[0] != b[0] or a[2] <= b[1] for a, b in pairwise(spans))
    for passage, inside in zip(result.passages, result.inside, strict=True):
        assert (passage.start, passage.end) == (inside[0].span.start, inside[-1].span.end)
        assert [segment.number for segment in inside] == list(range(inside[0].number, inside[-1].number + 1))
        assert passage.text == passage.document.text[passage.start : passage.end]
        assert passage.end - passage.start <= 1200 * 1.15 or len(inside) == 1


@pytest.mark.parametrize("numbers", [[0], [1, 3], [4, 4], []])
def test_search_is_limited_to_the_documents_named(hashing_index: Index, numbers: list[int]) -> None:
    """With documents named, every passage is from one of them; with none named, there is none."""
    within = [hashing_index.store.chunk_range(number) for number in numbers]
    ids = {hashing_index.store.document(number).id for number in numbers}
    result = found(hashing_index, "digital economy", 30, within)
    assert {p.document.id for p in result.passages} == ids


def test_repeated_passages_are_shown_once(tmp_path: Path) -> None:
    """A text that stands in several documents is one passage."""
    for i in range(4):
        (tmp_path / f"{i}.txt").write_text(
            "The toll of the harbour was two crowns.\n\n" + f"Keeper {i} wrote this. " * 9
        )
    build_corpus([tmp_path], tmp_path / "index", Settings(), HashingEncoder)
    index = Index.open(IndexFolder(tmp_path / "index").live())
    query = understand("toll of the harbour", (), HashingEncoder(), Analyzer())
    texts = [" ".join(p.text.split()) for p in retrieve(index, query, 9, characters=40).passages]
    index.close()
    assert sum(text == "The toll of the harbour was two crowns." for text in texts) == 1


def test_a_search_finds_a_reply_by_its_own_chunk(tmp_path: Path) -> None:
    """Where the documents ask the reader's question, a search scores the reply to it no less for that."""
    asked = "What hurdles do provincial governments face?"
    (tmp_path / "talk.txt").write_text(f"{asked} Budgets are stretched everywhere. Few dare to take risks.")
    build_corpus([tmp_path / "talk.txt"], tmp_path / "index", Settings(), HashingEncoder)
    index = Index.open(IndexFolder(tmp_path / "index").live())
    query = understand(asked, (), HashingEncoder(), Analyzer())
    assert query.focus is not None
    (inside,) = retrieve(index, query, 5, characters=1200, weights=RANKING).inside
    index.close()
    assert [segment.asks for segment in inside] == [True, False, False]
    assert len({segment.score for segment in inside}) == 1
    assert inside[0].score > 0


def test_retrieval_is_the_same_each_time(hashing_index: Index) -> None:
    """One question has one ranking."""
    first, second = (found(hashing_index, "digital economy of China", 20) for _ in range(2))
    assert first == second
