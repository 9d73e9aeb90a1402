"""Conversations. The server holds the one that is open; the browser alone keeps the others.

What the browser stores holds references, neither quotes nor answers: when a conversation comes back, every quote is
cut anew from the open index and its answer made of them, so that nothing stored can put words into a document.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace

from rag.answering import cite, compose
from rag.chat.backend import Backend
from rag.chat.places import Place, find_place, is_document_id, place_of
from rag.records import Answer, Citation, Quote

MAX_TURNS = 40
"""Turns shown and stored; each one costs the browser a little at every step of a streamed answer."""
MAX_STORED_CHARACTERS = 4000
"""Of a question that a browser brings back; longer ones are cut."""
MAX_PLACES = 12
MAX_DOCUMENTS = 20_000
"""Chosen in one conversation; a request has room for fewer."""
MAX_ORDINAL = 10**6
"""Beyond what anybody asks; a browser may send numbers of any length."""
ID_BYTES = 8


@dataclass(frozen=True, slots=True)
class Turn:
    """A question and what was said to it."""

    question: str
    text: str = ""
    citations: tuple[Citation, ...] = ()
    closest: tuple[Place, ...] = ()
    """The nearest passages where the documents do not answer."""
    abstained: bool = False
    pending: bool = False
    """True until there is an answer."""
    notice: str = ""
    """A polite line in place of an answer, such as that the question is too long."""
    shown: int | None = None
    """Quotes revealed so far; None where all are."""
    stopped: bool = False
    """True where the reader stopped it between two quotes."""
    lost: int = 0
    """Quotes of a stored conversation that an index did not hold any more when it was opened."""
    vote: bool | None = None
    answer: Answer | None = None
    """All that is known of the answer; None for a conversation that a browser brought back."""
    version: str = ""
    """Index version that the quotes were cut from; empty where nothing was answered."""
    ordinal: int = 0
    """Its number in the conversation from 0, given with the turn. Unlike its position it stays what it is where earlier
    turns are dropped or not stored."""
    documents: tuple[str, ...] = ()
    """Ids of the documents that it was asked of, empty for all; given with the turn, as others may be chosen later."""


@dataclass(frozen=True, slots=True)
class Conversation:
    """The turns of one conversation and the documents it is limited to."""

    id: str = ""
    """16 random hex digits, given with the first turn."""
    turns: tuple[Turn, ...] = ()
    documents: tuple[str, ...] = ()
    """Ids of the documents to ask; empty for all."""

    def earlier_questions(self) -> list[str]:
        """The questions that were answered, for a follow-up to refer to."""
        return [turn.question for turn in self.turns if not turn.notice and not turn.pending]

    def with_turn(self, turn: Turn) -> Conversation:
        """This conversation with one more turn; the oldest goes where there would be too many."""
        ordinal = self.turns[-1].ordinal + 1 if self.turns else 0
        added = replace(turn, ordinal=ordinal, documents=self.documents)
        return replace(self, id=self.id or secrets.token_hex(ID_BYTES), turns=(*self.turns, added)[-MAX_TURNS:])

    def with_last(self, turn: Turn) -> Conversation:
        """This conversation with its last turn replaced."""
        last = self.turns[-1]
        return replace(self, turns=(*self.turns[:-1], replace(turn, ordinal=last.ordinal, documents=last.documents)))

    def turn(self, number: object) -> Turn | None:
        """A turn by its position from 0, as the browser sent it."""
        inside = isinstance(number, int) and not isinstance(number, bool) and 0 <= number < len(self.turns)
        return self.turns[number] if inside and isinstance(number, int) else None


def answered(question: str, answer: Answer) -> Turn:
    """The turn that shows an answer."""
    closest = tuple(Place(p.document, p.start, p.end) for p in answer.passages[:3]) if answer.abstained else ()
    return Turn(
        question,
        answer.text,
        answer.citations,
        closest,
        answer.abstained,
        answer=answer,
        version=answer.index_version,
    )


def to_stored(conversation: Conversation) -> dict[str, object]:
    """The conversation as the browser keeps it.

    A turn names the documents that it was asked of only where they are others than those of the turn before it: of
    thousands of ids for each of many turns, a request that brings them back has no room.
    """
    stored = [turn for turn in conversation.turns if not turn.pending and not turn.notice]
    turns = [
        {
            "question": turn.question,
            "citations": [place_of(citation).ref for citation in turn.citations],
            "closest": [place.ref for place in turn.closest],
            "abstained": turn.abstained,
            "stopped": turn.stopped,
            "lost": turn.lost,
            "ordinal": turn.ordinal,
            **({} if before is not None and before.documents == turn.documents else {"documents": turn.documents}),
        }
        for before, turn in zip((None, *stored), stored, strict=False)
    ]
    return {"id": conversation.id, "documents": list(conversation.documents), "turns": turns}


def from_stored(backend: Backend, stored: object) -> Conversation:
    """A conversation that a browser brought back, as far as it can be trusted: an empty one at worst."""
    record = stored if isinstance(stored, dict) else {}
    documents = chosen_documents(record.get("documents"))
    turns = []
    asked_of = documents  # by a conversation that was stored without them
    for position, item in enumerate(_list(record.get("turns"), MAX_TURNS)):
        if isinstance(item, dict):
            asked_of = chosen_documents(item["documents"]) if isinstance(item.get("documents"), list) else asked_of
            turns.append(_turn(backend, item, position, asked_of))
    name = record.get("id")
    known = isinstance(name, str) and len(name) == 2 * ID_BYTES and set(name) <= set("0123456789abcdef")
    return Conversation(
        str(name) if known else secrets.token_hex(ID_BYTES),
        tuple(turn for turn in turns if turn.question),
        documents,
    )


def chosen_documents(ids: object) -> tuple[str, ...]:
    """The documents that a browser names as chosen, each once.

    Those that are gone stay chosen: dropped here, the next question would be asked of others without a word.
    """
    return tuple(dict.fromkeys(item for item in _list(ids, MAX_DOCUMENTS) if is_document_id(item)))


def _turn(backend: Backend, record: dict[object, object], position: int, documents: tuple[str, ...]) -> Turn:
    refs = _list(record.get("citations"), MAX_PLACES)
    found = [find_place(backend, ref) for ref in refs]
    citations = cite([Quote(place.document, place.start, place.end, 0.0) for place in found if place is not None])
    abstained = record.get("abstained") is True
    closest = [find_place(backend, ref) for ref in _list(record.get("closest"), MAX_PLACES)]
    return Turn(
        _text(record.get("question")),
        compose(citations) if citations or abstained else "",
        citations,
        tuple(place for place in closest if place is not None),
        abstained,
        stopped=record.get("stopped") is True,
        lost=_whole(record.get("lost"), 0) + len(refs) - len(citations),
        version=backend.version,
        ordinal=_whole(record.get("ordinal"), position),
        documents=documents,
    )


def _text(value: object) -> str:
    return value.strip()[:MAX_STORED_CHARACTERS] if isinstance(value, str) else ""


def _whole(value: object, otherwise: int) -> int:
    return value if type(value) is int and 0 <= value < MAX_ORDINAL else otherwise


def _list(value: object, longest: int) -> Sequence[object]:
    return value[:longest] if isinstance(value, list) else []
