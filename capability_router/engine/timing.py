"""Time as the engine sees it: numbers that are handed in.

Knows no real clock. ``now`` is monotonic seconds with an arbitrary start; only differences mean
anything. ``wall`` is seconds since 1970 UTC and is asked only for what people fix by the calendar.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from random import Random
from typing import Protocol

__all__ = ["Clock", "Deadline", "Schedule", "Spans", "World", "default_world", "lend", "spell"]


class Clock(Protocol):
    """A source of time."""

    def now(self) -> float:
        """Return monotonic seconds; never goes back."""
        ...

    def wall(self) -> float:
        """Return seconds since 1970 UTC; may be set forward or back by anybody."""
        ...


class Schedule(Protocol):
    """Moments on the calendar, such as every midnight in one time zone."""

    def next_after(self, wall_s: float) -> float:
        """Return the first moment after another; both are seconds since 1970 UTC."""
        ...


class Spans(Protocol):
    """Recurring spans of time on the calendar, such as two hours every Sunday night."""

    def next_span(self, wall_s: float) -> tuple[float, float]:
        """Return start and end of the span that holds a moment, or else of the next one.

        All are seconds since 1970 UTC.
        """
        ...


@dataclass(frozen=True, slots=True)
class Deadline:
    """A moment after which no attempt starts.

    Attributes:
        at: Monotonic seconds; ``inf`` for no deadline.
    """

    at: float = inf

    @classmethod
    def after(cls, now: float, seconds: float | None) -> Deadline:
        """Return the deadline that many seconds from now; None means never."""
        return cls() if seconds is None else cls(now + seconds)

    def left(self, now: float) -> float:
        """Return the seconds left, >= 0."""
        return max(0.0, self.at - now)

    def passed(self, now: float) -> bool:
        """Return whether the moment has come."""
        return now >= self.at


@dataclass(frozen=True, slots=True)
class World:
    """What the engine borrows from outside: a clock and a source of chance.

    Attributes:
        clock: Source of ``now``.
        rng: Source of jitter and draws; seeded, so that a run can be replayed.
    """

    clock: Clock
    rng: Random


def spell(seconds: float) -> str:
    """Return a time in the two largest units that it has, for people: ``6 h 4 min``."""
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h" if hours else f"{days} d"


_lent: list[World] = []


def lend(world: World) -> None:
    """Set what is used where no clock and random source are passed; the package does it once."""
    _lent[:] = [world]


def default_world() -> World:
    """Return what the package has lent.

    Raises:
        RuntimeError: If an engine module was imported past the package, which lends it.
    """
    if not _lent:
        raise RuntimeError("no clock was given: pass world=World(clock, rng)")
    return _lent[0]
