"""First seam of a rotation policy: should a model leave?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from typing import Protocol

from capability_router.engine.faults import FaultRule, Health
from capability_router.engine.model import Model
from capability_router.engine.outcome import Failure, FailureKind
from capability_router.engine.reason import Reason
from capability_router.engine.state import ModelState
from capability_router.engine.timing import Spans

__all__ = [
    "DeactivationPolicy",
    "ErrorThreshold",
    "Maintenance",
    "ProviderOutage",
    "SlowOutlier",
    "Verdict",
]

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

    def judge(
        self, state: ModelState, failure: Failure, rule: FaultRule, now: float
    ) -> Verdict | None:
        """Return the order to leave, or None to stay; changes nothing.

        Args:
            state: The model's counters, this failure included.
            failure: What happened.
            rule: The failure's row of the fault table.
            now: Monotonic seconds.
        """
        ...


@dataclass(frozen=True, slots=True)
class ErrorThreshold:
    """Leave after too many counted failures, or at once where the fault table says so.

    Attributes:
        consecutive: Counted failures without a success between, >= 1. Default 3, half of Envoy's
            ``consecutive_5xx`` of 5 rounded up, because one LLM call costs seconds, not
            milliseconds.
        rate: Share of the last outcomes that are counted failures, above 0 to 1; None to look at
            those in a row only. Default 0.5: a model that fails half of its requests doubles
            what every caller waits, whatever comes between (gRPC A50 ejects from 85 % on, with
            100 requests in 10 s to judge by).
        of_last: How many outcomes to look back, 1 to 256. Default 20, a fifth of Envoy's
            ``success_rate_request_volume`` of 100, because an LLM pool sees fewer requests.
        min_requests: Outcomes needed to speak of a rate, >= 1. Default 5, Envoy's
            ``success_rate_minimum_hosts`` applied to requests.
        within_s: Seconds after which a failure no longer counts for the rate, > 0. Default 300:
            failures of a quiet night are no news in the morning.
    """

    consecutive: int = 3
    rate: float | None = 0.5
    of_last: int = 20
    min_requests: int = 5
    within_s: float = 300.0

    def __post_init__(self) -> None:
        if self.consecutive < 1:
            raise ValueError(f"consecutive {self.consecutive} must be at least 1")
        if self.rate is not None and not 0 < self.rate <= 1:
            raise ValueError(f"rate {self.rate} must be above 0 and at most 1, or None")
        if not 1 <= self.min_requests <= self.of_last <= 256:
            raise ValueError(
                f"min_requests {self.min_requests} must be at least 1 and at most of_last"
                f" {self.of_last}, which is at most 256"
            )
        if self.within_s <= 0:
            raise ValueError(f"within_s {self.within_s} must be above 0")

    def judge(
        self, state: ModelState, failure: Failure, rule: FaultRule, now: float
    ) -> Verdict | None:
        """Return the order to leave, or None to stay; changes nothing."""
        if rule.health is Health.UNTOUCHED:
            return None
        if rule.health is Health.COUNTS and not self._is_too_many(state, now):
            return None
        reason = _REASONS.get(failure.kind, Reason.ERROR_THRESHOLD)
        return Verdict(reason, whole_provider=rule.health is Health.PROVIDER)

    def _is_too_many(self, state: ModelState, now: float) -> bool:
        if state.consecutive_failures >= self.consecutive:
            return True
        if self.rate is None:
            return False
        failed, of = state.recent_failures(self.of_last, now - self.within_s)
        return of >= self.min_requests and failed >= self.rate * of


@dataclass(frozen=True, slots=True)
class SlowOutlier:
    """Leave when answers take far longer than those of the pool's other models.

    Attributes:
        factor: How many times the median of the pool is too slow, > 1. Default 3, a choice of
            this project: models of one pool differ by up to two in good health, and hedging at
            the 95th percentile ("The Tail at Scale") covers what lies between.
        min_requests: Answers of a model, since it last became active, needed to judge it, >= 1.
            Default 10, a tenth of the ``request_volume`` of gRPC A50, because an LLM pool sees
            fewer requests.
        min_models: Models with so many answers needed to speak of a median, >= 2. Default 3, the
            least whose median one outlier cannot move; gRPC A50's ``minimum_hosts`` of 5 is more
            than most pools have.
        interval_s: Seconds between two looks, > 0. Default 10, Envoy's outlier interval.
        first_token: True to compare the time to the first token, for pools that stream; False
            for the time to the whole answer.
    """

    factor: float = 3.0
    min_requests: int = 10
    min_models: int = 3
    interval_s: float = 10.0
    first_token: bool = False

    def __post_init__(self) -> None:
        if not 1 < self.factor < inf:
            raise ValueError(f"factor {self.factor} must be above 1 and finite")
        if self.min_requests < 1 or self.min_models < 2:
            raise ValueError(
                f"min_requests {self.min_requests} must be at least 1, and min_models"
                f" {self.min_models} at least 2"
            )
        if self.interval_s <= 0:
            raise ValueError(f"interval_s {self.interval_s} must be above 0")

    def latency_s(self, state: ModelState) -> float:
        """Return the latency to compare, in seconds; 0 if not known."""
        return state.first_token_s if self.first_token else state.latency_s


@dataclass(frozen=True, slots=True)
class ProviderOutage:
    """Take a whole provider to be down when enough of its models fail.

    Attributes:
        models: Models that have left for errors, >= 2. Default 2: one may be its own fault.
        share: Share of the provider's models that they are at least, above 0 to 1. Default 0.5,
            Envoy's panic threshold: when half of the hosts fail, the failure is not theirs.
    """

    models: int = 2
    share: float = 0.5

    def __post_init__(self) -> None:
        if self.models < 2 or not 0 < self.share <= 1:
            raise ValueError(
                f"models {self.models} must be at least 2, and share {self.share} above 0 and at"
                " most 1"
            )

    def is_down(self, failing: int, models: int) -> bool:
        """Return whether so many failing models of a provider mean that all of them fail."""
        return failing >= self.models and failing >= self.share * models


@dataclass(frozen=True, slots=True)
class Maintenance:
    """Windows in which models take no new requests.

    Attributes:
        spans: When.
        models: Ids of the models; empty, with ``providers`` empty as well, for all of the pool.
        providers: Ids of providers, all of whose models it is for.
    """

    spans: Spans
    models: Sequence[str] = ()
    providers: Sequence[str] = ()

    def concerns(self, model: Model) -> bool:
        """Return whether the windows are for this model."""
        if not self.models and not self.providers:
            return True
        return model.id in self.models or model.provider in self.providers
