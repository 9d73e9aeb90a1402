"""Drafts: marked answers as gold questions for an evaluator to confirm.

A draft is a line of a question set with the key "draft". What readers liked is proposed as gold, what they disliked is
kept beside it as not gold, and nothing is measured on it before an evaluator has looked and taken the key out: what was
found before and liked is only a part of what should be found.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from evals.feedback import Key, Mark, Span, question_key
from evals.gold import DRAFT, places
from evals.reading import Row, read_lines
from rag.errors import UserError
from rag.records import Document

_WORDS_IN_ID = 7
_SPLITS = ("tune", "test")

Values = Mapping[str, object]
"""One line of a question set; its fields are described in evals/questions/README.md."""


@dataclass(frozen=True, slots=True)
class Drafts:
    """What became of a file of feedback."""

    rows: tuple[Values, ...]
    """New drafts, in the order in which their questions were first marked."""
    known: int
    """Questions left out because they are gold or drafts already."""
    notes: tuple[str, ...]
    """What an evaluator has to know: lines that were skipped, and documents that changed since."""


@dataclass(slots=True)
class _Found:
    """Where the quotes of a question stand now."""

    spans: dict[tuple[str, int, int], dict[str, object]] = field(default_factory=dict)
    changed: list[str] = field(default_factory=list)


def make_drafts(marks: Iterable[Mark], documents: Sequence[Document], known: Iterable[Row] = ()) -> Drafts:
    """Drafts of the marked questions that are not among the `known` lines, over the documents as they are now."""
    lines = list(known)
    there = {question_key(row.text("question"), row.texts("history", [])) for row in lines}
    asked: dict[Key, list[Mark]] = {}
    for mark in marks:
        if mark.good is not None:
            asked.setdefault(mark.key, []).append(mark)
    new = [group for key, group in asked.items() if key not in there]
    splits = Counter((row.text("kind", ""), row.text("split", "")) for row in lines)
    rows: list[Values] = []
    notes: list[str] = []
    for group in new:
        row, changed = _draft(group, documents, splits)
        rows.append(row)
        notes += [f"{row['id']}: {what}" for what in changed]
    return Drafts(tuple(rows), len(asked) - len(new), tuple(notes))


def known_rows(*files: Path) -> list[Row]:
    """The lines of the question sets that are there. Raises UserError where one is damaged."""
    return [row for path in files if path.exists() for row in read_lines(path)]


def to_lines(rows: Iterable[Values], *, ascii_only: bool = False) -> str:
    """Drafts as lines of a question set; in ASCII, they pass through any terminal."""
    return "".join(json.dumps(row, ensure_ascii=ascii_only) + "\n" for row in rows)


def append(path: Path, rows: Iterable[Values]) -> None:
    """Add drafts to a file, which keeps what an evaluator has written in it. Raises UserError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        before = path.read_bytes() if path.exists() else b""
        with path.open("ab") as file:
            file.write(b"\n" if before and not before.endswith(b"\n") else b"")
            file.write(to_lines(rows).encode("utf-8", "replace"))
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror or error}.") from error


def _draft(
    group: Sequence[Mark], documents: Sequence[Document], splits: Counter[tuple[str, str]]
) -> tuple[Values, list[str]]:
    """One line for all marks of one question, and what changed in the documents since."""
    first = group[0]
    liked, disliked = [m for m in group if m.good], [m for m in group if not m.good]
    gold, shown = _found(liked, documents), _found(disliked, documents)
    not_gold = [span for place, span in shown.spans.items() if place not in gold.spans]
    kind = _kind(first, liked, len(gold.spans))
    split = min(_SPLITS, key=lambda name: splits[kind, name]) if kind else ""
    splits[kind, split] += 1
    changed = list(dict.fromkeys([*gold.changed, *shown.changed]))
    paths = {document.id: document.path for document in documents}
    draft: dict[str, object] = {
        "good": len(liked),
        "bad": len(disliked),
        "not_gold": not_gold,
        "changed": changed,
        "asked_of": sorted({paths.get(i, i) for mark in group for i in mark.documents}),
        "marks": [mark.id for mark in group],
    }
    values: Values = {
        "id": _id(first),
        "question": first.question,
        "history": list(first.history),
        "kind": kind,
        "near_miss": False,
        "split": split,
        "gold": [{"facet": f"quote {n}", "any_of": [span]} for n, span in enumerate(gold.spans.values(), 1)],
        "note": "; ".join(f"{'good' if m.good else 'bad'}: {m.note}" for m in group if m.note),
        DRAFT: draft,
    }
    return values, changed


def _kind(mark: Mark, liked: Sequence[Mark], spans: int) -> str:
    """The kind of question where the marks tell; an evaluator fills in what is left empty."""
    if spans:
        return "follow-up" if mark.history else "fact" if spans == 1 else "facets"
    # "The documents do not answer this" was called good, and all of them were asked.
    unanswered = bool(liked) and all(m.abstained and not m.documents for m in liked)
    return "unanswerable" if unanswered else ""


def _found(marks: Iterable[Mark], documents: Sequence[Document]) -> _Found:
    """The quotes of some marks at their places in the documents as they are now, each once."""
    found = _Found()
    for span in (span for mark in marks for span in mark.spans):
        document, start, change = _locate(span, documents)
        if document is not None:
            end = start + len(span.text)
            stretch = {"path": document.path, "start": start, "end": end, "text": span.text}
            found.spans[document.path, start, end] = stretch
        if change and change not in found.changed:
            found.changed.append(change)
    return found


def _locate(span: Span, documents: Sequence[Document]) -> tuple[Document | None, int, str]:
    """The document of a quote, where the quote begins in it now, and what changed since; no document for no place."""
    same = next((d for d in documents if d.id == span.document), None)
    if same is not None and span.start >= 0 and same.text[span.start : span.end] == span.text != "":
        return same, span.start, ""
    named = same or next((d for d in documents if d.path == span.path), None)
    said = repr(span.text if len(span.text) <= 60 else f"{span.text[:57]}…")
    if named is None:
        return None, 0, f"{span.path} is not in the index any more; its quote {said} is left out"
    changed = f"{named.path} {'changed since' if same is None else 'reads otherwise than what was noted'}"
    now = places(named.text, span.text, most=2)
    if len(now) == 1:
        return named, now[0], f"{changed}; the quote {said} now stands at {now[0]}"
    where = "in several places" if now else "nowhere"
    return None, 0, f"{changed}; the quote {said}, now {where} in it, is left out"


def _id(mark: Mark) -> str:
    """Short and kebab-case, and the same whenever the same question is drafted."""
    words = re.findall(r"[a-z0-9]+", mark.question.lower())[:_WORDS_IN_ID]
    digest = hashlib.sha256(json.dumps(mark.key).encode()).hexdigest()[:6]
    return "-".join([*words, digest]) if words else f"question-{digest}"
