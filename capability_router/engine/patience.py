"""How long an attempt may take, and whose limit it was that it has passed."""

from __future__ import annotations

from math import inf

from capability_router.engine.lease import Lease
from capability_router.engine.outcome import Failure, FailureKind
from capability_router.engine.request import CompletionRequest
from capability_router.engine.retry import RetryPolicy
from capability_router.engine.steps import Try

__all__ = ["is_the_callers", "timed"]


def timed(lease: Lease, retry: RetryPolicy, request: CompletionRequest, left_s: float) -> Try:
    """Return an attempt with its limits.

    Args:
        lease: Its permit.
        retry: The limits of the pool.
        request: Those of the caller.
        left_s: Seconds up to the call's deadline, >= 0; ``inf`` if it has none.
    """
    limit_s = retry.attempt_limit_s
    first_token_s = _first_token_limit_s(lease, retry, limit_s)
    if left_s == inf and request.timeout_s is None:
        return Try(lease, limit_s, first_token_s, retry.stall_timeout_s)
    asked = inf if request.timeout_s is None else request.timeout_s
    return Try(
        lease,
        timeout_s=min(limit_s, asked, left_s),
        first_token_s=min(first_token_s, asked, left_s),
        stall_s=min(retry.stall_timeout_s, asked),
        ends_s=left_s,
        # Only what this caller asked for may excuse a model; the pool's own limits are the pool's.
        granted_s=min(asked, inf if request.deadline_s is None else left_s),
    )


def _first_token_limit_s(lease: Lease, retry: RetryPolicy, attempt_limit_s: float) -> float:
    limit = retry.first_token_timeout_s or attempt_limit_s
    if not lease.probe or not lease.state.first_token_s:
        # What a model that has never streamed usually takes is not known.
        return limit
    usual = lease.pool.tempo.first_token.percentile(0.99) or 0.0
    return min(limit, max(retry.trial_timeout_s, usual))


def is_the_callers(failure: Failure, step: Try, retry: RetryPolicy) -> bool:
    """Return whether an attempt ended only because its caller left, or gave it too little time."""
    if failure.kind is FailureKind.CANCELLED:
        return True
    if failure.status is not None:
        return False
    if failure.kind is FailureKind.STALLED:
        return step.stall_s < retry.stall_timeout_s / 4
    return failure.kind is FailureKind.TIMEOUT and retry.is_too_short(step.granted_s)
