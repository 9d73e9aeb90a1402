"""Feedback of readers as draft gold questions."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from evals import runs
from evals.__main__ import main
from evals.drafts import append, make_drafts
from evals.feedback import Mark, Span, read_marks
from evals.gold import check, load_documents, load_seeds
from evals.reading import Row, read_lines
from rag.assistant import Assistant
from rag.building import build_corpus
from rag.chat.conversation import Conversation, answered
from rag.chat.feedback import FeedbackFile
from rag.chat.handlers import Handlers, make_handlers
from rag.chat.limits import Limiter, Rate, Slots
from rag.chat.open_chat import OpenChat
from rag.chat.texts import ENGLISH
from rag.encoding import HashingEncoder
from rag.errors import UserError
from rag.index import Index
from rag.records import Document, Source
from rag.settings import Settings
from rag.versions import IndexFolder
from tests.chat.conftest import awaited

TOLL = "Fishing boats paid a toll of two crowns for each landing."
TEXT = f"The harbour of Norby was built in 1874 by Ada Holm.\n\n{TOLL}\n\nThe lighthouse was automated in 1981.\n"
DOCUMENT = Document("0123456789abcdef", "harbour.md", "0" * 64, TEXT, Source())
AT = TEXT.index(TOLL)
SPAN = Span(DOCUMENT.id, "harbour.md", AT, AT + len(TOLL), TOLL)


def mark(good: bool | None = True, *spans: Span, **changed: Any) -> Mark:
    """A marked answer about the toll."""
    made = Mark("c:0", good, "", "How high was the toll?", (), spans or (SPAN,), False, ())
    return replace(made, **changed)


def as_rows(values: Sequence[object]) -> list[Row]:
    """What a reader of the written lines gets."""
    return [Row("line", json.loads(json.dumps(value))) for value in values]


def spans_of(draft: Any) -> list[tuple[str, int, int, str]]:
    """The proposed gold."""
    return [(s["path"], s["start"], s["end"], s["text"]) for facet in draft["gold"] for s in facet["any_of"]]


# from the chat to gold


@pytest.fixture
def chat(tmp_path: Path) -> tuple[Handlers, Path]:
    """The chat's own functions over a small index that answers everything, and the folder of that index."""
    folder, index_dir = tmp_path / "documents", tmp_path / "index"
    folder.mkdir()
    (folder / "harbour.md").write_text(TEXT, encoding="utf-8")
    build_corpus([folder], index_dir, Settings(), HashingEncoder)
    settings = Settings(answer_threshold=0.0)
    assistant = Assistant(Index.open(IndexFolder(index_dir).live()), HashingEncoder(), settings, index_dir=index_dir)
    feedback = FeedbackFile(index_dir / "feedback.jsonl", settings)
    return make_handlers(assistant, settings, feedback, Limiter(Rate(9, 9)), Slots(4), ENGLISH), tmp_path


def vote(handlers: Handlers, question: str, up: bool, note: str = "") -> Conversation:
    """Ask, then press a thumb, as the page's event does."""
    chat = OpenChat(Conversation().with_turn(answered(question, handlers.reading.backend.ask(question))))
    thumb = gr.EventData(None, {"turn": 0, "up": up, "note": note})
    awaited(lambda: handlers.studying.vote(chat, thumb))
    return chat.conversation


