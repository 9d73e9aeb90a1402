"""Events of one page that overlap: asking, stopping, editing, choosing."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest

from rag.answering import compose
from rag.chat import asking as module
from rag.chat.asking import Asking
from rag.chat.feedback import FeedbackFile
from rag.chat.handlers import make_handlers
from rag.chat.library import library_view
from rag.chat.limits import Limiter, Rate, Slots
from rag.chat.open_chat import OpenChat
from rag.chat.render import messages
from rag.chat.texts import ENGLISH
from rag.records import Answer, Document
from rag.settings import Settings
from tests.chat.conftest import awaited
from tests.chat.library import SmallBackend

BUILT = "Who built the harbour?"
STRIKE = "Why did the fishermen strike about the harbour toll?"
REQUEST: Any = SimpleNamespace(client=SimpleNamespace(host="127.0.0.1"))


class HeldBackend(SmallBackend):
    """Gives an answer only once it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.let_go = threading.Event()
        self.questions: Sequence[str] = ("First?",)

    def ask(self, question: str, history: Sequence[str] = (), documents: Sequence[str] | None = None) -> Answer:
        assert self.let_go.wait(10)
        return super().ask(question, history, documents)

    def suggestions(self, near: Sequence[Document] = ()) -> Sequence[str]:
        return self.questions


Play = Callable[[Asking, HeldBackend, OpenChat], Coroutine[Any, Any, None]]


def played(tmp_path: Path, play: Play, *, slots: int = 8) -> tuple[OpenChat, HeldBackend]:
    """What a page holds after some events."""
    backend, chat = HeldBackend(), OpenChat()
    feedback = FeedbackFile(tmp_path / "f", Settings())
    handlers = make_handlers(backend, Settings(), feedback, Limiter(Rate(99, 99)), Slots(slots), ENGLISH)
    try:
        awaited(lambda: play(handlers.asking, backend, chat))
    finally:
        backend.let_go.set()
        handlers.asking.workers.shutdown()
    assert handlers.asking.slots.taken == 0, "every slot is given back"
    return chat, backend


async def to_the_end(updates: Any) -> list[Any]:
    """All updates of an event."""
    return [update async for update in updates]


def questions(chat: OpenChat) -> list[str]:
    """Those of the open conversation."""
    return [turn.question for turn in chat.conversation.turns]


def is_skip(value: object) -> bool:
    """Whether the page leaves an output as it is."""
    return bool(value == gr.skip())


def test_an_answer_that_comes_after_stop_changes_nothing(tmp_path: Path) -> None:
    """Gradio cancels the event only after Stop has run; what it still brings is dropped, in page and conversation."""

    async def play(asking: Asking, backend: HeldBackend, chat: OpenChat) -> None:
        updates = asking.submit(BUILT, chat, REQUEST)
        await anext(updates)  # "Looking …"
        box, *_ = await asking.stop(chat)
        assert box == BUILT
        backend.let_go.set()
        late = await to_the_end(updates)
        assert all(is_skip(value) for update in late for value in update)

    chat, _ = played(tmp_path, play)
    assert questions(chat) == []


def test_stop_and_edit_at_once_edit_the_stopped_question(tmp_path: Path) -> None:
    """Each sees what the other did, whichever comes first: the earlier answer stays."""

    async def play(asking: Asking, backend: HeldBackend, chat: OpenChat) -> None:
        backend.let_go.set()
        await to_the_end(asking.submit(BUILT, chat, REQUEST))
        backend.let_go.clear()
        updates = asking.submit(STRIKE, chat, REQUEST)
        await anext(updates)
        edited, *_ = await asking.edit(chat)
        assert edited == STRIKE
        stopped, *_ = await asking.stop(chat)
        assert is_skip(stopped), "the question that is back in the box stays there"
        backend.let_go.set()
        await to_the_end(updates)

    chat, _ = played(tmp_path, play)
    assert questions(chat) == [BUILT]


def test_stop_between_two_quotes_keeps_those_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rest of the answer does not come back with the next update."""
    monkeypatch.setattr(module, "REVEAL_S", 0)

    async def play(asking: Asking, backend: HeldBackend, chat: OpenChat) -> None:
        backend.let_go.set()
        updates = asking.submit(STRIKE, chat, REQUEST)
        while (await anext(updates)) and chat.conversation.turns[-1].shown != 2:
            pass
        await asking.stop(chat)
        assert all(is_skip(value) for update in await to_the_end(updates) for value in update)

    chat, _ = played(tmp_path, play)
    (turn,) = chat.conversation.turns
    assert len(turn.citations) == 2
    assert turn.text == compose(turn.citations)
    assert turn.shown is None
    assert ENGLISH.stopped in messages(chat.conversation, (), ENGLISH)[-1]["content"]


def test_no_text_is_read_to_list_choose_and_ask_documents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A corpus may have thousands: what only needs their ids or titles gets along with the catalogue."""
    ids = [document.id for document in SmallBackend().documents()]

    async def play(asking: Asking, backend: HeldBackend, chat: OpenChat) -> None:
        monkeypatch.setattr(backend, "document", None)
        listed = backend.catalogue()
        monkeypatch.setattr(backend, "catalogue", lambda: listed)
        monkeypatch.setattr(backend, "documents", None)
        backend.let_go.set()
        assert library_view(listed, (), ENGLISH).count("data-document") == len(ids)
        *_, scope = await asking.choose(chat, gr.EventData(None, {"documents": ids[1:]}))
        assert f"{len(ids) - 1} of {len(ids)}" in scope
        await to_the_end(asking.submit(BUILT, chat, REQUEST))
        await asking.restore(chat, gr.EventData(None, {"conversation": {"documents": ids[:1]}}))

    chat, backend = played(tmp_path, play)
    assert chat.conversation.documents == (ids[0],)
    assert [documents for *_, documents in backend.asked] == [tuple(ids[1:])]


