"""A clock for tests: time passes only when the test, or a wait, says so."""

from __future__ import annotations

__all__ = ["ManualClock"]


class ManualClock:
    """A clock that stands still until it is moved.

    Args:
        now: Monotonic seconds to start at.
        wall: Seconds since 1970 UTC to start at; the beginning of 2026 by default.

    Attributes:
        slept: Every wait so far, in seconds; each has moved the clock by as much.
    """

    def __init__(self, now: float = 0.0, wall: float = 1_767_225_600.0) -> None:
        self._now = now
        self._offset = wall - now
        self.slept: list[float] = []

    def now(self) -> float:
        """Return the seconds the clock shows."""
        return self._now

    def wall(self) -> float:
        """Return seconds since 1970 UTC; they move with ``advance``."""
        return self._now + self._offset

    def set_wall(self, wall: float) -> None:
        """Set the wall clock, forward or back, as an administrator may; ``now`` stays."""
        self._offset = wall - self._now

    def advance(self, seconds: float) -> None:
        """Move the clock forward by some seconds, >= 0."""
        self._now += seconds

    def sleep(self, seconds: float) -> None:
        """Move the clock instead of waiting, and note it."""
        self.slept.append(seconds)
        self.advance(seconds)

    async def asleep(self, seconds: float) -> None:
        """Move the clock instead of waiting, and note it."""
        self.sleep(seconds)
