"""While a provider turns many requests away, a share of them goes to somebody else."""

from collections.abc import Collection
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capability_router.engine.errors import NoAvailableModelError
from capability_router.engine.faults import FAULT_TABLE, FaultRule, Health
from capability_router.engine.limits import Limit, Unit
from capability_router.engine.member import Member
from capability_router.engine.model import Model
from capability_router.engine.outcome import FailureKind, Outcome
from capability_router.engine.request import CompletionRequest
from capability_router.engine.rotation import RotationPolicy
from capability_router.engine.selection import InOrder, Priority, StickUntilFailure, StrategyFactory
from capability_router.engine.throttling import Acceptance, Throttling
from tests.engine.building import CHAT, CODE, Rig, model

TURNED_AWAY = (FailureKind.RATE_LIMITED, FailureKind.OVERLOADED)
# Nobody leaves: what is seen is throttling alone.
NEVER = {kind: FaultRule(Health.UNTOUCHED, next_model=True) for kind in FAULT_TABLE}
REQUEST = CompletionRequest(CHAT)


def throttled(
    *models: Model | str,
    k: float = 2.0,
    selection: StrategyFactory = Priority,
    seed: int = 7,
    limits: tuple[Limit, ...] = (),
) -> Rig:
    policy = RotationPolicy(selection=selection, throttling=Throttling(k), limits=limits)
    return Rig(*models, policy=policy, faults=NEVER, seed=seed)


def turned_away(rig: Rig, model_id: str, times: int, kind: FailureKind = TURNED_AWAY[0]) -> None:
    """Let a provider turn away requests for one certain model."""
    for _ in range(times):
        lease = rig.router.select_model(model_id, REQUEST)
        assert lease is not None
        rig.router.report(lease, Outcome.failed(kind))


def served(rig: Rig, requests: int) -> dict[str, int]:
    """Let requests be answered; return how many each model had."""
    counts: dict[str, int] = {}
    for _ in range(requests):
        name = rig.serve()
        counts[name] = counts.get(name, 0) + 1
    return counts


def share(rig: Rig, model_id: str, k: float = 2.0) -> float:
    acceptance = rig.router.state(model_id).acceptance
    assert acceptance is not None
    return Throttling(k).share(acceptance, rig.clock.now())


@given(
    k=st.floats(1, 100),
    outcomes=st.lists(st.tuples(st.floats(0, 40), st.booleans()), max_size=80),
    later_s=st.floats(0, 200),
)
def test_share_is_that_of_the_book_over_the_last_two_minutes(
    k: float, outcomes: list[tuple[float, bool]], later_s: float
) -> None:
    acceptance, now, noted = Acceptance(), 0.0, list[tuple[float, bool]]()
    for after_s, accepted in outcomes:
        now += after_s
        acceptance.note(now, accepted=accepted)
        noted.append((now, accepted))
    now += later_s
    # By whole spans of ten seconds: nothing is forgotten early, nor more than one span late.
    first = now // 10 * 10 - 120
    held = [accepted for at, accepted in noted if at >= first]
    assert acceptance.counts(now) == (len(held), sum(held))
    wanted = max(0.0, (len(held) - k * sum(held)) / (len(held) + 1))
    assert Throttling(k).share(acceptance, now) == pytest.approx(wanted)


def test_what_is_counted_takes_no_more_room_in_a_day_than_in_two_minutes() -> None:
    acceptance = Acceptance()
    for second in range(86_400):
        acceptance.note(float(second), accepted=True)
    assert len(acceptance._spans) <= 14


@pytest.mark.parametrize("k", [0.9, 0.0, -1.0, float("nan"), float("inf")])
def test_factor_out_of_range_is_refused(k: float) -> None:
    with pytest.raises(ValueError, match="k "):
        Throttling(k)


@pytest.mark.parametrize("kind", TURNED_AWAY)
def test_requests_pass_over_a_model_whose_provider_turns_them_away(kind: FailureKind) -> None:
    rig = throttled("a/m", "b/m")
    rig.serve()
    turned_away(rig, "a/m", 50, kind)
    assert served(rig, 40)["b/m"] > 25


