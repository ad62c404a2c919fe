"""One request from first attempt to last: try, wait or stop."""

from math import inf

import pytest

from capability_router.engine.call import Call
from capability_router.engine.decision import Decision
from capability_router.engine.errors import (
    AllModelsFailedError,
    NoAvailableModelError,
    UnknownCapabilityError,
    UnknownPoolError,
)
from capability_router.engine.faults import FAULT_TABLE, FaultRule, Health
from capability_router.engine.outcome import Failure, FailureKind, Usage
from capability_router.engine.recovery import Cooldown
from capability_router.engine.request import CompletionRequest
from capability_router.engine.retry import RetryPolicy
from capability_router.engine.rotation import RotationPolicy
from capability_router.engine.steps import Step, Stop, Try, Wait
from tests.engine.building import CHAT, Rig, model

ERROR = Failure(FailureKind.SERVER_ERROR, status=500, error=RuntimeError("of the provider"))
STEADY = RotationPolicy(recovery=Cooldown(jitter=0.0))
ALONE = [kind for kind, rule in FAULT_TABLE.items() if rule.repeatable]
NOT_REPEATED = [k for k, rule in FAULT_TABLE.items() if rule.next_model and k not in ALONE]


def trying(retry: RetryPolicy) -> RotationPolicy:
    return RotationPolicy(recovery=Cooldown(jitter=0.0), retry=retry)


def tried(step: Step) -> str:
    assert isinstance(step, Try), step
    return step.model.id


def stopped(step: Step) -> BaseException:
    assert isinstance(step, Stop), step
    return step.error


def all_failed(step: Step) -> AllModelsFailedError:
    error = stopped(step)
    assert isinstance(error, AllModelsFailedError), error
    return error


def fail(call: Call, kind: FailureKind = FailureKind.SERVER_ERROR, **facts: object) -> str:
    """Let the next attempt of a call fail; return the id of the model."""
    model_id = tried(call.next())
    call.failed(Failure(kind, **facts))  # type: ignore[arg-type]  # checked there
    return model_id


def test_first_step_is_to_try_a_model_within_the_attempt_timeout() -> None:
    call = Rig("a/x").router.plan("chat-completion")
    step = call.next()
    assert isinstance(step, Try)
    assert (step.model.id, step.timeout_s) == ("a/x", 60.0)
    assert call.lease is step.lease


def test_call_goes_through_the_models_until_none_is_left() -> None:
    call = Rig("a/x", "b/y", "c/z").router.plan("chat-completion")
    assert [fail(call) for _ in range(3)] == ["a/x", "b/y", "c/z"]
    error = all_failed(call.next())
    assert [attempt.model for attempt in error.attempts] == ["a/x", "b/y", "c/z"]
    assert error.why == "no other model is left"
    assert error.reasons == dict.fromkeys(("a/x", "b/y", "c/z"), "tried in this call")


def test_error_at_the_end_tells_every_attempt_and_has_the_last_as_its_cause() -> None:
    rig = Rig("a/x", "b/y")
    call = rig.router.plan("chat-completion")
    fail(call, FailureKind.RATE_LIMITED, status=429, retry_after_s=30.0)
    step = call.next()
    assert isinstance(step, Try)
    rig.clock.advance(1.5)
    call.failed(ERROR)
    error = all_failed(call.next())
    assert error.__cause__ is ERROR.error
    assert error.retry_after_s == 28.5
    assert str(error) == (
        "no model answered for 'chat-completion' (a/x: rate_limited (HTTP 429) in 0.00 s;"
        " b/y: server_error (HTTP 500) in 1.50 s); stopped because no other model is left;"
        " try again in 28 s"
    )


def test_call_with_nothing_to_try_stops_with_the_reasons() -> None:
    rig = Rig("a/x")
    rig.router.deactivate("a/x", "manual")
    error = stopped(rig.router.plan("chat-completion").next())
    assert type(error) is NoAvailableModelError
    assert error.reasons == {"a/x": "manual, until recovered by hand"}


def test_unknown_capability_or_pool_is_told_before_anything_is_tried() -> None:
    router = Rig("a/x").router
    with pytest.raises(UnknownCapabilityError):
        router.plan("nothing")
    with pytest.raises(UnknownPoolError):
        router.plan(CompletionRequest("chat-completion", pool="nothing"))


