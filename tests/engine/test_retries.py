"""Repeating the same model, waiting for one to come back, and how much of that a pool bears."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capability_router.engine.call import Call
from capability_router.engine.limits import Limit, Unit
from capability_router.engine.model import Model
from capability_router.engine.outcome import Failure, FailureKind
from capability_router.engine.recovery import Cooldown
from capability_router.engine.request import CompletionRequest
from capability_router.engine.retry import Backoff, RepeatScope, RetryBudget, RetryPolicy
from capability_router.engine.rotation import RotationPolicy
from capability_router.engine.selection import Priority
from capability_router.engine.steps import Step, Stop, Try, Wait
from tests.engine.building import DRIVERS, Driver, ProviderError, Rig, Script, overloaded

BROKEN = Failure(FailureKind.SERVER_ERROR)
FREE = RetryBudget(per_s=1000.0)


def rig_with(retry: RetryPolicy, *models: Model | str) -> Rig:
    policy = RotationPolicy(selection=Priority, retry=retry, recovery=Cooldown(jitter=0.0))
    return Rig(*(models or ("a/x", "b/y")), policy=policy)


def throttled(seconds: float | None) -> Failure:
    return Failure(FailureKind.RATE_LIMITED, 429, seconds)


def play(rig: Rig, call: Call, *failures: Failure) -> list[str]:
    """Take the steps of a call; who is asked when the failures have run out answers."""
    script, log = iter(failures), list[str]()
    while True:
        step: Step = call.next()
        match step:
            case Try():
                failure = next(script, None)
                log.append(step.model.id)
                if failure is None:
                    call.succeeded()
                    return log
                call.failed(failure)
            case Wait():
                log.append(f"wait {step.seconds:g}")
                rig.clock.advance(step.seconds)
            case Stop():
                return [*log, type(step.error).__name__]


FIRST = RetryPolicy(scope=RepeatScope.FIRST, backoff=Backoff.FIXED, base_s=0.5, budget=FREE)


def test_same_model_may_be_repeated_before_another_is_tried() -> None:
    rig = rig_with(FIRST)
    call = rig.router.plan("chat-completion")
    assert play(rig, call, BROKEN, BROKEN) == ["a/x", "wait 0.5", "a/x", "b/y"]


def test_same_model_gets_as_many_attempts_as_it_may() -> None:
    retry = RetryPolicy(
        scope=RepeatScope.FIRST, backoff=Backoff.FIXED, base_s=0.0, same_model=4, budget=FREE
    )
    rig = rig_with(retry)
    call = rig.router.plan("chat-completion")
    waits = ["wait 0", "a/x"]
    # The third failure in a row sends it away, and nobody waits for it then.
    assert play(rig, call, BROKEN, BROKEN, BROKEN) == ["a/x", *waits, *waits, "b/y"]


def test_nobody_pauses_for_a_model_whose_trial_has_failed() -> None:
    rig = rig_with(FIRST)
    rig.fail_out("a/x")
    rig.clock.advance(12.0)
    assert play(rig, rig.router.plan("chat-completion"), BROKEN) == ["a/x", "b/y"]


@pytest.mark.parametrize("kind", [FailureKind.TIMEOUT, FailureKind.STALLED, FailureKind.PROTOCOL])
def test_what_would_only_take_as_long_again_is_not_repeated(kind: FailureKind) -> None:
    rig = rig_with(FIRST)
    assert play(rig, rig.router.plan("chat-completion"), Failure(kind)) == ["a/x", "b/y"]


def test_callers_fault_is_not_repeated() -> None:
    rig = rig_with(FIRST)
    own = Failure(FailureKind.INVALID_REQUEST, error=ValueError("own"))
    assert play(rig, rig.router.plan("chat-completion"), own) == ["a/x", "ValueError"]


def test_short_retry_after_is_waited_out_where_that_is_allowed() -> None:
    retry = RetryPolicy(scope=RepeatScope.FIRST, backoff=Backoff.RETRY_AFTER, max_wait_s=3.0)
    rig = rig_with(retry)
    call = rig.router.plan("chat-completion")
    assert play(rig, call, throttled(2.0)) == ["a/x", "wait 2", "a/x"]


@pytest.mark.parametrize("stated", [3.5, None])
def test_long_retry_after_or_none_goes_on_at_once(stated: float | None) -> None:
    retry = RetryPolicy(scope=RepeatScope.FIRST, backoff=Backoff.RETRY_AFTER, max_wait_s=3.0)
    rig = rig_with(retry)
    assert play(rig, rig.router.plan("chat-completion"), throttled(stated)) == ["a/x", "b/y"]


def test_nobody_waits_unless_it_is_asked_for() -> None:
    rig = rig_with(RetryPolicy(), "a/x")
    assert play(rig, rig.router.plan("chat-completion"), throttled(0.1)) == [
        "a/x",
        "AllModelsFailedError",
    ]


def test_call_waits_for_the_first_model_that_comes_back() -> None:
    rig = rig_with(RetryPolicy(max_wait_s=10.0))
    call = rig.router.plan("chat-completion")
    assert play(rig, call, throttled(5.0), throttled(4.0)) == ["a/x", "b/y", "wait 4", "b/y"]


def test_call_that_found_nobody_waits_as_well() -> None:
    limit = Limit(Unit.REQUESTS, 1, window_s=6.0)
    rig = rig_with(
        RetryPolicy(max_wait_s=10.0), Model("a/x", ("chat-completion",), limits=(limit,))
    )
    rig.serve()
    assert play(rig, rig.router.plan("chat-completion")) == ["wait 6.1", "a/x"]


def test_patience_is_for_the_whole_call() -> None:
    rig = rig_with(RetryPolicy(max_wait_s=5.0), "a/x")
    call = rig.router.plan("chat-completion")
    steps = play(rig, call, throttled(3.0), throttled(3.0))
    assert steps == ["a/x", "wait 3", "a/x", "AllModelsFailedError"]


def test_call_waits_while_somebody_else_tries_the_only_model() -> None:
    rig = rig_with(RetryPolicy(max_wait_s=1.0), "a/x")
    rig.fail_out("a/x")
    rig.clock.advance(10.0)
    other = rig.router.plan("chat-completion")
    assert isinstance(other.next(), Try)
    waiting = rig.router.plan("chat-completion")
    assert waiting.next() == Wait(0.05)
    other.succeeded()
    assert play(rig, waiting) == ["a/x"]


def test_only_reasons_that_are_named_are_waited_for() -> None:
    retry = RetryPolicy(max_wait_s=100.0, wait_for=frozenset({"rate_limited"}))
    rig = rig_with(retry)
    rig.fail_out("b/y")
    call = rig.router.plan("chat-completion")
    rig.router.pool("chat-completion").deactivate(rig.router.model("b/y"), "auth_failure")
    assert play(rig, call, throttled(7.0)) == ["a/x", "wait 7", "a/x"]


@pytest.mark.parametrize("own", [None, 2.0])
def test_callers_deadline_always_wins(own: float | None) -> None:
    rig = rig_with(RetryPolicy(max_wait_s=60.0, deadline_s=3.0 if own is None else 50.0), "a/x")
    call = rig.router.plan(CompletionRequest("chat-completion", deadline_s=own))
    assert play(rig, call, throttled(10.0)) == ["a/x", "AllModelsFailedError"]
    assert rig.clock.now() == 0.0


def test_repetitions_stay_within_a_fifth_of_the_requests() -> None:
    retry = RetryPolicy(
        scope=RepeatScope.FIRST,
        backoff=Backoff.FIXED,
        base_s=0.0,
        budget=RetryBudget(share=0.2, per_s=0.0),
    )
    rig = rig_with(retry)
    repeated = 0
    for _ in range(100):
        steps = play(rig, rig.router.plan("chat-completion"), BROKEN)
        repeated += steps == ["a/x", "wait 0", "a/x"]
        rig.router.recover("a/x")
    assert 15 <= repeated <= 25


def test_going_on_with_another_model_needs_no_budget() -> None:
    rig = rig_with(RetryPolicy(budget=RetryBudget(share=0.0, per_s=0.0)))
    for _ in range(50):
        assert play(rig, rig.router.plan("chat-completion"), BROKEN)[-1] == "b/y"
        rig.router.recover("a/x")


def test_budget_that_is_used_up_fills_again_with_time() -> None:
    rig = rig_with(RetryPolicy(budget=RetryBudget(share=0.0, per_s=1.0), base_s=0.0), "a/x")
    request = CompletionRequest("chat-completion")
    assert [rig.router.may_repeat(request) for _ in range(11)] == [True] * 10 + [False]
    rig.clock.advance(2.5)
    assert [rig.router.may_repeat(request) for _ in range(3)] == [True, True, False]


@given(seed=st.integers(), repeats=st.integers(0, 40))
def test_pause_is_drawn_from_zero_to_its_doubled_base(seed: int, repeats: int) -> None:
    pause_s = RetryPolicy().pause_s(repeats, BROKEN, Random(seed))
    assert pause_s is not None
    assert 0 <= pause_s <= min(20.0, 0.05 * 2**repeats)


@pytest.mark.parametrize(
    ("backoff", "failure", "least", "most"),
    [
        (Backoff.FIXED, BROKEN, 0.05, 0.05),
        (Backoff.FIXED, Failure(FailureKind.OVERLOADED), 1.0, 1.0),
        (Backoff.FIXED, throttled(3.0), 3.0, 3.0),
        (Backoff.FIXED, throttled(0.2), 1.0, 1.0),
        (Backoff.RETRY_AFTER, throttled(0.2), 0.2, 0.2),
        (Backoff.RETRY_AFTER, BROKEN, 0.0, 0.05),
        (Backoff.EXPONENTIAL_JITTER, throttled(3.0), 3.0, 3.0),
        (Backoff.EXPONENTIAL_JITTER, Failure(FailureKind.OVERLOADED), 0.0, 1.0),
    ],
)
def test_each_backoff_pauses_as_documented(
    backoff: Backoff, failure: Failure, least: float, most: float
) -> None:
    retry, rng = RetryPolicy(backoff=backoff, max_wait_s=10.0), Random(3)
    pauses = [retry.pause_s(0, failure, rng) for _ in range(200)]
    assert all(pause is not None and least <= pause <= most for pause in pauses)


@pytest.mark.parametrize("drive", DRIVERS)
def test_every_driver_waits_out_a_short_retry_after(drive: Driver) -> None:
    rig = rig_with(RetryPolicy(scope=RepeatScope.FIRST, max_wait_s=5.0, base_s=0.0, throttled_s=0))
    script = Script(ProviderError(429, headers={"retry-after": "2"}), "hello")
    assert drive(rig, script, "chat-completion") == "hello"
    assert (script.tried, rig.clock.slept) == (["a/x", "a/x"], [2.0])


@pytest.mark.parametrize("drive", DRIVERS)
def test_every_driver_repeats_a_server_error_first_where_asked(drive: Driver) -> None:
    rig = rig_with(FIRST)
    script = Script(overloaded(), ProviderError(500), "hello")
    assert drive(rig, script, "chat-completion") == "hello"
    assert script.tried == ["a/x", "a/x", "b/y"]


def test_attempts_in_all_stay_within_their_limit() -> None:
    retry = RetryPolicy(scope=RepeatScope.FIRST, base_s=0.0, max_attempts=3, budget=FREE)
    rig = rig_with(retry, "a/x", "b/y", "c/z")
    call = rig.router.plan("chat-completion")
    steps = play(rig, call, BROKEN, BROKEN, BROKEN, BROKEN)
    assert steps == ["a/x", "wait 0", "a/x", "b/y", "AllModelsFailedError"]
