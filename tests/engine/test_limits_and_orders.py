"""Whose limit a timeout is, what panic may change, and orders that outlast a pool."""

import pickle

import pytest

from capability_router.engine.errors import (
    AllModelsFailedError,
    ConfigurationError,
    Problem,
    StreamInterruptedError,
)
from capability_router.engine.model import Model
from capability_router.engine.outcome import Attempt, Failure, FailureKind
from capability_router.engine.request import CompletionRequest
from capability_router.engine.retry import RetryPolicy
from capability_router.engine.rotation import RotationPolicy
from capability_router.engine.selection import Priority
from capability_router.engine.steps import Try
from capability_router.testing.clock import ManualClock
from tests.engine.building import Rig


class TickingClock(ManualClock):
    """A clock on which a moment passes with every look at it, as on a real one."""

    def now(self) -> float:
        self.advance(1e-6)
        return super().now()


def ticking(rig: Rig) -> Rig:
    clock = TickingClock()
    object.__setattr__(rig.router.world, "clock", clock)
    rig.clock = rig.router.clock = clock
    return rig


def hang(rig: Rig, request: CompletionRequest) -> list[str]:
    """Let every attempt of a call take all its time; returns who was tried."""
    call, tried = rig.router.plan(request), list[str]()
    while isinstance(step := call.next(), Try):
        tried.append(step.model.id)
        rig.clock.advance(step.timeout_s)
        call.failed(Failure(FailureKind.TIMEOUT))
    return tried


def test_pools_own_deadline_leaves_time_for_a_second_model_and_excuses_nobody() -> None:
    policy = RotationPolicy(selection=Priority, retry=RetryPolicy(deadline_s=60.0))
    rig = ticking(Rig("a/x", "b/y", policy=policy))
    assert hang(rig, CompletionRequest("chat-completion")) == ["a/x", "b/y"]
    assert rig.router.state("a/x").consecutive_failures == 1


@pytest.mark.parametrize(("seconds", "counted"), [(30.0, 1), (15.0, 1), (14.0, 0), (0.001, 0)])
def test_callers_limit_excuses_a_model_only_where_it_is_far_shorter_than_the_pools(
    seconds: float, counted: int
) -> None:
    rig = Rig("a/x", policy=RotationPolicy(retry=RetryPolicy(attempt_timeout_s=60.0)))
    hang(rig, CompletionRequest("chat-completion", timeout_s=seconds))
    assert rig.router.state("a/x").consecutive_failures == counted


def test_trials_in_panic_do_not_lengthen_a_standby() -> None:
    rig = Rig("a/x", "b/y", policy=RotationPolicy(max_ejected=1.0))
    rig.fail_out("a/x")
    rig.fail_out("b/y")
    before = rig.router.pool("chat-completion").next_trial_s(
        CompletionRequest("chat-completion"), "generation.text-generation.chat-completion"
    )
    for _ in range(20):
        with pytest.raises(AllModelsFailedError):
            rig.router.call("chat-completion", refuse)
    after = rig.router.pool("chat-completion").next_trial_s(
        CompletionRequest("chat-completion"), "generation.text-generation.chat-completion"
    )
    assert before == after


def refuse(model: Model) -> str:
    raise ConnectionRefusedError(model.id)


def test_order_holds_in_pools_that_are_made_later_for_as_long_as_it_lasts() -> None:
    rig = Rig("a/x")
    rig.router.pool("chat-completion")
    rig.router.deactivate("a/x", "rate_limited")
    (before,) = rig.router.pool("chat-completion").get_standby()
    (after,) = rig.router.pool("text-generation").get_standby()
    assert (after.reason, after.until) == (before.reason, before.until)
    rig.router.deactivate("a/x")
    assert rig.router.pool("generation").get_standby()[0].until is None


def test_model_that_joins_a_provider_that_is_away_is_away_with_it() -> None:
    rig = Rig("a/x", "b/y")
    rig.fail(FailureKind.AUTH)
    rig.router.register(Model("a/z", ("chat-completion",)))
    assert rig.standby() == ["a/x", "a/z"]


def test_pool_of_a_router_takes_models_from_its_router_only() -> None:
    rig = Rig("a/x")
    pool = rig.router.pool("chat-completion")
    with pytest.raises(ValueError, match=r"use router\.register"):
        pool.add_model(Model("b/y", ("chat-completion",)))
    with pytest.raises(ValueError, match=r"use router\.unregister"):
        pool.remove_model(rig.router.model("a/x"))


def test_what_the_caller_was_handling_already_is_no_cause() -> None:
    rig = Rig("a/x", "b/y")
    try:
        raise ConnectionResetError
    except ConnectionError:
        with pytest.raises(KeyError):
            rig.router.call("chat-completion", lambda model: {"a": 1}[model.id])
    assert rig.router.state("a/x").consecutive_failures == 0


def test_coroutine_function_is_sent_to_acall() -> None:
    async def answer(model: Model) -> str:
        return model.id

    with pytest.raises(TypeError, match="use acall"):
        _ = Rig("a/x").router.call("chat-completion", answer)


@pytest.mark.parametrize(
    "error",
    [
        AllModelsFailedError("chat", {"a/x": "lacks"}, attempts=[Attempt("a/x", "a")], why="so"),
        StreamInterruptedError("part", [Attempt("a/x", "a", error=ValueError("kept here"))]),
        ConfigurationError([Problem("wrong", "pools.text", "router.yaml", 3, 5)]),
    ],
)
def test_errors_survive_the_way_to_another_process(error: Exception) -> None:
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), repr(again)) == (type(error), str(error), repr(error))


def test_unknown_feature_is_told_with_the_nearest() -> None:
    with pytest.raises(ValueError, match="unknown feature 'visoin'; nearest: vision"):
        CompletionRequest("chat-completion", requires=frozenset({"visoin"}))
    with pytest.raises(ValueError, match="unknown feature 'visoin'; nearest: vision"):
        Model("a/b", ("chat-completion",), features=frozenset({"visoin"}))
