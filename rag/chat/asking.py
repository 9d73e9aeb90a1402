"""What happens when a reader asks, stops, asks again, edits, or opens another conversation."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncGenerator, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from dataclasses import dataclass, field, replace

import gradio as gr

from rag.answering import compose
from rag.chat.backend import Backend
from rag.chat.conversation import Conversation, Turn, answered, chosen_documents, from_stored
from rag.chat.limits import Limiter, Slots
from rag.chat.open_chat import OpenChat
from rag.chat.outputs import Outputs, Update, nothing, text_of
from rag.chat.texts import Texts
from rag.errors import UserError
from rag.settings import Settings

SHOW_LOOKING_AFTER_S = 0.15
"""An answer that comes sooner is painted at once; a slower one is announced."""
REVEAL_S = 0.04
"""Between two quotes of an answer as it appears."""
REVEAL_UP_TO = 6
"""People asking at once up to which an answer appears quote by quote; each step costs about as much as an answer."""
KEPT_TIMES_READ = 10
"""A question that is too long is kept, to be made shorter, up to so many times the length that is read: all turns of a
conversation are written anew at each event, and a request may bring a hundred times that."""
WORKERS = min(4, os.cpu_count() or 1)
"""Answers made at once. An answer keeps a core busy: more threads would take turns, and all answers come later."""

_log = logging.getLogger(__name__)
_OUTPUTS = 5
Updates = AsyncGenerator[Update, None]
"""Closed with the event that it belongs to, so that nothing goes on for a reader who has gone."""


@dataclass(frozen=True, slots=True)
class Asking:
    """The events that change the conversation. All run on the event loop; only answers are made in other threads."""

    backend: Backend
    settings: Settings
    limiter: Limiter
    slots: Slots
    texts: Texts
    outputs: Outputs
    workers: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(WORKERS, "answer"))

    async def submit(self, question: str, chat: OpenChat, request: gr.Request) -> Updates:
        """Enter in the question box."""
        async with aclosing(self._ask(question, chat, request, box="")) as updates:
            async for update in updates:
                yield update

    async def suggested(self, chat: OpenChat, event: gr.EventData, request: gr.Request) -> Updates:
        """A suggested question was chosen."""
        async with aclosing(self._ask(text_of(event, "question"), chat, request)) as updates:
            async for update in updates:
                yield update

    async def retry(self, chat: OpenChat, request: gr.Request) -> Updates:
        """The last question again, in place of its answer once it is accepted."""
        turns = chat.conversation.turns
        async with aclosing(self._ask(turns[-1].question if turns else "", chat, request, again=True)) as updates:
            async for update in updates:
                yield update

    async def _ask(
        self, asked: object, chat: OpenChat, request: gr.Request, *, box: str | None = None, again: bool = False
    ) -> Updates:
        """Updates for a question; `box` is what is in the question box once it is asked, None to leave that alone.

        With `again` it takes the place of the last turn, but a refusal does not take that of an answer.
        """
        question = asked.strip() if isinstance(asked, str) else ""
        if not question:
            yield self.outputs.done(chat)
            return
        kept = self._kept(question)
        refusal = self._refusal(chat, request)
        turns = chat.conversation.turns
        if again and not (refusal and turns[-1].text):
            chat.change(replace(chat.conversation, turns=turns[:-1]))
        if refusal:
            chat.ask(Turn(kept, notice=refusal))
            yield self.outputs.done(chat, box=box, news=True)
            return
        earlier = chat.conversation
        number = chat.ask(Turn(kept, pending=True))
        work = asyncio.get_running_loop().run_in_executor(self.workers, self._answer, question, earlier)
        try:
            async with aclosing(self._as_it_comes(work, number, chat, box)) as updates:
                async for update in updates:
                    yield update
        finally:
            work.cancel()  # one that nobody waits for any more and that has not begun is not made
            self.slots.give_back()

    async def _as_it_comes(self, work: asyncio.Future[Turn], number: int, chat: OpenChat, box: str | None) -> Updates:
        finished, _ = await asyncio.wait({work}, timeout=SHOW_LOOKING_AFTER_S)
        if not finished:
            yield self.outputs.working(chat, box=box)
            box = None  # emptied once: the reader may be writing the next question by now
        turn = await work
        reveal = self.slots.taken <= REVEAL_UP_TO
        for shown in range(1, len(turn.citations) if reveal else 1):
            if not chat.answer(number, replace(turn, shown=shown)):
                break
            yield self.outputs.working(chat, box=box)
            box = None
            await asyncio.sleep(REVEAL_S)
        overtaken = not chat.answer(number, turn)
        yield nothing(_OUTPUTS) if overtaken else self.outputs.done(chat, box=box, news=True)

    def _refusal(self, chat: OpenChat, request: gr.Request) -> str:
        """Why a question is not answered now, politely; empty, and a slot is taken, where it is.

        Chosen documents that the index does not hold any more are told once, and are not chosen from then on.
        """
        if not self.limiter.allow(client_address(request)):
            return self.texts.too_fast
        chosen = chat.conversation.documents
        left = self._known(chosen)
        if len(left) < len(chosen):
            chat.conversation = replace(chat.conversation, documents=left)
            return self.texts.choice_lost(len(left), len(chosen))
        return "" if self.slots.take() else self.texts.busy

    def _answer(self, question: str, conversation: Conversation) -> Turn:
        """The turn for a question. Never raises: what went wrong becomes a line that a person can read."""
        try:
            answer = self.backend.ask(question, conversation.earlier_questions(), conversation.documents or None)
            return answered(question, answer)
        except UserError as error:
            return Turn(self._kept(question), notice=str(error))
        except Exception:
            _log.exception("a question could not be answered")
            return Turn(question, notice=self.texts.failed)

    def _kept(self, question: str) -> str:
        """What a turn keeps of a question: more than is read, so that one too long still is when asked again."""
        return question[: KEPT_TIMES_READ * self.settings.max_question_characters]

    async def stop(self, chat: OpenChat) -> Update:
        """An answer under way keeps the quotes already shown; a question without an answer goes back to the box."""
        conversation = chat.conversation
        last = conversation.turns[-1] if conversation.turns else None
        if last is None or not (last.pending or last.shown is not None):
            return self.outputs.done(chat)
        if last.pending:
            chat.change(replace(conversation, turns=conversation.turns[:-1]))
            return self.outputs.done(chat, box=last.question)
        kept = last.citations[: last.shown]
        stopped = replace(last, text=compose(kept), citations=kept, shown=None, stopped=True)
        chat.change(conversation.with_last(stopped))
        return self.outputs.done(chat, news=True)

    async def edit(self, chat: OpenChat) -> Update:
        """The last question back into the box, to be asked differently."""
        turns = chat.conversation.turns
        if not turns:
            return self.outputs.done(chat)
        chat.change(replace(chat.conversation, turns=turns[:-1]))
        return self.outputs.done(chat, box=turns[-1].question)

    async def new_chat(self, chat: OpenChat) -> Update:
        """An empty conversation; the one before stays in the browser."""
        chat.change(Conversation())
        box, _, *rest = self.outputs.done(chat, box="")
        fresh = self._fresh_examples(chat)
        return box, gr.update(value=[], **fresh) if fresh else [], *rest

    async def restore(self, chat: OpenChat, event: gr.EventData) -> Update:
        """A conversation that the browser kept. Its quotes are cut anew from the open index."""
        stored = getattr(event, "conversation", None)
        chat.change(await asyncio.to_thread(from_stored, self.backend, stored))
        return self.outputs.done(chat, box="")

    async def choose(self, chat: OpenChat, event: gr.EventData) -> Update:
        """Which documents to ask: gives the open chat, the ledger, and the line that says so."""
        chosen = chosen_documents(getattr(event, "documents", None))
        everything = set(chosen) == {document.id for document in self.backend.catalogue()}
        # Not a change that overtakes an answer under way: it was asked of the documents chosen then.
        chat.conversation = replace(chat.conversation, documents=() if everything else chosen)
        *_, ledger, scope = self.outputs.done(chat)
        return chat, ledger, scope

    def _known(self, ids: Iterable[str]) -> tuple[str, ...]:
        """Those that the open index holds, in its order."""
        wanted = set(ids)
        return tuple(document.id for document in self.backend.catalogue() if document.id in wanted)

    async def loaded(self, chat: OpenChat) -> object:
        """The start page of the index as it is now: the page itself was made when the server started."""
        fresh = self._fresh_examples(chat)
        return gr.update(**fresh) if fresh else gr.skip()

    def _fresh_examples(self, chat: OpenChat) -> dict[str, str]:
        """What to change of the messages where the examples are of another index version than the one that is open."""
        version = self.backend.version
        if chat.examples_of == version:
            return {}
        chat.examples_of = version
        return {"placeholder": self.outputs.start()}


def client_address(request: gr.Request) -> str:
    """Who asks, for the limits."""
    client = request.client
    return str(client.host) if client else "unknown"
