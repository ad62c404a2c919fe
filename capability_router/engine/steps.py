"""What a call tells its driver to do next."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import inf

from capability_router.engine.lease import Lease
from capability_router.engine.model import Model
from capability_router.engine.outcome import Attempt, Failure, FailureKind, Usage

__all__ = ["Step", "Stop", "Try", "Wait"]

_NOTHING = Usage()


@dataclass(eq=False, slots=True)
class Try:
    """Call this model now, then report ``succeeded``, ``failed`` or ``cancelled``.

    Attributes:
        lease: The permit; the call ends it.
        timeout_s: Seconds to a whole answer, > 0.
        first_token_s: Seconds to the first token of a stream, > 0.
        stall_s: Seconds that a stream may be silent after that, > 0.
        ends_s: Seconds after which a stream is broken off although it flows, > 0; ``inf`` if the
            call has no deadline.
        granted_s: Seconds that the caller has granted, as opposed to the pool; ``inf`` for any.
        prefill: What the caller has of the answer already: this one goes on from there, and does
            not say it again. Empty where it begins.
        may_end: True if a model of another provider was given the same text, and had nothing to
            add: if this one has not either, it was the whole answer.
        restarts: True if it begins although the caller has a part of another one.
        hedge: True if it runs beside an attempt that takes long.
        seen_s: Seconds to its first token, once that has come.
        waited_s: Seconds that the call had paused before it.
    """

    lease: Lease
    timeout_s: float
    first_token_s: float = inf
    stall_s: float = inf
    ends_s: float = inf
    granted_s: float = inf
    prefill: str = ""
    may_end: bool = False
    restarts: bool = False
    hedge: bool = False
    seen_s: float | None = None
    waited_s: float = 0.0

    @property
    def silence_s(self) -> float:
        """The longest time that a stream may bring nothing, for clients with one such limit."""
        return max(self.first_token_s, self.stall_s)

    @property
    def model(self) -> Model:
        """The model to call."""
        return self.lease.model

    def meaning(self, failure: Failure) -> Failure:
        """Return what a failure of this attempt means for the call."""
        if self.prefill and failure.kind is FailureKind.INVALID_REQUEST:
            # The beginning that we have put into the request is no fault of the caller's.
            return replace(failure, kind=FailureKind.UNSUPPORTED)
        return failure

    def record(self, failure: Failure | None, now: float, usage: Usage = _NOTHING) -> Attempt:
        """Return the line of the call's history that this attempt ends as.

        Args:
            failure: How it failed; None if it served.
            now: Monotonic seconds.
            usage: Tokens of its answer.
        """
        lease = self.lease
        priced = failure is None and lease.model.price is not None
        return Attempt(
            model=lease.model.id,
            provider=lease.model.provider,
            kind=failure.kind if failure else None,
            status=failure.status if failure else None,
            latency_s=max(0.0, now - lease.started_at),
            probe=lease.probe,
            hedge=self.hedge,
            error=failure.error if failure else None,
            pool=lease.pool.name,
            started_at=lease.started_at,
            first_token_s=self.seen_s,
            wait_s=self.waited_s,
            usage=usage,
            cost_usd=lease.model.cost_usd(usage) if priced else usage.cost_usd,
            retry_after_s=failure.retry_after_s if failure else None,
        )


@dataclass(frozen=True, slots=True)
class Wait:
    """Pause, then ask again.

    Attributes:
        seconds: How long, >= 0.
    """

    seconds: float


@dataclass(frozen=True, slots=True)
class Stop:
    """Give up.

    Attributes:
        error: What to raise: the provider's own error where the caller is at fault.
    """

    error: BaseException


Step = Try | Wait | Stop
