"""A model with as many attempts in flight as it may have is passed over, and never benched."""

from dataclasses import replace

import pytest

from capability_router import registry
from capability_router.engine.concurrency import AdaptiveConcurrency, Concurrency
from capability_router.engine.errors import NoAvailableModelError
from capability_router.engine.lease import Lease
from capability_router.engine.model import Model
from capability_router.engine.outcome import Failure, FailureKind, Outcome
from capability_router.engine.pool import CapabilityPool
from capability_router.engine.recovery import Cooldown
from capability_router.engine.request import CompletionRequest
from capability_router.engine.retry import RetryPolicy
from capability_router.engine.rotation import Degrade, RotationPolicy
from capability_router.engine.selection import Priority, StickUntilFailure
from capability_router.engine.steps import Stop, Try, Wait
from tests.engine.building import CHAT, CODE, TEXT, Rig, together

REQUEST = CompletionRequest(CHAT)
IN_ORDER = RotationPolicy(selection=Priority, recovery=Cooldown(jitter=0.0))
OVERLOADED = Outcome.failed(FailureKind.OVERLOADED)


def limited(model_id: str, concurrency: Concurrency | None, *capabilities: str) -> Model:
    return Model(model_id, capabilities or (CHAT,), concurrency=concurrency)


def names(leases: list[Lease]) -> list[str]:
    return [lease.model.id for lease in leases]


def test_full_model_is_passed_over_and_the_next_by_strategy_serves() -> None:
    rig = Rig(limited("a/m", 2), "b/m", policy=IN_ORDER)
    taken = [rig.select() for _ in range(4)]
    assert names(taken) == ["a/m", "a/m", "b/m", "b/m"]
    rig.router.report(taken[1], Outcome.success())
    assert names([rig.select(), rig.select()]) == ["a/m", "b/m"]


def test_full_model_stays_active_and_nothing_is_told_of_it() -> None:
    rig = Rig(limited("a/m", 1), "b/m", policy=IN_ORDER)
    rig.select()
    before = list(rig.events)
    rig.select()
    assert (rig.active(), rig.standby(), rig.events) == (["a/m", "b/m"], [], before)


@pytest.mark.parametrize("how", ["report", "fail", "release", "expire"])
def test_slot_is_free_again_however_its_lease_ends(how: str) -> None:
    rig = Rig(limited("a/m", 1), lease_ttl_s=60.0)
    lease = rig.select()
    with pytest.raises(NoAvailableModelError):
        rig.select()
    if how == "report":
        rig.router.report(lease, Outcome.success())
    elif how == "fail":
        rig.router.report(lease, Outcome.failed(FailureKind.INVALID_REQUEST))
    elif how == "release":
        rig.router.release(lease)
    else:
        rig.clock.advance(60.0)
    assert rig.select().model.id == "a/m"


def test_outcome_of_an_expired_lease_frees_no_second_slot() -> None:
    rig = Rig(limited("a/m", 1), lease_ttl_s=60.0)
    late = rig.select()
    rig.clock.advance(60.0)
    rig.select()
    rig.router.report(late, Outcome.success())
    with pytest.raises(NoAvailableModelError):
        rig.select()
    assert rig.router.state("a/m").in_flight == 1


def test_where_all_are_full_the_reasons_say_so() -> None:
    rig = Rig(limited("a/m", 2), limited("b/m", 1))
    for _ in range(3):
        rig.select()
    with pytest.raises(NoAvailableModelError) as caught:
        rig.select()
    assert caught.value.reasons == {
        "a/m": "full: 2 of 2 in flight",
        "b/m": "full: 1 of 1 in flight",
    }
    assert caught.value.retry_after_s == 0.0


def test_no_room_is_said_to_come_later_than_a_quarter_of_a_second() -> None:
    rig = Rig(limited("a/m", 2))
    leases = [rig.select(), rig.select()]
    rig.clock.advance(0.3)
    rig.router.report(leases[0], Outcome.success())
    rig.select()
    for after_s in (0.15, 0.25):
        with pytest.raises(NoAvailableModelError) as caught:
            rig.select()
        assert caught.value.retry_after_s == pytest.approx(after_s)
        rig.router.state("a/m").latency_s = 90.0