@pytest.mark.parametrize("chosen_by", ["a list", "a list that is out of date", "a stored conversation"])
@pytest.mark.parametrize("left", [0, 1])
def test_a_chosen_document_that_is_gone_is_told_before_anything_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, left: int, chosen_by: str
) -> None:
    """No answer comes of other documents than were chosen; the line over the question says which are asked next."""
    first, *kept = SmallBackend().documents()
    chosen = [document.id for document in (first, *kept[:left])]

    async def play(asking: Asking, backend: HeldBackend, chat: OpenChat) -> None:
        backend.let_go.set()
        if chosen_by == "a list":
            await asking.choose(chat, gr.EventData(None, {"documents": chosen}))
        monkeypatch.setattr(backend, "catalogue", lambda: SmallBackend(kept).catalogue())
        if chosen_by == "a list that is out of date":
            await asking.choose(chat, gr.EventData(None, {"documents": chosen}))
        elif chosen_by == "a stored conversation":
            await asking.restore(chat, gr.EventData(None, {"conversation": {"documents": chosen}}))
        *_, scope = (await to_the_end(asking.submit(BUILT, chat, REQUEST)))[-1]
        (turn,) = chat.conversation.turns
        assert turn.notice == ENGLISH.choice_lost(left, len(chosen))
        assert ("1 of 2" in scope) if left else (scope == "")
        assert backend.asked == []
        await to_the_end(asking.retry(chat, REQUEST))

    chat, backend = played(tmp_path, play)
    assert [turn.notice for turn in chat.conversation.turns] == [""]
    assert [documents for *_, documents in backend.asked] == [tuple(chosen[1:]) or None]


def test_documents_chosen_while_an_answer_is_made_stay_chosen(tmp_path: Path) -> None:
    """The answer is added to the conversation as it is then; it was asked of the documents chosen before."""

    async def play(asking: Asking, backend: HeldBackend, chat: OpenChat) -> None:
        updates = asking.submit(BUILT, chat, REQUEST)
        await anext(updates)
        await asking.choose(chat, gr.EventData(None, {"documents": [backend.documents()[1].id]}))
        backend.let_go.set()
        await to_the_end(updates)

    chat, backend = played(tmp_path, play)
    assert chat.conversation.documents == (backend.documents()[1].id,)
    assert [turn.question for turn in chat.conversation.turns if turn.citations] == [BUILT]
    assert backend.asked[0][2] is None
    assert chat.conversation.turns[0].documents == ()


def test_a_question_asked_meanwhile_takes_the_place_of_the_one_that_waits(tmp_path: Path) -> None:
    """Two answers under way in one conversation would overwrite each other."""

    async def play(asking: Asking, backend: HeldBackend, chat: OpenChat) -> None:
        first = asking.submit(BUILT, chat, REQUEST)
        await anext(first)
        second = asyncio.ensure_future(to_the_end(asking.submit(STRIKE, chat, REQUEST)))
        await asyncio.sleep(0)
        backend.let_go.set()
        await asyncio.gather(to_the_end(first), second)

    chat, _ = played(tmp_path, play)
    (turn,) = chat.conversation.turns
    assert turn.question == STRIKE
    assert turn.citations


def test_a_question_that_nobody_waits_for_any_more_is_not_answered(tmp_path: Path) -> None:
    """Where an event is cancelled while its question waits for a thread, the work is left out."""

    async def play(asking: Asking, backend: HeldBackend, chat: OpenChat) -> None:
        several = [asking.submit(f"{BUILT} {n}", OpenChat(), REQUEST) for n in range(module.WORKERS)]
        for updates in several:
            await anext(updates)
        waiting = asking.submit(STRIKE, chat, REQUEST)
        await anext(waiting)
        await waiting.aclose()
        await asyncio.sleep(0.05)  # the loop tells the thread pool in its next turn
        backend.let_go.set()
        for updates in several:
            await to_the_end(updates)

    _, backend = played(tmp_path, play)
    assert STRIKE not in [question for question, *_ in backend.asked]


