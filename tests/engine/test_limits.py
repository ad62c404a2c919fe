"""Limits, quotas and budgets: what is reserved, settled and given back, and who rests for it."""

from dataclasses import replace

import pytest

from capability_router.calendars import CalendarReset
from capability_router.engine.errors import NoAvailableModelError
from capability_router.engine.events import EventType
from capability_router.engine.lease import Lease
from capability_router.engine.limits import Limit, Unit
from capability_router.engine.model import Model, Price, Provider
from capability_router.engine.outcome import FailureKind, Outcome, Usage
from capability_router.engine.recovery import Cooldown
from capability_router.engine.request import CompletionRequest
from capability_router.engine.rotation import RotationPolicy
from capability_router.engine.selection import RoundRobin
from tests.engine.building import CHAT, Rig, model, together

DAY = CalendarReset("day")
TWENTY_A_DAY = Limit(Unit.REQUESTS, 20, resets=DAY)
MIDNIGHT_S = 86_400.0


def limited(model_id: str, *limits: Limit) -> Model:
    return replace(model(model_id), limits=limits)


def asking(tokens_in: int = 0, tokens_out: int = 0) -> CompletionRequest:
    return CompletionRequest("chat-completion", input_tokens=tokens_in, output_tokens=tokens_out)


def answered(rig: Rig, request: CompletionRequest, usage: Usage) -> Lease:
    lease = rig.router.select(request)
    rig.router.report(lease, Outcome.success(usage))
    return lease


def taken(rig: Rig) -> list[float]:
    return [forecast.taken for forecast in rig.router.pool(CHAT).forecast()]


def test_limit_is_served_to_the_last_request_and_no_further() -> None:
    rig = Rig(limited("a/x", TWENTY_A_DAY))
    assert [rig.serve() for _ in range(20)] == ["a/x"] * 20
    with pytest.raises(NoAvailableModelError) as nobody:
        rig.select()
    assert nobody.value.retry_after_s == pytest.approx(MIDNIGHT_S)
    assert nobody.value.reasons == {"a/x": "request_limit, 24 h left"}


def test_model_that_is_used_up_leaves_with_reason_since_and_until_and_one_event() -> None:
    rig = Rig(limited("a/x", TWENTY_A_DAY), "b/y")
    rig.clock.advance(100.0)
    for _ in range(20):
        rig.serve()
    (left,) = [e for e in rig.events if e.type is EventType.MODEL_DEACTIVATED]
    assert (left.model, left.reason, left.at, left.until) == (
        "a/x",
        "request_limit",
        100.0,
        MIDNIGHT_S,
    )
    assert rig.serve() == "b/y"


def test_model_is_simply_active_again_when_its_window_begins_anew() -> None:
    rig = Rig(limited("a/x", TWENTY_A_DAY))
    for _ in range(20):
        rig.serve()
    rig.clock.advance(MIDNIGHT_S)
    assert rig.active() == ["a/x"]
    leases = [rig.select() for _ in range(3)]
    assert not any(lease.probe for lease in leases)


@pytest.mark.parametrize("configured", [True, False])
def test_free_tiers_add_up(configured: bool) -> None:
    """Three providers of 20 requests a day; where they are not told, each refusal shows it."""
    limits = [TWENTY_A_DAY] if configured else []
    rig = Rig(*[limited(f"{name}/x", *limits) for name in "abc"])
    left, wasted = dict.fromkeys(("a/x", "b/x", "c/x"), 20), 0
    for _ in range(60):
        tried: list[str] = []
        while True:
            lease = rig.select(CHAT, *tried)
            if left[lease.model.id]:
                left[lease.model.id] -= 1
                rig.router.report(lease, Outcome.success())
                break
            wasted += 1
            tried.append(lease.model.id)
            rig.router.report(lease, Outcome.failed(FailureKind.QUOTA_EXHAUSTED, status=429))
    assert set(left.values()) == {0}
    assert wasted <= (0 if configured else 3)
    if configured:
        with pytest.raises(NoAvailableModelError):
            rig.select()