@pytest.mark.parametrize("kind", [k for k, rule in FAULT_TABLE.items() if not rule.next_model])
def test_fault_of_the_caller_stops_the_call_with_the_providers_own_error(
    kind: FailureKind,
) -> None:
    rig = Rig("a/x", "b/y")
    call, own = rig.router.plan("chat-completion"), ValueError("as the provider said it")
    fail(call, kind, error=own)
    assert stopped(call.next()) is own
    assert rig.health() == {"a/x": (0, False), "b/y": (0, False)}


def test_fault_of_the_caller_without_an_exception_still_stops_with_an_error() -> None:
    call = Rig("a/x", "b/y").router.plan("chat-completion")
    fail(call, FailureKind.INVALID_REQUEST)
    assert all_failed(call.next()).why == "invalid_request"


def test_content_policy_may_be_configured_to_move_on() -> None:
    faults = {**FAULT_TABLE, FailureKind.CONTENT_POLICY: FaultRule(Health.UNTOUCHED)}
    call = Rig("a/x", "b/y", faults=faults).router.plan("chat-completion")
    assert fail(call, FailureKind.CONTENT_POLICY) == "a/x"
    assert tried(call.next()) == "b/y"


def test_too_long_a_prompt_goes_only_to_a_larger_window() -> None:
    windows = {"a/8k": 8000, "b/4k": 4000, "c/8k": 8000, "d/32k": 32_000}
    rig = Rig(*[model(name, window=window) for name, window in windows.items()])
    call = rig.router.plan("chat-completion")
    assert fail(call, FailureKind.CONTEXT_OVERFLOW) == "a/8k"
    assert fail(call, FailureKind.CONTEXT_OVERFLOW) == "d/32k"
    assert all(health == (0, False) for health in rig.health().values())


def test_larger_window_is_larger_than_prompt_and_answer_together() -> None:
    rig = Rig(*[model(f"a/{size}", window=size) for size in (8000, 8001)])
    call = rig.router.plan(CompletionRequest(CHAT, input_tokens=100, output_tokens=4000))
    assert fail(call, FailureKind.CONTEXT_OVERFLOW) == "a/8000"
    assert tried(call.next()) == "a/8001"


def test_window_that_is_not_known_may_follow_and_may_be_followed() -> None:
    rig = Rig(model("a/8k", window=8000), "b/?", model("c/4k", window=4000), "d/?")
    call = rig.router.plan("chat-completion")
    assert [fail(call, FailureKind.CONTEXT_OVERFLOW) for _ in range(3)] == ["a/8k", "b/?", "d/?"]


def test_prompt_too_long_for_everybody_ends_with_the_providers_own_error() -> None:
    own = ValueError("maximum context length")
    call = Rig(model("a/8k", window=8000)).router.plan("chat-completion")
    fail(call, FailureKind.CONTEXT_OVERFLOW, error=own)
    assert stopped(call.next()) is own


@pytest.mark.parametrize("kind", ALONE)
def test_only_model_is_repeated_once_after_a_pause(kind: FailureKind) -> None:
    call = Rig("a/x").router.plan("chat-completion")
    fail(call, kind)
    pause = call.next()
    assert isinstance(pause, Wait)
    assert 0 <= pause.seconds <= (1.0 if kind is FailureKind.OVERLOADED else 0.05)
    assert fail(call, kind) == "a/x"
    assert len(all_failed(call.next()).attempts) == 2


@pytest.mark.parametrize("kind", NOT_REPEATED)
def test_only_model_is_not_repeated_where_that_would_not_help(kind: FailureKind) -> None:
    call = Rig("a/x").router.plan("chat-completion")
    fail(call, kind)
    assert len(all_failed(call.next()).attempts) == 1


def test_model_is_not_alone_where_another_was_tried() -> None:
    call = Rig("a/x", "b/y").router.plan("chat-completion")
    fail(call)
    fail(call)
    assert len(all_failed(call.next()).attempts) == 2


def test_model_that_left_with_its_failure_is_repeated_all_the_same() -> None:
    rig = Rig("a/x")
    for _ in range(2):
        rig.fail(FailureKind.SERVER_ERROR)
    call = rig.router.plan("chat-completion")
    fail(call)
    assert rig.standby() == ["a/x"]
    assert isinstance(call.next(), Wait)
    assert tried(call.next()) == "a/x"