@pytest.mark.parametrize("kind", sorted(set(FailureKind) - set(TURNED_AWAY)))
def test_other_failures_throttle_nobody(kind: FailureKind) -> None:
    rig = throttled("a/m", "b/m")
    rig.serve()
    turned_away(rig, "a/m", 50, kind)
    assert served(rig, 40) == {"a/m": 40}


def test_model_of_which_half_is_accepted_is_not_throttled() -> None:
    rig = throttled("a/m", "b/m")
    for _ in range(50):
        rig.serve()
        turned_away(rig, "a/m", 1)
    assert share(rig, "a/m") == 0
    assert share(rig, "a/m", k=1.0) > 0.4


def test_nobody_is_throttled_by_default() -> None:
    rig = Rig("a/m", "b/m", policy=RotationPolicy(selection=Priority), faults=NEVER)
    rig.serve()
    turned_away(rig, "a/m", 50)
    assert served(rig, 40) == {"a/m": 40}
    assert rig.router.state("a/m").acceptance is None


def test_passing_over_is_no_failure() -> None:
    rig = throttled("a/m", "b/m")
    rig.serve()
    turned_away(rig, "a/m", 50)
    before = rig.router.state("a/m").failures
    told = list(rig.events)
    served(rig, 40)
    assert (rig.router.state("a/m").failures, rig.events) == (before, told)
    assert rig.active() == ["a/m", "b/m"]


def test_throttled_model_is_asked_all_the_same_if_nobody_else_can_serve() -> None:
    rig = throttled("a/m", "b/m")
    rig.serve()
    turned_away(rig, "a/m", 200)
    rig.router.deactivate("b/m")
    assert served(rig, 40) == {"a/m": 40}


def test_request_that_is_asked_all_the_same_counts_once() -> None:
    rig = throttled("a/m")
    rig.serve()
    turned_away(rig, "a/m", 20)
    for _ in range(10):
        rig.fail(FailureKind.RATE_LIMITED)
    acceptance = rig.router.state("a/m").acceptance
    assert acceptance is not None
    assert acceptance.counts(rig.clock.now()) == (31, 1)


def test_request_that_was_passed_over_counts_as_not_accepted() -> None:
    rig = throttled("a/m", "b/m")
    rig.serve()
    turned_away(rig, "a/m", 20)
    counts = served(rig, 30)
    acceptance = rig.router.state("a/m").acceptance
    assert acceptance is not None
    assert acceptance.counts(rig.clock.now()) == (51, 1 + counts.get("a/m", 0))


def test_throttled_model_that_is_full_is_not_asked() -> None:
    rig = throttled(Model("a/m", (CHAT,), concurrency=1))
    rig.serve()
    turned_away(rig, "a/m", 20)
    rig.select()
    with pytest.raises(NoAvailableModelError, match="full: 1 of 1 in flight"):
        rig.select()


def test_throttled_model_goes_before_one_that_is_spared() -> None:
    # Only one of the two may leave for errors: the other is spared.
    policy = RotationPolicy(selection=Priority, throttling=Throttling(), max_ejected=0.0)
    rig = Rig("a/m", "b/m", "c/m", policy=policy)
    rig.serve()
    rig.router.deactivate("c/m")
    for _ in range(3):
        rig.router.report(rig.select(CHAT, "a/m"), Outcome.failed(FailureKind.SERVER_ERROR))
    rig.router.recover("c/m")
    for _ in range(3):
        lease = rig.select(CHAT, "a/m", "b/m")
        rig.router.report(lease, Outcome.failed(FailureKind.SERVER_ERROR))
    assert rig.standby() == ["b/m"]
    acceptance = rig.router.state("a/m").acceptance
    assert acceptance is not None
    for _ in range(200):
        acceptance.note(rig.clock.now(), accepted=False)
    assert [rig.select().model.id for _ in range(20)] == ["a/m"] * 20


def test_first_answers_of_a_provider_that_recovers_bring_all_of_its_requests_back() -> None:
    rig = throttled("a/m", "b/m")
    rig.serve()
    turned_away(rig, "a/m", 60)
    shares: list[float] = []
    for _ in range(600):
        rig.serve()
        shares.append(share(rig, "a/m"))
        rig.clock.advance(1.0)
    assert shares[0] > 0.8
    assert max(shares[-100:]) == 0