def test_call_with_patience_waits_for_room() -> None:
    rig = Rig(limited("a/m", 1), policy=RotationPolicy(retry=RetryPolicy(max_wait_s=5.0)))
    lease, call = rig.select(), rig.router.plan(REQUEST)
    for _ in range(3):
        step = call.next()
        assert isinstance(step, Wait)
        assert 0 < step.seconds <= 0.25
        rig.clock.advance(step.seconds)
    rig.router.report(lease, Outcome.success())
    assert isinstance(call.next(), Try)


def test_call_waits_for_room_no_longer_than_it_may() -> None:
    rig = Rig(limited("a/m", 1), policy=RotationPolicy(retry=RetryPolicy(max_wait_s=1.0)))
    rig.select()
    call, waited_s = rig.router.plan(REQUEST), 0.0
    while isinstance(step := call.next(), Wait):
        waited_s += step.seconds
        rig.clock.advance(step.seconds)
    assert isinstance(step, Stop)
    assert isinstance(step.error, NoAvailableModelError)
    assert 0.9 <= waited_s <= 1.0 + 1e-9


def test_room_is_waited_for_whatever_reasons_of_standby_are() -> None:
    retry = RetryPolicy(max_wait_s=1.0, wait_for=frozenset({"billing"}))
    rig = Rig(limited("a/m", 1), policy=RotationPolicy(retry=retry))
    rig.select()
    assert isinstance(rig.router.plan(REQUEST).next(), Wait)


def test_call_without_patience_fails_at_once() -> None:
    rig = Rig(limited("a/m", 1))
    rig.select()
    assert isinstance(rig.router.plan(REQUEST).next(), Stop)


def test_full_model_is_full_in_every_pool() -> None:
    rig = Rig(policy=IN_ORDER)
    rig.router.add_pool("text", TEXT)
    rig.router.add_pool("code", CODE)
    rig.router.register(limited("a/m", 1, CHAT, CODE))
    rig.router.register(Model("b/m", (CHAT, CODE)))
    lease = rig.select(CHAT)
    assert rig.select(CODE).model.id == "b/m"
    rig.router.report(lease, Outcome.success())
    assert rig.select(CODE).model.id == "a/m"


def test_pool_that_is_made_later_knows_that_a_model_is_full() -> None:
    rig = Rig(limited("a/m", 1, CHAT, CODE), Model("b/m", (CHAT, CODE)), policy=IN_ORDER)
    lease = rig.select(CHAT)
    rig.router.add_pool("code", CODE)
    assert rig.select(CODE).model.id == "b/m"
    rig.router.report(lease, Outcome.success())
    assert rig.select(CODE).model.id == "a/m"


def test_pool_that_is_given_another_strategy_knows_that_a_model_is_full() -> None:
    rig = Rig()
    rig.router.add_pool("p", CHAT, IN_ORDER)
    for each in (limited("a/m", 1), limited("b/m", None)):
        rig.router.register(each)
    lease = rig.select()
    rig.router.update_pool("p", RotationPolicy(selection=StickUntilFailure))
    assert rig.select().model.id == "b/m"
    rig.router.report(lease, Outcome.success())
    rig.router.update_pool("p", IN_ORDER)
    assert rig.select().model.id == "a/m"


def test_trial_takes_a_slot_like_any_attempt() -> None:
    rig = Rig(limited("a/m", 1), "b/m", policy=IN_ORDER)
    rig.fail_out("a/m")
    rig.clock.advance(2.0)
    trial = rig.select()
    assert (trial.model.id, trial.probe) == ("a/m", True)
    rig.router.report(trial, Outcome.success())
    assert names([rig.select(), rig.select()]) == ["a/m", "b/m"]


def test_trial_waits_until_older_attempts_have_left_room() -> None:
    rig = Rig(limited("a/m", 1), "b/m", policy=IN_ORDER)
    old = rig.select()
    rig.router.deactivate("a/m", "rate_limited")
    rig.clock.advance(2.0)
    assert rig.select().model.id == "b/m"
    rig.router.report(old, Outcome.success())
    trial = rig.select()
    assert (trial.model.id, trial.probe) == ("a/m", True)


