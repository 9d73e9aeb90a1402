"""What happens on each event of the page. Everything that an event brings from the browser is checked here."""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import gradio as gr

from rag.chat import export
from rag.chat.backend import Backend
from rag.chat.conversation import Conversation, Turn, answered, from_stored, to_stored
from rag.chat.escaping import escape
from rag.chat.feedback import FeedbackFile
from rag.chat.library import library_view, scope_line
from rag.chat.limits import Limiter, Slots
from rag.chat.panel import View, message_view, source_view
from rag.chat.parts import until
from rag.chat.places import find_document, find_place
from rag.chat.references import STYLES, quote_with_reference
from rag.chat.render import messages
from rag.chat.texts import Texts
from rag.chat.why import why_view
from rag.errors import UserError
from rag.settings import Settings

SHOW_LOOKING_AFTER_S = 0.15
"""An answer that comes sooner is painted at once; a slower one is announced."""
REVEAL_S = 0.04
"""Between two quotes of an answer as it appears."""
REVEAL_UP_TO = 6
"""People asking at once up to which an answer appears quote by quote; each step costs about as much as an answer."""
MAX_REFS = 12
MAX_SUGGESTIONS = 4

_log = logging.getLogger(__name__)
Update = tuple[Any, ...]
"""One value for each output of an event; Gradio's updates are untyped."""