def test_provider_limit_is_shared_by_its_models_and_sends_them_all_away() -> None:
    account = Provider("a", limits=(Limit(Unit.REQUESTS, 3, window_s=60.0),))
    rig = Rig("a/x", "a/y", "b/z", providers=[account], policy=RotationPolicy(selection=RoundRobin))
    assert [rig.serve() for _ in range(6)] == ["a/x", "a/y", "b/z", "a/x", "b/z", "b/z"]
    assert rig.standby() == ["a/x", "a/y"]
    rig.clock.advance(61.0)
    assert rig.active() == ["a/x", "a/y", "b/z"]


def test_pool_limit_closes_the_pool_and_leaves_its_models_to_others() -> None:
    rig = Rig("a/x")
    policy = RotationPolicy(limits=(Limit(Unit.REQUESTS, 2, window_s=60.0),))
    rig.router.add_pool("chat", CHAT, policy)
    rig.router.add_pool("gen", "generation")
    pools = [rig.select().pool.name for _ in range(3)]
    assert pools == ["chat", "chat", "gen"]
    assert rig.standby("chat") == []
    pinned = CompletionRequest(CHAT, pool="chat")
    with pytest.raises(NoAvailableModelError, match=r"pool chat closed: request_limit, 1 min 1 s"):
        rig.router.select(pinned)
    rig.clock.advance(61.0)
    assert rig.router.select(pinned).pool.name == "chat"
    told = [e.type for e in rig.events if e.pool == "chat" and not e.model]
    assert told == [EventType.POOL_CLOSED, EventType.POOL_OPENED]


def test_estimate_is_reserved_and_the_answer_settles_it() -> None:
    rig = Rig(limited("a/x", Limit(Unit.TOKENS, 1000, window_s=60.0)))
    lease = rig.router.select(asking(100, 400))
    assert taken(rig) == [500]
    rig.router.report(lease, Outcome.success(Usage(90, 10)))
    assert taken(rig) == [100]


def test_release_gives_everything_back_and_brings_the_model_back() -> None:
    rig = Rig(limited("a/x", Limit(Unit.REQUESTS, 1, window_s=60.0)))
    lease = rig.select()
    assert rig.standby() == ["a/x"]
    rig.router.release(lease)
    assert (rig.active(), taken(rig)) == (["a/x"], [0])


def test_failed_attempt_costs_its_request_and_no_tokens() -> None:
    limits = Limit(Unit.REQUESTS, 5, window_s=60.0), Limit(Unit.TOKENS, 1000, window_s=60.0)
    rig = Rig(limited("a/x", *limits))
    lease = rig.router.select(asking(100, 100))
    rig.router.report(lease, Outcome.failed(FailureKind.SERVER_ERROR))
    assert taken(rig) == [1, 0]


def test_answer_without_usage_keeps_its_estimate() -> None:
    rig = Rig(limited("a/x", Limit(Unit.TOKENS, 1000, window_s=60.0)))
    answered(rig, asking(100, 100), Usage())
    assert taken(rig) == [200]


def test_expired_lease_counts_as_used_and_blocks_nothing_for_ever() -> None:
    rig = Rig(limited("a/x", Limit(Unit.REQUESTS, 1, window_s=60.0)), lease_ttl_s=30.0)
    rig.select()
    rig.clock.advance(31.0)
    with pytest.raises(NoAvailableModelError):
        rig.select()
    rig.clock.advance(31.0)
    assert rig.serve() == "a/x"


def test_length_that_nobody_stated_is_taken_from_the_answers_so_far() -> None:
    rig = Rig(limited("a/x", Limit(Unit.OUTPUT_TOKENS, 10_000, window_s=60.0)))
    answered(rig, asking(10), Usage(10, 300))
    answered(rig, asking(10), Usage(10, 100))
    rig.router.select(asking(10))
    assert taken(rig) == [600]