def test_model_that_leaves_while_it_is_full_comes_back_with_room() -> None:
    rig = Rig(limited("a/m", 1), "b/m", policy=IN_ORDER)
    lease = rig.select()
    rig.router.deactivate("a/m")
    rig.router.report(lease, Outcome.success())
    assert rig.select().model.id == "b/m"
    rig.router.recover("a/m")
    assert rig.select().model.id == "a/m"


def test_model_that_comes_back_while_it_is_full_serves_once_there_is_room() -> None:
    rig = Rig(limited("a/m", 1), "b/m", policy=IN_ORDER)
    lease = rig.select()
    rig.router.deactivate("a/m")
    rig.router.recover("a/m")
    assert rig.select().model.id == "b/m"
    rig.router.report(lease, Outcome.success())
    assert rig.select().model.id == "a/m"


def test_certain_model_that_is_full_is_not_handed_out() -> None:
    rig = Rig(limited("a/m", 1))
    lease = rig.router.select_model("a/m", REQUEST)
    assert lease is not None
    assert rig.router.select_model("a/m", REQUEST) is None
    rig.router.release(lease)
    assert rig.router.select_model("a/m", REQUEST) is not None


def test_sticky_pool_returns_to_its_model_when_that_has_room_again() -> None:
    rig = Rig("a/m", limited("b/m", 1), "c/m", policy=RotationPolicy(selection=StickUntilFailure))
    rig.router.deactivate("a/m")
    lease = rig.select()
    rig.router.recover("a/m")
    assert names([lease, rig.select()]) == ["b/m", "a/m"]
    rig.router.report(lease, Outcome.success())
    assert rig.select().model.id == "b/m"


def test_sticky_pool_moves_on_when_its_full_model_fails() -> None:
    rig = Rig(limited("a/m", 1), "b/m", policy=RotationPolicy(selection=StickUntilFailure))
    lease = rig.select()
    rig.router.deactivate("a/m")
    assert rig.select().model.id == "b/m"
    rig.router.report(lease, Outcome.success())
    rig.router.recover("a/m")
    assert rig.select().model.id == "b/m"


@pytest.mark.parametrize("name", sorted(set(registry.names(registry.STRATEGIES)) - {"scored"}))
def test_every_strategy_fills_all_models_and_gives_each_its_room_back(name: str) -> None:
    policy = RotationPolicy(selection=registry.strategy(name))
    rig = Rig(*(limited(f"{p}/m", n) for n, p in enumerate("abcd", 1)), policy=policy)
    request = replace(REQUEST, session="s")
    for _ in range(3):
        leases = [rig.router.select(request) for _ in range(10)]
        assert sorted(names(leases)) == ["a/m"] + 2 * ["b/m"] + 3 * ["c/m"] + 4 * ["d/m"]
        with pytest.raises(NoAvailableModelError):
            rig.router.select(request)
        for place, lease in enumerate(leases):
            rig.router.report(lease, Outcome.success())
            leases[place] = rig.router.select(request)
            assert leases[place].model.id == lease.model.id
        for lease in leases:
            rig.router.release(lease)


def test_full_pool_hands_on_to_a_wider_one() -> None:
    rig = Rig(policy=IN_ORDER)
    rig.router.add_pool("chat", CHAT, None, None)
    rig.router.add_pool("text", TEXT)
    rig.router.register(limited("a/m", 1))
    first = rig.select()
    with pytest.raises(NoAvailableModelError):
        rig.select()
    assert first.pool.name == "chat"


def test_related_nodes_serve_while_all_are_full_where_the_pool_allows_it() -> None:
    policy = RotationPolicy(degrade=(Degrade.SIBLINGS,))
    rig = Rig(limited("a/m", 1), limited("b/m", None, CODE), policy=policy)
    rig.select()
    lease = rig.select()
    assert (lease.model.id, lease.degraded) == ("b/m", True)


def test_limit_that_shrinks_is_kept_as_soon_as_attempts_end() -> None:
    rig = Rig(limited("a/m", AdaptiveConcurrency(initial=4)), "b/m", policy=IN_ORDER)
    leases = [rig.select() for _ in range(4)]
    rig.router.report(leases.pop(), OVERLOADED)
    assert rig.router.state("a/m").in_flight == 3
    assert rig.select().model.id == "b/m"
    rig.router.report(leases.pop(), Outcome.success())
    assert rig.select().model.id == "a/m"


