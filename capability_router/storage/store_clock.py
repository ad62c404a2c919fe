"""How far the clock of a store is ahead of the monotonic clock of this process."""

from __future__ import annotations

from math import inf

__all__ = ["StoreClock"]

_DRIFT = 1e-4
"""Seconds per second by which two clocks may drift apart; quartz is ten times better."""


class StoreClock:
    """Bounds of the difference, from exchanges with the store.

    The store says what time it is between the sending of a question and its answer, so each
    exchange gives two bounds, and several together closer ones (Cristian's algorithm).
    """

    def __init__(self) -> None:
        self._least, self._most = -inf, inf
        self._at = 0.0

    @property
    def is_known(self) -> bool:
        """Whether there has been an exchange."""
        return self._most < inf

    @property
    def latest_s(self) -> float:
        """Seconds that the store is ahead at most."""
        return self._most

    @property
    def ahead_s(self) -> float:
        """Seconds that the store is ahead, as far as is known: in the middle of the bounds."""
        return (self._least + self._most) / 2

    def hear(self, store_now: float, sent_at: float, received_at: float) -> None:
        """Take in what time it was at the store.

        Args:
            store_now: Store seconds.
            sent_at: Monotonic seconds when it was asked.
            received_at: Monotonic seconds when it had answered.
        """
        drift = _DRIFT * (received_at - self._at) if self.is_known else 0.0
        least, most = store_now - received_at, store_now - sent_at
        if most < self._least - drift or least > self._most + drift:
            # The clock of the store was set, or another server has taken over.
            self._least, self._most = least, most
        else:
            self._least = max(least, self._least - drift)
            self._most = min(most, self._most + drift)
        self._at = received_at

    def to_store(self, moment: float) -> float:
        """Return store seconds for monotonic ones; ``inf`` stays."""
        return moment + self.ahead_s

    def to_own(self, moment: float) -> float:
        """Return monotonic seconds for store seconds; ``inf`` stays."""
        return moment - self.ahead_s
