"""The system's time and chance, lent to the engine."""

from __future__ import annotations

import time
from random import SystemRandom
from typing import Protocol

from capability_router.engine.chance import Chance
from capability_router.engine.timing import Clock, World, lend

__all__ = ["SystemClock", "WaitingClock"]


class WaitingClock(Clock, Protocol):
    """A clock that can also wait."""

    def sleep(self, seconds: float) -> None:
        """Block the thread for some seconds, >= 0."""
        ...

    async def asleep(self, seconds: float) -> None:
        """Suspend the task for some seconds, >= 0."""
        ...


class SystemClock:
    """The machine's monotonic clock: setting the wall clock back does not touch it."""

    def now(self) -> float:
        """Return monotonic seconds."""
        return time.monotonic()

    def wall(self) -> float:
        """Return seconds since 1970 UTC."""
        return time.time()

    def sleep(self, seconds: float) -> None:
        """Block the thread for some seconds, >= 0."""
        time.sleep(seconds)

    async def asleep(self, seconds: float) -> None:
        """Suspend the task for some seconds, >= 0."""
        # Here and not above: asyncio takes longer to import than this whole package.
        import asyncio  # noqa: PLC0415 - said above

        await asyncio.sleep(seconds)


# Whoever gives the engine no clock of his own gets this one.
lend(World(SystemClock(), Chance(SystemRandom().getrandbits(64))))
