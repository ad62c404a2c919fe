"""Why models leave beyond failures in a row: rates, slowness, outages, windows, last days."""

from collections.abc import Callable
from dataclasses import fields
from inspect import signature

import pytest

from capability_router import registry
from capability_router.engine.deactivation import (
    ErrorThreshold,
    ProviderOutage,
    SlowOutlier,
)
from capability_router.engine.events import EventType
from capability_router.engine.outcome import Failure, FailureKind, Outcome
from capability_router.engine.recovery import Cooldown
from capability_router.engine.retry import RetryBudget, RetryPolicy
from capability_router.engine.rotation import RotationPolicy
from capability_router.engine.selection import Priority, RoundRobin
from capability_router.engine.state import StandbyState
from tests.engine.building import CHAT, Rig, model

STEADY = Cooldown(jitter=0.0)


@pytest.mark.parametrize(
    ("policy", "defaults"),
    [
        (
            ErrorThreshold(),
            {"consecutive": 3, "rate": 0.5, "of_last": 20, "min_requests": 5, "within_s": 300.0},
        ),
        (
            SlowOutlier(),
            {
                "factor": 3.0,
                "min_requests": 10,
                "min_models": 3,
                "interval_s": 10.0,
                "first_token": False,
            },
        ),
        (ProviderOutage(), {"models": 2, "share": 0.5}),
        (
            Cooldown(),
            {
                "initial_s": 2.0,
                "max_s": 10.0,
                "slow_max_s": 60.0,
                "multiplier": 2.0,
                "jitter": 0.2,
                "forget_s": 10.0,
                "reason_cooldowns": {
                    "auth_failure": (60.0, 600.0),
                    "quota_exhausted": (300.0, 3600.0),
                    "billing": (300.0, 3600.0),
                    "not_found": (600.0, 3600.0),
                },
                "quota_resets": None,
            },
        ),
        (RetryBudget(), {"share": 0.2, "per_s": 1.0}),
    ],
)
def test_documented_defaults_hold(policy: object, defaults: dict[str, object]) -> None:
    found = {field.name: getattr(policy, field.name) for field in fields(policy)}  # type: ignore[arg-type]  # each is a dataclass
    assert found == defaults


@pytest.mark.parametrize(
    ("name", "defaults"),
    [
        ("adaptive", {"latency_weight": 0.4, "cost_weight": 0.2, "memory": 100}),
        ("cost-first", {}),
        ("latency-first", {"first_token": False}),
        ("least-in-flight", {}),
        ("load-balanced", {"by": "relative"}),
        ("priority", {"fallback": None}),
        ("rate-limit-aware", {"switch_at": 0.8}),
        ("round-robin", {}),
        ("session-sticky", {}),
        ("stick-until-failure", {}),
        ("weighted", {"weights": None, "slow_start_s": 30.0, "slow_start_from": 0.1}),
    ],
)
def test_documented_defaults_of_a_strategy_hold(name: str, defaults: dict[str, object]) -> None:
    offered = signature(registry.resolve(registry.STRATEGIES, name)).parameters.values()
    assert {each.name: each.default for each in offered if each.name != "rng"} == defaults


def test_defaults_of_a_rotation_policy_hold() -> None:
    policy = RotationPolicy()
    assert (policy.max_ejected, policy.slow, policy.outage) == (0.5, None, None)
    assert (policy.maintenance, policy.limits, policy.degrade) == ((), (), ())
    retry = RetryPolicy()
    assert (retry.max_attempts, retry.same_model, retry.scope, retry.backoff) == (
        10,
        2,
        "alone",
        "exponential-jitter",
    )
    assert (retry.base_s, retry.throttled_s, retry.max_backoff_s) == (0.05, 1.0, 20.0)
    assert (retry.max_wait_s, retry.deadline_s, retry.attempt_limit_s) == (0.0, None, 60.0)


def alternate(rig: Rig, outcomes: str) -> None:
    """Let requests to the only model fail (x) and succeed (.)."""
    for outcome in outcomes:
        if outcome == "x":
            rig.fail(FailureKind.SERVER_ERROR)
        else:
            rig.serve()


@pytest.mark.parametrize(
    ("outcomes", "leaves"),
    [
        ("x.x.", False),
        ("x.x.x", True),
        ("x..x..x..x..", False),
        (".x.x.x", True),
        ("." * 20 + "x." * 9, False),
        ("." * 20 + "x." * 9 + "x", True),
        ("." * 20 + "xx." * 4 + "x", False),
        ("." * 20 + "xx." * 4 + "xx", True),
    ],
)
def test_half_of_the_last_twenty_outcomes_with_at_least_five(outcomes: str, leaves: bool) -> None:
    rig = Rig("a/x", policy=RotationPolicy(recovery=STEADY))
    alternate(rig, outcomes)
    assert (rig.standby() == ["a/x"]) is leaves
    if leaves:
        assert rig.events[-1].reason == "error_threshold"


