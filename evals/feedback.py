"""Feedback: the answers that readers of the chat marked, as its file of votes has them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from evals.reading import Row, parse_object
from rag.errors import UserError

FILE_NAME = "feedback.jsonl"
Key = tuple[str, tuple[str, ...]]
"""A question and the earlier ones of its chat, with case and white space made the same."""


@dataclass(frozen=True, slots=True)
class Span:
    """A quote that a reader saw."""

    document: str
    """Id, a hash of the text."""
    path: str
    start: int
    end: int
    text: str


@dataclass(frozen=True, slots=True)
class Mark:
    """One answer that a reader marked, as the chat wrote it down."""

    id: str
    """Of the conversation, and the number of the answer in it, which it keeps."""
    good: bool | None
    """Thumbs up or down; None where the reader took the vote back."""
    note: str
    question: str
    history: tuple[str, ...]
    spans: tuple[Span, ...]
    abstained: bool
    documents: tuple[str, ...]
    """Ids of the documents that alone were asked; empty for all."""

    @property
    def key(self) -> Key:
        """What makes two questions the same."""
        return question_key(self.question, self.history)


def read_marks(path: Path) -> tuple[list[Mark], list[str]]:
    """The last mark of each answer, and a note for each line that is damaged. Raises UserError for no file."""
    try:
        lines = path.read_bytes().split(b"\n")
    except FileNotFoundError as error:
        raise UserError(
            f"There is no {path.name} in {path.parent}. The chat (rag serve) writes it when a reader marks an answer."
        ) from error
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}.") from error
    marks: dict[tuple[str, str], Mark] = {}
    notes: list[str] = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        where = f"{path.name}, line {number}"
        try:
            mark = _mark(parse_object(line.decode("utf-8"), where))
        except UnicodeDecodeError:
            notes.append(f"{where}: not UTF-8 text. The line is skipped.")
        except UserError as error:
            notes.append(f"{str(error).rstrip('.')}. The line is skipped.")
        else:
            # One place in a chat is asked anew after "edit": then it is another question, with a vote of its own. The
            # history is no part of it: a long chat forgets its first questions.
            marks[mark.id, _folded(mark.question)] = mark
    return list(marks.values()), notes


def question_key(question: str, history: Iterable[str]) -> Key:
    """The same for questions that differ in case and white space only, after the same earlier questions."""
    return _folded(question), tuple(map(_folded, history))


def _folded(text: str) -> str:
    return " ".join(text.split()).casefold()


def _mark(row: Row) -> Mark:
    vote = "none" if row.values.get("vote") is None else row.text("vote")
    if vote not in ("up", "down", "none"):
        raise UserError(f"{row.where}: 'vote' must be 'up', 'down' or null, not {vote[:60]!r}.")
    if not row.text("question").strip():
        raise UserError(f"{row.where}: 'question' is empty.")
    spans = tuple(
        Span(c.text("document"), c.text("path"), c.whole("start"), c.whole("end"), c.text("quote"))
        for c in row.rows("citations")
    )
    return Mark(
        id=row.text("id"),
        good={"up": True, "down": False, "none": None}[vote],
        note=" ".join(row.text("note", "").split()),
        question=row.text("question").strip(),
        history=row.texts("history", []),
        spans=spans,
        abstained=row.flag("abstained", False),
        documents=row.texts("documents", []),
    )