@dataclass(frozen=True, slots=True)
class Handlers:
    """The events of the page over one backend."""

    backend: Backend
    settings: Settings
    feedback: FeedbackFile
    limiter: Limiter
    slots: Slots
    texts: Texts

    # asking: every generator yields the question box, the messages, the conversation and the ledger

    async def submit(self, question: str, conversation: Conversation, request: gr.Request) -> AsyncIterator[Update]:
        """Enter in the question box."""
        async for update in self._ask(question, conversation, request):
            yield update

    async def suggested(
        self, conversation: Conversation, event: gr.EventData, request: gr.Request
    ) -> AsyncIterator[Update]:
        """A suggested question was chosen."""
        async for update in self._ask(_field(event, "question"), conversation, request):
            yield update

    async def retry(self, conversation: Conversation, request: gr.Request) -> AsyncIterator[Update]:
        """The last question again."""
        if conversation.turns:
            earlier = replace(conversation, turns=conversation.turns[:-1])
            async for update in self._ask(conversation.turns[-1].question, earlier, request):
                yield update
        else:
            yield self._done(conversation)

    async def _ask(self, asked: object, conversation: Conversation, request: gr.Request) -> AsyncIterator[Update]:
        question = asked.strip() if isinstance(asked, str) else ""
        if not question:
            yield self._done(conversation, keep_question=True)
            return
        question, notice = self._admitted(question, request)
        if notice:
            conversation = conversation.with_turn(Turn(question, notice=notice))
            yield self._done(conversation)
            return
        if not self.slots.take():
            yield self._done(conversation.with_turn(Turn(question, notice=self.texts.busy)))
            return
        work = asyncio.ensure_future(asyncio.to_thread(self._answer, question, conversation))
        try:
            finished, _ = await asyncio.wait({work}, timeout=SHOW_LOOKING_AFTER_S)
            waiting = conversation.with_turn(Turn(question, pending=True))
            if not finished:
                yield self._working(waiting)
            turn = await work
            for shown in range(1, len(turn.citations) if self.slots.taken <= REVEAL_UP_TO else 1):
                waiting = waiting.with_last(replace(turn, shown=shown))
                yield self._working(waiting)
                await asyncio.sleep(REVEAL_S)
            yield self._done(waiting.with_last(turn))
        finally:
            work.cancel()
            self.slots.give_back()

    def _admitted(self, question: str, request: gr.Request) -> tuple[str, str]:
        """The question as it may be shown, and a polite refusal where it is not to be answered now."""
        limit = self.settings.max_question_characters
        if not self.limiter.allow(client_address(request)):
            return question[:limit], self.texts.too_fast
        return question[: limit + 1], ""  # one more than is read, so that the backend says what is wrong

    def _answer(self, question: str, conversation: Conversation) -> Turn:
        """The turn for a question. Never raises: what went wrong becomes a line that a person can read."""
        try:
            known = [i for i in conversation.documents if self.backend.document(i) is not None]
            answer = self.backend.ask(question, conversation.earlier_questions(), known or None)
            return answered(question, answer)
        except UserError as error:
            return Turn(question[: self.settings.max_question_characters], notice=str(error))
        except Exception:
            _log.exception("a question could not be answered")
            return Turn(question, notice=self.texts.failed)

    def stop(self, conversation: Conversation) -> Update:
        """An answer under way keeps the quotes already shown; a question without an answer goes back to the box."""
        last = conversation.turns[-1] if conversation.turns else None
        if last is None or not (last.pending or last.shown is not None):
            return self._done(conversation)
        if last.pending:
            conversation = replace(conversation, turns=conversation.turns[:-1])
            return self._done(conversation, question=last.question)
        text = f"{until(last.text, last.citations, last.shown or 0)}\n{self.texts.stopped}"
        kept = replace(last, text=text, citations=last.citations[: last.shown], shown=None)
        return self._done(conversation.with_last(kept))

    def edit(self, conversation: Conversation) -> Update:
        """The last question back into the box, to be asked differently."""
        if not conversation.turns:
            return self._done(conversation)
        question = conversation.turns[-1].question
        return self._done(replace(conversation, turns=conversation.turns[:-1]), question=question)

    def new_chat(self) -> Update:
        """An empty conversation; the one before stays in the browser."""
        return (*self._done(Conversation(), question=""), "")

    def restore(self, event: gr.EventData) -> Update:
        """A conversation that the browser kept. Its quotes are cut anew from the open index."""
        conversation = from_stored(self.backend, getattr(event, "conversation", None))
        return (*self._done(conversation, question=""), self._scope(conversation))

    # reading: these give the panel

    def open_place(self, event: gr.EventData) -> str:
        """A quote in its document."""
        place = find_place(self.backend, _field(event, "ref"))
        if place is None:
            return message_view(self.texts.panel_gone, self.texts.panel_gone_text, self.texts)
        refs = getattr(event, "refs", None)
        found = (find_place(self.backend, ref) for ref in (refs[:MAX_REFS] if isinstance(refs, list) else []))
        others = tuple({p.ref: p for p in found if p is not None}.values())
        return source_view(View(place.document, place, others if place in others else (place,)), self.texts)

    def read(self, event: gr.EventData) -> str:
        """A document from its beginning, or from one of its parts."""
        name, _, offset = _field(event, "ref").partition(".")
        document = find_document(self.backend, name)
        if document is None:
            return message_view(self.texts.panel_gone, self.texts.panel_gone_text, self.texts)
        begin = int(offset) if offset.isascii() and offset.isdigit() and len(offset) < 10 else 0
        return source_view(View(document, offset=min(begin, len(document.text))), self.texts)

    def library(self, conversation: Conversation) -> str:
        """The list of documents."""
        return library_view(self.backend.documents(), conversation.documents, self.texts)

    def why(self, conversation: Conversation, event: gr.EventData) -> str:
        """Why an answer is what it is."""
        turn = conversation.turn(getattr(event, "turn", None))
        if turn is None or turn.answer is None:
            return message_view(self.texts.why_gone, self.texts.why_gone_text, self.texts, role="status")
        return why_view(turn.answer, self.settings.answer_threshold, self.texts)

    def choose(self, conversation: Conversation, event: gr.EventData) -> Update:
        """Which documents to ask: gives the conversation, the line that says so, and the ledger."""
        ids = getattr(event, "documents", None)
        everything = [document.id for document in self.backend.documents()]
        wanted = {item for item in ids if isinstance(item, str)} if isinstance(ids, list) else set()
        chosen = tuple(i for i in everything if i in wanted)
        conversation = replace(conversation, documents=() if len(chosen) == len(everything) else chosen)
        return conversation, self._scope(conversation), self._ledger(conversation)

    # study tools: these give the tray, which the page's script copies, saves or says

    def reference(self, event: gr.EventData) -> str:
        """A quote with its reference, to be copied."""
        place, style = find_place(self.backend, _field(event, "ref")), _style(event)
        if place is None:
            return _tray(kind="say", text=self.texts.panel_gone)
        name = dict(self.texts.styles)[style]
        text = quote_with_reference(place, style, self.texts.no_date)
        return _tray(kind="copy", text=text, say=self.texts.copied_quote.format(style=name))

    def export(self, conversation: Conversation, event: gr.EventData) -> str:
        """The conversation as a file."""
        if not any(turn.text for turn in conversation.turns):
            return _tray(kind="say", text=self.texts.export_empty)
        page = _field(event, "format") == "html"
        write = export.to_html if page else export.to_markdown
        text = write(conversation, self.backend.version, _style(event), self.texts)
        name, media = ("conversation.html", "text/html") if page else ("conversation.md", "text/markdown")
        return _tray(kind="save", text=text, name=name, type=f"{media};charset=utf-8")

    def vote(self, conversation: Conversation, event: gr.EventData) -> Update:
        """Thumbs up or down: gives the messages, the conversation and the tray."""
        number, up = getattr(event, "turn", None), getattr(event, "up", None)
        turn = conversation.turn(number)
        if turn is None or not isinstance(number, int) or not isinstance(up, bool) or turn.notice or turn.pending:
            return gr.skip(), gr.skip(), gr.skip()
        note = _field(event, "note")
        vote = None if turn.vote is up and not note else up  # the same thumb again takes the vote back
        try:
            self.feedback.write(conversation, number, turn, vote, note)
        except OSError:
            _log.exception("feedback could not be saved")
            return gr.skip(), gr.skip(), _tray(kind="say", text=self.texts.vote_failed)
        turns = list(conversation.turns)
        turns[number] = replace(turn, vote=vote)
        conversation = replace(conversation, turns=tuple(turns))
        ask_why = vote is not None and not note
        tray = _tray(kind="voted", text=self.texts.voted, turn=number, up=up, ask=ask_why)
        return self._messages(conversation), conversation, tray

    # what the outputs are made of

    def _working(self, conversation: Conversation) -> Update:
        box = gr.Textbox(value="", submit_btn=False, stop_btn=True)
        return box, self._messages(conversation), conversation, gr.skip()

    def _done(self, conversation: Conversation, *, question: str = "", keep_question: bool = False) -> Update:
        buttons = {"submit_btn": True, "stop_btn": False}
        box = gr.Textbox(**buttons) if keep_question else gr.Textbox(value=question, **buttons)
        return box, self._messages(conversation), conversation, self._ledger(conversation)

    def _messages(self, conversation: Conversation) -> Sequence[dict[str, str]]:
        last = conversation.turns[-1] if conversation.turns else None
        abstained = last is not None and last.abstained
        near = [place.document for place in last.closest] if last is not None else []
        suggestions = self.backend.suggestions(near)[:MAX_SUGGESTIONS] if abstained else ()
        return messages(conversation, suggestions, self.texts)

    def _scope(self, conversation: Conversation) -> str:
        return scope_line(len(conversation.documents), len(self.backend.documents()), self.texts)

    def _ledger(self, conversation: Conversation) -> str:
        """What the browser keeps, as text that the page's script reads."""
        return _data(to_stored(conversation))


def client_address(request: gr.Request) -> str:
    """Who asks, for the limits."""
    client = request.client
    return str(client.host) if client else "unknown"


def _field(event: gr.EventData, name: str) -> str:
    value = getattr(event, name, "")
    return value if isinstance(value, str) else ""


def _style(event: gr.EventData) -> str:
    style = _field(event, "style")
    return style if style in STYLES else STYLES[0]


def _tray(**message: object) -> str:
    return _data({**message, "key": secrets.token_hex(4)})  # the page sees only what changes: the same copy twice does


def _data(record: object) -> str:
    """JSON as text for the page's script; the mark-up keeps it apart from what Gradio writes beside it."""
    return f'<span class="data">{escape(json.dumps(record))}</span>'
