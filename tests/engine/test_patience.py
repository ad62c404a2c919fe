"""How long an attempt may take, and which limits that it passes count against the model."""

from math import inf

import pytest

from capability_router.engine.outcome import Failure, FailureKind
from capability_router.engine.request import CompletionRequest
from capability_router.engine.retry import RetryPolicy
from capability_router.engine.rotation import RotationPolicy
from capability_router.engine.selection import Priority
from capability_router.engine.steps import Try
from tests.engine.building import CHAT, Rig


def rig_with(retry: RetryPolicy) -> Rig:
    return Rig("a/x", policy=RotationPolicy(selection=Priority, retry=retry))


def tried(rig: Rig, request: CompletionRequest | None = None) -> Try:
    step = rig.router.plan(request or CompletionRequest(CHAT)).next()
    assert isinstance(step, Try)
    return step


def limits(step: Try) -> tuple[float, float, float, float]:
    return step.timeout_s, step.first_token_s, step.stall_s, step.ends_s


def test_each_limit_is_the_shortest_of_the_pools_and_the_callers() -> None:
    retry = RetryPolicy(attempt_timeout_s=30.0, first_token_timeout_s=20.0, stall_timeout_s=10.0)
    assert limits(tried(rig_with(retry))) == (30.0, 20.0, 10.0, inf)
    asked = CompletionRequest(CHAT, timeout_s=15.0)
    assert limits(tried(rig_with(retry), asked)) == (15.0, 15.0, 10.0, inf)
    asked = CompletionRequest(CHAT, timeout_s=5.0, deadline_s=3.0)
    assert limits(tried(rig_with(retry), asked)) == (3.0, 3.0, 5.0, 3.0)


def test_limits_that_nobody_has_set_are_the_documented_ones() -> None:
    assert limits(tried(rig_with(RetryPolicy()))) == (60.0, 60.0, 15.0, inf)
    assert limits(tried(rig_with(RetryPolicy.patient()))) == (30.0, 10.0, 15.0, inf)
    assert limits(tried(rig_with(RetryPolicy(deadline_s=8.0)))) == (4.0, 4.0, 15.0, 8.0)


@pytest.mark.parametrize(
    ("streamed_before_s", "usual_s", "expected"),
    [(None, None, 60.0), (0.5, None, 5.0), (0.5, 8.0, 8.0), (0.5, 90.0, 60.0)],
    ids=["never streamed", "usual", "slow pool", "never above the limit"],
)
def test_trial_of_a_model_that_has_streamed_gets_the_time_of_a_trial(
    streamed_before_s: float | None, usual_s: float | None, expected: float
) -> None:
    rig = rig_with(RetryPolicy())
    if streamed_before_s is not None:
        rig.router.state("a/x").first_token_s = streamed_before_s
    if usual_s is not None:
        rig.router.pool(CHAT).tempo.first_token.note(usual_s)
    assert tried(rig).first_token_s == 60.0
    rig.router.deactivate("a/x", "rate_limited")
    rig.clock.advance(60.0)
    trial = tried(rig)
    assert (trial.lease.probe, trial.first_token_s, trial.timeout_s) == (True, expected, 60.0)


@pytest.mark.parametrize(
    ("kind", "asked", "counted"),
    [
        (FailureKind.TIMEOUT, CompletionRequest(CHAT), 1),
        (FailureKind.TIMEOUT, CompletionRequest(CHAT, timeout_s=15.0), 1),
        (FailureKind.TIMEOUT, CompletionRequest(CHAT, timeout_s=14.9), 0),
        (FailureKind.TIMEOUT, CompletionRequest(CHAT, deadline_s=14.9), 0),
        (FailureKind.TIMEOUT, CompletionRequest(CHAT, timeout_s=70.0, deadline_s=14.9), 0),
        (FailureKind.STALLED, CompletionRequest(CHAT), 1),
        (FailureKind.STALLED, CompletionRequest(CHAT, timeout_s=3.75), 1),
        (FailureKind.STALLED, CompletionRequest(CHAT, timeout_s=3.7), 0),
        # A deadline ends streams; it makes no silence long.
        (FailureKind.STALLED, CompletionRequest(CHAT, deadline_s=2.0), 1),
    ],
    ids=str,
)
def test_only_what_a_caller_made_shorter_than_a_quarter_is_its_own(
    kind: FailureKind, asked: CompletionRequest, counted: int
) -> None:
    rig = rig_with(RetryPolicy())
    call = rig.router.plan(asked)
    call.next()
    call.failed(Failure(kind))
    assert rig.health() == {"a/x": (counted, False)}
    assert rig.router.state("a/x").in_flight == 0


@pytest.mark.parametrize("kind", [FailureKind.TIMEOUT, FailureKind.STALLED])
def test_what_the_provider_itself_reports_counts_however_short_the_time(kind: FailureKind) -> None:
    rig = rig_with(RetryPolicy())
    call = rig.router.plan(CompletionRequest(CHAT, timeout_s=1.0))
    call.next()
    call.failed(Failure(kind, status=504))
    assert rig.health() == {"a/x": (1, False)}