def test_a_marked_answer_becomes_a_draft_and_once_confirmed_gold(
    chat: tuple[Handlers, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """A thumb in the chat is drafted with its very stretches; the draft is refused until it is confirmed."""
    handlers, folder = chat
    conversation = vote(handlers, "How high was the toll for fishing boats?", True, "just  right")
    vote(handlers, "Who was the first keeper of the lighthouse?", False, "not in there")
    drafts, documents = folder / "drafts.jsonl", folder / "documents"
    command = ["feedback", "--index", str(folder / "index"), "--out", str(drafts)]
    checking = ["check", "--questions", str(drafts), "--documents", str(documents)]
    assert main(command) == 0
    assert capsys.readouterr().err == "marked answers: 2; new drafts: 2\n"
    liked, disliked = (json.loads(line) for line in drafts.read_text(encoding="utf-8").splitlines())
    shown = [(c.quote.document.path, c.quote.start, c.quote.end, c.quote.text) for c in conversation.turns[0].citations]
    assert spans_of(liked) == shown != []
    assert liked["note"] == "good: just right"
    assert (disliked["gold"], disliked["kind"], disliked["note"]) == ([], "", "bad: not in there")
    assert disliked["draft"]["not_gold"] != []

    assert main(checking) == 1
    told = capsys.readouterr()
    assert told.err == "2 questions, 2 of them drafts to confirm, 5 problems\n"
    assert f"{liked['id']}: it is a draft" in told.out
    assert f"{disliked['id']}: its kind is ''" in told.out
    with pytest.raises(UserError, match="it is a draft"):
        load_seeds(drafts, documents)

    del liked["draft"], disliked["draft"]
    disliked |= {"kind": "unanswerable", "split": "test"}
    drafts.write_text("".join(json.dumps(row) + "\n" for row in (liked, disliked)), encoding="utf-8")
    assert main(checking) == 0
    assert capsys.readouterr().err == "2 questions, 0 problems\n"
    running = ["run", "seeds", "--questions", str(drafts), "--documents", str(documents), "--quiet"]
    out = drafts.with_name("run.json")
    assert (
        main([*running, "--cache", str(drafts.with_name("cache")), "--out", str(out)], lambda *_: HashingEncoder()) == 0
    )
    asked = runs.load(out)
    assert (asked.identity.set, [o.id for o in asked.outcomes]) == ("drafts", [liked["id"], disliked["id"]])
    capsys.readouterr()
    first, second = load_seeds(drafts, documents).questions
    text = load_documents(documents)[0].text
    assert [text[s.start : s.end] for f in first.facets for s in f.any_of] == [words for *_, words in shown]
    assert (first.answerable, second.answerable) == (True, False)


def test_drafting_again_adds_only_what_is_new(chat: tuple[Handlers, Path], capsys: pytest.CaptureFixture[str]) -> None:
    """What an evaluator has written into the file stays as it is."""
    handlers, folder = chat
    drafts = folder / "drafts.jsonl"
    command = ["feedback", "--index", str(folder / "index"), "--out", str(drafts)]
    vote(handlers, "How high was the toll for fishing boats?", True)
    main(command)
    edited = drafts.read_text(encoding="utf-8").replace('"facet": "quote 1"', '"facet": "crowns"').rstrip("\n")
    drafts.write_text(edited, encoding="utf-8")
    vote(handlers, "When was the lighthouse automated?", True)
    capsys.readouterr()
    assert main(command) == 0
    assert capsys.readouterr().err == "marked answers: 2; new drafts: 1; gold or drafts already: 1\n"
    lines = drafts.read_text(encoding="utf-8").splitlines()
    assert lines[0] == edited
    assert json.loads(lines[1])["question"] == "When was the lighthouse automated?"


def test_without_a_file_the_drafts_are_printed(chat: tuple[Handlers, Path], capsys: pytest.CaptureFixture[str]) -> None:
    """Standard output holds the lines and nothing else, in ASCII, so that every terminal can show them."""
    handlers, folder = chat
    vote(handlers, "Wie hoch war die Gebühr (the toll)?", True)
    assert main(["feedback", "--index", str(folder / "index")]) == 0
    out = capsys.readouterr().out
    assert out.isascii()
    assert json.loads(out)["question"] == "Wie hoch war die Gebühr (the toll)?"


@pytest.mark.parametrize("gone", ["feedback.jsonl", "CURRENT"])
def test_what_is_missing_is_one_line(
    gone: str, chat: tuple[Handlers, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """No file of feedback, or no index: what is missing and which command makes it."""
    handlers, folder = chat
    vote(handlers, "How high was the toll?", True)
    (folder / "index" / gone).unlink()
    capsys.readouterr()
    assert main(["feedback", "--index", str(folder / "index")]) == 1
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.count("\n") == 1
    assert "rag " in told.err


def test_a_document_that_is_gone_is_named(chat: tuple[Handlers, Path], capsys: pytest.CaptureFixture[str]) -> None:
    """After its file was replaced in the index, the evaluator is told which quote is left out."""
    handlers, folder = chat
    vote(handlers, "How high was the toll for fishing boats?", True)
    (folder / "documents" / "harbour.md").rename(folder / "documents" / "old.txt")
    (folder / "documents" / "old.txt").write_text("Nothing of this is here any more.", encoding="utf-8")
    shutil.rmtree(folder / "index" / "versions")
    (folder / "index" / "CURRENT").unlink()
    build_corpus([folder / "documents"], folder / "index", Settings(), HashingEncoder)
    assert main(["feedback", "--index", str(folder / "index")]) == 0
    told = capsys.readouterr()
    assert "harbour.md is not in the index any more" in told.err
    assert json.loads(told.out)["gold"] == []


# what is drafted


def test_spans_that_were_liked_are_gold_and_what_was_disliked_is_not() -> None:
    """A quote that one reader liked is no "not gold", even if it stood in an answer that another one disliked."""
    other = Span(DOCUMENT.id, "harbour.md", 0, 11, TEXT[:11])
    (row,) = make_drafts([mark(True), mark(False, SPAN, other, id="d:0", note="why 1874?")], [DOCUMENT]).rows
    assert spans_of(row) == [("harbour.md", AT, AT + len(TOLL), TOLL)]
    draft: Any = row["draft"]
    assert [s["text"] for s in draft["not_gold"]] == [TEXT[:11]]
    assert (draft["good"], draft["bad"], draft["marks"]) == (1, 1, ["c:0", "d:0"])
    assert row["note"] == "bad: why 1874?"


def test_the_same_question_is_drafted_once() -> None:
    """Case and white space do not make another question; other earlier questions do."""
    again = mark(question=" how HIGH  was the toll?", id="d:0")
    follows = mark(history=("Who built the harbour?",), id="e:1")
    drafts = make_drafts([mark(), again, follows], [DOCUMENT])
    assert [row["question"] for row in drafts.rows] == ["How high was the toll?"] * 2
    assert [len(spans_of(row)) for row in drafts.rows] == [1, 1]
    assert [row["kind"] for row in drafts.rows] == ["fact", "follow-up"]
    assert len({row["id"] for row in drafts.rows}) == 2


def test_a_question_that_is_gold_already_is_not_drafted() -> None:
    """It is counted instead."""
    gold = as_rows([{"id": "x", "question": "How high was the TOLL?", "history": [], "kind": "fact", "split": "test"}])
    drafts = make_drafts([mark()], [DOCUMENT], gold)
    assert (drafts.rows, drafts.known) == ((), 1)


def test_a_vote_that_was_taken_back_is_no_draft() -> None:
    """The reader's last word counts."""
    assert make_drafts([mark(None)], [DOCUMENT]).rows == ()


def test_a_liked_abstention_is_proposed_as_unanswerable() -> None:
    """Unless only some of the documents were asked: then the others may answer it."""
    nothing: dict[str, Any] = {"spans": (), "abstained": True}
    everywhere, somewhere = mark(**nothing), mark(**nothing, documents=(DOCUMENT.id,))
    assert [make_drafts([m], [DOCUMENT]).rows[0]["kind"] for m in (everywhere, somewhere)] == ["unanswerable", ""]
    assert make_drafts([somewhere], [DOCUMENT]).rows[0]["draft"]["asked_of"] == ["harbour.md"]  # type: ignore[index]


def test_kinds_are_divided_between_the_splits() -> None:
    """The split that has fewer questions of the kind gets the next one."""
    gold = as_rows([{"id": "x", "question": "q", "history": [], "kind": "fact", "split": "tune"}])
    marks = [mark(question=f"How high was toll number {n}?") for n in range(3)]
    assert [row["split"] for row in make_drafts(marks, [DOCUMENT], gold).rows] == ["test", "tune", "test"]


@pytest.mark.parametrize(
    ("text", "found", "said"),
    [
        (
            f"New first line.\n{TEXT}",
            [AT + 16],
            f"harbour.md changed since; the quote {TOLL!r} now stands at {AT + 16}",
        ),
        (TEXT.replace("two crowns", "five crowns"), [], "now nowhere in it, is left out"),
        (TEXT + TEXT, [], "now in several places in it, is left out"),
    ],
)
def test_a_document_that_changed_is_named(text: str, found: list[int], said: str) -> None:
    """A quote is proposed only where it stands beyond doubt, and passes the check there."""
    changed = replace(DOCUMENT, id="f" * 16, text=text)
    drafts = make_drafts([mark()], [changed])
    (row,) = drafts.rows
    assert [start for _, start, _, _ in spans_of(row)] == found
    assert said in drafts.notes[0]
    assert drafts.notes[0].startswith(f"{row['id']}: harbour.md changed since")
    assert row["draft"]["changed"] == [drafts.notes[0].removeprefix(f"{row['id']}: ")]  # type: ignore[index]
    stretches = [p.what for p in check(as_rows([row]), [changed]) if "harbour.md" in p.what]
    assert stretches == []


def test_a_quote_that_was_never_in_its_document_is_not_gold() -> None:
    """Offsets and words must agree, whatever the file of feedback says."""
    lie = Span(DOCUMENT.id, "harbour.md", 5, 9, "Forty crowns")
    drafts = make_drafts([mark(True, lie)], [DOCUMENT])
    assert spans_of(drafts.rows[0]) == []
    assert "reads otherwise than what was noted" in drafts.notes[0]


# the file of feedback


def line(**changed: object) -> str:
    """A line as the chat writes it, as far as drafts need it."""
    citation = {"document": SPAN.document, "path": SPAN.path, "start": SPAN.start, "end": SPAN.end, "quote": TOLL}
    values = {"id": "c:0", "vote": "up", "note": "", "question": "q", "history": [], "citations": [citation]}
    return json.dumps({**values, **changed})


def test_damaged_lines_are_told_and_skipped(tmp_path: Path) -> None:
    """Each by its number; the lines around them count."""
    path = tmp_path / "feedback.jsonl"
    lines = [
        line(question="one").encode(), b"{half a li", b"", b"[1]", b"\xff\xfe", line(vote="sideways").encode(),
        line(citations=[{"document": 5}]).encode(), line(question=" ").encode(), line(history="x").encode(),
        b'{"id": "deep", "question": ' + b"[" * 100_000, line(id="d:0", question="two").encode(),
    ]  # fmt: skip
    path.write_bytes(b"\n".join(lines))
    marks, notes = read_marks(path)
    assert [m.question for m in marks] == ["one", "two"]
    assert [note.partition(":")[0].partition(", line ")[2].partition(",")[0] for note in notes] == [
        "2", "4", "5", "6", "7", "8", "9", "10",
    ]  # fmt: skip
    assert all(note.endswith("The line is skipped.") for note in notes)


def test_the_last_vote_on_an_answer_counts(tmp_path: Path) -> None:
    """A later line with the same id takes the place of an earlier one, unless another question was asked there.

    What came before it is no part of that: a long conversation forgets its first questions.
    """
    path = tmp_path / "feedback.jsonl"
    votes = [
        line(history=["forgotten"]),
        line(vote="down", note="no"),
        line(question="edited"),
        line(question="edited", vote=None),
    ]
    path.write_text("\n".join(votes))
    marks, _ = read_marks(path)
    assert [(m.question, m.good, m.note) for m in marks] == [("q", False, "no"), ("edited", None, "")]


def test_the_lines_of_drafts_can_be_read(tmp_path: Path) -> None:
    """They are JSON lines whatever stands in a question."""
    hostile = 'a "quoted"\nquestion \u2028 \x1b[31m </script>'
    row = make_drafts([mark(question=hostile)], [DOCUMENT]).rows[0]
    path = tmp_path / "drafts.jsonl"
    append(path, [row])
    assert [r.text("question") for r in read_lines(path)] == [hostile]
