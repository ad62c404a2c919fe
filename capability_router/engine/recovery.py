"""Second seam of a rotation policy: when may a model on standby be tried again?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf
from types import MappingProxyType
from typing import Protocol

from capability_router.engine.outcome import Failure
from capability_router.engine.reason import ERRORS, Reason
from capability_router.engine.state import SLOW_KINDS
from capability_router.engine.timing import Schedule, World

__all__ = ["REASON_COOLDOWNS", "Cooldown", "RecoveryPolicy"]

REASON_COOLDOWNS: Mapping[str, tuple[float, float]] = MappingProxyType(
    {
        Reason.AUTH_FAILURE: (60.0, 600.0),
        Reason.QUOTA_EXHAUSTED: (300.0, 3600.0),
        Reason.BILLING: (300.0, 3600.0),
        Reason.NOT_FOUND: (600.0, 3600.0),
    }
)
"""First and longest standby in seconds, for reasons that time alone seldom heals.

Where the provider states no time: a key, an account or a model name is mended by a person, so
trying more often than once a minute, or once in ten for a vanished model, only adds noise.
"""


class RecoveryPolicy(Protocol):
    """Decides how long a model stays away, and how fast its record fades."""

    def standby_s(self, reason: str, failure: Failure | None, step: int, world: World) -> float:
        """Return the seconds until the next trial; ``inf`` if only a person brings it back.

        Args:
            reason: Why the model leaves.
            failure: What happened; None if it was no failure, for instance a person's order.
            step: Growth steps so far, >= 0.
            world: Source of jitter, and of the date for what resets by the calendar.
        """
        ...

    def steps_left(self, step: int, healthy_s: float) -> int:
        """Return the growth steps that remain after some seconds in service."""
        ...


@dataclass(frozen=True, slots=True)
class Cooldown:
    """Stay away for a time that grows with each return, up to a cap.

    A time that the provider stated is kept to the letter, unless it is no time at all: who has
    just refused is not asked again at once. A reason that is not known here, as
    ``manual`` is, stays until it is recovered by hand.

    Attributes:
        initial_s: First standby in seconds, > 0. Default 2.
        max_s: Longest standby in seconds, >= ``initial_s``. Default 10, Envoy's outlier interval:
            a healed model serves again within it.
        slow_max_s: The same cap where the failure was a timeout or a stall, because there each
            trial costs a user that much time. Default 60.
        multiplier: Growth per step, >= 1. Default 2, as in gRPC's connection backoff.
        jitter: Longest share added by chance, 0 to 1. Default 0.2, as in gRPC's backoff; only
            ever added, so no standby is shorter than stated.
        forget_s: Seconds in service after which one step is forgotten, > 0. Default 10, Envoy's
            outlier interval.
        reason_cooldowns: First and longest standby in seconds by reason, before all others.
        quota_resets: When the provider's quotas begin anew, for instance at midnight Pacific: a
            quota that it calls used up without saying until when is taken to last until then.
            None falls back to ``reason_cooldowns``.
    """

    initial_s: float = 2.0
    max_s: float = 10.0
    slow_max_s: float = 60.0
    multiplier: float = 2.0
    jitter: float = 0.2
    forget_s: float = 10.0
    reason_cooldowns: Mapping[str, tuple[float, float]] = field(
        default_factory=lambda: REASON_COOLDOWNS
    )
    quota_resets: Schedule | None = None

    def __post_init__(self) -> None:
        if not 0 < self.initial_s <= self.max_s:
            raise ValueError(
                f"initial_s {self.initial_s} must be above 0 and at most max_s {self.max_s}"
            )
        if self.multiplier < 1 or not 0 <= self.jitter <= 1 or self.forget_s <= 0:
            raise ValueError(
                f"multiplier {self.multiplier} must be at least 1, jitter {self.jitter} between"
                f" 0 and 1, and forget_s {self.forget_s} above 0"
            )

    def standby_s(self, reason: str, failure: Failure | None, step: int, world: World) -> float:
        """Return the seconds until the next trial; ``inf`` if only a person brings it back."""
        if failure is not None and failure.retry_after_s:
            return failure.retry_after_s
        if reason == Reason.QUOTA_EXHAUSTED and self.quota_resets is not None:
            wall = world.clock.wall()
            return max(0.0, self.quota_resets.next_after(wall) - wall)
        first, longest = self._range(reason, failure)
        if first == inf:
            return inf
        # The exponent is bounded: a float overflows beyond it, long after any cap is reached.
        grown = min(longest, first * self.multiplier ** min(step, 64))
        return grown * (1 + self.jitter * world.rng.random())

    def steps_left(self, step: int, healthy_s: float) -> int:
        """Return the growth steps that remain after some seconds in service."""
        return max(0, step - int(healthy_s / self.forget_s))

    def _range(self, reason: str, failure: Failure | None) -> tuple[float, float]:
        if reason in self.reason_cooldowns:
            return self.reason_cooldowns[reason]
        if reason not in ERRORS and reason != Reason.RATE_LIMITED:
            return inf, inf
        slow = failure is not None and failure.kind in SLOW_KINDS
        return self.initial_s, max(self.max_s, self.slow_max_s) if slow else self.max_s
