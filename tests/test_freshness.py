"""Freshness: an answer knows whether its sources are still what was read."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from rag.assistant import Assistant
from rag.building import build_corpus
from rag.encoding import HashingEncoder
from rag.freshness import FILE_NAME, Freshness
from rag.index import Index
from rag.records import Answer, SourceState
from rag.serializing import answer_json
from rag.settings import Settings
from rag.versions import IndexFolder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four documents about four things."""
    source = tmp_path / "source"
    (source / "inner").mkdir(parents=True)
    for name in ("mill.md", "salt.md", "ferry.md", "inner/dam.md"):
        (source / name).write_text(f"# About\n\nThe {Path(name).stem} was built of stone.\n", encoding="utf-8")
    build_corpus([source], tmp_path / "index", Settings(), HashingEncoder)
    return source


def states(index_dir: Path) -> dict[str, SourceState]:
    """Of every document, by path."""
    index = Index.open(IndexFolder(index_dir).live())
    freshness = Freshness(index_dir)
    try:
        return {d.path: freshness.state(d) for d in index.store.documents()}
    finally:
        index.close()


def ask(index_dir: Path, question: str) -> Answer:
    """An answer, never an abstention."""
    settings = Settings(answer_threshold=0.0)
    with Assistant(Index.open(IndexFolder(index_dir).live()), HashingEncoder(), settings, index_dir=index_dir) as asked:
        return asked.ask(question)


def test_stale_sources_are_known(tmp_path: Path, folder: Path) -> None:
    """A file that was edited or deleted since the build is told from one that was only touched or is as it was."""
    (folder / "salt.md").write_text("Another text, of another length altogether.", encoding="utf-8")
    (folder / "ferry.md").unlink()
    os.utime(folder / "inner" / "dam.md", ns=(1, 1))
    assert states(tmp_path / "index") == {
        "mill.md": SourceState.SAME,
        "salt.md": SourceState.CHANGED,
        "ferry.md": SourceState.GONE,
        "inner/dam.md": SourceState.SAME,
    }


def test_an_edit_of_the_same_length_is_known(tmp_path: Path, folder: Path) -> None:
    """A file of the same size and another time is read, and its content decides; so does it when edited back."""
    path = folder / "mill.md"
    before = path.read_text(encoding="utf-8")
    for text, state in ((before.replace("stone", "STONE"), SourceState.CHANGED), (before, SourceState.SAME)):
        path.write_text(text, encoding="utf-8")
        assert states(tmp_path / "index")["mill.md"] is state


def test_an_index_without_its_sources_calls_nothing_stale(tmp_path: Path, folder: Path) -> None:
    """On a machine that has the index alone, or with a list of files that is damaged, nothing is known, or said."""
    folder.rename(tmp_path / "elsewhere")
    assert set(states(tmp_path / "index").values()) == {SourceState.UNKNOWN}
    (tmp_path / "elsewhere").rename(folder)
    shutil.rmtree(folder / "inner")
    assert states(tmp_path / "index")["inner/dam.md"] is SourceState.GONE
    for damaged in ("[", "[[1]]", "{}", '[["mill.md", 3]]', "null"):
        (tmp_path / "index" / FILE_NAME).write_text(damaged, encoding="utf-8")
        assert set(states(tmp_path / "index").values()) == {SourceState.UNKNOWN}


def test_after_a_rollback_the_older_text_is_the_stale_one(tmp_path: Path, folder: Path) -> None:
    """The version that is open is what a file is held against, not the last one that was built."""
    index = IndexFolder(tmp_path / "index")
    (folder / "mill.md").write_text("The mill was moved.", encoding="utf-8")
    build_corpus([folder], index.root, Settings(), HashingEncoder)
    assert states(index.root)["mill.md"] is SourceState.SAME
    index.make_live(index.names()[0])
    assert states(index.root)["mill.md"] is SourceState.CHANGED


def test_an_answer_says_that_its_source_has_changed(tmp_path: Path, folder: Path) -> None:
    """The quote is what the file said when it was read, and the answer and its JSON name the document until a build."""
    question = "Was the mill built of stone?"
    assert ask(tmp_path / "index", question).stale == {}
    (folder / "mill.md").write_text("The mill was built of clay and of clay alone.", encoding="utf-8")
    answer = ask(tmp_path / "index", question)
    quoted = {c.quote.document.path: c.quote.document for c in answer.citations}
    assert answer.stale == {quoted["mill.md"].id: SourceState.CHANGED}
    assert answer_json(answer)["stale"] == {quoted["mill.md"].id: "changed"}
    assert "stone" in quoted["mill.md"].text
    build_corpus([folder], tmp_path / "index", Settings(), HashingEncoder)
    assert ask(tmp_path / "index", question).stale == {}
