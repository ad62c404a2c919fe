"""Several reasons at once: lifting one leaves the others in force."""

from dataclasses import replace

import pytest

from capability_router.calendars import CalendarReset
from capability_router.engine.deactivation import ErrorThreshold, Maintenance, SlowOutlier
from capability_router.engine.errors import NoAvailableModelError
from capability_router.engine.limits import Limit, Unit
from capability_router.engine.model import Model, Price, Provider
from capability_router.engine.outcome import Failure, FailureKind, Outcome, Usage
from capability_router.engine.recovery import Cooldown
from capability_router.engine.request import CompletionRequest
from capability_router.engine.retry import RetryPolicy
from capability_router.engine.rotation import Degrade, RotationPolicy
from tests.engine.building import CHAT, Daily, Rig, model

AT_ONCE = ErrorThreshold(consecutive=1)
BUDGET = Limit(Unit.USD, 0.001)
DAILY = Limit(Unit.REQUESTS, 1, resets=CalendarReset("day"))
LARGE = CompletionRequest(CHAT, input_tokens=1000)


def resting(opens_s: float, closes_s: float, **more: object) -> RotationPolicy:
    policy = RotationPolicy(
        deactivation=AT_ONCE,
        recovery=Cooldown(jitter=0.0),
        maintenance=(Maintenance(Daily(opens_s, closes_s)),),
    )
    return replace(policy, **more)  # type: ignore[arg-type]  # each test names its fields


def paid(*limits: Limit) -> Model:
    return Model("a/1", (CHAT,), price=Price(1.0, 1.0), limits=limits)


def reasons(rig: Rig) -> list[str]:
    return [each.reason for each in rig.router.pool(CHAT).get_standby()]


def test_success_of_a_trial_ends_no_window() -> None:
    rig = Rig("a/1", policy=resting(100, 7300))
    rig.fail(FailureKind.SERVER_ERROR)
    rig.clock.advance(50)
    trial = rig.select()
    rig.clock.advance(60)
    assert reasons(rig) == ["maintenance_window"]
    rig.router.report(trial, Outcome.success())
    assert reasons(rig) == ["maintenance_window"]
    rig.clock.advance(7200)
    assert not rig.select().probe


def test_refund_ends_no_window() -> None:
    rig = Rig(replace(model("a/1"), limits=(DAILY,)), policy=resting(100, 7300))
    lease = rig.select()
    rig.clock.advance(120)
    assert reasons(rig) == ["request_limit"]
    rig.router.release(lease)
    assert reasons(rig) == ["maintenance_window"]


def test_manual_holds_when_a_budget_has_room_again() -> None:
    rig = Rig(paid(BUDGET))
    lease = rig.router.select(LARGE)
    rig.router.deactivate("a/1")
    assert reasons(rig) == ["manual"]
    rig.router.report(lease, Outcome.success(Usage(10, 10)))
    assert reasons(rig) == ["manual"]
    rig.router.recover("a/1")
    assert reasons(rig) == []


def test_model_whose_last_day_passed_while_it_was_away_does_not_come_back() -> None:
    rig = Rig(Model("a/1", (CHAT,), deprecated_at=1_767_225_600.0 + 10))
    rig.router.deactivate("a/1")
    rig.clock.advance(100)
    rig.router.recover("a/1")
    assert reasons(rig) == ["deprecated"]


def test_nobody_panics_into_a_window() -> None:
    rig = Rig("a/1", policy=resting(10, 130, recovery=Cooldown(300.0, 300.0)))
    rig.fail(FailureKind.SERVER_ERROR)
    rig.clock.advance(20)
    with pytest.raises(NoAvailableModelError):
        rig.select()
    rig.clock.advance(120)
    assert rig.select().panic


def test_trial_that_took_the_last_of_a_budget_and_gave_it_back_is_active() -> None:
    rig = Rig(paid(BUDGET), policy=RotationPolicy(deactivation=AT_ONCE))
    rig.fail(FailureKind.SERVER_ERROR)
    rig.clock.advance(50)
    trial = rig.router.select(LARGE)
    assert trial.probe
    rig.router.report(trial, Outcome.success(Usage(10, 10)))
    assert reasons(rig) == []


def test_released_trial_is_due_again_though_it_took_the_last_of_a_limit() -> None:
    policy = RotationPolicy(deactivation=AT_ONCE)
    rig = Rig(replace(model("a/1"), limits=(replace(DAILY, amount=2),)), policy=policy)
    rig.fail(FailureKind.SERVER_ERROR)
    rig.clock.advance(50)
    rig.router.release(rig.select())
    assert rig.select().probe


