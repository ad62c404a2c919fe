"""How hard one call tries: attempts, time and pauses."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

__all__ = ["RetryPolicy"]


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Limits of one call.

    Attributes:
        max_attempts: Attempts at most over all models, >= 1. Default 10: every model of a usual
            pool once.
        deadline_s: Seconds after which no attempt starts, > 0; None for no limit.
        attempt_timeout_s: Seconds that one attempt may take, > 0; a tenth of the 600 s of the
            OpenAI client, because another model is waiting.
        backoff_s: Mean pause before the same model is repeated, in seconds; doubled each time,
            with full jitter (AWS Architecture Blog, "Exponential Backoff And Jitter").
            Default 0.05, the base of AWS SDK retries for transient errors.
    """

    max_attempts: int = 10
    deadline_s: float | None = None
    attempt_timeout_s: float = 60.0
    backoff_s: float = 0.05

    def __post_init__(self) -> None:
        if self.max_attempts < 1:
            raise ValueError(f"max_attempts {self.max_attempts} must be at least 1")
        if self.attempt_timeout_s <= 0 or self.backoff_s < 0:
            raise ValueError(
                f"attempt_timeout_s {self.attempt_timeout_s} must be above 0, and"
                f" backoff_s {self.backoff_s} not below it"
            )
        if self.deadline_s is not None and self.deadline_s <= 0:
            raise ValueError(f"deadline_s {self.deadline_s} must be above 0, or None for none")

    def pause_s(self, repeats: int, rng: Random) -> float:
        """Return the seconds to wait before the ``repeats``-th repetition, counted from 0."""
        return self.backoff_s * 2.0 ** min(repeats, 16) * 2 * rng.random()
