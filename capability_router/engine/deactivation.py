"""First seam of a rotation policy: should a model leave?"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from capability_router.engine.faults import FaultRule, Health
from capability_router.engine.outcome import Failure, FailureKind
from capability_router.engine.state import ModelState

__all__ = ["ConsecutiveFailures", "DeactivationPolicy", "Reason", "Verdict"]


class Reason(StrEnum):
    """Why a model is on standby; ``deactivate`` takes any other text as well."""

    ERROR_THRESHOLD = "error_threshold"
    RATE_LIMITED = "rate_limited"
    QUOTA_EXHAUSTED = "quota_exhausted"
    BILLING = "billing"
    AUTH_FAILURE = "auth_failure"
    NOT_FOUND = "not_found"
    MANUAL = "manual"


_REASONS = {
    FailureKind.RATE_LIMITED: Reason.RATE_LIMITED,
    FailureKind.QUOTA_EXHAUSTED: Reason.QUOTA_EXHAUSTED,
    FailureKind.BILLING: Reason.BILLING,
    FailureKind.AUTH: Reason.AUTH_FAILURE,
    FailureKind.FORBIDDEN: Reason.AUTH_FAILURE,
    FailureKind.NOT_FOUND: Reason.NOT_FOUND,
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """The order to leave.

    Attributes:
        reason: Why, recorded with the membership.
        whole_provider: True if every model of the provider leaves, in every pool.
    """

    reason: str
    whole_provider: bool = False


class DeactivationPolicy(Protocol):
    """Decides after each failure that touches health whether the model leaves."""

    def judge(self, state: ModelState, failure: Failure, rule: FaultRule) -> Verdict | None:
        """Return the order to leave, or None to stay; changes nothing.

        Args:
            state: The model's counters, this failure included.
            failure: What happened.
            rule: The failure's row of the fault table.
        """
        ...


@dataclass(frozen=True, slots=True)
class ConsecutiveFailures:
    """Leave after some counted failures in a row, or at once where the fault table says so.

    Attributes:
        threshold: Counted failures without a success between, >= 1. Default 3, half of Envoy's
            ``consecutive_5xx`` of 5 rounded up, because one LLM call costs seconds, not
            milliseconds.
    """

    threshold: int = 3

    def __post_init__(self) -> None:
        if self.threshold < 1:
            raise ValueError(f"threshold {self.threshold} must be at least 1")

    def judge(self, state: ModelState, failure: Failure, rule: FaultRule) -> Verdict | None:
        """Return the order to leave, or None to stay; changes nothing."""
        if rule.health is Health.UNTOUCHED:
            return None
        if rule.health is Health.COUNTS and state.consecutive_failures < self.threshold:
            return None
        reason = _REASONS.get(failure.kind, Reason.ERROR_THRESHOLD)
        return Verdict(reason, whole_provider=rule.health is Health.PROVIDER)
