"""Strategies that draw by chance: who gets how much, with seeds that never change."""

from collections import Counter
from functools import partial
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capability_router import registry
from capability_router.engine.member import Member
from capability_router.engine.outcome import Outcome, Usage
from capability_router.engine.request import CompletionRequest
from capability_router.engine.rotation import RotationPolicy
from capability_router.engine.sampling import (
    LatencyFirst,
    LeastInFlight,
    LoadBalanced,
    Weighted,
)
from capability_router.engine.selection import SelectionStrategy, StrategyFactory
from capability_router.engine.state import ModelState
from capability_router.engine.urn import Urn
from capability_router.testing import check_strategy
from tests.engine.building import CHAT, Rig, member

REQUEST = CompletionRequest("chat-completion")
STRATEGIES: dict[str, StrategyFactory] = {
    "weighted": Weighted,
    "latency-first": LatencyFirst,
    "least-in-flight": LeastInFlight,
    "load-balanced": LoadBalanced,
}
DRAWS = 20_000


def crowd(count: int) -> list[Member]:
    return [member(f"p/{number}", (0, 0, number)) for number in range(count)]


def holding(strategy: SelectionStrategy, *members: Member) -> SelectionStrategy:
    for each in members:
        strategy.admit(each)
    return strategy


def take(strategy: SelectionStrategy, *tried: str, now: float = 0.0) -> Member:
    chosen = strategy.choose(REQUEST, tried, now)
    assert chosen is not None
    strategy.chosen(chosen, tried, now)
    return chosen


def shares(strategy: SelectionStrategy, *tried: str, now: float = 0.0) -> dict[str, float]:
    """Return who gets which share of many requests that are over at once."""
    counts = Counter(take(strategy, *tried, now=now).model.id for _ in range(DRAWS))
    return {model_id: count / DRAWS for model_id, count in counts.items()}


def timed(model_id: str, place: int, seconds: float, now: float = 0.0) -> Member:
    """Return a member whose last answer took so long."""
    each = member(model_id, (0, 0, place))
    each.state.in_flight = 1
    each.state.succeed(Usage(), seconds, None, now)
    return each


# All of them.


@pytest.mark.parametrize(
    "make",
    [
        *STRATEGIES.values(),
        partial(Weighted, weights={"p0": 0.0, "p1": 3.0, "p2/5": 1e9}),
        partial(Weighted, weights={"p0": 0.0, "p1": 0.0, "p2": 0.0}),
        partial(LatencyFirst, first_token=True),
        partial(LoadBalanced, by="absolute"),
    ],
)
def test_strategy_keeps_what_a_pool_relies_on(make: StrategyFactory) -> None:
    check_strategy(make)


@pytest.mark.parametrize("name", STRATEGIES)
def test_strategy_is_found_by_its_name(name: str) -> None:
    assert registry.resolve(registry.STRATEGIES, name) is STRATEGIES[name]


@pytest.mark.parametrize("make", STRATEGIES.values(), ids=list(STRATEGIES))
def test_pool_serves_with_it_and_fails_over(make: StrategyFactory) -> None:
    rig = Rig("a/1", "b/2", "c/3", policy=RotationPolicy(selection=make))
    assert {rig.serve() for _ in range(50)} <= {"a/1", "b/2", "c/3"}
    assert {rig.select(CHAT, "a/1", "c/3").model.id for _ in range(20)} == {"b/2"}
    rig.router.deactivate("b/2")
    assert "b/2" not in {rig.serve() for _ in range(50)}


# The urn.


