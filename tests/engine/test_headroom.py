"""Strategies that go by what is left of limits: sharing alike, or moving on in time and back."""

from collections import Counter
from collections.abc import Iterable
from functools import partial
from math import inf
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capability_router import registry
from capability_router.calendars import CalendarReset
from capability_router.engine.headroom import RateLimitAware
from capability_router.engine.limits import Limit, Scope, Unit
from capability_router.engine.member import Member
from capability_router.engine.meter import Meter
from capability_router.engine.model import Model, Provider
from capability_router.engine.outcome import Outcome, Usage
from capability_router.engine.request import CompletionRequest
from capability_router.engine.rotation import RotationPolicy
from capability_router.engine.sampling import LoadBalanced
from capability_router.engine.selection import SelectionStrategy
from capability_router.testing import check_strategy
from tests.engine.building import Rig, member, model

REQUEST = CompletionRequest("chat-completion")
AWARE = RotationPolicy(selection=RateLimitAware)
TEN_A_MINUTE = Limit(Unit.REQUESTS, 10, window_s=60.0)
TEN_A_DAY = Limit(Unit.REQUESTS, 10, resets=CalendarReset("day"))
TEN = Limit(Unit.REQUESTS, 10)


def limited(model_id: str, *limits: Limit) -> Model:
    plain = model(model_id)
    return Model(plain.id, plain.capabilities, limits=limits)


def crowd(count: int, limit: Limit = TEN_A_MINUTE) -> list[Member]:
    """Return members with a limit each."""
    members = [member(f"p/{number}", (0, 0, number)) for number in range(count)]
    for each in members:
        each.meters = (Meter(limit, Scope("model", each.model.id)),)
    return members


def use(members: Iterable[Member], amount: int, now: float) -> None:
    for each in members:
        for meter in each.meters:
            meter.advance(now, now)
            meter.take(amount, now)


def take(strategy: SelectionStrategy, *tried: str, now: float = 0.0) -> str:
    chosen = strategy.choose(REQUEST, tried, now)
    assert chosen is not None
    strategy.chosen(chosen, tried, now)
    return chosen.model.id


def used(model_id: str, amount: float, taken: int, unit: Unit = Unit.REQUESTS) -> Member:
    """Return a member that has used some of its limit at second 0."""
    each = member(model_id)
    each.meters = (Meter(Limit(unit, amount, window_s=60.0), Scope("model", model_id)),)
    use([each], taken, 0.0)
    return each


def balanced(*members: Member, by: str = "relative") -> LoadBalanced:
    strategy = LoadBalanced(Random(1), by=by)
    for each in members:
        strategy.admit(each)
    return strategy


def served(strategy: SelectionStrategy, now: float = 0.0) -> set[str]:
    return {take(strategy, now=now) for _ in range(20)}


# RateLimitAware.


@pytest.mark.parametrize("switch_at", [0.1, 0.8, 1.0])
def test_strategy_keeps_what_a_pool_relies_on(switch_at: float) -> None:
    check_strategy(partial(RateLimitAware, switch_at=switch_at))
    assert registry.resolve(registry.STRATEGIES, "rate-limit-aware") is RateLimitAware


@pytest.mark.parametrize("limit", [TEN_A_MINUTE, TEN_A_DAY, TEN])
def test_next_model_serves_when_four_fifths_of_a_limit_are_used(limit: Limit) -> None:
    rig = Rig(limited("a/1", limit), limited("b/2", limit), "c/3", policy=AWARE)
    assert [rig.serve() for _ in range(20)] == ["a/1"] * 8 + ["b/2"] * 8 + ["c/3"] * 4
    assert rig.standby() == []


@pytest.mark.parametrize(("limit", "after_s"), [(TEN_A_MINUTE, 61.0), (TEN_A_DAY, 86_400.0)])
def test_best_ranked_serves_again_when_its_window_has_moved_on(
    limit: Limit, after_s: float
) -> None:
    rig = Rig(limited("a/1", limit), limited("b/2", limit), "c/3", policy=AWARE)
    for _ in range(20):
        rig.serve()
    rig.clock.advance(after_s - 1.0)
    assert rig.serve() == "c/3"
    rig.clock.advance(1.0)
    assert [rig.serve() for _ in range(9)] == ["a/1"] * 8 + ["b/2"]


