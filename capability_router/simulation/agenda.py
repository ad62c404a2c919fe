"""The time of a simulation: it stands still while anything happens, and jumps to what is next."""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush

__all__ = ["STARTS_AT", "Agenda", "SimulatedClock"]

STARTS_AT = 1_767_225_600.0
"""The wall clock's seconds since 1970 at the start, unless said otherwise: 1 January 2026, UTC."""


class SimulatedClock:
    """A clock that the agenda moves.

    Args:
        wall: Seconds since 1970 UTC at the start.

    Attributes:
        at: Seconds since the start.
    """

    __slots__ = ("_starts_at", "at")

    def __init__(self, wall: float = STARTS_AT) -> None:
        self._starts_at = wall
        self.at = 0.0

    def now(self) -> float:
        """Return the seconds since the start."""
        return self.at

    def wall(self) -> float:
        """Return seconds since 1970 UTC."""
        return self._starts_at + self.at


class Agenda:
    """What is to happen, in the order of time; of one moment in the order it was noted.

    Args:
        clock: Is set to the moment of whatever happens.
    """

    __slots__ = ("_clock", "_due", "_noted")

    def __init__(self, clock: SimulatedClock) -> None:
        self._clock = clock
        self._due: list[tuple[float, int, Callable[..., object], tuple[object, ...]]] = []
        self._noted = 0

    def after(self, seconds: float, then: Callable[..., object], *given: object) -> None:
        """Note what is to happen some seconds, >= 0, from now."""
        self.at(self._clock.at + seconds, then, *given)

    def at(self, moment: float, then: Callable[..., object], *given: object) -> None:
        """Note what is to happen at a moment that is not in the past."""
        self._noted += 1
        heappush(self._due, (moment, self._noted, then, given))

    def run(self) -> None:
        """Let everything happen, up to the end."""
        due, clock = self._due, self._clock
        while due:
            clock.at, _, then, given = heappop(due)
            then(*given)