@given(st.lists(st.integers(0, 9), max_size=40), st.sets(st.integers(0, 9)))
def test_urn_holds_who_was_admitted_and_not_withdrawn(turns: list[int], gone: set[int]) -> None:
    urn, members, present = Urn(Random(1)), crowd(10), set[int]()
    for place in turns:
        if place in present:
            urn.withdraw(members[place])
        else:
            urn.admit(members[place])
        present ^= {place}
    assert sorted(m.model.id for m in urn.members) == sorted(f"p/{place}" for place in present)
    tried = {f"p/{place}" for place in gone}
    left = {f"p/{place}" for place in present - gone}
    drawn, pair = urn.draw(tried), urn.draw_two(tried)
    assert (drawn is None, pair is None) == (not left, not left)
    if drawn is not None and pair is not None:
        assert {drawn.model.id, *(each.model.id for each in pair)} <= left
        assert (pair[0] is pair[1]) == (len(left) == 1)


@pytest.mark.parametrize("tried", [0, 1, 9, 38])
def test_each_untried_member_and_each_pair_is_drawn_alike(tried: int) -> None:
    members, urn = crowd(40), Urn(Random(3))
    for each in members:
        urn.admit(each)
    gone = {each.model.id for each in members[:tried]}
    drawn = Counter(urn.draw(gone) for _ in range(DRAWS))
    first, second = (
        Counter(pair[place] for _ in range(DRAWS) if (pair := urn.draw_two(gone)))
        for place in (0, 1)
    )
    for counts in (drawn, first, second):
        assert len(counts) == 40 - tried
        assert max(counts.values()) < 1.3 * min(counts.values())


# Weighted.


def test_weights_are_respected_by_model_then_by_provider_then_as_one() -> None:
    weights = {"a/1": 2.0, "a": 9.0, "b": 3.0}
    members = [member(each) for each in ("a/1", "b/2", "b/3", "c/4")]
    found = shares(holding(Weighted(Random(1), weights=weights), *members))
    expected = {"a/1": 2 / 9, "b/2": 3 / 9, "b/3": 3 / 9, "c/4": 1 / 9}
    assert found == pytest.approx(expected, rel=0.05)


def test_weights_are_respected_among_thousands_and_after_changes() -> None:
    members = crowd(3000)
    heavy = {each.model.id: 9.0 for each in members[:1000]}
    strategy = holding(Weighted(Random(1), weights=heavy), *members)
    for each in members[2000:]:
        strategy.withdraw(each)
    found = shares(strategy)
    assert sum(found.get(each, 0.0) for each in heavy) == pytest.approx(0.9, rel=0.05)
    assert not found.keys() & {each.model.id for each in members[2000:]}


def test_weight_of_zero_serves_only_if_nothing_else_is_left() -> None:
    strategy = holding(Weighted(Random(1), weights={"b": 0}), member("a/1"), member("b/2"))
    assert shares(strategy) == {"a/1": 1.0}
    assert shares(strategy, "a/1") == {"b/2": 1.0}
    strategy.withdraw(member("a/1"))
    assert shares(strategy) == {"b/2": 1.0}


def test_weights_hold_among_the_rest_when_the_heaviest_by_far_was_tried() -> None:
    weights = {"a": 1e9, "b": 3.0}
    members = [member(each) for each in ("a/1", "b/2", "c/3")]
    found = shares(holding(Weighted(Random(1), weights=weights), *members), "a/1")
    assert found == pytest.approx({"b/2": 0.75, "c/3": 0.25}, rel=0.05)


@pytest.mark.parametrize(
    ("after_s", "weight"), [(0.0, 0.1), (2.0, 0.1), (6.0, 0.2), (15.0, 0.5), (30.0, 1.0)]
)
def test_member_that_came_back_gets_its_full_weight_bit_by_bit(
    after_s: float, weight: float
) -> None:
    back = member("a/1")
    back.recovered_at = 100.0
    strategy = holding(Weighted(Random(1)), back, member("b/2"))
    found = shares(strategy, now=100.0 + after_s)
    assert found["a/1"] == pytest.approx(weight / (weight + 1), rel=0.05)