def test_failures_of_long_ago_do_not_count_for_the_rate() -> None:
    rig = Rig("a/x")
    alternate(rig, "x.x.")
    rig.clock.advance(301.0)
    alternate(rig, "x.")
    assert rig.active() == ["a/x"]


def test_rate_may_be_switched_off() -> None:
    rig = Rig("a/x", policy=RotationPolicy(deactivation=ErrorThreshold(rate=None)))
    alternate(rig, "x." * 20)
    assert rig.active() == ["a/x"]


def test_model_that_came_back_is_not_judged_by_what_it_left_for() -> None:
    rig = Rig("a/x", policy=RotationPolicy(recovery=STEADY))
    alternate(rig, "x.x.x")
    rig.clock.advance(2.0)
    alternate(rig, ".x")
    assert rig.active() == ["a/x"]


@pytest.mark.parametrize(("share", "standby"), [(0.5, 2), (0.0, 1), (0.25, 1), (0.75, 3), (1.0, 4)])
def test_no_more_than_the_allowed_share_is_ejected(share: float, standby: int) -> None:
    policy = RotationPolicy(selection=Priority, max_ejected=share)
    rig = Rig("a/x", "b/x", "c/x", "d/x", policy=policy)
    for each in ("a/x", "b/x", "c/x", "d/x"):
        rig.fail_out(each)
    assert len(rig.standby()) == standby
    spared = [name for kind, name in rig.told(EventType.MODEL_SPARED)]
    assert len(spared) == 4 - standby


def test_spared_model_serves_only_if_nobody_else_can() -> None:
    rig = Rig("a/x", "b/x", "c/x", policy=RotationPolicy(selection=Priority, recovery=STEADY))
    rig.fail_out("a/x")
    rig.fail_out("b/x")
    assert (rig.standby(), rig.active()) == (["a/x"], ["b/x", "c/x"])
    assert [rig.serve() for _ in range(3)] == ["c/x"] * 3
    assert rig.select(CHAT, "c/x").model.id == "b/x"


def test_spared_model_is_itself_again_after_its_time_or_an_answer() -> None:
    rig = Rig("a/x", "b/x", "c/x", policy=RotationPolicy(selection=Priority, recovery=STEADY))
    rig.router.deactivate("a/x")
    rig.fail_out("b/x")
    rig.router.recover("b/x")
    rig.fail_out("c/x")
    rig.fail_out("b/x")
    assert rig.told(EventType.MODEL_SPARED) == [(EventType.MODEL_SPARED, "b/x")]
    rig.router.report(rig.select(CHAT), Outcome.success())
    assert rig.serve() == "b/x"


def test_ejected_model_is_brought_back_when_the_pool_shrinks_below_it() -> None:
    rig = Rig("a/x", "b/x", "c/x", "d/x", policy=RotationPolicy(recovery=STEADY))
    rig.fail_out("a/x")
    rig.fail_out("b/x")
    assert rig.standby() == ["a/x", "b/x"]
    rig.router.unregister("c/x")
    assert rig.standby() == ["b/x"]
    assert rig.told()[-2:] == [(EventType.MODEL_ACTIVATED, "a/x"), (EventType.MODEL_SPARED, "a/x")]


def test_stated_reasons_are_not_held_back_by_the_share() -> None:
    rig = Rig("a/x", "b/x", "c/x")
    for _ in range(3):
        rig.fail(FailureKind.RATE_LIMITED, retry_after_s=60.0)
    assert len(rig.standby()) == 3


def time_answers(rig: Rig, rounds: int, slow: str, times: float) -> None:
    for _ in range(rounds):
        for _ in rig.router.models:
            lease = rig.select()
            factor = times if lease.model.id == slow else 1.0
            rig.router.report(lease, Outcome(latency_s=0.1 * factor))
        rig.clock.advance(1.0)


SLOW = RotationPolicy(selection=RoundRobin, slow=SlowOutlier(), recovery=STEADY)


@pytest.mark.parametrize(("times", "leaves"), [(2.9, False), (3.5, True), (50.0, True)])
def test_model_that_is_far_slower_than_the_others_leaves(times: float, leaves: bool) -> None:
    rig = Rig("a/x", "b/x", "c/x", "d/x", policy=SLOW)
    time_answers(rig, 12, "c/x", times)
    assert (rig.standby() == ["c/x"]) is leaves
    if leaves:
        (event,) = [e for e in rig.events if e.type is EventType.MODEL_DEACTIVATED]
        assert (event.reason, event.until) == ("slow", event.at + 2.0)


def test_slow_model_returns_with_a_fast_trial_only() -> None:
    rig = Rig("a/x", "b/x", "c/x", "d/x", policy=SLOW)
    time_answers(rig, 12, "c/x", 50.0)
    rig.clock.advance(2.0)
    slow = rig.select()
    assert slow.probe
    rig.router.report(slow, Outcome(latency_s=5.0))
    assert (rig.standby(), rig.events[-1].type) == (["c/x"], EventType.PROBE_FAILED)
    rig.clock.advance(4.0)
    fast = rig.select()
    rig.router.report(fast, Outcome(latency_s=0.1))
    assert rig.standby() == []
    time_answers(rig, 12, "", 1.0)
    assert rig.standby() == []