def test_more_questions_than_slots_get_a_polite_answer(tmp_path: Path) -> None:
    """The one too many is told to come again, and keeps no slot; the question stays, to be asked again as it was."""

    async def play(asking: Asking, backend: HeldBackend, chat: OpenChat) -> None:
        first = asking.submit(BUILT, OpenChat(), REQUEST)
        await anext(first)
        await to_the_end(asking.submit(STRIKE, chat, REQUEST))
        backend.let_go.set()
        await to_the_end(first)

    chat, _ = played(tmp_path, play, slots=1)
    assert [turn.notice for turn in chat.conversation.turns] == [ENGLISH.busy]
    assert questions(chat) == [STRIKE]


def test_a_question_that_still_waits_is_dropped_where_the_next_one_is_refused(tmp_path: Path) -> None:
    """It would wait for ever: its answer comes to a conversation that has gone on."""

    async def play(asking: Asking, backend: HeldBackend, chat: OpenChat) -> None:
        first = asking.submit(BUILT, chat, REQUEST)
        await anext(first)  # "Looking …"
        await to_the_end(asking.submit(STRIKE, chat, REQUEST))
        backend.let_go.set()
        await to_the_end(first)

    chat, _ = played(tmp_path, play, slots=1)
    assert [(turn.question, turn.pending, turn.notice) for turn in chat.conversation.turns] == [
        (STRIKE, False, ENGLISH.busy)
    ]


def test_too_many_questions_of_one_address_get_a_polite_answer(tmp_path: Path) -> None:
    """The rate is a visitor's own; what is refused costs no answer."""

    async def play(asking: Asking, backend: HeldBackend, chat: OpenChat) -> None:
        slow = replace(asking, limiter=Limiter(Rate(0.001, 1)))
        backend.let_go.set()
        for question in (BUILT, STRIKE):
            await to_the_end(slow.submit(question, chat, REQUEST))

    chat, backend = played(tmp_path, play)
    assert [turn.notice for turn in chat.conversation.turns] == ["", ENGLISH.too_fast]
    assert questions(chat) == [BUILT, STRIKE]
    assert len(backend.asked) == 1


def test_an_answer_stays_where_asking_it_again_is_refused(tmp_path: Path) -> None:
    """Only an accepted question takes the place of the last turn, or the refusal of an earlier refusal."""

    async def play(asking: Asking, backend: HeldBackend, chat: OpenChat) -> None:
        slow = replace(asking, limiter=Limiter(Rate(0.001, 1)))
        backend.let_go.set()
        await to_the_end(slow.submit(BUILT, chat, REQUEST))
        for _ in range(2):
            await to_the_end(slow.retry(chat, REQUEST))
            answer, refused = chat.conversation.turns
            assert (bool(answer.citations), refused.notice) == (True, ENGLISH.too_fast)
        await to_the_end(asking.retry(chat, REQUEST))

    chat, _ = played(tmp_path, play)
    assert [bool(turn.citations) for turn in chat.conversation.turns] == [True, True]
    assert questions(chat) == [BUILT, BUILT]


def test_a_question_that_is_too_long_is_kept_to_be_made_shorter(tmp_path: Path) -> None:
    """The backend, which says what is wrong, gets to see all of it, also when it is asked again: no cut question is
    answered. One of a size that nobody writes is kept in part, which is still too long.
    """
    long, longer = "harbour " * 600, "harbour" * 30_000

    async def play(asking: Asking, backend: HeldBackend, chat: OpenChat) -> None:
        backend.let_go.set()
        await to_the_end(asking.submit(long, chat, REQUEST))
        await to_the_end(asking.retry(chat, REQUEST))
        (turn,) = chat.conversation.turns
        assert (turn.question, turn.notice[:21]) == (long.strip(), "The question has too ")
        box, *_ = await asking.edit(chat)
        assert box == long.strip()
        await to_the_end(asking.submit(longer, chat, REQUEST))
        await to_the_end(asking.retry(chat, REQUEST))

    chat, backend = played(tmp_path, play)
    asked = [question for question, *_ in backend.asked]
    (turn,) = chat.conversation.turns
    assert asked == [long.strip(), long.strip(), longer, turn.question]
    assert (len(turn.question), turn.notice[:21]) == (20_000, "The question has too ")


def test_examples_follow_a_newer_index(tmp_path: Path) -> None:
    """A page that is opened, or a chat that is begun, after the index was renewed offers what the new one answers."""

    async def play(asking: Asking, backend: HeldBackend, chat: OpenChat) -> None:
        chat.examples_of = backend.version
        assert is_skip(await asking.loaded(chat))
        backend.version, backend.questions = "20250101-000000-newer", ("Second?",)
        assert "Second?" in str(await asking.loaded(chat))
        assert is_skip(await asking.loaded(chat))
        backend.version, backend.questions = "20260101-000000-newest", ("Third?",)
        _, messages, *_ = await asking.new_chat(chat)
        assert "Third?" in messages["placeholder"]
        _, messages, *_ = await asking.new_chat(chat)
        assert messages == []

    played(tmp_path, play)
