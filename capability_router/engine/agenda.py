"""What a pool has to do at some moment, whether or not a request comes."""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from math import inf

__all__ = ["Agenda"]

Act = Callable[[float], object]


class Agenda:
    """Acts with their moments; looked at when the pool is, so nothing waits in a thread.

    Attributes:
        next_at: Monotonic seconds of the first act; ``inf`` if there is none.
    """

    __slots__ = (
        "_acts",
        "_added",
        "next_at",
    )

    def __init__(self) -> None:
        self._acts: list[tuple[float, int, Act]] = []
        self._added = 0
        self.next_at = inf

    def add(self, at: float, act: Act) -> None:
        """Do something at a moment; acts of the same moment are done in the order of adding."""
        self._added += 1
        heappush(self._acts, (at, self._added, act))
        self.next_at = self._acts[0][0]

    def run(self, now: float) -> None:
        """Do what is due; an act is given the time, and may add others for later."""
        while self._acts and self._acts[0][0] <= now:
            _, _, act = heappop(self._acts)
            act(now)
        self.next_at = self._acts[0][0] if self._acts else inf

    def clear(self) -> None:
        """Forget all of it."""
        self._acts.clear()
        self.next_at = inf
