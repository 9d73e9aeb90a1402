"""The endpoints for programs."""

from __future__ import annotations

import asyncio
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