def test_slow_start_can_be_told_and_switched_off() -> None:
    back = member("a/1")
    back.recovered_at = 0.0
    half = Weighted(Random(1), slow_start_s=10.0, slow_start_from=0.5)
    assert shares(holding(half, back, member("b/2")))["a/1"] == pytest.approx(1 / 3, rel=0.05)
    at_once = Weighted(Random(1), slow_start_s=0.0)
    assert shares(holding(at_once, back, member("b/2")))["a/1"] == pytest.approx(0.5, rel=0.05)


def test_members_that_all_came_back_together_share_as_ever() -> None:
    members = crowd(4)
    for each in members:
        each.recovered_at = 0.0
    found = shares(holding(Weighted(Random(1)), *members))
    assert found == pytest.approx({each.model.id: 0.25 for each in members}, rel=0.05)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (partial(Weighted, weights={"a/1": -1}), r"weights of 'a/1' -1 must be at least 0"),
        (partial(Weighted, weights={"a": float("nan")}), r"weights of 'a' nan must be"),
        (partial(Weighted, weights={"a": float("inf")}), r"weights of 'a' inf .* finite"),
        (partial(Weighted, slow_start_s=-1.0), r"slow_start_s -1.0 must be at least 0"),
        (partial(Weighted, slow_start_from=0.0), r"slow_start_from 0.0 must be above 0"),
        (partial(Weighted, slow_start_from=1.1), r"slow_start_from 1.1 must be .* at most 1"),
        (partial(LoadBalanced, by="share"), r"by 'share' must be one of relative, absolute"),
    ],
)
def test_parameter_out_of_range_is_refused_with_its_value(
    make: StrategyFactory, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        make(Random(1))


# LatencyFirst.


def answer(strategy: SelectionStrategy, seconds: dict[str, float], now: float) -> str:
    """Let one request be served and answered at once, after so many seconds by its own account."""
    each = take(strategy, now=now)
    each.state.in_flight += 1
    each.state.succeed(Usage(), seconds[each.model.id], None, now)
    return each.model.id


@pytest.mark.parametrize("count", [2, 10, 200])
def test_quickest_gets_most_of_the_traffic_and_each_is_measured(count: int) -> None:
    members = crowd(count)
    seconds = {each.model.id: 2.0 for each in members} | {"p/1": 0.5}
    strategy = holding(LatencyFirst(Random(1)), *members)
    counts = Counter(answer(strategy, seconds, now=number / 50) for number in range(3000))
    assert counts["p/1"] > 0.6 * 3000
    assert all(each.state.latency_s for each in members)


def test_model_that_was_slow_is_tried_again_when_that_is_long_ago() -> None:
    strategy = holding(LatencyFirst(Random(1)), timed("a/1", 0, 0.5), timed("b/2", 1, 10.0))
    seconds = {"a/1": 0.5, "b/2": 0.1}
    served = [answer(strategy, seconds, now=float(second)) for second in range(600)]
    assert set(served[:100]) == {"a/1"}
    assert served[-100:].count("b/2") >= 98


def test_unknown_model_goes_first_while_idle_and_last_while_it_is_measured() -> None:
    known, unknown = timed("a/1", 0, 0.001), member("b/2", (0, 0, 1))
    known.state.in_flight = 50
    strategy = holding(LatencyFirst(Random(1)), known, unknown)
    assert take(strategy) is unknown
    unknown.state.in_flight = 1
    assert take(strategy) is known


def test_of_unknown_models_that_are_all_being_measured_the_least_busy_serves() -> None:
    members = crowd(3)
    for each, in_flight in zip(members, (3, 1, 2), strict=True):
        each.state.in_flight = in_flight
    strategy = holding(LatencyFirst(Random(1)), *members)
    assert [take(strategy).model.id for _ in range(20)][-10:] == ["p/1"] * 10


def test_what_is_in_flight_counts_as_waiting() -> None:
    quick, slow = timed("a/1", 0, 1.0), timed("b/2", 1, 3.4)
    strategy = holding(LatencyFirst(Random(1)), quick, slow)
    served: list[str] = []
    for _ in range(8):
        each = take(strategy)
        each.state.in_flight += 1
        served.append(each.model.id)
    assert served == ["a/1", "a/1", "a/1", "b/2", "a/1", "a/1", "a/1", "b/2"]


def test_of_equally_quick_models_the_best_ranked_serves() -> None:
    strategy = holding(LatencyFirst(Random(1)), timed("b/2", 2, 1.0), timed("a/1", 1, 1.0))
    assert {take(strategy).model.id for _ in range(20)} == {"a/1"}


def test_seconds_to_the_first_token_count_where_that_is_asked_for() -> None:
    early, late = member("a/1", (0, 0, 1)), member("b/2")
    for each, seconds, first_token_s in ((early, 9.0, 0.2), (late, 3.0, 1.0)):
        each.state.in_flight = 1
        each.state.succeed(Usage(), seconds, first_token_s, 0.0)
    assert take(holding(LatencyFirst(Random(1)), early, late)) is late
    by_first_token = LatencyFirst(Random(1), first_token=True)
    assert take(holding(by_first_token, early, late)) is early
    whole = timed("c/3", 2, 0.1)
    whole.state.in_flight = 1
    assert take(holding(LatencyFirst(Random(1), first_token=True), early, whole)) is early
    whole.state.in_flight = 0
    assert take(holding(LatencyFirst(Random(1), first_token=True), early, whole)) is whole


def test_first_token_fades_by_the_last_stream_and_not_by_other_answers() -> None:
    state = ModelState(in_flight=3)
    state.succeed(Usage(), 10.0, 6.0, 0.0)
    state.succeed(Usage(), 10.0, None, 60.0)
    assert state.latency_now(60.0) == pytest.approx(10.0)
    assert state.first_token_now(60.0) == pytest.approx(6.0 / 2.71828, rel=1e-4)
    state.succeed(Usage(), 10.0, 1.0, 60.0)
    assert state.first_token_s == pytest.approx(6.0 / 2.71828 + (1 - 1 / 2.71828), rel=1e-4)
    state.forget_latency()
    assert state.first_token_now(61.0) == 0.0


# LeastInFlight.


@pytest.mark.parametrize("count", range(1, 13))
def test_burst_is_spread_evenly_over_a_few(count: int) -> None:
    members = crowd(count)
    strategy = holding(LeastInFlight(Random(1)), *members)
    for _ in range(100):
        take(strategy).state.in_flight += 1
        load = [each.state.in_flight for each in members]
        assert max(load) - min(load) <= 1


def test_burst_is_spread_nearly_evenly_over_many() -> None:
    members = crowd(1000)
    strategy = holding(LeastInFlight(Random(1)), *members)
    for _ in range(10_000):
        take(strategy).state.in_flight += 1
    load = [each.state.in_flight for each in members]
    assert (min(load) >= 5, max(load) <= 13) == (True, True)


def test_idle_models_share_alike_whatever_their_rank() -> None:
    found = shares(holding(LeastInFlight(Random(1)), *crowd(5)))
    assert found == pytest.approx({f"p/{number}": 0.2 for number in range(5)}, rel=0.05)


def test_least_busy_that_is_not_tried_serves() -> None:
    members = crowd(3)
    for each, in_flight in zip(members, (1, 2, 3), strict=True):
        each.state.in_flight = in_flight
    strategy = holding(LeastInFlight(Random(1)), *members)
    assert {take(strategy).model.id for _ in range(20)} == {"p/0"}
    assert {take(strategy, "p/0").model.id for _ in range(20)} == {"p/1"}


def test_answers_that_come_in_make_room_again() -> None:
    rig = Rig(*"abcd", policy=RotationPolicy(selection=LeastInFlight))
    leases = [rig.select() for _ in range(40)]
    for lease in leases:
        if lease.model.id == "c":
            rig.router.report(lease, Outcome.success())
    assert {rig.select().model.id for _ in range(10)} == {"c"}
