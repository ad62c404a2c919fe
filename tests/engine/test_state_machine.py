"""Random topologies under a random hand: what must always hold is checked after every step."""

from typing import Any, cast

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from capability_router import registry
from capability_router.calendars import CalendarReset
from capability_router.engine.deactivation import (
    ErrorThreshold,
    Maintenance,
    ProviderOutage,
    SlowOutlier,
)
from capability_router.engine.limits import Limit, Unit
from capability_router.engine.outcome import FailureKind
from capability_router.engine.retry import Backoff, RepeatScope, RetryBudget, RetryPolicy
from capability_router.engine.rotation import Degrade, RotationPolicy
from capability_router.engine.selection import StrategyFactory
from capability_router.engine.throttling import Throttling
from tests.engine.bench import SPACES, Bench
from tests.engine.building import Daily
from tests.engine.crowding import CrowdedBench

numbers = st.integers(0, 15)
failures = st.sampled_from(FailureKind)
outcomes = st.none() | failures
stated = st.sampled_from([None, None, 0.0, 3.0, 120.0])
moments = st.sampled_from([0.0, 0.1, 1.0, 2.5, 11.0, 61.0, 601.0, 5000.0])
reasons = st.sampled_from(["manual", "billing", "rate_limited", "auth_failure"])
thresholds = st.builds(
    ErrorThreshold,
    consecutive=st.integers(1, 3),
    rate=st.sampled_from([None, 0.5]),
    min_requests=st.integers(1, 5),
)
retries = st.builds(
    RetryPolicy,
    max_attempts=st.integers(1, 5),
    deadline_s=st.sampled_from([None, 5.0]),
    same_model=st.integers(1, 3),
    scope=st.sampled_from(RepeatScope),
    backoff=st.sampled_from(Backoff),
    max_wait_s=st.sampled_from([0.0, 0.0, 4.0]),
    budget=st.builds(RetryBudget, share=st.just(0.2), per_s=st.sampled_from([0.0, 1.0])),
)
strategy_names = st.sampled_from(
    [
        "adaptive",
        "cost-first",
        "latency-first",
        "least-in-flight",
        "load-balanced",
        "priority",
        "rate-limit-aware",
        "round-robin",
        "session-sticky",
        "stick-until-failure",
        "weighted",
    ]
)
limits = st.builds(
    lambda amount, window: (
        Limit(Unit.REQUESTS, amount, resets=CalendarReset("day"))
        if window is None
        else Limit(Unit.REQUESTS, amount, window_s=window)
    ),
    st.integers(1, 6),
    st.sampled_from([None, 10.0, 600.0]),
)
preferences = st.sampled_from(["", "", "a", "ba", "zdc"])
spaces = st.sampled_from([None, None, *SPACES])
some_limits = st.lists(limits, max_size=2).map(tuple)


def policies(**more: st.SearchStrategy[Any]) -> st.SearchStrategy[RotationPolicy]:
    """Rotation policies that differ in all of the basics, and in what is named."""
    return st.builds(
        RotationPolicy,
        deactivation=thresholds,
        selection=strategy_names.map(factory),
        retry=retries,
        max_ejected=st.sampled_from([0.0, 0.5, 0.5, 1.0]),
        **more,
    )


def factory(name: str) -> StrategyFactory:
    return cast("StrategyFactory", registry.resolve(registry.STRATEGIES, name))


class RouterUnderARandomHand(RuleBasedStateMachine):
    """Takes every step on two routers: same seed, clock and inputs must give the same again."""

    bench: type[Bench] = Bench

    def __init__(self) -> None:
        super().__init__()
        self.twins: list[Bench] = []

    def begin(
        self,
        policy: RotationPolicy,
        models: list[tuple[int, int, int]],
        pools: list[tuple[int, str]],
        limits: tuple[tuple[Limit, ...], tuple[Limit, ...]] = ((), ()),
    ) -> None:
        self.twins = [self.bench(policy, *limits), self.bench(policy, *limits)]
        for model in models:
            self.both("register", *model)
        for pool in pools:
            self.both("add_pool", *pool)

    def both(self, step: str, *arguments: Any) -> None:
        for bench in self.twins:
            getattr(bench, step)(*arguments)

    def has_models(self) -> bool:
        return bool(self.twins[0].router.models)

    def has_leases(self) -> bool:
        return self.twins[0].has_free_leases

    def has_calls(self) -> bool:
        return bool(self.twins[0].calls)

    @rule(place=numbers, prefers=preferences, space=spaces)
    def select(self, place: int, prefers: str, space: str | None) -> None:
        self.both("select", place, prefers, space)

    @precondition(has_leases)
    @rule(number=numbers, kind=outcomes, stated_s=stated)
    def end(self, number: int, kind: FailureKind | None, stated_s: float | None) -> None:
        self.both("end", number, kind, stated_s)

    @precondition(has_leases)
    @rule(number=numbers)
    def release(self, number: int) -> None:
        self.both("release", number)

    @rule(seconds=moments)
    def advance(self, seconds: float) -> None:
        self.both("advance", seconds)

    @precondition(has_models)
    @rule(number=numbers, reason=reasons)
    def deactivate(self, number: int, reason: str) -> None:
        self.both("deactivate", number, reason)

    @precondition(has_models)
    @rule(number=numbers)
    def recover(self, number: int) -> None:
        self.both("recover", number)

    @rule(number=numbers, place=numbers, second=numbers)
    def register(self, number: int, place: int, second: int) -> None:
        self.both("register", number, place, second)

    @precondition(has_models)
    @rule(number=numbers)
    def unregister(self, number: int) -> None:
        self.both("unregister", number)

    @rule(place=numbers)
    def add_node(self, place: int) -> None:
        self.both("add_node", place)

    @precondition(lambda self: len(self.twins[0].router.pools) < 4)
    @rule(place=numbers, excluded=st.sampled_from(["", "a", "cd"]))
    def add_pool(self, place: int, excluded: str) -> None:
        self.both("add_pool", place, excluded)

    @rule(number=numbers, excluded=st.sampled_from(["", "a", "bd"]))
    def update_pool(self, number: int, excluded: str) -> None:
        self.both("update_pool", number, excluded)

    @rule(seconds=st.sampled_from([-86_400.0, -3600.0, 3600.0, 86_400.0]))
    def set_wall(self, seconds: float) -> None:
        self.both("set_wall", seconds)

    @rule(
        place=numbers,
        prefers=preferences,
        space=spaces,
        deadline_s=st.sampled_from([None, None, 1.0, 100.0]),
    )
    def start_call(
        self, place: int, prefers: str, space: str | None, deadline_s: float | None
    ) -> None:
        self.both("start", place, prefers, space, deadline_s)

    @precondition(has_calls)
    @rule(number=numbers, kind=outcomes, took_s=st.sampled_from([0.0, 0.0, 0.5, 30.0]))
    def proceed(self, number: int, kind: FailureKind | None, took_s: float) -> None:
        self.both("proceed", number, kind, took_s)

    @rule(place=numbers, prefers=preferences, space=spaces, script=st.lists(failures, max_size=8))
    def run(
        self, place: int, prefers: str, space: str | None, script: list[FailureKind | None]
    ) -> None:
        self.both("run", place, prefers, space, script)

    @invariant()
    def everything_holds(self) -> None:
        for bench in self.twins:
            bench.check()

    @invariant()
    def twins_are_alike(self) -> None:
        if self.twins:
            one, other = self.twins
            assert one.log == other.log
            assert one.rig.events == other.rig.events
            assert one.overall == other.overall
            assert one.router.decisions == other.router.decisions

    def teardown(self) -> None:
        self.both("finish")
        self.everything_holds()