def test_rolling_window_gives_back_what_it_forgets_and_no_more() -> None:
    rig = Rig(limited("a/1", TEN_A_MINUTE), "b/2", policy=AWARE)
    for _ in range(8):
        rig.serve()
        rig.clock.advance(5.0)
    assert [rig.serve() for _ in range(2)] == ["b/2", "b/2"]
    rig.clock.advance(21.0)
    assert [rig.serve() for _ in range(3)] == ["a/1", "b/2", "b/2"]


def test_limit_of_a_provider_sets_all_of_its_models_aside() -> None:
    account = Provider("a", limits=(TEN_A_MINUTE,))
    rig = Rig("a/1", "a/2", "b/3", providers=[account], policy=AWARE)
    assert [rig.serve() for _ in range(10)] == ["a/1"] * 8 + ["b/3"] * 2


def test_one_with_the_most_left_serves_while_all_are_set_aside() -> None:
    members = crowd(3)
    for each, amount in zip(members, (10, 8, 9), strict=True):
        use([each], amount, 0.0)
    strategy = RateLimitAware(Random(1))
    for each in members:
        strategy.admit(each)
    assert [take(strategy) for _ in range(3)] == ["p/1"] * 3
    assert take(strategy, "p/1") == "p/2"
    assert strategy.choose(REQUEST, ["p/0", "p/1", "p/2"], 0.0) is None


def test_limits_are_served_to_the_last_request() -> None:
    rig = Rig(*[limited(each, TEN_A_MINUTE) for each in ("a/1", "b/2", "c/3")], policy=AWARE)
    assert Counter(rig.serve() for _ in range(30)) == {"a/1": 10, "b/2": 10, "c/3": 10}
    assert len(rig.standby()) == 3


def test_model_returns_when_less_was_used_than_reserved() -> None:
    tokens = Limit(Unit.TOKENS, 1000, window_s=3600.0)
    rig = Rig(limited("a/1", tokens), limited("b/2", tokens), "c/3", policy=AWARE)
    large = CompletionRequest("chat-completion", input_tokens=100, output_tokens=800)
    leases = [rig.router.select(large) for _ in range(2)]
    assert [lease.model.id for lease in leases] == ["a/1", "b/2"]
    assert [rig.serve() for _ in range(3)] == ["c/3"] * 3
    for lease in leases:
        rig.router.report(lease, Outcome.success(Usage(100, 10)))
    assert [rig.serve() for _ in range(5)][-2:] == ["a/1", "a/1"]


def test_limit_for_ever_sets_a_model_aside_until_something_is_given_back() -> None:
    rig = Rig(limited("a/1", TEN), "b/2", policy=AWARE, lease_ttl_s=1e10)
    leases = [rig.select() for _ in range(8)]
    rig.clock.advance(1e9)
    assert [rig.serve() for _ in range(3)] == ["b/2"] * 3
    rig.router.release(leases[0])
    assert [rig.serve() for _ in range(3)] == ["b/2", "a/1", "b/2"]


def test_request_that_is_too_large_for_what_is_left_sets_nobody_aside() -> None:
    tokens = Limit(Unit.TOKENS, 1000, window_s=60.0)
    rig = Rig(limited("a/1", tokens), "b/2", policy=AWARE)
    huge = CompletionRequest("chat-completion", input_tokens=5000)
    assert rig.router.select(huge).model.id == "b/2"
    assert rig.serve() == "a/1"


def test_wall_clock_that_was_set_back_is_noticed_with_the_next_reservation() -> None:
    rig = Rig(limited("a/1", TEN_A_DAY), "b/2", policy=AWARE)
    for _ in range(9):
        rig.serve()
    rig.clock.advance(80_000.0)
    rig.clock.set_wall(rig.clock.wall() - 10_000.0)
    rig.clock.advance(6_400.0)
    # It should be over, but is not: two more that it has left, and it is set aside again.
    assert [rig.serve() for _ in range(3)] == ["a/1", "b/2", "b/2"]
    rig.clock.advance(10_000.0)
    assert rig.serve() == "a/1"