def test_stated_time_is_kept_whatever_the_failure_is() -> None:
    rig = Rig("a/1", policy=RotationPolicy(deactivation=AT_ONCE))
    rig.fail(FailureKind.OVERLOADED, retry_after_s=3600.0)
    with pytest.raises(NoAvailableModelError):
        rig.select()


def test_stated_time_of_nothing_is_no_invitation_to_try_at_once() -> None:
    rig = Rig("a/1", "b/1")
    rig.fail(FailureKind.RATE_LIMITED, retry_after_s=0.0)
    rig.clock.advance(1.0)
    assert rig.serve() == "b/1"


@pytest.mark.parametrize("jump_s", [8 * 3600.0, 30 * 3600.0])
def test_clock_set_forward_over_the_end_of_a_window_is_noticed_within_the_hour(
    jump_s: float,
) -> None:
    rig = Rig("a/1", policy=resting(0, 7200))
    assert reasons(rig) == ["maintenance_window"]
    rig.clock.set_wall(rig.clock.wall() + jump_s)
    rig.clock.advance(3600)
    assert reasons(rig) == []


def test_clock_set_forward_over_a_reset_is_noticed_within_the_hour() -> None:
    rig = Rig(replace(model("a/1"), limits=(DAILY,)))
    rig.serve()
    rig.clock.set_wall(rig.clock.wall() + 30 * 3600)
    rig.clock.advance(3600)
    assert rig.serve() == "a/1"


def test_model_that_a_person_brings_back_during_a_window_stays() -> None:
    rig = Rig("a/1", policy=resting(0, 4 * 3600))
    assert reasons(rig) == ["maintenance_window"]
    rig.router.recover("a/1")
    rig.clock.advance(2 * 3600)
    assert reasons(rig) == []
    rig.clock.advance(22 * 3600 + 1)
    assert reasons(rig) == ["maintenance_window"]


def answer(rig: Rig, number: int, latency_s: float, first_token_s: float | None = None) -> None:
    lease = rig.router.select_model(f"a/{number}", CompletionRequest(CHAT))
    if lease is not None:
        rig.router.report(lease, Outcome(latency_s=latency_s, first_token_s=first_token_s))


def test_slow_first_token_is_measured_by_first_tokens_on_trial_too() -> None:
    slow = SlowOutlier(min_requests=1, first_token=True)
    rig = Rig(*[f"a/{n}" for n in range(4)], policy=RotationPolicy(slow=slow))
    for number in range(4):
        answer(rig, number, 10.0, 5.0 if number == 0 else 0.2)
    rig.clock.advance(11.0)
    assert rig.standby() == ["a/0"]
    rig.clock.advance(15.0)
    answer(rig, 0, 10.0, 0.2)
    assert rig.standby() == []


def test_limit_of_slowness_is_forgotten_when_too_few_models_are_left_to_set_one() -> None:
    slow = SlowOutlier(min_requests=1)
    rig = Rig(*[f"a/{n}" for n in range(3)], policy=RotationPolicy(slow=slow))
    for number in range(3):
        answer(rig, number, 5.0 if number == 0 else 0.1)
    rig.clock.advance(11.0)
    assert rig.standby() == ["a/0"]
    rig.clock.advance(15.0)
    answer(rig, 0, 1.0)
    assert rig.standby() == []


def test_answer_does_not_show_that_a_spared_model_is_fast() -> None:
    policy = RotationPolicy(slow=SlowOutlier(min_requests=1), max_ejected=0.0)
    rig = Rig(*[f"a/{n}" for n in range(5)], policy=policy)
    for number in range(5):
        answer(rig, number, 5.0 if number < 2 else 0.1)
    rig.clock.advance(10.0)
    assert rig.standby() == ["a/0"]
    assert [rig.serve() for _ in range(3)] == ["a/2"] * 3
    assert len([e for e in rig.events if e.type == "model_spared"]) == 1


def test_models_of_the_capability_itself_do_not_stand_in_for_it() -> None:
    policy = RotationPolicy(degrade=(Degrade.ANCESTORS,), limits=(Limit(Unit.REQUESTS, 1),))
    rig = Rig("a/1", "b/1")
    rig.router.add_pool("chat", CHAT, policy)
    rig.serve()
    with pytest.raises(NoAvailableModelError):
        rig.select()


def test_callers_who_leave_have_sent_a_request_all_the_same() -> None:
    rig = Rig(replace(model("a/1"), limits=(Limit(Unit.REQUESTS, 5, window_s=60.0),)))

    def leave(asked: Model) -> str:
        raise KeyboardInterrupt

    for _ in range(5):
        with pytest.raises(KeyboardInterrupt):
            rig.router.call(CHAT, leave)
    with pytest.raises(NoAvailableModelError):
        rig.select()


