"""Statistics say what a recount of all events and decisions says."""

import json
from copy import deepcopy
from itertools import pairwise
from math import ceil
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capability_router.engine.deactivation import Maintenance, ProviderOutage
from capability_router.engine.errors import NoAvailableModelError
from capability_router.engine.events import RoutingEvent
from capability_router.engine.latencies import LatencyHistogram
from capability_router.engine.limits import Limit, Unit
from capability_router.engine.model import Model, Price
from capability_router.engine.outcome import Attempt, Failure, FailureKind, Outcome, Usage
from capability_router.engine.retry import RepeatScope, RetryPolicy
from capability_router.engine.rotation import Degrade, RotationPolicy
from capability_router.engine.statistics import Statistics
from capability_router.engine.steps import Stop, Try, Wait
from tests.engine.building import CHAT, CODE, Daily, Rig, together
from tests.engine.recount import PRICE_IN, PRICE_OUT, Standings, counted, own_of, told

LEAVES = ("chat-completion", "code-generation", "ocr")
moments = st.sampled_from([0.0, 0.3, 2.5, 11.0, 61.0, 700.0])
ends = st.lists(st.sampled_from([None, *FailureKind]), max_size=4)
steps = st.one_of(
    st.tuples(st.just("call"), st.integers(0, 2), ends),
    st.tuples(st.just("call"), st.integers(0, 2), ends),
    st.tuples(st.just("advance"), moments),
    st.tuples(st.just("register"), st.integers(0, 7)),
    st.tuples(st.just("unregister"), st.integers(0, 7)),
    st.tuples(st.just("deactivate"), st.integers(0, 7)),
    st.tuples(st.just("recover"), st.integers(0, 7)),
    st.tuples(st.just("remove_pool")),
)


POLICIES = (
    RotationPolicy(),
    RotationPolicy(max_ejected=1.0, outage=ProviderOutage(), degrade=(Degrade.SIBLINGS,)),
    RotationPolicy(retry=RetryPolicy(scope=RepeatScope.FIRST, max_wait_s=5.0)),
    RotationPolicy(
        limits=(Limit(Unit.REQUESTS, 5, window_s=60.0),),
        maintenance=(Maintenance(Daily(0.0, 600.0), providers=["a"]),),
    ),
)