def test_member_that_is_set_aside_may_leave_and_come_again() -> None:
    members = crowd(2)
    use(members[:1], 9, 0.0)
    strategy = RateLimitAware(Random(1))
    for each in members:
        strategy.admit(each)
    assert take(strategy) == "p/1"
    strategy.withdraw(members[0])
    assert take(strategy, now=100.0) == "p/1"
    strategy.admit(members[0])
    assert take(strategy, now=100.0) == "p/0"


def test_other_threshold_may_be_told() -> None:
    policy = RotationPolicy(selection=partial(RateLimitAware, switch_at=0.3))
    rig = Rig(limited("a/1", TEN_A_MINUTE), "b/2", policy=policy)
    assert [rig.serve() for _ in range(5)] == ["a/1"] * 3 + ["b/2"] * 2


@pytest.mark.parametrize("switch_at", [0.0, 1.01, float("nan")])
def test_threshold_out_of_range_is_refused(switch_at: float) -> None:
    with pytest.raises(ValueError, match=rf"switch_at {switch_at} must be above 0 and at most 1"):
        RateLimitAware(Random(1), switch_at=switch_at)


class Counting(Member):
    """Counts how often anybody asks what is used of it."""

    asked = 0

    def used(self, now: float) -> float:
        type(self).asked += 1
        return super().used(now)


def counting(count: int) -> list[Member]:
    return [
        Counting(each.model, each.state, each.rank, each.places, 0.0, each.meters)
        for each in crowd(count)
    ]


@pytest.mark.parametrize("fresh", [0, 1, 1000])
def test_request_looks_at_a_few_members_however_many_are_used_up(fresh: int) -> None:
    members = counting(2000)
    use(members[: len(members) - fresh], 9, 0.0)
    strategy = RateLimitAware(Random(1))
    for each in members:
        strategy.admit(each)
    expected = {f"p/{2000 - fresh}"} if fresh else {each.model.id for each in members}
    assert take(strategy) in expected
    Counting.asked = 0
    assert {take(strategy) for _ in range(100)} <= expected
    assert Counting.asked <= 600


def test_of_thousands_that_return_together_the_best_ranked_is_first() -> None:
    members = counting(2000)
    shared = Meter(Limit(Unit.REQUESTS, 100, window_s=60.0), Scope("provider", "p"))
    for each in members:
        each.meters = (shared,)
    use(members[:1], 90, 0.0)
    strategy = RateLimitAware(Random(1))
    for each in reversed(members):
        strategy.admit(each)
    strategy.admit(member("z/last", (9, 9, 9)))
    assert [take(strategy) for _ in range(2)] == ["z/last"] * 2
    Counting.asked = 0
    assert [take(strategy, now=62.0) for _ in range(100)] == ["p/0"] * 100
    assert Counting.asked <= 1000


# LoadBalanced.


@pytest.mark.parametrize(("by", "expected"), [("relative", "a/1"), ("absolute", "b/2")])
def test_share_that_is_left_and_number_that_is_left_may_differ(by: str, expected: str) -> None:
    half_of_twenty, twentieth_of_thousand = used("a/1", 20, 10), used("b/2", 1000, 950)
    assert served(balanced(half_of_twenty, twentieth_of_thousand, by=by)) == {expected}


def test_scarcest_of_several_limits_counts() -> None:
    scarce, plenty = used("a/1", 100, 10), used("b/2", 100, 20)
    scarce.meters += used("a/1", 100, 30, Unit.TOKENS).meters
    assert served(balanced(scarce, plenty)) == {"b/2"}
    assert served(balanced(scarce, plenty, by="absolute")) == {"a/1"}