def test_request_that_is_too_large_for_one_model_goes_to_another_and_benches_nobody() -> None:
    rig = Rig(limited("a/x", Limit(Unit.TOKENS, 1000, window_s=60.0)), "b/y")
    assert rig.router.select(asking(100)).model.id == "a/x"
    assert rig.router.select(asking(5000)).model.id == "b/y"
    assert rig.standby() == []
    assert rig.router.select(asking(500)).model.id == "a/x"


def test_too_little_left_is_told_with_the_limit() -> None:
    rig = Rig(limited("a/x", Limit(Unit.TOKENS, 1000, window_s=60.0)))
    with pytest.raises(NoAvailableModelError, match="model a/x has too little left of 1000 tokens"):
        rig.router.select(asking(1001))


@pytest.mark.parametrize(
    ("unit", "request_", "usage", "reason"),
    [
        (Unit.REQUESTS, asking(), Usage(), "request_limit"),
        (Unit.INPUT_TOKENS, asking(1), Usage(1, 0), "token_limit"),
        (Unit.OUTPUT_TOKENS, asking(0, 1), Usage(0, 1), "token_limit"),
        (Unit.TOKENS, asking(1), Usage(1, 0), "token_limit"),
        (Unit.USD, asking(1_000_000), Usage(1_000_000, 0), "budget_exceeded"),
    ],
)
def test_each_unit_is_counted_and_has_its_reason(
    unit: Unit, request_: CompletionRequest, usage: Usage, reason: str
) -> None:
    dear = replace(limited("a/x", Limit(unit, 1, window_s=60.0)), price=Price(1.0, 1.0))
    rig = Rig(dear)
    answered(rig, request_, usage)
    assert (rig.standby(), rig.events[-1].reason) == (["a/x"], reason)


def test_limit_may_have_a_reason_of_its_own() -> None:
    rig = Rig(limited("a/x", replace(TWENTY_A_DAY, amount=1, reason="quota_exhausted")))
    rig.serve()
    assert rig.events[-1].reason == "quota_exhausted"


def test_limit_without_a_window_is_for_ever() -> None:
    rig = Rig(limited("a/x", Limit(Unit.REQUESTS, 1)))
    rig.serve()
    rig.clock.advance(1e9)
    with pytest.raises(NoAvailableModelError) as nobody:
        rig.select()
    assert nobody.value.retry_after_s is None


def test_answer_that_was_longer_than_reserved_closes_the_limit() -> None:
    rig = Rig(limited("a/x", Limit(Unit.TOKENS, 1000, window_s=60.0)), "b/y")
    answered(rig, asking(10, 10), Usage(10, 2000))
    assert rig.standby() == ["a/x"]
    assert rig.serve() == "b/y"


def test_quota_at_midnight_pacific_resets_there_and_not_at_midnight_utc() -> None:
    pacific = CalendarReset("day", zone="America/Los_Angeles")
    rig = Rig(limited("a/x", Limit(Unit.REQUESTS, 1, resets=pacific)))
    rig.serve()
    rig.clock.advance(7.99 * 3600)
    assert rig.standby() == ["a/x"]
    rig.clock.advance(0.02 * 3600)
    assert rig.serve() == "a/x"
    rig.clock.advance(23.9 * 3600)
    assert rig.standby() == ["a/x"]


def test_clock_that_is_set_back_gives_no_second_quota() -> None:
    rig = Rig(limited("a/x", Limit(Unit.REQUESTS, 2, resets=DAY)))
    rig.clock.advance(MIDNIGHT_S + 10)
    rig.serve()
    rig.clock.set_wall(rig.clock.wall() - 3600)
    rig.serve()
    with pytest.raises(NoAvailableModelError):
        rig.select()


def test_limits_are_shared_by_all_pools_of_a_model() -> None:
    rig = Rig(limited("a/x", Limit(Unit.REQUESTS, 1, window_s=60.0)))
    rig.router.add_pool("one", CHAT)
    rig.router.add_pool("two", CHAT)
    rig.router.select(CompletionRequest(CHAT, pool="one"))
    assert (rig.standby("one"), rig.standby("two")) == (["a/x"], ["a/x"])
    rig.router.add_pool("three", CHAT)
    assert rig.standby("three") == ["a/x"]


