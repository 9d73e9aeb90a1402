"""Conversations, and what a browser brings back of them."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest

from rag.answering import cite, compose
from rag.chat.conversation import MAX_TURNS, Conversation, Turn, answered, from_stored, to_stored
from rag.chat.escaping import escape, one_line
from rag.chat.export import to_html, to_markdown
from rag.chat.render import messages
from rag.chat.texts import ENGLISH
from rag.records import Quote, SourceState
from tests.chat.library import SmallBackend


def talked(backend: SmallBackend, *questions: str, documents: tuple[str, ...] = ()) -> Conversation:
    """A conversation of these questions, limited to these documents."""
    conversation = Conversation(documents=documents)
    for question in questions:
        answer = backend.ask(question, documents=documents or None)
        conversation = conversation.with_turn(answered(question, answer))
    return conversation


def test_a_stored_conversation_comes_back() -> None:
    """Through the browser's JSON and back, questions, quotes, closest passages and chosen documents are the same."""
    backend = SmallBackend()
    conversation = talked(backend, "Who built the harbour?", "What is quantum chromodynamics?")
    back = from_stored(backend, json.loads(json.dumps(to_stored(conversation))))
    assert back.id == conversation.id
    for turn, before in zip(back.turns, conversation.turns, strict=True):
        assert [c.quote.text for c in turn.citations] == [c.quote.text for c in before.citations]
        assert (turn.question, turn.text, turn.closest) == (before.question, before.text, before.closest)


def test_chosen_documents_come_back_also_where_they_are_gone() -> None:
    """In their order and each once, so that the next question can say so."""
    backend = SmallBackend()
    chosen = [document.id for document in backend.documents()[::-1]]
    back = from_stored(SmallBackend(backend.documents()[1:]), {"documents": [*chosen, *chosen, f"{chosen[0]}/.."]})
    assert back.documents == tuple(chosen)


def test_each_turn_comes_back_with_the_documents_that_it_was_asked_of() -> None:
    """What is chosen later does not change them, and the browser keeps them once for all turns in a row."""
    first, second, _ = (document.id for document in SmallBackend().documents())
    asked_of: list[tuple[str, ...]] = [(), (first,), (first,), (second, first), ()]
    conversation = Conversation()
    for documents in asked_of:
        conversation = replace(conversation, documents=documents).with_turn(Turn("q", pending=True))
        conversation = replace(conversation, documents=(second,)).with_last(Turn("q", "said"))
    stored = json.loads(json.dumps(to_stored(conversation)))
    assert ["documents" in turn for turn in stored["turns"]] == [True, True, False, True, True]
    assert [turn.documents for turn in from_stored(SmallBackend(), stored).turns] == asked_of


@pytest.mark.parametrize("spoilt", [None, "x", {"0": "1"}])
def test_spoilt_or_missing_documents_of_a_turn_are_those_of_the_one_before(spoilt: object) -> None:
    """Or those of the conversation, as conversations have it that were stored without; a list is sifted of non-ids."""
    first, second, _ = (document.id for document in SmallBackend().documents())
    turns = [
        {"question": "a", "documents": spoilt},
        {"question": "b", "documents": [second, "../etc", 3, second]},
        {"question": "c", "documents": spoilt},
    ]
    back = from_stored(SmallBackend(), {"documents": [first], "turns": turns})
    assert [turn.documents for turn in back.turns] == [(first,), (second,), (second,)]


@pytest.mark.parametrize("left", [0, 2])
def test_quotes_that_are_gone_are_left_out_and_counted(left: int) -> None:
    """Where a document has left the index none of its words come back, its neighbours' numbers lead to what they stand
    behind, and all that is the same however often the conversation is stored and opened again.
    """
    documents = SmallBackend().documents()
    citations = cite([Quote(document, 13, 50, 1.0) for document in documents])
    backend = SmallBackend(documents[len(documents) - left :])
    talk = Conversation().with_turn(Turn("q", compose(citations), citations, stopped=True))
    back = from_stored(backend, {**to_stored(talk), "text": compose(citations)})
    (turn,) = back.turns
    kept = cite([citation.quote for citation in citations[len(documents) - left :]])
    assert [(c.number, c.quote.text) for c in turn.citations] == [(c.number, c.quote.text) for c in kept]
    assert turn.text == (compose(kept) if kept else "")
    assert turn.lost == len(documents) - left
    shown = messages(back, (), ENGLISH)[-1]["content"]
    assert re.findall(r'class="quoted">([^<]*)<.*?class="cite" href="#cite/([^"]*)"', shown) == [
        (escape(one_line(c.quote.text)), f"{c.quote.document.id}.13.50") for c in kept
    ]
    for said in (shown, to_markdown(back, "plain", ENGLISH), to_html(back, "plain", ENGLISH)):
        assert ENGLISH.stopped in said
        assert ENGLISH.lost(turn.lost) in said.replace("&#58;", ":").replace("\\", "")
        assert "harbour of Norby" not in said
    assert from_stored(backend, json.loads(json.dumps(to_stored(back)))) == back


