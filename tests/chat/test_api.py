"""The endpoints for programs."""

from __future__ import annotations

import asyncio
import json
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest

from rag.chat.api import endpoints
from rag.chat.limits import Limiter, Rate, Slots
from rag.chat.texts import ENGLISH
from tests.chat.conftest import awaited
from tests.chat.library import SmallBackend

QUESTION = "Who built the harbour?"


def from_address(host: str) -> Any:
    """A request."""
    return SimpleNamespace(client=SimpleNamespace(host=host))


def test_calls_of_an_address_are_limited_as_its_questions_are() -> None:
    """Too many get a polite refusal and no answer; another address is not touched."""
    backend = SmallBackend()
    ask, search, *_ = endpoints(backend, Limiter(Rate(0.001, 2)), Slots(8), ENGLISH)
    for endpoint in (ask, search):
        awaited(lambda endpoint=endpoint: endpoint(from_address("a"), QUESTION))  # type: ignore[misc]  # bound now
    with pytest.raises(gr.Error, match=ENGLISH.too_fast):
        awaited(lambda: ask(from_address("a"), QUESTION))
    assert "1874" in awaited(lambda: ask(from_address("b"), QUESTION))
    assert len(backend.asked) == 2


@pytest.mark.parametrize(
    ("name", "values", "wanted"),
    [
        ("ask", {"question": 5}, "'question' must be text, not 5."),
        ("ask", {"history": "abc"}, "'history' must be a list of texts, not \"abc\"."),
        ("ask", {"history": ["a", None]}, "'history' must be a list of texts, not [\"a\", null]."),
        ("ask", {"document_ids": "abc"}, "'document_ids' must be a list of texts, not \"abc\"."),
        ("ask", {"document_ids": [{}]}, "'document_ids' must be a list of texts, not [{}]."),
        ("search", {"query": ["a"]}, "'query' must be text, not [\"a\"]."),
        ("search", {"results": "abc"}, "'results' must be a whole number, not \"abc\"."),
        ("search", {"results": None}, "'results' must be a whole number, not null."),
        ("search", {"results": 2.5}, "'results' must be a whole number, not 2.5."),
        ("search", {"results": float("inf")}, "'results' must be a whole number, not Infinity."),
        ("search", {"document_ids": {}}, "'document_ids' must be a list of texts, not {}."),
        ("source", {"document_id": 7}, "There is no document '7'."),
        ("source", {"start": "x"}, "'start' must be a whole number, not \"x\"."),
        ("source", {"start": True}, "'start' must be a whole number, not true."),
        ("source", {"end": "x" * 999}, "'end' must be a whole number, not \"xxx"),
    ],
)
def test_an_argument_of_the_wrong_type_gets_a_polite_refusal(name: str, values: dict[str, Any], wanted: str) -> None:
    """One short line says which argument, what it must be and what was sent; nothing is asked, no slot stays taken."""
    backend, slots = SmallBackend(), Slots(1)
    calls = {endpoint.__name__: endpoint for endpoint in endpoints(backend, Limiter(Rate(99, 99)), slots, ENGLISH)}
    first = {"ask": "question", "search": "query", "source": "document_id"}[name]
    given = {first: backend.documents()[0].id, **values}
    with pytest.raises(gr.Error) as refused:
        awaited(lambda: calls[name](from_address("a"), **given))
    assert wanted in refused.value.message
    assert len(refused.value.message) < 120
    assert backend.asked == []
    assert slots.taken == 0


def test_whole_numbers_may_be_written_as_clients_write_them() -> None:
    """A client that knows floating-point numbers only sends 2.0."""
    _, search, *_ = endpoints(SmallBackend(), Limiter(Rate(99, 99)), Slots(1), ENGLISH)
    assert len(json.loads(awaited(lambda: search(from_address("a"), "harbour toll", 2.0)))) == 2


def test_more_calls_than_slots_get_a_polite_refusal() -> None:
    """Calls and questions share the slots, and each call gives its own back."""
    slots = Slots(1)
    ask, *_ = endpoints(SmallBackend(), Limiter(Rate(99, 99)), slots, ENGLISH)

    async def two() -> tuple[str | BaseException, ...]:
        both = (ask(from_address("a"), QUESTION), ask(from_address("b"), QUESTION))
        return await asyncio.gather(*both, return_exceptions=True)

    answer, refusal = awaited(two)
    assert "1874" in str(answer)
    assert isinstance(refusal, gr.Error)
    assert refusal.message == ENGLISH.busy
    assert slots.taken == 0