@pytest.mark.parametrize("returns", ["active", "due"])
def test_other_model_that_came_back_during_the_pause_goes_before_a_repetition(
    returns: str,
) -> None:
    rig = Rig("a/x", "b/y", policy=STEADY)
    rig.router.deactivate("b/y", "rate_limited")
    call = rig.router.plan("chat-completion")
    assert fail(call) == "a/x"
    assert isinstance(call.next(), Wait)
    if returns == "active":
        rig.router.recover("b/y")
    else:
        rig.clock.advance(2)
    assert fail(call) == "b/y"
    assert len(all_failed(call.next()).attempts) == 2


def test_attempts_never_exceed_their_limit() -> None:
    models = [f"{name}/x" for name in "abcdefghijkl"]
    by_default = Rig(*models).router.plan("chat-completion")
    assert [fail(by_default) for _ in range(10)] == models[:10]
    assert all_failed(by_default.next()).why == "max_attempts is 10"
    few = trying(RetryPolicy(max_attempts=2))
    stated = Rig(*models, policy=few).router.plan("chat-completion")
    assert [fail(stated) for _ in range(2)] == models[:2]
    assert all_failed(stated.next()).why == "max_attempts is 2"


def test_repetition_counts_as_an_attempt() -> None:
    call = Rig("a/x", policy=trying(RetryPolicy(max_attempts=1))).router.plan("chat-completion")
    fail(call)
    assert all_failed(call.next()).why == "max_attempts is 1"


def test_no_attempt_starts_once_the_deadline_has_passed() -> None:
    rig = Rig("a/x", "b/y", "c/z", policy=trying(RetryPolicy(deadline_s=5.0)))
    call = rig.router.plan("chat-completion")
    fail(call)
    rig.clock.advance(4.999)
    assert fail(call) == "b/y"
    rig.clock.advance(0.001)
    error = all_failed(call.next())
    assert (error.why, len(error.attempts)) == ("the deadline has passed", 2)


def test_deadline_of_the_request_goes_before_that_of_the_pool() -> None:
    rig = Rig("a/x", "b/y", policy=trying(RetryPolicy(deadline_s=5.0)))
    call = rig.router.plan(CompletionRequest("chat-completion", deadline_s=50.0))
    rig.clock.advance(49.0)
    step = call.next()
    assert isinstance(step, Try)
    assert step.timeout_s == 1.0


def test_attempt_may_take_no_longer_than_what_is_left() -> None:
    retry = RetryPolicy(deadline_s=30.0, attempt_timeout_s=20.0)
    rig = Rig("a/x", "b/y", policy=trying(retry))
    call = rig.router.plan("chat-completion")
    first = call.next()
    rig.clock.advance(20.0)
    call.failed(Failure(FailureKind.TIMEOUT))
    second = call.next()
    assert isinstance(first, Try)
    assert isinstance(second, Try)
    assert (first.timeout_s, second.timeout_s) == (20.0, 10.0)


def test_nobody_waits_for_a_repetition_that_would_come_after_the_deadline() -> None:
    retry = RetryPolicy(deadline_s=0.001, base_s=1000.0, max_backoff_s=1000.0)
    rig = Rig("a/x", policy=trying(retry))
    call = rig.router.plan("chat-completion")
    fail(call)
    assert all_failed(call.next()).why == "no other model is left"


def test_timeout_that_the_callers_own_deadline_caused_does_not_count() -> None:
    rig = Rig("a/x", "b/y")
    for _ in range(5):
        call = rig.router.plan(CompletionRequest("chat-completion", deadline_s=0.5))
        assert tried(call.next()) == "a/x"
        rig.clock.advance(0.5)
        call.failed(Failure(FailureKind.TIMEOUT))
        assert all_failed(call.next()).why == "the deadline has passed"
    assert rig.health() == {"a/x": (0, False), "b/y": (0, False)}
    assert rig.router.state("a/x").in_flight == 0


