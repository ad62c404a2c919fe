"""Averages of what comes one after another. Knows numbers only."""

from __future__ import annotations

from math import exp, inf

__all__ = ["FadingMean", "FadingRate"]

_RATE_DECAY_S = 60.0


class FadingMean:
    """A mean of which older values fade: the plain mean of the first few, then a moving average.

    Args:
        memory: Values after which an older one counts 1/e, >= 1.

    Attributes:
        mean: The mean; ``inf`` before the first value: compared with it, all is 0.
    """

    __slots__ = ("_memory", "_noted", "mean")

    def __init__(self, memory: int) -> None:
        self._memory = memory
        self._noted = 0
        self.mean = inf

    def note(self, value: float) -> None:
        """Take in one more value."""
        if self._noted < self._memory:
            self._noted += 1
        if self._noted == 1:
            self.mean = value
        else:
            self.mean += (value - self.mean) / self._noted


class FadingRate:
    """An amount per second of which older parts fade, with a minute's decay."""

    __slots__ = ("_at", "_sum")

    def __init__(self) -> None:
        self._sum, self._at = 0.0, 0.0

    def note(self, amount: float, now: float) -> None:
        """Take in some more, or take some back.

        Args:
            amount: How much.
            now: Monotonic seconds.
        """
        if now - self._at > 1.0:
            # Once a second is often enough for an average over a minute.
            self._sum *= exp((self._at - now) / _RATE_DECAY_S)
            self._at = now
        self._sum += amount

    def per_s(self, now: float) -> float:
        """Return the amount per second, >= 0."""
        return max(0.0, self._sum * exp((self._at - now) / _RATE_DECAY_S)) / _RATE_DECAY_S
