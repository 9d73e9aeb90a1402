"""The store: what goes in comes out, and no text ever acts as SQL or FTS syntax."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.chunking import tiktoken_counter
from rag.encoding import HashingEncoder
from rag.index import Index
from rag.preparing import Prepared, prepare
from rag.records import Anchor, AnchorKind, Document, Source, Span
from rag.store import Store, StoreWriter
from rag.terms import Analyzer, unique_stems
from tests.generated import texts

SENTENCES = (
    "The toll of the harbour was two crowns.",
    "The herring swam past the lighthouse.",
    "Terms such as NEAR and OR and NOT and AND stand here.",
    "数字经济的规模达到五十三万亿元。",
    "Ação, naïveté and 2.44 % of O'Brien's terms: rowid, rank, keywords.",
)
HOSTILE = [
    'toll" OR "herring',
    '"',
    '""',
    "'; DROP TABLE chunks; --",
    "NEAR(toll herring, 5)",
    "toll AND NOT herring",
    "toll*",
    "*",
    "-toll",
    "^toll",
    "terms : toll",
    "{terms rank} : toll",
    "rowid:1",
    "toll + herring",
    "(((((",
    "\\",
    "\0",
    "toll\0herring",
    "\ud800",
    "_",
    "½ ﷺ ﬁ",
    "的",
    "",
    " ",
    "a" * 100_000,
]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """Five documents of one sentence each, so that chunk i is sentence i."""
    path = tmp_path_factory.mktemp("store") / "store.sqlite"
    with StoreWriter(path) as writer:
        for i, sentence in enumerate(SENTENCES):
            anchors = (Anchor(0, AnchorKind.SPEAKER, "Ada \"the\" 'keeper'"),) if i == 0 else ()
            source = Source("Naïve", authors=("Ada", "Per"), questions=("Why?",)) if i == 0 else Source()
            document = Document(f"{i:016}", f"{i}.txt", "0" * 64, sentence, source, anchors)
            writer.add(prepare(document, HashingEncoder(), Analyzer(), tiktoken_counter(), 128))
    opened = Store(path)
    yield opened
    opened.close()


def test_documents_come_back_as_they_went_in(store: Store) -> None:
    """Text, source and anchors of a document survive the store."""
    document = store.document(0)
    assert document.text == SENTENCES[0]
    assert document.source == Source("Naïve", authors=("Ada", "Per"), questions=("Why?",))
    assert document.anchors == (Anchor(0, AnchorKind.SPEAKER, "Ada \"the\" 'keeper'"),)
    assert [d.text for d in store.documents()] == list(SENTENCES)
    with pytest.raises(KeyError):
        store.document(99)
    with pytest.raises(ValueError, match="no table"):
        store.count("sqlite_master")


def test_search_finds_what_holds_a_stem(store: Store) -> None:
    """A search finds exactly the chunks that hold one of the stems, best first, within the limits."""
    stems = unique_stems(Analyzer().terms("tolls herrings"))
    assert {number for number, _ in store.search(stems, 9)} == {0, 1}
    assert [number for number, _ in store.search(stems, 9, [range(1, 3)])] == [1]
    assert store.search(stems, 9, []) == store.search(stems, 9, [range(0)]) == store.search([], 9) == []
    assert len(store.search(stems, 1)) == 1
    assert all(score > 0 for _, score in store.search(stems, 9))


def test_any_number_of_ranges_limits_a_search(tmp_path: Path) -> None:
    """1,500 ranges that do not touch are no expression too large, and nothing outside them is found."""
    with StoreWriter(tmp_path / "store.sqlite") as writer:
        for i in range(3000):
            document = Document(str(i), f"{i}.txt", "0" * 64, "toll", Source())
            spans = (Span(0, 4),)
            writer.add(Prepared(document, spans, (spans,), (("toll",),), ()))
    with closing(Store(tmp_path / "store.sqlite")) as opened:
        even = [range(i, i + 1) for i in range(0, 3000, 2)]
        assert [number for number, _ in opened.search(["toll"], 3000, even)] == list(range(0, 3000, 2))


def test_any_number_of_segments_has_its_chunks(store: Store) -> None:
    """More segments than SQLite takes values."""
    assert store.chunks_of_segments([0, 1, 2] * 100_000) == [0, 1, 2] * 100_000


def test_title_is_found_too(store: Store) -> None:
    """A chunk is found by the words of its document's title."""
    assert [number for number, _ in store.search(unique_stems(Analyzer().terms("naive")), 9)] == [0]


def test_chinese_and_accents_are_found(store: Store) -> None:
    """Chinese is found by its characters, accented words without their accents."""
    analyzer = Analyzer()
    for question, number in (("数字经济", 3), ("acao", 4), ("o’brien", 4), ("2.44", 4)):
        assert number in {n for n, _ in store.search(unique_stems(analyzer.terms(question)), 9)}


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: repr(text[:20]))
def test_hostile_stems_are_only_words(store: Store, text: str) -> None:
    """What would be syntax is one more word: a true stem beside it is found as ever, and nothing raises."""
    alone = store.search([text], 9)
    beside = store.search([text, "lighthous"], 9)
    assert 1 in {number for number, _ in beside}
    assert {number for number, _ in beside} == {number for number, _ in alone} | {1}
    assert store.document_frequency(text) >= 0
    assert store.document_number(text.encode("utf-8", "ignore").decode()) is None
    assert store.count("chunks") == 5