def test_answer_that_lowers_the_limit_below_what_is_in_flight_makes_a_model_full() -> None:
    limit = AdaptiveConcurrency(initial=100, max=100)
    rig = Rig(limited("a/m", limit), "b/m", policy=IN_ORDER)
    leases = [rig.select() for _ in range(99)]
    for _ in range(10):
        rig.router.report(rig.select(), Outcome(latency_s=1.0))
    rig.router.report(leases.pop(), Outcome(latency_s=1000.0))
    state = rig.router.state("a/m")
    assert state.is_full
    assert rig.select().model.id == "b/m"


def test_limit_that_grows_lets_more_through_at_once() -> None:
    rig = Rig(limited("a/m", AdaptiveConcurrency(initial=1)), "b/m", policy=IN_ORDER)
    for _ in range(10):
        rig.router.report(rig.select(), Outcome.success())
    limit = rig.router.state("a/m").slots
    assert limit is not None
    assert names([rig.select() for _ in range(limit.limit + 1)])[-2:] == ["a/m", "b/m"]
    assert limit.limit > 1


def test_other_limit_holds_from_the_moment_it_is_configured() -> None:
    rig = Rig(limited("a/m", 2), "b/m", policy=IN_ORDER)
    rig.select()
    rig.router._topology.replace(limited("a/m", 1))
    assert rig.select().model.id == "b/m"
    rig.router._topology.replace(limited("a/m", 2))
    assert rig.select().model.id == "a/m"
    rig.router._topology.replace(limited("a/m", None))
    assert rig.select().model.id == "a/m"


def test_model_that_is_registered_anew_begins_with_all_of_its_slots() -> None:
    rig = Rig(limited("a/m", 1))
    old = rig.select()
    rig.router.unregister("a/m")
    rig.router.register(limited("a/m", 1))
    rig.select()
    rig.router.report(old, Outcome.success())
    with pytest.raises(NoAvailableModelError):
        rig.select()


def test_strategy_that_raises_takes_no_slot() -> None:
    class Raising(StickUntilFailure):
        def chosen(self, member: object, tried: object, now: float) -> None:
            raise RuntimeError

    rig = Rig(limited("a/m", 1), policy=RotationPolicy(selection=Raising))
    for _ in range(2):
        with pytest.raises(RuntimeError):
            rig.select()
    assert rig.router.state("a/m").in_flight == 0


def test_pool_built_by_hand_hands_out_models_without_counting_attempts() -> None:
    rig = Rig()
    pool = CapabilityPool("p", CHAT, RotationPolicy(), rig.router.emitter)
    pool.add_model(limited("a/m", 1))
    assert [pool.select(REQUEST).id for _ in range(3)] == ["a/m"] * 3


def test_threads_never_hold_more_than_the_limit() -> None:
    rig = Rig(limited("a/m", 3), limited("b/m", 2))

    def work() -> int:
        served = 0
        for turn in range(200):
            try:
                lease = rig.select()
            except NoAvailableModelError:
                continue
            seen = rig.router.state(lease.model.id)
            assert seen.slots is not None
            assert seen.in_flight <= seen.slots.limit
            served += 1
            if turn % 3:
                rig.router.report(lease, Outcome.success())
            else:
                rig.router.release(lease)
        return served

    assert sum(together(*[work] * 8)) > 0
    assert [rig.router.state(each).in_flight for each in ("a/m", "b/m")] == [0, 0]
    assert sorted(names([rig.select() for _ in range(5)])) == ["a/m"] * 3 + ["b/m"] * 2


def test_failing_call_goes_on_past_a_full_model() -> None:
    rig = Rig("a/m", limited("b/m", 1), "c/m", policy=IN_ORDER)
    held = rig.router.select_model("b/m", REQUEST)
    assert held is not None
    call, tried = rig.router.plan(REQUEST), list[str]()
    while isinstance(step := call.next(), Try):
        tried.append(step.model.id)
        call.failed(Failure(FailureKind.SERVER_ERROR))
    assert tried == ["a/m", "c/m"]
    assert isinstance(step, Stop)
    assert "b/m: full: 1 of 1 in flight" in str(step.error)
