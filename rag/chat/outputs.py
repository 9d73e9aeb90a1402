"""What events give back to the page, and what they are given: Gradio's values, made and read in one place."""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from rag.chat.backend import Backend
from rag.chat.conversation import Conversation, to_stored
from rag.chat.escaping import escape
from rag.chat.library import scope_line
from rag.chat.open_chat import OpenChat
from rag.chat.references import STYLES
from rag.chat.render import Message, messages, start
from rag.chat.texts import Texts

MAX_SUGGESTIONS = 4
MAX_EXAMPLES = 6
Update = tuple[Any, ...]
"""One value for each output of an event; Gradio's updates are untyped."""


@dataclass(frozen=True, slots=True)
class Outputs:
    """The question box, the messages, the open chat, the ledger and the scope, as every event of asking gives them."""

    backend: Backend
    texts: Texts

    def working(self, chat: OpenChat, *, box: str | None = None) -> Update:
        """An answer is being made. An empty ledger, which the script passes over, costs Gradio less than a skip."""
        return _box(box), self.messages(chat.conversation), chat, "", self._scope(chat.conversation)

    def done(self, chat: OpenChat, *, box: str | None = None, news: bool = False) -> Update:
        """Nothing is being made. `box` is what is in the question box from now on, None for what is there.

        With `news` an answer or a refusal has just come, for a screen reader to say.
        """
        conversation = chat.conversation
        # The key makes the same answer to the same question news as well.
        said = {"notice": conversation.turns[-1].notice, "key": secrets.token_hex(4)} if news else None
        ledger = data({**to_stored(conversation), "news": said})
        return _box(box), self.messages(conversation), chat, ledger, self._scope(conversation)

    def messages(self, conversation: Conversation) -> list[Message]:
        """The conversation as the chat shows it."""
        last = conversation.turns[-1] if conversation.turns else None
        abstained = last is not None and last.abstained
        near = [place.document for place in last.closest] if last is not None else []
        suggestions = self.backend.suggestions(near)[:MAX_SUGGESTIONS] if abstained else ()
        return messages(conversation, suggestions, self.texts)

    def _scope(self, conversation: Conversation) -> str:
        """Which documents are asked, where it is not all of them."""
        return scope_line(len(conversation.documents), len(self.backend.catalogue()), self.texts)

    def start(self) -> str:
        """The page before the first question, with examples from all along the list: neighbours are much alike."""
        questions = self.backend.suggestions()
        count = min(len(questions), MAX_EXAMPLES)
        return start([questions[i * len(questions) // count] for i in range(count)], self.texts)


def _box(text: str | None) -> object:
    return gr.skip() if text is None else text


def nothing(outputs: int) -> Update:
    """The page stays as it is."""
    return (gr.skip(),) * outputs


def tray(**message: object) -> str:
    """Something for the page's script to do: copy, save or say. A key makes the same message twice two messages."""
    return data({**message, "key": secrets.token_hex(4)})


def data(record: object) -> str:
    """JSON as text for the page's script; the mark-up keeps it apart from what Gradio writes beside it."""
    return f'<span class="data">{escape(json.dumps(record))}</span>'


def text_of(event: gr.EventData, name: str) -> str:
    """A text that an event brought; empty for anything else."""
    value = getattr(event, name, "")
    return value if isinstance(value, str) else ""


def texts_of(event: gr.EventData, name: str, most: int) -> Sequence[str]:
    """The texts in a list that an event brought, so many at most."""
    value = getattr(event, name, None)
    return [item for item in value[:most] if isinstance(item, str)] if isinstance(value, list) else []


def style_of(event: gr.EventData) -> str:
    """The style of references that an event names, the first one for any that is not known."""
    style = text_of(event, "style")
    return style if style in STYLES else STYLES[0]
