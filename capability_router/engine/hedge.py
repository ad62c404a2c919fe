"""A second attempt beside a slow one: when it starts.

After Dean and Barroso, "The Tail at Scale" (2013): a request is sent to a second place once it has
taken longer than most do, and the answer that comes first is used.
"""

from __future__ import annotations

from dataclasses import dataclass

from capability_router.engine.tempo import RecentTimes

__all__ = ["Hedge"]


@dataclass(frozen=True, slots=True)
class Hedge:
    """When an attempt gets a second one, on another model, beside it.

    Attributes:
        after_s: Seconds after which it does, >= 0; None for a percentile of what the pool's models
            took lately: to the first token of streams, to the end of whole answers.
        percentile: That percentile, above 0 and below 1. Default 0.95, which the paper names: it
            adds some 5 % of load.
        min_samples: Times that must be known before a percentile says anything, >= 1; up to then
            nothing is hedged. Default 20: of fewer the 95th percentile is the largest.

    Raises:
        ValueError: If one of them is out of its range.
    """

    after_s: float | None = None
    percentile: float = 0.95
    min_samples: int = 20

    def __post_init__(self) -> None:
        if self.after_s is not None and not self.after_s >= 0:
            raise ValueError(f"after_s {self.after_s} must not be below 0")
        if not 0 < self.percentile < 1:
            raise ValueError(f"percentile {self.percentile} must be above 0 and below 1")
        if self.min_samples < 1:
            raise ValueError(f"min_samples {self.min_samples} must be at least 1")

    def delay_s(self, times: RecentTimes) -> float | None:
        """Return the seconds after which a second attempt starts; None for never."""
        if self.after_s is not None:
            return self.after_s
        return times.percentile(self.percentile) if len(times) >= self.min_samples else None
