"""What one process knows of a limit that it shares with others."""

from __future__ import annotations

from collections.abc import Callable
from math import inf

from capability_router.engine.averages import FadingRate

__all__ = ["SharedUse"]


class SharedUse:
    """The part of a meter that is told to other processes and heard from them.

    Args:
        ask: Called, under the guard, when more should be reserved at once; it only says so to
            a thread.

    Attributes:
        ahead_s: Seconds that the clock of the store is ahead of the monotonic one, at most.
        asked: The largest amount that was refused since more was reserved last, >= 0.
        told: What this process has used and told, by bucket.
        elsewhere: What the others have used or reserved, as was heard last, >= 0.
        elsewhere_until: Monotonic seconds after which all of that has left the window.
        held: What was reserved for this process when it was heard last, >= 0.
        held_until: Monotonic seconds up to which it may use that.
        frees_at: Monotonic seconds at which something of what all have used is free again.
        rate: How fast the others use it.
    """

    __slots__ = (
        "ahead_s",
        "ask",
        "asked",
        "elsewhere",
        "elsewhere_until",
        "frees_at",
        "held",
        "held_until",
        "rate",
        "told",
    )

    def __init__(self, ask: Callable[[], object]) -> None:
        self.ask = ask
        self.ahead_s = 0.0
        self.asked = 0
        self.told: dict[int, int] = {}
        self.elsewhere = 0
        self.elsewhere_until = inf
        self.held = 0
        self.held_until = inf
        self.frees_at = inf
        self.rate = FadingRate()

    def untold(self, own: dict[int, int]) -> dict[int, int]:
        """Return what has changed in the use of this process since it was told, by bucket.

        Args:
            own: What it has used, by bucket, in the current window.
        """
        told = self.told
        changes = {bucket: amount - told.get(bucket, 0) for bucket, amount in own.items()}
        return {bucket: change for bucket, change in changes.items() if change}

    def note_told(self, changes: dict[int, int]) -> None:
        """Note that changes have been told."""
        for bucket, change in changes.items():
            self.told[bucket] = self.told.get(bucket, 0) + change

    def forget(self, bucket: int) -> None:
        """Note that a bucket has left the window."""
        self.told.pop(bucket, None)

    def move(self, buckets: int) -> None:
        """Give every bucket another number, because the clock of the store was set."""
        self.told = {bucket + buckets: amount for bucket, amount in self.told.items()}
