"""Why models leave beyond failures in a row: rates, slowness, outages, windows, last days."""

from collections.abc import Callable
from dataclasses import dataclass, fields

import pytest

from capability_router.calendars import CronSpans
from capability_router.engine.deactivation import (
    ErrorThreshold,
    Maintenance,
    ProviderOutage,
    SlowOutlier,
)
from capability_router.engine.errors import NoAvailableModelError
from capability_router.engine.events import EventType
from capability_router.engine.model import Model
from capability_router.engine.outcome import Failure, FailureKind, Outcome
from capability_router.engine.recovery import Cooldown
from capability_router.engine.retry import RetryBudget, RetryPolicy
from capability_router.engine.rotation import RotationPolicy
from capability_router.engine.selection import Priority, RoundRobin
from tests.engine.building import CHAT, TEXT, Rig, model

STEADY = Cooldown(jitter=0.0)


@dataclass(frozen=True)
class DailySpan:
    """A window that is open every day between two hours UTC."""

    opens_s: float
    closes_s: float

    def next_span(self, wall_s: float) -> tuple[float, float]:
        day = wall_s // 86_400 * 86_400
        day += 0 if wall_s < day + self.closes_s else 86_400
        return day + self.opens_s, day + self.closes_s


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
        (RetryBudget(), {"share": 0.2, "per_s": 1.0}),
    ],
)
def test_documented_defaults_hold(policy: object, defaults: dict[str, object]) -> None:
    found = {field.name: getattr(policy, field.name) for field in fields(policy)}  # type: ignore[arg-type]  # each is a dataclass
    assert found == defaults


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


def test_model_drains_on_its_last_day() -> None:
    rig = Rig(Model("a/x", ("chat-completion",), deprecated_at=1_767_225_600.0 + 7 * 86_400), "b/y")
    lease = rig.select()
    rig.clock.advance(7 * 86_400 - 1)
    assert rig.serve() == "a/x"
    rig.clock.advance(1)
    assert rig.serve() == "b/y"
    (event,) = [e for e in rig.events if e.type is EventType.MODEL_DEACTIVATED]
    assert (event.reason, event.until) == ("deprecated", None)
    rig.router.report(lease, Outcome.success())
    rig.clock.advance(1e6)
    assert rig.standby() == ["a/x"]


def test_model_whose_last_day_has_passed_never_serves() -> None:
    rig = Rig(Model("a/x", ("chat-completion",), deprecated_at=0.0))
    with pytest.raises(NoAvailableModelError, match="a/x: deprecated"):
        rig.select()


MIDNIGHT_TO_TWO = DailySpan(86_400.0 - 7200, 86_400.0)


def test_window_opens_and_closes_by_itself_and_asks_for_no_trial() -> None:
    policy = RotationPolicy(maintenance=(Maintenance(MIDNIGHT_TO_TWO, providers=["a"]),))
    rig = Rig("a/x", "b/y", policy=policy)
    assert rig.serve() == "a/x"
    rig.clock.advance(22 * 3600)
    assert rig.serve() == "b/y"
    (event,) = [e for e in rig.events if e.type is EventType.MODEL_DEACTIVATED]
    assert (event.model, event.reason, event.until) == ("a/x", "maintenance_window", 86_400.0)
    rig.clock.advance(2 * 3600)
    assert rig.active() == ["a/x", "b/y"]
    assert not rig.select(CHAT, "b/y").probe
    rig.clock.advance(22 * 3600)
    assert rig.standby() == ["a/x"]


def test_model_that_joins_during_a_window_waits_for_its_end() -> None:
    rig = Rig(policy=RotationPolicy(maintenance=(Maintenance(MIDNIGHT_TO_TWO),)))
    rig.router.pool(CHAT)
    rig.clock.advance(23 * 3600)
    rig.router.register(model("a/x"))
    assert rig.standby() == ["a/x"]
    rig.clock.advance(3600)
    assert rig.active() == ["a/x"]


def test_window_is_of_one_pool_only() -> None:
    rig = Rig("a/x")
    rig.router.add_pool("chat", CHAT, RotationPolicy(maintenance=(Maintenance(MIDNIGHT_TO_TWO),)))
    rig.router.add_pool("text", TEXT)
    rig.clock.advance(23 * 3600)
    assert (rig.standby("chat"), rig.standby("text")) == (["a/x"], [])


def test_model_that_failed_has_to_prove_itself_after_the_window() -> None:
    policy = RotationPolicy(maintenance=(Maintenance(MIDNIGHT_TO_TWO),), recovery=STEADY)
    rig = Rig("a/x", policy=policy)
    rig.clock.advance(22 * 3600 - 1)
    rig.fail_out("a/x")
    rig.clock.advance(1)
    assert rig.standby() == ["a/x"]
    rig.clock.advance(2 * 3600)
    assert rig.select().probe


def test_clock_set_forward_over_a_window_is_noticed_within_the_hour() -> None:
    rig = Rig("a/x", policy=RotationPolicy(maintenance=(Maintenance(MIDNIGHT_TO_TWO),)))
    rig.clock.set_wall(rig.clock.wall() + 22 * 3600)
    rig.clock.advance(3600)
    assert rig.standby() == ["a/x"]


def test_cron_window_keeps_local_time_across_the_change_of_clocks() -> None:
    sunday_night = CronSpans("0 2 * * *", 3600.0, zone="Europe/Berlin")
    rig = Rig("a/x", policy=RotationPolicy(maintenance=(Maintenance(sunday_night),)))
    winter, summer = 1_774_573_200.0, 1_774_742_400.0  # 2026-03-27 02:00 CET, 03-29 02:00 CEST
    for opens in (winter, summer + 86_400):
        rig.clock.advance(opens - 60 - rig.clock.wall())
        rig.router.pool(CHAT)
        rig.clock.advance(3600.0 - 3600.0)
        assert rig.active() == ["a/x"]
        rig.clock.advance(61.0)
        assert rig.standby() == ["a/x"]
        rig.clock.advance(3600.0)
        assert rig.active() == ["a/x"]


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


def test_manual_standby_survives_everything_but_a_person() -> None:
    rig = Rig("a/x", "b/y")
    lease = rig.select()
    rig.router.deactivate("a/x")
    rig.router.report(lease, Outcome(Failure(FailureKind.RATE_LIMITED, retry_after_s=1.0)))
    rig.clock.advance(1e7)
    assert rig.standby() == ["a/x"]
    rig.router.recover("a/x")
    assert rig.active() == ["a/x", "b/y"]
