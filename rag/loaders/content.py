"""What a loader gives: canonical text with anchors, written piece by piece."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, field
from typing import Any

from rag.records import Anchor, AnchorKind, Source

FORMAT = 5
"""Changes whenever a loader reads the same file differently, so that files are read anew."""

_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0e-\x1f\x7f\ufeff\ufffe\uffff\u00ad]")
_SPACE = re.compile(r"[ \t\r\n\f\u00a0]+")
_LABEL_CHARACTERS = 300


@dataclass(frozen=True, slots=True)
class Pages:
    """The pages (of a PDF) or slides of a file."""

    seen: int = 0
    """In the file."""
    empty: int = 0
    """With nothing on them."""
    dropped: tuple[str, ...] = ()
    """Those that hold something that is not in the text, each with its reason: "p. 3 is a picture without text"."""


@dataclass(frozen=True, slots=True)
class Content:
    """What was read from one file."""

    text: str
    anchors: tuple[Anchor, ...] = ()
    """Sorted by start."""
    source: Source = field(default_factory=Source)
    """What the file says of itself; `sources.toml` wins over it."""
    pages: Pages = field(default_factory=Pages)
    notes: tuple[str, ...] = ()
    """What a reader of the build report should know, such as page headers that were left out."""

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return {
            "text": self.text,
            "anchors": [anchor.row() for anchor in self.anchors],
            "source": asdict(self.source),
            "pages": asdict(self.pages),
            "notes": list(self.notes),
        }

    @classmethod
    def from_json(cls, raw: dict[str, Any]) -> Content:
        """From `to_json`."""
        pages = raw["pages"]
        return cls(
            raw["text"],
            tuple(map(Anchor.from_row, raw["anchors"])),
            Source.from_fields(raw["source"]),
            Pages(pages["seen"], pages["empty"], tuple(pages["dropped"])),
            tuple(raw["notes"]),
        )


class Writer:
    """Puts a text together and keeps the offsets of its anchors."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._breaks = 0  # line ends at the end of what is written
        self.length = 0
        self.anchors: list[Anchor] = []
        self._waiting: list[tuple[AnchorKind, str]] = []

    def write(self, text: str) -> None:
        """Append text that is not empty; anchors that wait begin with it."""
        if not text:
            return
        for kind, label in self._waiting:
            self.anchors.append(Anchor(self.length, kind, label))
        self._waiting.clear()
        self._parts.append(text)
        self.length += len(text)
        stripped = text.rstrip("\n")
        self._breaks = len(text) - len(stripped) + (0 if stripped else self._breaks)

    def end_lines(self, count: int) -> None:
        """End with `count` line ends (2: a paragraph), unless nothing is written yet."""
        if self.length and self._breaks < count:
            missing = "\n" * (count - self._breaks)
            self._parts.append(missing)
            self.length += len(missing)
            self._breaks = count

    def paragraph(self, text: str) -> None:
        """A paragraph of its own."""
        if text:
            self.end_lines(2)
            self.write(text)
            self.end_lines(2)

    def anchor(self, kind: AnchorKind, label: str) -> None:
        """An anchor at the next character that is written. One of the same kind that still waits is replaced."""
        self._waiting = [(k, text) for k, text in self._waiting if k is not kind]
        self._waiting.append((kind, one_line(label)[:_LABEL_CHARACTERS]))

    def text(self) -> str:
        """All that was written, ending with one line end."""
        return "".join(self._parts).rstrip("\n") + ("\n" if self.length else "")


def clean(text: str) -> str:
    """Without characters that no reader sees (controls, soft hyphens) and without halves of surrogate pairs."""
    return _UNPRINTABLE.sub("", text.encode("utf-16", "surrogatepass").decode("utf-16", "replace"))


def one_line(text: str) -> str:
    """With every run of white space as one space, and none at the ends."""
    return _SPACE.sub(" ", text).strip()