@pytest.mark.parametrize("operator", ["OR", "AND", "NOT", "NEAR"])
def test_operators_are_found_as_words(store: Store, operator: str) -> None:
    """A question for the word NEAR finds the text that has it, and no other."""
    assert [number for number, _ in store.search([operator.lower()], 9) if number != 4] == [2]


@given(st.text(max_size=60))
def test_any_question_is_words(store: Store, text: str) -> None:
    """Any text at all, cut into terms, can be searched for, and finds only what holds one of its terms."""
    analyzer = Analyzer()
    stems = unique_stems(analyzer.terms(text))
    for number, _ in store.search(stems, 9):
        held = analyzer.index_text(store.document(number).title + " " + SENTENCES[number])
        assert any(part in held for stem in stems for part in stem.split() or [stem])


def test_very_many_stems_are_searched(store: Store) -> None:
    """20,000 different words of a question of 100,000 characters are no expression too large."""
    assert [number for number, _ in store.search([*(f"w{i}" for i in range(20_000)), "lighthous"], 9)] == [1]


def test_frequencies_count_chunks(hashing_index: Index) -> None:
    """The frequency of a stem is the number of chunks whose terms or title hold it."""
    store, analyzer = hashing_index.store, Analyzer()
    held: list[set[str]] = []
    for number in range(hashing_index.manifest.chunks):
        document, _, inside = store.chunk(number)
        title = {term.stem for term in analyzer.terms(store.document(document).source.title)}
        held.append(title.union(*(terms.split() for _, terms in store.segments(inside))))
    for stem in ("digit", "hefei", "53", "nosuchword"):
        assert store.document_frequency(stem) == sum(stem in terms for terms in held)


def test_segments_know_their_chunks(hashing_index: Index) -> None:
    """Segments lie in the chunk that lists them, and are found back by number, in the order asked."""
    store = hashing_index.store
    owners = {n: number for number in range(hashing_index.manifest.chunks) for n in store.chunk(number)[2]}
    assert sorted(owners) == list(range(hashing_index.manifest.segments))
    wanted = [7, 0, hashing_index.manifest.segments - 1, 7]
    assert store.chunks_of_segments(wanted) == [owners[n] for n in wanted]


@given(texts() | st.sampled_from(["snake_case", "½ cup", "𝑋", "ﷺ ﬁ", "don’t", ""]))
def test_keyword_index_as_written_has_no_fault(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    """Whatever the text, what FTS5 makes of its stems is not taken for damage."""
    path = tmp_path_factory.mktemp("store") / "store.sqlite"
    with StoreWriter(path) as writer:
        for i, words in enumerate((text, SENTENCES[0])):
            document = Document(str(i), f"{i}.txt", "0" * 64, words, Source(text[:30]))
            writer.add(prepare(document, HashingEncoder(), Analyzer(), tiktoken_counter(), 128))
    with closing(Store(path)) as opened:
        assert opened.keyword_fault() == ""


@pytest.mark.parametrize(
    "damage",
    [
        "INSERT INTO keywords (rowid, terms) VALUES (7, 'toll')",
        "INSERT INTO keywords (keywords, rowid, terms) VALUES ('delete', 1, 'toll')",
        "UPDATE segments SET terms = terms || ' toll' WHERE number = 0",
        "UPDATE segments SET terms = CASE number WHEN 0 THEN 'crown toll' ELSE 'toll' END",
    ],
    ids=["added", "removed", "twice", "exchanged"],
)
def test_keyword_index_that_is_not_the_chunks_own_is_a_fault(tmp_path: Path, damage: str) -> None:
    with StoreWriter(tmp_path / "store.sqlite") as writer:
        for i, words in enumerate(("toll", "crown toll")):
            document = Document(str(i), f"{i}.txt", "0" * 64, words, Source())
            writer.add(prepare(document, HashingEncoder(), Analyzer(), tiktoken_counter(), 128))
    with closing(sqlite3.connect(tmp_path / "store.sqlite")) as db, db:
        db.execute(damage)
    with closing(Store(tmp_path / "store.sqlite")) as opened:
        assert opened.keyword_fault().startswith("the keyword index counts ")


class _Stop(Exception):
    """Stands for anything that ends a build."""


def _stopped(path: Path) -> None:
    document = Document("0" * 16, "a.txt", "0" * 64, SENTENCES[0], Source())
    with StoreWriter(path) as writer:
        writer.add(prepare(document, HashingEncoder(), Analyzer(), tiktoken_counter(), 128))
        raise _Stop


def test_store_that_was_not_finished_holds_no_documents(tmp_path: Path) -> None:
    """An error while writing leaves no store that could be taken for a whole one."""
    with pytest.raises(_Stop):
        _stopped(tmp_path / "store.sqlite")
    opened = Store(tmp_path / "store.sqlite")
    try:
        found = opened.count("documents")
    except sqlite3.Error:
        found = 0
    finally:
        opened.close()
    assert found == 0
