"""What the panel shows: a quote in its document, a document, the list of them, and why an answer is what it is."""

from __future__ import annotations

from dataclasses import dataclass

import gradio as gr

from rag.chat.backend import Backend
from rag.chat.library import library_view
from rag.chat.open_chat import OpenChat
from rag.chat.outputs import text_of, texts_of
from rag.chat.panel import View, message_view, source_view
from rag.chat.places import find_document, find_place
from rag.chat.texts import Texts
from rag.chat.why import why_view

MAX_REFS = 12


@dataclass(frozen=True, slots=True)
class Reading:
    """The events that give the panel."""

    backend: Backend
    answer_threshold: float
    texts: Texts

    def open_place(self, event: gr.EventData) -> str:
        """A quote in its document."""
        place = find_place(self.backend, text_of(event, "ref"))
        if place is None:
            return message_view(self.texts.panel_gone, self.texts.panel_gone_text, self.texts)
        found = (find_place(self.backend, ref) for ref in texts_of(event, "refs", MAX_REFS))
        others = tuple({p.ref: p for p in found if p is not None}.values())
        return source_view(View(place.document, place, others if place in others else (place,)), self.texts)

    def read(self, event: gr.EventData) -> str:
        """A document from its beginning, or from one of its parts."""
        name, _, offset = text_of(event, "ref").partition(".")
        document = find_document(self.backend, name)
        if document is None:
            return message_view(self.texts.panel_gone, self.texts.panel_gone_text, self.texts)
        begin = int(offset) if offset.isascii() and offset.isdigit() and len(offset) < 10 else 0
        return source_view(View(document, offset=min(begin, len(document.text))), self.texts)

    def library(self, chat: OpenChat) -> str:
        """The list of documents."""
        return library_view(self.backend.catalogue(), chat.conversation.documents, self.texts)

    def why(self, chat: OpenChat, event: gr.EventData) -> str:
        """Why an answer is what it is."""
        turn = chat.conversation.turn(getattr(event, "turn", None))
        if turn is None or turn.answer is None:
            return message_view(self.texts.why_gone, self.texts.why_gone_text, self.texts, role="status")
        return why_view(turn.answer, self.answer_threshold, self.texts)