@pytest.mark.parametrize("by", ["relative", "absolute"])
def test_member_without_limits_counts_as_full_and_of_equals_the_idle_serves(by: str) -> None:
    busy, idle = member("b/2"), member("c/3")
    busy.state.in_flight = 3
    strategy = balanced(used("a/1", 100, 1), busy, by=by)
    assert served(strategy) == {"b/2"}
    strategy.admit(idle)
    assert served(strategy) == {"c/3"}


def test_better_of_two_serves_where_there_are_many() -> None:
    members = [used(f"p/{number}", 1000, number * 10) for number in range(100)]
    strategy = balanced(*members)
    counts = Counter(take(strategy) for _ in range(20_000))
    better_half = sum(counts[f"p/{number}"] for number in range(50))
    assert better_half == pytest.approx(15_000, rel=0.05)
    assert counts["p/0"] == pytest.approx(400, rel=0.2)


def test_limits_are_used_up_alike() -> None:
    accounts = [
        Provider(name, limits=(Limit(Unit.REQUESTS, amount, window_s=3600.0),))
        for name, amount in (("a", 10), ("b", 20), ("c", 40))
    ]
    policy = RotationPolicy(selection=LoadBalanced)
    rig = Rig("a/1", "b/2", "c/3", providers=accounts, policy=policy)
    assert Counter(rig.serve() for _ in range(35)) == {"a/1": 5, "b/2": 10, "c/3": 20}


def test_what_has_left_the_window_counts_no_more() -> None:
    long_ago, lately = used("a/1", 10, 9), used("b/2", 10, 1)
    use([lately], 2, 50.0)
    strategy = balanced(long_ago, lately)
    assert [served(strategy, now) for now in (50.0, 61.5)] == [{"b/2"}, {"a/1"}]


# What both ask of a limit.


@given(
    window_s=st.floats(0.5, 1e6),
    takes=st.lists(st.tuples(st.floats(0.0, 1e5), st.integers(0, 50)), min_size=1, max_size=20),
    amount=st.integers(1, 400),
)
def test_foretold_moment_is_the_first_with_less_than_the_amount(
    window_s: float, takes: list[tuple[float, int]], amount: int
) -> None:
    meter, now = Meter(Limit(Unit.TOKENS, 1000, window_s=window_s), Scope("model", "a")), 0.0
    for pause_s, tokens in takes:
        now += pause_s
        meter.advance(now, 0.0)
        meter.take(tokens, now)
    if meter.taken < amount:
        return
    at = meter.falls_below(amount)
    assert now < at <= now + window_s * 62 / 60
    assert meter.taken_at(at * (1 - 1e-9)) >= amount
    assert meter.taken_at(at) < amount


def test_calendar_window_that_should_be_over_counts_as_empty() -> None:
    meter = Meter(TEN_A_DAY, Scope("model", "a"))
    assert meter.taken_at(0.0) == 0
    meter.advance(1000.0, 86_400.0 * 20_000 + 3600.0)
    meter.take(4, 1000.0)
    end = 1000.0 + 23 * 3600.0
    assert meter.falls_below(1) == pytest.approx(end)
    assert [meter.taken_at(at) for at in (end - 1.0, end + 1.0)] == [4, 0]
    meter.advance(end + 1.0, 86_400.0 * 20_000 + 7200.0)
    assert meter.taken_at(end + 1.0) == 4


def test_limit_without_a_window_never_falls() -> None:
    meter = Meter(TEN, Scope("model", "a"))
    meter.take(4, 0.0)
    assert (meter.taken_at(1e12), meter.falls_below(1)) == (4, inf)


def test_requests_left_are_those_of_the_scarcest_limit_on_requests() -> None:
    each = crowd(1)[0]
    each.meters += (
        Meter(Limit(Unit.REQUESTS, 8), Scope("provider", "p")),
        Meter(Limit(Unit.TOKENS, 3), Scope("provider", "p")),
    )
    use([each], 3, 0.0)
    assert (each.requests_left(0.0), each.used(0.0)) == (5, 1.0)
    assert (member("a/1").requests_left(0.0), member("a/1").used(0.0)) == (inf, 0.0)