@pytest.mark.parametrize(
    "stored",
    [
        None,
        [],
        "x",
        {"turns": "x"},
        {"turns": [1, None, {}]},
        {"id": "../x", "turns": [{"question": 1, "citations": {"a": 1}, "closest": "abc"}]},
        {"documents": ["../etc", 3, None], "turns": [{"question": "   "}]},
    ],
)
def test_a_spoilt_conversation_is_an_empty_one(stored: object) -> None:
    """Whatever a browser sends, it makes at worst an empty conversation with a fresh id."""
    back = from_stored(SmallBackend(), stored)
    assert back.turns == ()
    assert back.documents == ()
    assert len(back.id) == 16


@pytest.mark.parametrize("ordinal", [None, "1", 1.0, True, -1, 10**30])
def test_a_spoilt_or_missing_number_is_the_position(ordinal: object) -> None:
    """As conversations have it that were stored without numbers."""
    stored = {"turns": [{"question": "a"}, {"question": "b", "ordinal": ordinal}]}
    assert [turn.ordinal for turn in from_stored(SmallBackend(), stored).turns] == [0, 1]


def test_an_endless_conversation_is_bounded() -> None:
    """No more turns are kept than the page can show, and long texts are cut."""
    stored = {"turns": [{"question": "q" * 100_000, "text": "t" * 100_000}] * 500}
    back = from_stored(SmallBackend(), stored)
    assert len(back.turns) == MAX_TURNS
    assert len(back.turns[0].question) < 5000
    conversation = Conversation()
    for number in range(MAX_TURNS + 5):
        conversation = conversation.with_turn(Turn(str(number)))
    assert [len(conversation.turns), conversation.turns[0].question] == [MAX_TURNS, "5"]


def test_only_answered_questions_are_history() -> None:
    """A question that got a notice in place of an answer, or none yet, is not one that a follow-up refers to."""
    conversation = Conversation().with_turn(Turn("a")).with_turn(Turn("b", notice="too long"))
    assert conversation.with_turn(Turn("c", pending=True)).earlier_questions() == ["a"]


@pytest.mark.parametrize("question", ["Who built the harbour?", "What is quantum chromodynamics?"])
def test_a_source_that_has_changed_is_marked_at_its_card(question: str) -> None:
    """The cards of a document whose file has changed say so, and no others do."""
    answer = SmallBackend().ask(question)
    shown = answered(question, answer)
    documents = [c.quote.document for c in answer.citations] or [place.document for place in shown.closest]
    turn = replace(shown, answer=replace(answer, stale={documents[0].id: SourceState.CHANGED}))
    html = messages(Conversation(turns=(turn,)), (), ENGLISH)[-1]["content"]
    assert html.count(ENGLISH.source_changed) == sum(d.id == documents[0].id for d in documents)
    assert ENGLISH.source_gone not in html
    assert ENGLISH.source_changed not in messages(Conversation(turns=(shown,)), (), ENGLISH)[-1]["content"]


@pytest.mark.parametrize("question", ["who built the habour", "what is quantm chromodynamics"])
def test_a_question_whose_spelling_was_mended_says_how_it_was_read(question: str) -> None:
    """Above answers and abstentions alike, as plain text; a question taken as it is says nothing."""
    backend = SmallBackend()
    mended = replace(backend.ask(question), read_as="<b>harbour</b>")
    for answer, said in ((mended, True), (backend.ask(question), False)):
        shown = messages(Conversation().with_turn(answered(question, answer)), (), ENGLISH)[-1]["content"]
        assert (escape("Read as: <b>harbour</b>") in shown) is said
        assert "<b>" not in shown
