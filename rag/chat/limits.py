"""Limits that keep one visitor from using up the server for all."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

MAX_KEYS = 10_000


@dataclass(frozen=True, slots=True)
class Rate:
    """So many a second on average, and so many at once after a pause."""

    per_second: float
    burst: float


class Limiter:
    """A token bucket for every key, such as a client's address. The least recently seen key is forgotten first."""

    def __init__(self, rate: Rate, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = rate
        self._clock = clock
        self._lock = threading.Lock()
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def allow(self, key: str, *, take: int = 1) -> bool:
        """Whether a token is left, which is taken then; with `take` 0 it is left there."""
        now = self._clock()
        with self._lock:
            tokens, seen = self._buckets.pop(key, (self._rate.burst, now))
            tokens = min(self._rate.burst, tokens + (now - seen) * self._rate.per_second)
            allowed = tokens >= 1
            self._buckets[key] = (tokens - take if allowed else tokens, now)
            if len(self._buckets) > MAX_KEYS:
                self._buckets.popitem(last=False)
        return allowed


class Slots:
    """So much work at once; more is turned away at once instead of waiting without end."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._lock = threading.Lock()
        self.taken = 0
        """Slots in use."""

    def take(self) -> bool:
        """Take a slot; False where none is free."""
        with self._lock:
            free = self.taken < self._count
            self.taken += free
        return free

    def give_back(self) -> None:
        """Give back a slot that was taken."""
        with self._lock:
            self.taken -= 1
