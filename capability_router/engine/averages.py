"""Averages of what comes one after another. Knows numbers only."""

from __future__ import annotations

from math import inf

__all__ = ["FadingMean"]


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
