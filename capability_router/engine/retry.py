"""How hard one call tries: attempts, time and pauses."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from random import Random

__all__ = ["RetryPolicy"]


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Limits of one call.

    Attributes:
        max_attempts: Attempts at most over all models, >= 1. Default 10: every model of a usual
            pool once.
        deadline_s: Seconds after which no attempt starts, > 0; None for no limit.
        attempt_timeout_s: Seconds that one attempt may take, > 0; None for 60, a tenth of the
            OpenAI client's 600 because another model is waiting, or for half of ``deadline_s``
            where that is shorter, so that another model has its turn.
        backoff_s: Mean pause before the same model is repeated, in seconds; doubled each time,
            with full jitter (AWS Architecture Blog, "Exponential Backoff And Jitter").
            Default 0.05, the base of AWS SDK retries for transient errors.
    """

    max_attempts: int = 10
    deadline_s: float | None = None
    attempt_timeout_s: float | None = None
    backoff_s: float = 0.05

    def __post_init__(self) -> None:
        if self.max_attempts < 1:
            raise ValueError(f"max_attempts {self.max_attempts} must be at least 1")
        limits = {"attempt_timeout_s": self.attempt_timeout_s, "deadline_s": self.deadline_s}
        for name, limit in limits.items():
            if limit is not None and limit <= 0:
                raise ValueError(f"{name} {limit} must be above 0, or None")
        if self.backoff_s < 0:
            raise ValueError(f"backoff_s {self.backoff_s} must not be below 0")

    @property
    def attempt_limit_s(self) -> float:
        """Seconds that one attempt may take, > 0."""
        if self.attempt_timeout_s is not None:
            return self.attempt_timeout_s
        return min(60.0, inf if self.deadline_s is None else self.deadline_s / 2)

    def is_too_short(self, seconds: float) -> bool:
        """Whether a caller gave an attempt so little time that its end shows nothing.

        Less than a quarter of the pool's own limit: a model that hangs is found out all the same
        by callers who are merely a little less patient than the pool.
        """
        return seconds < self.attempt_limit_s / 4

    def pause_s(self, repeats: int, rng: Random) -> float:
        """Return the seconds to wait before the ``repeats``-th repetition, counted from 0."""
        return self.backoff_s * 2.0 ** min(repeats, 16) * 2 * rng.random()
