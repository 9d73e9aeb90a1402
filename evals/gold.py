"""Gold: questions, and the stretches of the documents that answer them.

A stretch is verbatim: characters `start` to `end` of its document. `check` finds the ones that no longer match.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

from evals.reading import Row, read_lines
from rag.errors import LoadError, UserError
from rag.loading import find_files, load_document
from rag.records import Document

ROOT = Path(__file__).resolve().parent.parent
SEEDS = ROOT / "seeds"
SEED_QUESTIONS = Path(__file__).resolve().parent / "questions" / "seeds.jsonl"
KINDS = ("fact", "facets", "cross-document", "paraphrase", "careless", "follow-up", "unanswerable")
DRAFT = "draft"
"""The key of a line that an evaluator has yet to confirm: it is never scored."""
_MAX_BYTES = 1 << 30


class Format(StrEnum):
    """What a question set is read from."""

    SEEDS = "seeds"
    BEIR = "beir"
    SQUAD = "squad"
    CHROMA = "chroma"
    QMSUM = "qmsum"
    CLAPNQ = "clapnq"


class Stretch(NamedTuple):
    """Characters `start` (from 0) up to, not including, `end` of a document."""

    document: str
    """Id of the document: a hash of its text."""
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Facet:
    """One distinct thing that a full answer needs."""

    label: str
    any_of: tuple[Stretch, ...]
    """Places that give it equally well: finding one is enough."""


@dataclass(frozen=True, slots=True)
class Question:
    """A question and what is known of its answer. What is not known is left empty, and then not scored."""

    id: str
    text: str
    facets: tuple[Facet, ...] = ()
    relevant: Mapping[str, int] = field(default_factory=dict)
    """Document name to grade (qrels); 0 or less is not relevant."""
    answerable: bool | None = None
    """Whether the documents answer it; None where the set does not say."""
    history: tuple[str, ...] = ()
    """Earlier questions of the same chat, oldest first."""
    own: tuple[str, ...] = ()
    """Ids of the documents it was asked about."""
    kind: str = ""
    split: str = ""
    """ "tune" or "test" where the set is divided."""


@dataclass(frozen=True, slots=True)
class QuestionSet:
    """Documents and the questions asked of them."""

    name: str
    format: Format
    documents: tuple[Document, ...]
    """No two with the same text."""
    names: Mapping[str, tuple[str, ...]]
    """Document id to the names it has in the set: more than one where the set repeats a text."""
    questions: tuple[Question, ...]
    left_out: Mapping[str, int]
    """Reason to number of cases."""

    @property
    def corpus_hash(self) -> str:
        """Of all documents and what is known of them, whatever their order; first 16 hex digits."""
        sources = {d.id: {key: value for key, value in asdict(d.source).items() if value} for d in self.documents}
        lines = sorted(f"{d.id} {d.path} {json.dumps(sources[d.id])}" for d in self.documents)
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]

    @property
    def questions_hash(self) -> str:
        """Of all questions with their gold, in their order; first 16 hex digits."""
        return hashlib.sha256(json.dumps([asdict(q) for q in self.questions]).encode()).hexdigest()[:16]


def unique(documents: Iterable[tuple[str, Document]]) -> tuple[tuple[Document, ...], dict[str, tuple[str, ...]]]:
    """Named documents without repeated texts, and all names of each. Raises UserError where one name has two texts."""
    kept: dict[str, Document] = {}
    names: dict[str, tuple[str, ...]] = {}
    owners: dict[str, str] = {}
    for name, document in documents:
        if owners.setdefault(name, document.id) != document.id:
            raise UserError(f"Two documents with different texts are called {name!r}. Rename or remove one of them.")
        kept.setdefault(document.id, document)
        if name not in names.get(document.id, ()):
            names[document.id] = (*names.get(document.id, ()), name)
    return tuple(kept.values()), names


@dataclass(frozen=True, slots=True)
class Problem:
    """Something in the gold that cannot be used."""

    question: str
    """Its id."""
    what: str


def load_documents(folder: Path) -> list[Document]:
    """Every document of a folder, as the product loads it. Raises UserError where one cannot be read."""
    documents: list[Document] = []
    for file in find_files([folder])[0]:
        try:
            documents.append(load_document(file, max_bytes=_MAX_BYTES))
        except LoadError as error:
            raise UserError(f"The document {file.path} in {folder} {error}.") from error
    return documents


def load_seeds(questions: Path = SEED_QUESTIONS, folder: Path = SEEDS) -> QuestionSet:
    """The questions over the documents that ship, or others in their format; the set has the file's name.

    Raises UserError where gold does not match the documents.
    """
    documents, names = unique((d.path, d) for d in load_documents(folder))
    rows = list(read_lines(questions))
    problems = check(rows, documents)
    if problems:
        first = problems[0]
        which = "" if questions == SEED_QUESTIONS else f" --questions {questions} --documents {folder}"
        raise UserError(
            f"{len(problems)} of the gold in {questions.name} cannot be used with {folder}, the first in "
            f"{first.question!r}: {first.what}. See all with: python -m evals check{which}"
        )
    ids = {name: document for document, several in names.items() for name in several}
    return QuestionSet(questions.stem, Format.SEEDS, documents, names, tuple(_question(row, ids) for row in rows), {})


def _question(row: Row, ids: Mapping[str, str]) -> Question:
    facets = tuple(
        Facet(
            facet.text("facet"),
            tuple(Stretch(ids[s.text("path")], s.whole("start"), s.whole("end")) for s in facet.rows("any_of")),
        )
        for facet in row.rows("gold")
    )
    return Question(
        id=row.text("id"),
        text=row.text("question"),
        facets=facets,
        answerable=bool(facets),
        history=row.texts("history"),
        own=tuple(sorted({stretch.document for facet in facets for stretch in facet.any_of})),
        kind="near miss" if row.flag("near_miss", False) else row.text("kind"),
        split=row.text("split"),
    )


def check(rows: Sequence[Row], documents: Sequence[Document]) -> list[Problem]:
    """What no longer holds of a set of gold questions, in the order of the file."""
    texts = {document.path: document.text for document in documents}
    problems: list[Problem] = []
    seen: set[str] = set()
    for row in rows:
        question = row.text("id")
        if question in seen:
            problems.append(Problem(question, "another question has this id"))
        seen.add(question)
        problems.extend(Problem(question, what) for what in _wrong(row, texts))
    return problems


def _wrong(row: Row, texts: Mapping[str, str]) -> Iterable[str]:
    """What is wrong with one question."""
    if row.values.get(DRAFT):
        yield f"it is a draft; confirm question, kind and gold, then take {DRAFT!r} out of the line"
    if not row.text("question").strip():
        yield "the question is empty"
    if row.text("split") not in ("tune", "test"):
        yield f"its split is {row.text('split')!r}; it must be 'tune' or 'test'"
    kind, history = row.text("kind"), row.texts("history")
    if kind not in KINDS:
        yield f"its kind is {kind!r}; it must be one of {', '.join(KINDS)}"
    if bool(history) != (kind == "follow-up"):
        yield "a question has a history if its kind is 'follow-up', and only then"
    facets = row.rows("gold")
    if bool(facets) == (kind == "unanswerable"):
        yield "a question has gold unless its kind is 'unanswerable'"
    if row.flag("near_miss", False) and kind != "unanswerable":
        yield "it is a near miss, so its kind must be 'unanswerable'"
    if kind == "unanswerable" and not facets and not row.text("note", "").strip():
        yield "its note is empty; say there why the documents do not answer it"
    for facet in facets:
        label = facet.text("facet")
        if not facet.items("any_of"):
            yield f"facet {label!r} names no stretch"
        for stretch in facet.rows("any_of"):
            path, start, end, gold = (
                stretch.text("path"),
                stretch.whole("start"),
                stretch.whole("end"),
                stretch.text("text"),
            )
            if path not in texts:
                yield f"there is no document {path!r}"
            elif not gold.strip() or not 0 <= start < end <= len(texts[path]) or texts[path][start:end] != gold:
                found = places(texts[path], gold)
                yield f"{path} {start}:{end} is not {gold[:60]!r}; " + (
                    f"that stands at {', '.join(map(str, found))}" if found else "that is nowhere in the document"
                )


def places(text: str, part: str, most: int = 5) -> list[int]:
    """Where `part` begins in `text`."""
    found: list[int] = []
    at = text.find(part) if part else -1
    while at >= 0 and len(found) < most:
        found.append(at)
        at = text.find(part, at + 1)
    return found