some_models = st.lists(st.tuples(numbers, numbers, numbers), min_size=1, max_size=8)
some_pools = st.lists(st.tuples(numbers, st.sampled_from(["", "a", "ab"])), max_size=3)


class UnderFaults(RouterUnderARandomHand):
    """Failures, retries and rotation."""

    @initialize(policy=policies(), models=some_models, pools=some_pools)
    def build(
        self,
        policy: RotationPolicy,
        models: list[tuple[int, int, int]],
        pools: list[tuple[int, str]],
    ) -> None:
        self.begin(policy, models, pools)


class UnderLimits(RouterUnderARandomHand):
    """Limits of models, providers and pools, rolling and by the calendar."""

    @initialize(
        policy=policies(limits=some_limits),
        models=some_models,
        pools=some_pools,
        limits=st.tuples(some_limits, some_limits),
    )
    def build(
        self,
        policy: RotationPolicy,
        models: list[tuple[int, int, int]],
        pools: list[tuple[int, str]],
        limits: tuple[tuple[Limit, ...], tuple[Limit, ...]],
    ) -> None:
        self.begin(policy, models, pools, limits)


class UnderEverything(RouterUnderARandomHand):
    """All of it, with windows, slow models, outages and related nodes."""

    @initialize(
        policy=policies(
            limits=some_limits,
            slow=st.none() | st.builds(SlowOutlier, min_requests=st.just(1)),
            maintenance=st.sampled_from([(), (Maintenance(Daily(3 * 3600, 5 * 3600)),)]),
            outage=st.none() | st.builds(ProviderOutage),
            degrade=st.lists(st.sampled_from(Degrade), max_size=2).map(tuple),
        ),
        models=some_models,
        pools=some_pools,
        limits=st.tuples(some_limits, some_limits),
    )
    def build(
        self,
        policy: RotationPolicy,
        models: list[tuple[int, int, int]],
        pools: list[tuple[int, str]],
        limits: tuple[tuple[Limit, ...], tuple[Limit, ...]],
    ) -> None:
        self.begin(policy, models, pools, limits)


class UnderCrowding(RouterUnderARandomHand):
    """Limits on attempts at once, which come and go, and throttling."""

    bench: type[Bench] = CrowdedBench

    @rule(number=numbers, which=numbers)
    @precondition(RouterUnderARandomHand.has_models)
    def limit(self, number: int, which: int) -> None:
        self.both("limit", number, which)

    @initialize(
        policy=policies(
            limits=some_limits,
            throttling=st.sampled_from([None, Throttling(1.0), Throttling()]),
            degrade=st.lists(st.sampled_from(Degrade), max_size=1).map(tuple),
        ),
        models=some_models,
        pools=some_pools,
        limits=st.tuples(some_limits, some_limits),
    )
    def build(
        self,
        policy: RotationPolicy,
        models: list[tuple[int, int, int]],
        pools: list[tuple[int, str]],
        limits: tuple[tuple[Limit, ...], tuple[Limit, ...]],
    ) -> None:
        self.begin(policy, models, pools, limits)


# Some two thousand in all; the profile decides where it looks further than this.
EXAMPLES = max(500, settings.default.max_examples if settings.default else 0)
AT_LENGTH = settings(max_examples=EXAMPLES, stateful_step_count=60)
for machine in (UnderFaults, UnderLimits, UnderCrowding, UnderEverything):
    machine.TestCase.settings = AT_LENGTH

TestUnderFaults = pytest.mark.timeout(900)(UnderFaults.TestCase)
TestUnderLimits = pytest.mark.timeout(900)(UnderLimits.TestCase)
TestUnderCrowding = pytest.mark.timeout(900)(UnderCrowding.TestCase)
TestUnderEverything = pytest.mark.timeout(900)(UnderEverything.TestCase)
