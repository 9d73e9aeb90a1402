"""What the chat needs of an assistant. `rag.assistant.Assistant` is one; the tests bring a smaller one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from rag.records import Answer, Document, Listed, Passage


class Backend(Protocol):
    """Answers questions from one open index. Every method may be called from several threads at once."""

    @property
    def version(self) -> str:
        """The index version that is open."""
        ...

    @property
    def encoder_id(self) -> str:
        """Name and fingerprint of the encoder."""
        ...

    def ask(self, question: str, history: Sequence[str] = (), documents: Sequence[str] | None = None) -> Answer:
        """Answer a question, given the earlier ones. Raises QuestionError, one polite line."""
        ...

    def search(self, query: str, k: int | None = None, documents: Sequence[str] | None = None) -> Sequence[Passage]:
        """The passages nearest to a query, best first."""
        ...

    def catalogue(self) -> Sequence[Listed]:
        """What there is to say of every document of the index; called often, also on the event loop."""
        ...

    def document(self, document_id: str) -> Document | None:
        """One document, None where the index does not hold it."""
        ...

    def suggestions(self, near: Sequence[Document] = ()) -> Sequence[str]:
        """Questions that the documents answer, those of the documents `near` first."""
        ...

    def refresh(self) -> bool:
        """Open a newer index version if there is one."""
        ...
