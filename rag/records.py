"""The records that flow from one stage to the next.

Every offset in this package is a Python string index into ``Document.text``: it counts characters
from 0, and an end is exclusive. ``document.text[start:end]`` is the only way a quote is made.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple


class Span(NamedTuple):
    """A stretch of a text: characters from `start` (from 0) up to, not including, `end`."""

    start: int
    end: int


class AnchorKind(StrEnum):
    """What an anchor marks in the text."""

    HEADING = "heading"
    SPEAKER = "speaker"
    PAGE = "page"
    TIME = "time"


@dataclass(frozen=True, slots=True)
class Anchor:
    """A place in a document that a person can name: it holds from `start` to the next of its kind."""

    start: int
    """Character offset, from 0."""
    kind: AnchorKind
    label: str
    """As a person writes it: "Results", "Ruby Osman", "p. 12", "00:14:05". Empty ends the one before."""

    def row(self) -> list[int | str]:
        """As JSON has it."""
        return [self.start, self.kind.value, self.label]

    @classmethod
    def from_row(cls, row: Sequence[Any]) -> Anchor:
        """From `row`."""
        start, kind, label = row
        return cls(start, AnchorKind(kind), label)


@dataclass(frozen=True, slots=True)
class Source:
    """What is known of where a document comes from. Empty where neither file nor `sources.toml` says."""

    title: str = ""
    kind: str = ""
    """What the document is: "transcript", "news article", "interview", "bulletin", "speech", …"""
    publisher: str = ""
    event: str = ""
    date: str = ""
    """ISO 8601, as exact as it is known: "2024", "2024-03" or "2024-03-25"."""
    authors: tuple[str, ...] = ()
    speakers: tuple[str, ...] = ()
    url: str = ""
    language: str = ""
    """BCP 47 tag, such as "en"."""
    questions: tuple[str, ...] = ()
    """Examples of what the document answers, offered to a reader who does not know what to ask."""

    @classmethod
    def from_fields(cls, fields: Mapping[str, Any]) -> Source:
        """From what `asdict` makes of it, once it was JSON."""
        values: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in fields.items()}
        return cls(**values)


@dataclass(frozen=True, slots=True)
class Document:
    """One source text with the places in it that a person can name."""

    id: str
    """First 16 hex digits of the SHA-256 of `text` in UTF-8: the same text has the same id anywhere."""
    path: str
    """Relative to the corpus root, with forward slashes. Shown, never opened."""
    sha256: str
    """Of the file's bytes, in hex."""
    text: str
    """Canonical text: for a UTF-8 file its own characters, without a byte-order mark."""
    source: Source
    anchors: tuple[Anchor, ...] = ()
    """Sorted by start."""

    @property
    def title(self) -> str:
        """The title as a person would cite it; the file name where none is known."""
        return self.source.title.strip() or self.path.rsplit("/", 1)[-1]


@dataclass(frozen=True, slots=True)
class Listed:
    """A document as a list of all shows it, without its text."""

    id: str
    path: str
    sha256: str
    title: str
    source: Source
    characters: int
    words: int
    """What white space parts."""

    @classmethod
    def of(cls, document: Document) -> Listed:
        """The entry of a document."""
        size, words = len(document.text), len(document.text.split())
        return cls(document.id, document.path, document.sha256, document.title, document.source, size, words)


@dataclass(frozen=True, slots=True)
class Chunk:
    """A stretch of a document that is embedded and searched as one."""

    document_id: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class PassageScores:
    """What retrieval has to say for a passage. Of several chunks or segments it is the best one's."""

    dense: float
    """Cosine of the question and a chunk, in [-1, 1]."""
    segment: float
    """Cosine of the question and a segment, in [-1, 1]."""
    keyword: float | None
    """BM25 of a chunk, 0 or more, higher is better; None where keyword search did not name it."""
    fused: float
    """Score of a segment, by these, its words and its surroundings: it ranks the passages where there is no reader."""


@dataclass(frozen=True, slots=True)
class Passage:
    """A retrieved stretch of a document."""

    rank: int
    """From 1."""
    score: float
    """What ranks the passage: the fused score, or what a reader made of it. Comparable within one question only."""
    document: Document
    start: int
    end: int
    scores: PassageScores

    @property
    def text(self) -> str:
        """The exact stretch of the document."""
        return self.document.text[self.start : self.end]


@dataclass(frozen=True, slots=True)
class Quote:
    """A stretch that answers. What is shown is `document.text[start:end]`, and nothing else."""

    document: Document
    start: int
    end: int
    score: float
    """How much the stretch answers, in [0, 1]; comparable within one question only."""

    def __post_init__(self) -> None:
        if not 0 <= self.start < self.end <= len(self.document.text):
            raise ValueError(
                f"quote {self.start}:{self.end} lies outside its document of {len(self.document.text)} characters"
            )

    @property
    def text(self) -> str:
        """The exact stretch of the document."""
        return self.document.text[self.start : self.end]


@dataclass(frozen=True, slots=True)
class Citation:
    """A numbered quote and where a person finds it."""

    number: int
    """From 1, in the order of the answer."""
    quote: Quote
    location: str
    """As a person writes it: "line 31", "p. 12", "Ruby Osman, line 67, 82 % of the way through"."""


class SourceState(StrEnum):
    """Of a document's file against the document, as the index holds it."""

    SAME = "same"
    CHANGED = "changed"
    """Since it was read; the quote is what the file said then."""
    GONE = "gone"
    """Deleted, moved or renamed since it was read."""
    UNKNOWN = "unknown"
    """The document comes from no file, or from one that is out of reach, as on another machine."""


@dataclass(frozen=True, slots=True)
class Signal:
    """One feature of the confidence and what it contributed."""

    name: str
    value: float
    contribution: float
    """Change of the log-odds against an average question; positive speaks for "answered"."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What is said to a question."""

    question: str
    text: str
    """For a person to read. Every quoted word stands in `citations`."""
    citations: tuple[Citation, ...]
    abstained: bool
    """True where the documents do not answer; then `citations` is empty and `passages` are the closest."""
    confidence: float
    """Calibrated probability, in [0, 1], that the documents answer the question."""
    signals: tuple[Signal, ...]
    passages: tuple[Passage, ...]
    index_version: str
    encoder: str
    timings_ms: dict[str, float]
    """Wall-clock milliseconds of each stage, in the order they ran, and their "total"."""
    stale: Mapping[str, SourceState] = field(default_factory=dict)
    """Of the documents cited (for an abstention, of the passages'), those whose files have changed or gone, by id."""
    read_as: str = ""
    """The question with its misspelt words mended; empty where it was taken as it is."""