def test_timeout_of_the_model_counts_although_there_is_a_deadline() -> None:
    rig = Rig("a/x", "b/y")
    call = rig.router.plan(CompletionRequest("chat-completion", deadline_s=90.0))
    call.next()
    rig.clock.advance(60.0)
    call.failed(Failure(FailureKind.TIMEOUT))
    assert rig.health()["a/x"] == (1, False)


@pytest.mark.parametrize(("status", "marks"), [(None, 0), (408, 1)])
def test_timeout_that_the_caller_made_short_counts_only_if_the_provider_reports_it(
    status: int | None, marks: int
) -> None:
    rig = Rig("a/x", "b/y")
    call = rig.router.plan(CompletionRequest("chat-completion", timeout_s=2.0))
    step = call.next()
    assert isinstance(step, Try)
    assert step.timeout_s == 2.0
    call.failed(Failure(FailureKind.TIMEOUT, status))
    assert tried(call.next()) == "b/y"
    assert rig.health()["a/x"] == (marks, False)


def test_cancelled_call_gives_the_probe_back_and_blames_nobody() -> None:
    rig = Rig("a/x", policy=STEADY)
    rig.fail_out("a/x")
    rig.clock.advance(2)
    call = rig.router.plan("chat-completion")
    step = call.next()
    assert isinstance(step, Try)
    assert step.lease.probe
    call.cancelled()
    assert rig.select().probe
    assert [(a.kind, a.probe) for a in call.attempts] == [(FailureKind.CANCELLED, True)]


def test_call_cancelled_between_attempts_ends_too() -> None:
    rig = Rig("a/x", "b/y")
    call = rig.router.plan("chat-completion")
    fail(call)
    call.cancelled()
    (decision,) = rig.router.decisions
    assert (decision.served_by, len(decision.attempts)) == (None, 1)


def test_steps_out_of_order_are_refused() -> None:
    call = Rig("a/x").router.plan("chat-completion")
    with pytest.raises(RuntimeError, match="no attempt is in progress"):
        call.succeeded()
    with pytest.raises(RuntimeError, match="no attempt is in progress"):
        call.failed(ERROR)
    call.next()
    with pytest.raises(RuntimeError, match="report how 'a/x' went before asking for more"):
        call.next()
    call.succeeded()
    with pytest.raises(RuntimeError, match="the call has ended"):
        call.next()


def test_decision_tells_who_served_from_which_pool_and_what_was_tried() -> None:
    rig = Rig("a/x", "b/y")
    rig.router.add_pool("chat", CHAT)
    call = rig.router.plan("chat-completion")
    fail(call, FailureKind.OVERLOADED, status=503)
    rig.clock.advance(2.0)
    call.next()
    rig.clock.advance(0.25)
    call.succeeded(Usage(3, 4))
    (decision,) = rig.router.decisions
    assert (decision.started_at, decision.at) == (0.0, 2.25)
    assert (decision.served_by, decision.pool, decision.pools) == ("b/y", "chat", ("chat",))
    first, second = decision.attempts
    assert (first.model, first.kind, first.status) == ("a/x", FailureKind.OVERLOADED, 503)
    assert (second.model, second.kind, second.latency_s) == ("b/y", None, 0.25)
    assert (second.started_at, second.usage) == (2.0, Usage(3, 4))
    assert rig.router.state("b/y").output_tokens == 4


def test_decision_says_so_when_nothing_was_left_but_panic() -> None:
    rig = Rig("a/x")
    rig.fail_out("a/x")
    call = rig.router.plan("chat-completion")
    call.next()
    call.succeeded()
    (decision,) = rig.router.decisions
    assert (decision.panic, decision.attempts[0].probe) == (True, True)


def test_each_call_has_exactly_one_decision() -> None:
    decisions: list[Decision] = []
    rig = Rig("a/x")
    call = Call(rig.router, CompletionRequest("chat-completion"), decisions.append)
    fail(call, FailureKind.TIMEOUT)
    call.next()
    call.cancelled()
    call.cancelled()
    assert [decision.served_by for decision in decisions] == [None]


def test_call_without_a_deadline_has_all_the_time() -> None:
    rig = Rig("a/x", policy=trying(RetryPolicy(attempt_timeout_s=inf)))
    rig.clock.advance(1e9)
    step = rig.router.plan("chat-completion").next()
    assert isinstance(step, Try)
    assert step.timeout_s == inf
