"""sources.toml: what it gives, and every way in which it can be wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from rag.errors import SourcesError
from rag.loading import find_files, load_document
from rag.records import AnchorKind, Document, Source
from rag.sources import SourceEntry, read_sources, speaker_anchors


def write(folder: Path, text: str) -> Path:
    (folder / "sources.toml").write_text(text, encoding="utf-8")
    return folder


def test_folder_without_sources_has_none(tmp_path: Path) -> None:
    """Any folder works without a sources.toml."""
    assert read_sources(tmp_path) == {}


def test_every_key_is_read(tmp_path: Path) -> None:
    """All keys reach the record, lists as tuples, TOML dates as ISO 8601."""
    folder = write(
        tmp_path,
        """
        ["b/talk.txt"]
        title = "Talk"
        kind = "transcript"
        publisher = "Norby Gazette"
        event = "Fair"
        date = 2024-03-25
        authors = ["Eva Lind"]
        speakers = ["Ada", "Per"]
        url = "https://example.org"
        language = "en"
        questions = ["Why?"]
        turns = [{ speaker = "Ada", from = "good morning" }, { speaker = "", from = "bye" }]
        """,
    )
    expected = Source(
        "Talk", "transcript", "Norby Gazette", "Fair", "2024-03-25", ("Eva Lind",), ("Ada", "Per"),
        "https://example.org", "en", ("Why?",),
    )  # fmt: skip
    assert read_sources(folder) == {"b/talk.txt": SourceEntry(expected, (("Ada", "good morning"), ("", "bye")))}


def test_a_byte_order_mark_is_passed_over(tmp_path: Path) -> None:
    """As some editors write it."""
    assert read_sources(write(tmp_path, '\ufeff["a.md"]\ntitle = "A"'))["a.md"].source == Source("A")


def test_a_blank_text_says_nothing(tmp_path: Path) -> None:
    """Spaces around a text go; a blank one leaves it to the file to say."""
    write(tmp_path, '["a.md"]\ntitle = " "\npublisher = " Norby Gazette "')
    assert read_sources(tmp_path)["a.md"].source == Source(publisher="Norby Gazette")


@pytest.mark.parametrize(
    ("toml", "message"),
    [
        ('titel = "x"', r"unknown key 'titel'. Valid keys: title, kind, .*, questions, turns"),
        ('title = ["x"]', "title must be a text"),
        ("title = true", "title must be a text"),
        ('authors = "Ada"', "authors must be a list of texts"),
        ("speakers = [1]", "speakers must be a list of texts"),
        ("turns = 3", "turns must be a list such as"),
        ('turns = [{ speaker = "Ada" }]', "turns must be a list such as"),
        ('turns = [{ speaker = "Ada", from = "x", to = "y" }]', "turns must be a list such as"),
        ('turns = [{ speaker = 1, from = "x" }]', "turns must be a list such as"),
    ],
)
def test_wrong_entry_is_named_with_what_is_valid(tmp_path: Path, toml: str, message: str) -> None:
    """A key or value that cannot be used is refused with the file, the entry and what would be right."""
    with pytest.raises(SourcesError, match=f'sources.toml, entry "a.txt": .*{message}'):
        read_sources(write(tmp_path, f'["a.txt"]\n{toml}\n'))


@pytest.mark.parametrize("toml", ["title = ", '"a.txt" = 1', "x = " + "[" * 100_000])
def test_file_that_is_no_toml_of_tables_is_named(tmp_path: Path, toml: str) -> None:
    """A sources.toml that cannot be read, or has no tables, is refused by its name."""
    with pytest.raises(SourcesError, match=r"sources\.toml"):
        read_sources(write(tmp_path, toml))


def test_sources_in_another_encoding_are_refused(tmp_path: Path) -> None:
    """A sources.toml that is no UTF-8 is refused, not guessed at."""
    (tmp_path / "sources.toml").write_bytes('["a"]\ntitle = "é"'.encode("latin-1"))
    with pytest.raises(SourcesError, match="cannot be read"):
        read_sources(tmp_path)


def test_turn_is_found_across_line_breaks() -> None:
    """First words of a turn are found whatever white space stands between them, after the turn before."""
    text = "yes well\r\nthank   you\nyes well again"
    entry = SourceEntry(Source(), (("Ada", "yes well"), ("Per", "well thank you"), ("Ada", "yes well")))
    with pytest.raises(SourcesError, match="Per"):
        speaker_anchors(text, entry, "a.txt")
    entry = SourceEntry(Source(), (("Ada", "yes well"), ("Per", "thank you"), ("Ada", "yes well")))
    assert [anchor.start for anchor in speaker_anchors(text, entry, "a.txt")] == [0, 10, 22]


@pytest.mark.parametrize("words", ["", " ", "not there", "a.c"])
def test_turn_that_does_not_stand_in_the_file_is_named(words: str) -> None:
    """First words that are empty, absent, or would be a pattern are refused with the entry and the speaker."""
    with pytest.raises(SourcesError, match=r'entry "a.txt": the turn of an unknown speaker begins with'):
        speaker_anchors("abc", SourceEntry(Source(), (("", words),)), "a.txt")


def test_sources_of_the_seeds_fit_their_files(seeds: Path) -> None:
    """Each seed has an entry with a title and a kind; dates, speakers and authors stand in the texts themselves."""
    entries = read_sources(seeds)
    assert set(entries) == {path.name for path in seeds.glob("*.txt")}
    for name, entry in entries.items():
        text = " ".join((seeds / name).read_text(encoding="utf-8").split()).casefold()
        assert entry.source.title
        assert entry.source.kind in {"transcript", "news article", "interview", "bulletin", "speech"}
        for person in (*entry.source.authors, *entry.source.speakers):
            name_in_text = person.removesuffix(" (moderator)").split()[-1]
            assert name_in_text.casefold() in text  # the transcript itself writes Larisa, Lissa and laresa
        if entry.source.date:
            assert entry.source.date[:4] in text


def test_turns_of_the_transcript_are_in_order(seeds: Path) -> None:
    """Every turn of the transcript is found, and each names one of its speakers or nobody."""
    files, skipped = find_files([seeds])
    assert skipped == []
    documents: list[Document] = [load_document(file, max_bytes=2**20) for file in files]
    anchors = [anchor for anchor in documents[0].anchors if anchor.kind is AnchorKind.SPEAKER]
    assert len(anchors) > 15
    assert [a.start for a in anchors] == sorted({a.start for a in anchors})
    assert {a.label for a in anchors} <= {"", *documents[0].source.speakers}