def test_answer_that_takes_longer_than_the_window_counts_when_it_ends() -> None:
    rig = Rig(replace(model("a/1"), limits=(Limit(Unit.TOKENS, 1000, window_s=60.0),)))
    lease = rig.select()
    rig.clock.advance(90.0)
    rig.router.report(lease, Outcome.success(Usage(0, 5000)))
    assert reasons(rig) == ["token_limit"]


def test_what_was_given_back_foretells_no_reset() -> None:
    rig = Rig(replace(model("a/1"), limits=(Limit(Unit.REQUESTS, 2, window_s=60.0),)))
    rig.router.release(rig.select())
    rig.clock.advance(30.0)
    rig.serve()
    rig.serve()
    with pytest.raises(NoAvailableModelError) as nobody:
        rig.select()
    assert nobody.value.retry_after_s == pytest.approx(61.0)


def test_large_request_asks_thousands_of_poor_models_once() -> None:
    account = Provider("a", limits=(Limit(Unit.TOKENS, 1000, window_s=60.0),))
    rig = Rig(*[f"a/{n}" for n in range(300)], "b/1", providers=[account])
    rig.router.report(rig.router.select(LARGE), Outcome.success(Usage(500, 0)))
    assert rig.router.select(CompletionRequest(CHAT, input_tokens=600)).model.id == "b/1"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (paid(BUDGET), paid(replace(BUDGET, amount=1.0))),
        (paid(BUDGET), paid()),
        (replace(paid(), deprecated_at=1.0), paid()),
    ],
)
def test_facts_that_change_lift_what_followed_from_them(before: Model, after: Model) -> None:
    rig = Rig(before)
    if before.limits:
        rig.router.report(rig.router.select(LARGE), Outcome.success(Usage(1000, 0)))
    assert len(reasons(rig)) == 1
    changed = replace(rig.router.model("a/1"), limits=after.limits, deprecated_at=None)
    rig.router._topology.replace(changed)
    assert reasons(rig) == []


def test_window_that_is_no_longer_planned_holds_nobody() -> None:
    rig = Rig("a/1")
    rig.router.add_pool("chat", CHAT, resting(0, 7200))
    assert rig.standby("chat") == ["a/1"]
    rig.router.update_pool("chat", RotationPolicy())
    assert rig.active("chat") == ["a/1"]


def test_failing_strategy_leaves_nothing_taken() -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("own code")

    rig = Rig(replace(model("a/1"), limits=(replace(DAILY, amount=9),)))
    pool = rig.router.pool(CHAT)
    lane = pool._lanes.lane(CHAT, CompletionRequest(CHAT))
    lane.chosen = broken  # type: ignore[method-assign,assignment]  # breaks on purpose
    with pytest.raises(RuntimeError, match="own code"):
        rig.select()
    assert pool.forecast()[0].taken == 0


def test_late_failure_with_a_longer_stated_time_extends_what_holds() -> None:
    rig = Rig("a/1")
    late = rig.select()
    rig.fail(FailureKind.RATE_LIMITED, retry_after_s=5.0)
    rig.router.report(late, Outcome(Failure(FailureKind.RATE_LIMITED, retry_after_s=50.0)))
    assert rig.router.pool(CHAT).get_standby()[0].until == 50.0


def test_request_that_is_too_large_for_now_is_told_when_there_is_room() -> None:
    rig = Rig(replace(model("a/1"), limits=(Limit(Unit.TOKENS, 100, window_s=60.0),)))
    half = CompletionRequest(CHAT, input_tokens=50)
    rig.router.report(rig.router.select(half), Outcome.success(Usage(50, 0)))
    with pytest.raises(NoAvailableModelError) as nobody:
        rig.router.select(replace(half, input_tokens=60))
    assert nobody.value.retry_after_s == pytest.approx(61.0)
    with pytest.raises(NoAvailableModelError) as nobody:
        rig.router.select(replace(half, input_tokens=101))
    assert nobody.value.retry_after_s is None


def test_call_waits_for_room_where_it_may() -> None:
    patient = RotationPolicy(retry=RetryPolicy(max_wait_s=100.0))
    limit = Limit(Unit.TOKENS, 100, window_s=60.0)
    rig = Rig(replace(model("a/1"), limits=(limit,)), policy=patient)
    request = CompletionRequest(CHAT, input_tokens=60)
    assert [rig.router.call(request, lambda asked: asked.id) for _ in range(2)] == ["a/1"] * 2
    assert rig.clock.slept == [pytest.approx(61.0)]
