"""Limits."""

from __future__ import annotations

from rag.chat import limits
from rag.chat.limits import Limiter, Rate, Slots


class Clock:
    """A clock that is set by hand."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_burst_is_let_through_and_then_the_rate() -> None:
    """Three at once, then one a second; another visitor is not touched."""
    clock = Clock()
    limiter = Limiter(Rate(1, 3), clock)
    assert [limiter.allow("a") for _ in range(4)] == [True, True, True, False]
    assert limiter.allow("b")
    clock.now = 1.0
    assert [limiter.allow("a") for _ in range(2)] == [True, False]


def test_memory_is_bounded() -> None:
    """Many addresses do not use up memory."""
    limiter = Limiter(Rate(1, 1), Clock())
    for number in range(limits.MAX_KEYS + 100):
        limiter.allow(str(number))
    assert len(limiter._buckets) == limits.MAX_KEYS


def test_slots_turn_away_instead_of_waiting() -> None:
    """The third of two is refused at once, and a slot given back can be taken."""
    slots = Slots(2)
    assert [slots.take() for _ in range(3)] == [True, True, False]
    slots.give_back()
    assert slots.take()
