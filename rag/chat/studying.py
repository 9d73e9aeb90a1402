"""Study tools and votes. What they give goes into the tray, which the page's script copies, saves or says."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace

import gradio as gr

from rag.chat import export
from rag.chat.backend import Backend
from rag.chat.feedback import FeedbackFile
from rag.chat.open_chat import OpenChat
from rag.chat.outputs import Outputs, Update, nothing, style_of, text_of, tray
from rag.chat.places import find_place
from rag.chat.references import quote_with_reference
from rag.chat.texts import Texts

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Studying:
    """The events of the study tools."""

    backend: Backend
    feedback: FeedbackFile
    texts: Texts
    outputs: Outputs

    def reference(self, event: gr.EventData) -> str:
        """A quote with its reference, to be copied."""
        place, style = find_place(self.backend, text_of(event, "ref")), style_of(event)
        if place is None:
            return tray(kind="say", text=self.texts.panel_gone)
        name = dict(self.texts.styles)[style]
        text = quote_with_reference(place, style, self.texts.no_date)
        return tray(kind="copy", text=text, say=self.texts.copied_quote.format(style=name))

    def export(self, chat: OpenChat, event: gr.EventData) -> str:
        """The conversation as a file."""
        if not any(turn.text for turn in chat.conversation.turns):
            return tray(kind="say", text=self.texts.export_empty)
        page = text_of(event, "format") == "html"
        write = export.to_html if page else export.to_markdown
        text = write(chat.conversation, style_of(event), self.texts)
        name, media = ("conversation.html", "text/html") if page else ("conversation.md", "text/markdown")
        return tray(kind="save", text=text, name=name, type=f"{media};charset=utf-8")

    async def vote(self, chat: OpenChat, event: gr.EventData) -> Update:
        """Thumbs up or down: gives the messages and the tray."""
        number, up = getattr(event, "turn", None), getattr(event, "up", None)
        turn = chat.conversation.turn(number)
        if turn is None or not isinstance(number, int) or not isinstance(up, bool) or turn.notice or turn.pending:
            return nothing(2)
        note = text_of(event, "note")
        vote = None if turn.vote is up and not note else up  # the same thumb again takes the vote back
        try:
            self.feedback.write(chat.conversation, number, turn, vote, note)
        except OSError:
            _log.exception("feedback could not be saved")
            return gr.skip(), tray(kind="say", text=self.texts.vote_failed)
        turns = list(chat.conversation.turns)
        turns[number] = replace(turn, vote=vote)
        # Not a change that overtakes an answer under way: the vote is on an earlier one.
        chat.conversation = replace(chat.conversation, turns=tuple(turns))
        ask_why = vote is not None and not note
        said = tray(kind="voted", text=self.texts.voted, turn=number, up=up, ask=ask_why)
        return self.outputs.messages(chat.conversation), said