class Played:
    """A router with two declared pools and an implicit one, and all that it has told."""

    def __init__(self, policy: RotationPolicy) -> None:
        self.rig = Rig(policy=policy)
        self.router = self.rig.router
        self.events: list[RoutingEvent] = []
        self.router.emitter.subscribe(self.events.append)
        self.router.add_pool("text", "text-generation")
        self.router.add_pool("chat", "chat-completion")
        self.seen = set[int]()
        for number in range(3):
            self.register(number)

    def name(self, number: int) -> str:
        return f"{'ab'[number % 2]}/{number}"

    def register(self, number: int) -> None:
        # An id that comes again begins anew, which a recount of all decisions could not tell.
        if number not in self.seen:
            self.seen.add(number)
            leaves = (LEAVES[number % 3], LEAVES[number // 2 % 3])
            price = Price(PRICE_IN, PRICE_OUT)
            self.router.register(Model(self.name(number), leaves, price=price))

    def on_known(self, step: str, number: int) -> None:
        if self.name(number) in {model.id for model in self.router.models}:
            getattr(self.router, step)(self.name(number))

    def call(self, leaf: int, script: list[FailureKind | None]) -> None:
        call, kinds = self.router.plan(LEAVES[leaf]), iter(script)
        while not isinstance(step := call.next(), Stop):
            if isinstance(step, Wait):
                self.rig.clock.advance(step.seconds)
                continue
            assert isinstance(step, Try)
            self.rig.clock.advance(0.1 + len(self.events) % 7)
            kind = next(kinds, None)
            if kind is None:
                return call.succeeded(Usage(100 + len(self.events), 7))
            if kind is FailureKind.CANCELLED:
                return call.cancelled()
            call.failed(Failure(kind))
        return None

    def play(self, step: str, *arguments: Any) -> None:
        match step:
            case "call":
                self.call(*arguments)
            case "advance":
                self.rig.clock.advance(*arguments)
            case "register":
                self.register(*arguments)
            case "remove_pool" if self.router.pools[1:]:
                self.router.remove_pool("chat")
            case "unregister" | "deactivate" | "recover":
                self.on_known(step, *arguments)
            case _:
                pass

    def standings(self, now: float) -> Standings:
        standings = Standings(at=now if not self.events else self.events[0].at)
        for event in self.events:
            standings.take(event)
        standings.pass_until(now)
        return standings


@given(st.lists(steps, max_size=40), st.sampled_from(POLICIES))
def test_statistics_say_what_a_recount_says(
    taken: list[tuple[Any, ...]], policy: RotationPolicy
) -> None:
    played = Played(policy)
    for step in taken:
        played.play(*step)
    statistics, decisions = played.router.statistics(), played.router.decisions
    standings = played.standings(statistics.at)
    models = {model.id: model.provider for model in played.router.models}
    assert set(statistics.models) == set(models) == standings.models
    assert set(statistics.providers) == set(models.values())

    def check(name: str, of: Statistics, tried: list[Attempt], standbys: int) -> None:
        exact = counted(tried)
        assert told(of, exact) == exact
        assert of.downtime_s == pytest.approx(standings.down_s[name])
        assert of.standbys == standbys

    attempts = [attempt for decision in decisions for attempt in decision.attempts]
    left = standings.standbys
    for name, of in statistics.models.items():
        check(f"m {name}", of, [a for a in attempts if a.model == name], left[f"m {name}"])
    for name, of in statistics.providers.items():
        own = own_of(name, models)
        gone = sum(left[f"m {model}"] for model in own)
        check(f"p {name}", of, [a for a in attempts if a.model in own], gone)
    for name, of in statistics.pools.items():
        check(f"pool {name}", of, [a for a in attempts if a.pool == name], left[f"pool {name}"])
    json.dumps(statistics.as_dict())


@given(st.lists(st.floats(0.0, 1e5), min_size=1, max_size=200), st.floats(0.0, 1.0))
def test_percentile_is_within_one_percent_of_the_exact_one(
    times: list[float], share: float
) -> None:
    histogram = LatencyHistogram()
    for seconds in times:
        histogram.note(seconds)
    exact = sorted(times)[max(1, ceil(share * len(times))) - 1]
    found = histogram.percentile(share)
    assert found is not None
    assert abs(found - exact) <= max(0.0100001 * exact, 1e-6)
    assert len(histogram) == len(times)


@given(st.lists(st.lists(st.floats(0.0, 100.0), max_size=20), min_size=1, max_size=5))
def test_histograms_that_are_added_know_all_their_times(groups: list[list[float]]) -> None:
    merged, whole = LatencyHistogram(), LatencyHistogram()
    for group in groups:
        part = LatencyHistogram()
        for seconds in group:
            part.note(seconds)
            whole.note(seconds)
        merged.add(part)
    assert len(merged) == len(whole)
    for share in (0.0, 0.1, 0.5, 0.95, 1.0):
        assert merged.percentile(share) == whole.percentile(share)


def test_histogram_without_a_time_has_no_percentile() -> None:
    assert LatencyHistogram().percentile(0.5) is None


def test_percentiles_never_fall_as_their_share_grows() -> None:
    histogram = LatencyHistogram()
    for seconds in (0.0, 1e-9, 0.002, 0.002, 1.0, 3600.0):
        histogram.note(seconds)
    found = [histogram.percentile(share / 20) or 0.0 for share in range(21)]
    assert all(low <= high for low, high in pairwise(found))
    assert found[0] == 0.0
    assert found[-1] == pytest.approx(3600.0, rel=0.01)


def test_statistics_are_a_copy_that_stays_as_it_is() -> None:
    rig = Rig("a/x")
    rig.serve()
    before = rig.router.statistics()
    kept = deepcopy(before.as_dict())
    rig.clock.advance(5.0)
    rig.serve()
    rig.fail(FailureKind.OVERLOADED)
    assert before.as_dict() == kept
    assert rig.router.statistics().models["a/x"].requests == 3


def test_model_that_is_registered_again_begins_anew_while_its_pool_goes_on() -> None:
    rig = Rig("a/x")
    rig.serve()
    rig.router.unregister("a/x")
    rig.router.register(Model("a/x", ("chat-completion",)))
    statistics = rig.router.statistics()
    assert (statistics.models["a/x"].successes, statistics.pools[CHAT].successes) == (0, 1)


def test_request_in_progress_is_counted_and_has_no_outcome_yet() -> None:
    rig = Rig("a/x")
    lease = rig.select()
    before = rig.router.statistics().models["a/x"]
    rig.router.release(lease)
    after = rig.router.statistics().models["a/x"]
    for each in (before, after):
        assert (each.requests, each.successes, each.failures) == (1, 0, {})


def test_answer_that_comes_after_its_model_has_gone_counts_in_the_pool() -> None:
    rig = Rig("a/x")
    lease = rig.select()
    rig.router.unregister("a/x")
    rig.router.report(lease, Outcome.success(Usage(3, 4)))
    statistics = rig.router.statistics()
    assert (statistics.models, statistics.providers) == ({}, {})
    assert (statistics.pools[CHAT].successes, statistics.pools[CHAT].output_tokens) == (1, 4)


def test_downtime_goes_on_until_a_model_is_back_and_no_longer() -> None:
    rig = Rig("a/x", "a/y")
    rig.router.pool(CHAT)
    rig.router.deactivate("a/x")
    rig.clock.advance(3.0)
    rig.router.deactivate("a/y")
    rig.clock.advance(4.0)
    during = rig.router.statistics()
    rig.router.recover("a/x")
    rig.clock.advance(100.0)
    after = rig.router.statistics()
    for each in (during, after):
        assert each.models["a/x"].downtime_s == 7.0
        assert (each.providers["a"].downtime_s, each.pools[CHAT].downtime_s) == (4.0, 4.0)
    assert (during.models["a/y"].downtime_s, after.models["a/y"].downtime_s) == (4.0, 104.0)


def test_model_that_joins_ends_the_downtime_of_its_pool_and_its_provider() -> None:
    rig = Rig("a/x")
    rig.router.pool(CHAT)
    rig.router.deactivate("a/x")
    rig.clock.advance(3.0)
    rig.router.register(Model("a/y", ("chat-completion",)))
    rig.clock.advance(4.0)
    statistics = rig.router.statistics()
    assert statistics.pools[CHAT].downtime_s == statistics.providers["a"].downtime_s == 3.0


def test_pool_without_members_is_not_down() -> None:
    rig = Rig("a/x")
    rig.router.add_pool("code", CODE)
    rig.clock.advance(9.0)
    rig.router.deactivate("a/x")
    rig.clock.advance(9.0)
    rig.router.unregister("a/x")
    rig.clock.advance(9.0)
    pools = rig.router.statistics().pools
    assert {name: each.downtime_s for name, each in pools.items()} == {"code": 0.0, CHAT: 9.0}


def test_standby_that_is_over_is_ended_by_asking() -> None:
    rig = Rig("a/x", "b/y")
    rig.router.pool(CHAT)
    rig.fail(FailureKind.RATE_LIMITED, retry_after_s=60.0)
    rig.clock.advance(30.0)
    one = rig.router.statistics().models["a/x"]
    assert (one.downtime_s, one.standbys, one.failures) == (30.0, 1, {"rate_limited": 1})


def test_no_attempt_is_lost_among_threads() -> None:
    rig = Rig("a/x", "b/y", "b/z")

    def job() -> None:
        for _ in range(100):
            with_lease = rig.select()
            rig.router.report(with_lease, Outcome.success(Usage(1, 2)))
            assert sum(each.requests for each in rig.router.statistics().models.values()) > 0

    together(*[job] * 4)
    statistics = rig.router.statistics()
    for group in (statistics.models, statistics.providers, statistics.pools):
        assert sum(each.successes for each in group.values()) == 400
        assert sum(len(each.latencies) for each in group.values()) == 400
        assert sum(each.output_tokens for each in group.values()) == 800


def test_statistics_of_a_router_without_models_are_empty() -> None:
    statistics = Rig().router.statistics()
    assert (statistics.models, statistics.providers, statistics.pools) == ({}, {}, {})
    with pytest.raises(NoAvailableModelError):
        Rig().select()
