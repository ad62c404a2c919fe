"""How fast the models of a pool have answered lately.

Knows times, not whose they are: a percentile over all models of a pool is what its callers see.
"""

from __future__ import annotations

from collections import deque
from math import ceil

__all__ = ["RecentTimes", "Tempo"]

_REMEMBERED = 256


class RecentTimes:
    """The last 256 of some times, in seconds."""

    __slots__ = ("_times",)

    def __init__(self) -> None:
        self._times: deque[float] = deque(maxlen=_REMEMBERED)

    def __len__(self) -> int:
        return len(self._times)

    def note(self, seconds: float) -> None:
        """Remember one time, >= 0."""
        self._times.append(seconds)

    def percentile(self, share: float) -> float | None:
        """Return the time that a share of all did not exceed; None if there are none.

        Args:
            share: Between 0 and 1, by the nearest-rank method.
        """
        if not self._times:
            return None
        return sorted(self._times)[max(0, ceil(share * len(self._times)) - 1)]


class Tempo:
    """Times of the answers of one pool.

    Attributes:
        first_token: Seconds to the first token of streams.
        whole: Seconds to answers that were not streamed.
    """

    __slots__ = ("first_token", "whole")

    def __init__(self) -> None:
        self.first_token = RecentTimes()
        self.whole = RecentTimes()

    def of(self, *, streamed: bool) -> RecentTimes:
        """Return the times after which something came."""
        return self.first_token if streamed else self.whole

    def note(self, first_token_s: float | None, latency_s: float) -> None:
        """Remember one answer.

        Args:
            first_token_s: Seconds to its first token; None if it was not streamed.
            latency_s: Seconds to its end.
        """
        if first_token_s is None:
            self.whole.note(latency_s)
        else:
            self.first_token.note(first_token_s)