def test_provider_is_sent_about_k_times_what_it_accepts() -> None:
    rig = throttled("a/m", "b/m")
    asked = accepted = 0
    for second in range(600):
        room = 2
        for _ in range(20):
            lease = rig.select()
            if lease.model.id == "b/m":
                rig.router.report(lease, Outcome.success())
                continue
            asked += second >= 300
            accepted += second >= 300 and room > 0
            outcome = Outcome.success() if room > 0 else Outcome.failed(FailureKind.RATE_LIMITED)
            room -= 1
            rig.router.report(lease, outcome)
        rig.clock.advance(1.0)
    assert 1.6 < asked / accepted < 2.4


def test_sticky_pool_stays_with_its_model_while_a_share_passes_it_over() -> None:
    rig = throttled("a/m", "b/m", selection=StickUntilFailure)
    rig.serve()
    turned_away(rig, "a/m", 10)
    found = served(rig, 400)
    assert found["a/m"] > found["b/m"]
    assert share(rig, "a/m") == 0


def test_share_is_drawn_from_the_injected_source() -> None:
    def run(seed: int) -> list[str]:
        rig = throttled("a/m", "b/m", seed=seed)
        rig.serve()
        turned_away(rig, "a/m", 10)
        return [rig.serve() for _ in range(60)]

    assert run(3) == run(3)
    assert len({tuple(run(seed)) for seed in range(8)}) > 1


def test_models_that_share_no_trouble_draw_nothing() -> None:
    class Counted(Random):
        drawn = 0

        def random(self) -> float:
            Counted.drawn += 1
            return super().random()

    rig = throttled("a/m", "b/m")
    rng = Counted(1)
    rig.router.pool(CHAT).rationing._random = rng.random
    served(rig, 20)
    assert Counted.drawn == 0


def test_what_one_pool_has_seen_throttles_in_another() -> None:
    rig = throttled()
    for each in ("a/m", "b/m"):
        rig.router.register(Model(each, (CHAT, CODE)))
    rig.serve(CHAT)
    rig.serve(CODE)
    turned_away(rig, "a/m", 50)
    assert [rig.serve(CODE) for _ in range(30)].count("b/m") > 15


def test_limits_hold_for_whoever_is_asked_instead() -> None:
    few = Limit(Unit.REQUESTS, 5, window_s=600.0)
    rig = throttled("a/m", Model("b/m", (CHAT,), limits=(few,)), "c/m")
    rig.serve()
    turned_away(rig, "a/m", 100)
    counts = served(rig, 60)
    assert counts["b/m"] == 5
    assert counts["c/m"] > 30


def test_many_throttled_models_are_passed_over_together() -> None:
    class Counting(InOrder):
        looks = 0

        def choose(
            self, request: CompletionRequest, tried: Collection[str], now: float
        ) -> Member | None:
            Counting.looks += 1
            return super().choose(request, tried, now)

    rig = throttled(*(model(f"a/{n:03}") for n in range(100)), "z/m", selection=Counting)
    for n in range(100):
        state = rig.router.state(f"a/{n:03}")
        state.acceptance = Acceptance()
        for _ in range(10_000):
            state.acceptance.note(0.0, accepted=False)
    Counting.looks = 0
    assert rig.serve() == "z/m"
    assert Counting.looks <= 10


def test_other_factor_holds_from_the_moment_it_is_given() -> None:
    rig = Rig()
    rig.router.add_pool("p", CHAT, RotationPolicy(selection=Priority))
    for each in ("a/m", "b/m"):
        rig.router.register(model(each))
    rig.router.update_pool("p", RotationPolicy(selection=Priority, throttling=Throttling()))
    rig.serve()
    acceptance = rig.router.state("a/m").acceptance
    assert acceptance is not None
    for _ in range(1000):
        acceptance.note(rig.clock.now(), accepted=False)
    assert rig.serve() == "b/m"
    rig.router.update_pool("p", RotationPolicy(selection=Priority))
    assert rig.serve() == "a/m"
