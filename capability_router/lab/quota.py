"""A provider's allowance of requests and the meter that counts it down."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from capability_router.lab.checks import checked_amount, checked_count, unknown

__all__ = [
    "Quota",
    "QuotaMeter",
    "quota",
]


@dataclass(frozen=True, slots=True)
class Quota:
    """An allowance of served requests.

    Attributes:
        requests: Requests that are served before the 429s begin, >= 0.
        resets_after: Seconds from the first served request until the allowance is fresh, > 0;
            None means only a new quota or a reset helps.
    """

    requests: int
    resets_after: float | None = None

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, object]) -> Quota:
        """Build a quota from JSON such as ``{"requests": 20, "resets_after": 60}``.

        Raises:
            ValueError: If a key is unknown, ``requests`` is missing or a value is out of range.
        """
        for key in mapping:
            if key not in ("requests", "resets_after"):
                raise ValueError(unknown("parameter of a quota", key, ("requests", "resets_after")))
        requests = checked_count("requests", mapping.get("requests"))
        resets_after = mapping.get("resets_after")
        if resets_after is None:
            return quota(requests)
        return quota(requests, checked_amount("resets_after", resets_after))


def quota(requests: int, resets_after: float | None = None) -> Quota:
    """Allow a number of served requests, then 429.

    Args:
        requests: Requests that are served, >= 0.
        resets_after: Seconds from the first served request until the allowance is fresh, > 0; the
            429 then says ``rate_limit_exceeded`` with ``Retry-After``, else ``insufficient_quota``.

    Raises:
        ValueError: If a value is out of range.
    """
    checked_count("requests", requests)
    if resets_after is not None and not checked_amount("resets_after", resets_after):
        raise ValueError("resets_after must be above 0")
    return Quota(requests, resets_after)


class QuotaMeter:
    """Counts one provider's served requests against its quota; not thread-safe by itself.

    Args:
        allowance: What may be served.
        clock: Monotonic seconds.
    """

    def __init__(self, allowance: Quota, clock: Callable[[], float]) -> None:
        self.allowance = allowance
        self._clock = clock
        self._used = 0
        self._window_began = -math.inf

    def take(self) -> bool:
        """Use one request of the allowance, if one is left; changes the count."""
        now = self._clock()
        resets_after = self.allowance.resets_after
        if resets_after is not None and now - self._window_began >= resets_after:
            self._used, self._window_began = 0, now
        if self._used >= self.allowance.requests:
            return False
        self._used += 1
        return True

    def remaining_s(self) -> float | None:
        """Tell the seconds until the allowance is fresh; None where nobody knows."""
        if self.allowance.resets_after is None:
            return None
        return max(0.0, self._window_began + self.allowance.resets_after - self._clock())