def test_trial_draws_on_limits_as_well() -> None:
    rig = Rig(limited("a/x", Limit(Unit.REQUESTS, 4, window_s=600.0)))
    rig.fail_out("a/x")
    rig.clock.advance(10.0)
    assert rig.serve() == "a/x"
    with pytest.raises(NoAvailableModelError):
        rig.select()


def test_strict_limit_holds_for_any_number_of_threads_and_nothing_leaks() -> None:
    rig = Rig(
        limited("a/x", Limit(Unit.REQUESTS, 300, resets=DAY)),
        limited("b/y", Limit(Unit.REQUESTS, 200, resets=DAY)),
    )

    def work(worker: int) -> int:
        admitted = 0
        for number in range(100):
            try:
                lease = rig.select()
            except NoAvailableModelError:
                continue
            if (worker + number) % 3:
                rig.router.report(lease, Outcome.success())
                admitted += 1
            else:
                rig.router.release(lease)
        return admitted

    admitted = sum(together(*[lambda worker=w: work(worker) for w in range(16)]))
    assert admitted == 500
    assert taken(rig) == [300, 200]
    with pytest.raises(NoAvailableModelError):
        rig.select()


def test_clock_that_is_set_back_lets_nobody_return_before_the_reset() -> None:
    policy = RotationPolicy(limits=(Limit(Unit.REQUESTS, 2, resets=DAY),))
    rig = Rig(limited("a/x", Limit(Unit.REQUESTS, 1, resets=DAY)), "b/y", policy=policy)
    assert [rig.serve() for _ in range(2)] == ["a/x", "b/y"]
    rig.clock.set_wall(rig.clock.wall() - 3600)
    rig.clock.advance(MIDNIGHT_S)
    with pytest.raises(NoAvailableModelError):
        rig.select()
    rig.clock.advance(3600)
    assert [rig.serve() for _ in range(2)] == ["b/y", "b/y"]
    told = [
        (e.type, e.model) for e in rig.events if e.type is not EventType.POOL_MEMBERSHIP_CHANGED
    ]
    assert told == [
        (EventType.MODEL_DEACTIVATED, "a/x"),
        (EventType.POOL_CLOSED, ""),
        (EventType.STANDBY_EXTENDED, "a/x"),
        (EventType.STANDBY_EXTENDED, ""),
        (EventType.MODEL_ACTIVATED, "a/x"),
        (EventType.POOL_OPENED, ""),
        (EventType.POOL_CLOSED, ""),
    ]


def test_limit_that_has_room_again_leaves_an_older_standby_in_force() -> None:
    account = Provider("a", limits=(Limit(Unit.REQUESTS, 4, window_s=60.0),))
    rig = Rig("a/x", "a/y", providers=[account], policy=RotationPolicy(recovery=Cooldown(jitter=0)))
    rig.fail_out("a/x")
    lease = rig.select()
    assert [(s.reason, s.until) for s in rig.router.pool(CHAT).get_standby()] == [
        ("request_limit", 61.0),
        ("request_limit", 61.0),
    ]
    rig.router.release(lease)
    (left,) = rig.router.pool(CHAT).get_standby()
    assert (left.model, left.reason, left.until) == ("a/x", "error_threshold", 2.0)
    assert rig.told()[-2:] == [
        (EventType.STANDBY_RESTORED, "a/x"),
        (EventType.MODEL_ACTIVATED, "a/y"),
    ]


def test_person_cannot_bring_back_what_a_limit_holds_back() -> None:
    rig = Rig(limited("a/x", Limit(Unit.REQUESTS, 1, window_s=60.0)))
    rig.serve()
    rig.router.recover("a/x")
    assert rig.standby() == ["a/x"]