def test_too_few_models_or_answers_are_no_measure() -> None:
    rig = Rig("a/x", "b/x", policy=SLOW)
    time_answers(rig, 30, "b/x", 50.0)
    assert rig.standby() == []


def test_time_to_the_first_token_may_be_the_measure() -> None:
    policy = RotationPolicy(selection=RoundRobin, slow=SlowOutlier(first_token=True))
    rig = Rig("a/x", "b/x", "c/x", policy=policy)
    for _ in range(12):
        for _ in range(3):
            lease = rig.select()
            first = 2.0 if lease.model.id == "b/x" else 0.2
            rig.router.report(lease, Outcome(latency_s=5.0, first_token_s=first))
        rig.clock.advance(1.0)
    assert rig.standby() == ["b/x"]


def test_provider_with_too_many_failing_models_is_taken_to_be_down_in_all_pools() -> None:
    policy = RotationPolicy(outage=ProviderOutage(), max_ejected=1.0, recovery=STEADY)
    rig = Rig("a/1", "a/2", "a/3", "a/4", "b/1", model("a/5", "ocr"), policy=policy)
    assert rig.active("ocr") == ["a/5"]
    rig.fail_out("a/1")
    rig.fail_out("a/2")
    assert rig.standby() == ["a/1", "a/2"]
    rig.fail_out("a/3")
    assert rig.standby() == ["a/1", "a/2", "a/3", "a/4"]
    assert rig.standby("ocr") == ["a/5"]
    assert rig.events[-1].reason == "provider_outage"
    rig.clock.advance(60.0)
    assert rig.serve() in {"a/1", "a/2", "a/3", "a/4"}
    assert rig.standby("ocr") == []


def test_outage_is_no_matter_where_it_is_not_asked_for() -> None:
    rig = Rig("a/1", "a/2", "a/3", "b/1", policy=RotationPolicy(max_ejected=1.0))
    rig.fail_out("a/1")
    rig.fail_out("a/2")
    assert rig.active() == ["a/3", "b/1"]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda: ErrorThreshold(rate=0.0), "rate 0.0 must be above 0"),
        (lambda: ErrorThreshold(rate=1.1), "rate 1.1"),
        (lambda: ErrorThreshold(min_requests=21), "min_requests 21 must be at least 1"),
        (lambda: ErrorThreshold(of_last=257), "of_last 257"),
        (lambda: ErrorThreshold(within_s=0.0), "within_s 0.0"),
        (lambda: SlowOutlier(factor=1.0), "factor 1.0 must be above 1"),
        (lambda: SlowOutlier(min_models=1), "min_models 1 at least 2"),
        (lambda: SlowOutlier(min_requests=0), "min_requests 0 must be at least 1"),
        (lambda: SlowOutlier(interval_s=0.0), "interval_s 0.0"),
        (lambda: ProviderOutage(models=1), "models 1 must be at least 2"),
        (lambda: ProviderOutage(share=0.0), "share 0.0 above 0"),
        (lambda: RotationPolicy(max_ejected=1.5), "max_ejected 1.5 must be between 0 and 1"),
        (lambda: RetryBudget(share=-0.1), "share -0.1"),
        (lambda: RetryPolicy(same_model=0), "same_model 0"),
        (lambda: RetryPolicy(max_wait_s=-1.0), "max_wait_s -1.0"),
    ],
)
def test_setting_that_cannot_work_is_refused(wrong: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        wrong()


def test_standby_is_recorded_with_reason_since_and_until() -> None:
    rig = Rig("a/x", "b/y", "c/z", policy=RotationPolicy(recovery=STEADY))
    rig.clock.advance(5.0)
    rig.router.deactivate("c/z", "waiting for the invoice")
    rig.fail_out("a/x")
    assert rig.router.pool(CHAT).get_standby() == [
        StandbyState("c/z", "waiting for the invoice", 5.0, None, on_trial=False),
        StandbyState("a/x", "error_threshold", 5.0, 7.0, on_trial=False),
    ]
    rig.clock.advance(2.0)
    rig.select()
    assert rig.router.pool(CHAT).get_standby()[1].on_trial


def test_manual_standby_survives_everything_but_a_person() -> None:
    rig = Rig("a/x", "b/y")
    lease = rig.select()
    rig.router.deactivate("a/x")
    rig.router.report(lease, Outcome(Failure(FailureKind.RATE_LIMITED, retry_after_s=1.0)))
    rig.clock.advance(1e7)
    assert rig.standby() == ["a/x"]
    rig.router.recover("a/x")
    assert rig.active() == ["a/x", "b/y"]
