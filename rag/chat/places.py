"""Places: a stretch of a document of the open index, and the reference to it that travels through the browser.

A reference comes back from the browser, from bookmarks and from stored conversations, so it is a strict
pattern, its document must be in the index and its offsets inside the document. Nothing else is made from it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TypeGuard

from rag.chat.backend import Backend
from rag.records import Citation, Document

_REF = re.compile(r"([0-9a-f]{16})\.(\d{1,9})\.(\d{1,9})", re.ASCII)
_DOCUMENT_ID = re.compile(r"[0-9a-f]{16}", re.ASCII)
CONTEXT_CHARACTERS = 90
"""About a line of text on either side of a quote."""


@dataclass(frozen=True, slots=True)
class Place:
    """Characters from `start` up to, not including, `end` of a document."""

    document: Document
    start: int
    end: int

    @property
    def ref(self) -> str:
        """As it stands in a link: document id, start and end."""
        return f"{self.document.id}.{self.start}.{self.end}"

    @property
    def text(self) -> str:
        """The exact stretch."""
        return self.document.text[self.start : self.end]

    def before(self) -> str:
        """The words that lead to the stretch, about a line."""
        text = self.document.text[max(0, self.start - CONTEXT_CHARACTERS) : self.start]
        return text if self.start <= CONTEXT_CHARACTERS else text.partition(" ")[2]

    def after(self) -> str:
        """The words that follow the stretch, about a line."""
        text = self.document.text[self.end : self.end + CONTEXT_CHARACTERS]
        return text if self.end + CONTEXT_CHARACTERS >= len(self.document.text) else text.rpartition(" ")[0]


def place_of(citation: Citation) -> Place:
    """Where the quote of a citation stands."""
    return Place(citation.quote.document, citation.quote.start, citation.quote.end)


def find_place(backend: Backend, ref: object) -> Place | None:
    """The place a reference names in the open index, None for anything else."""
    match = _REF.fullmatch(ref) if isinstance(ref, str) else None
    document = backend.document(match[1]) if match else None
    if match is None or document is None:
        return None
    start, end = int(match[2]), int(match[3])
    return Place(document, start, end) if 0 <= start < end <= len(document.text) else None


def find_document(backend: Backend, document_id: object) -> Document | None:
    """The document with this id in the open index, None for anything else."""
    return backend.document(document_id) if is_document_id(document_id) else None


def is_document_id(value: object) -> TypeGuard[str]:
    """Whether this could be the id of a document, of this index or of another version of it."""
    return isinstance(value, str) and _DOCUMENT_ID.fullmatch(value) is not None
