"""Random topologies under a random hand: what must always hold is checked after every step."""

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from capability_router.engine.deactivation import ConsecutiveFailures
from capability_router.engine.outcome import FailureKind
from capability_router.engine.retry import RetryPolicy
from capability_router.engine.rotation import RotationPolicy
from capability_router.engine.selection import Priority, RoundRobin, StickUntilFailure
from tests.engine.bench import Bench

numbers = st.integers(0, 15)
failures = st.sampled_from(FailureKind)
outcomes = st.none() | failures
stated = st.sampled_from([None, None, 0.0, 3.0, 120.0])
moments = st.sampled_from([0.0, 0.1, 1.0, 2.5, 11.0, 61.0, 601.0, 5000.0])
reasons = st.sampled_from(["manual", "error_threshold", "rate_limited", "auth_failure"])
policies = st.builds(
    RotationPolicy,
    deactivation=st.builds(ConsecutiveFailures, threshold=st.integers(1, 3)),
    selection=st.sampled_from([StickUntilFailure, Priority, RoundRobin]),
    retry=st.builds(
        RetryPolicy, max_attempts=st.integers(1, 5), deadline_s=st.sampled_from([None, 5.0])
    ),
)


class RouterUnderARandomHand(RuleBasedStateMachine):
    """Takes every step on two routers: same seed, clock and inputs must give the same again."""

    def __init__(self) -> None:
        super().__init__()
        self.twins: list[Bench] = []

    @initialize(
        policy=policies,
        models=st.lists(st.tuples(numbers, numbers, numbers), min_size=1, max_size=8),
        pools=st.lists(st.tuples(numbers, st.sampled_from(["", "a", "ab"])), max_size=3),
    )
    def build(
        self,
        policy: RotationPolicy,
        models: list[tuple[int, int, int]],
        pools: list[tuple[int, str]],
    ) -> None:
        self.twins = [Bench(policy), Bench(policy)]
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

    @rule(place=numbers)
    def select(self, place: int) -> None:
        self.both("select", place)

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

    @rule(place=numbers, deadline_s=st.sampled_from([None, None, 1.0, 100.0]))
    def start_call(self, place: int, deadline_s: float | None) -> None:
        self.both("start", place, deadline_s)

    @precondition(has_calls)
    @rule(number=numbers, kind=outcomes, took_s=st.sampled_from([0.0, 0.0, 0.5, 30.0]))
    def proceed(self, number: int, kind: FailureKind | None, took_s: float) -> None:
        self.both("proceed", number, kind, took_s)

    @rule(place=numbers, script=st.lists(failures, max_size=8))
    def run(self, place: int, script: list[FailureKind | None]) -> None:
        self.both("run", place, script)

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
            assert one.router.decisions == other.router.decisions

    def teardown(self) -> None:
        self.both("finish")
        self.everything_holds()


# The profile decides where it looks further than this.
RouterUnderARandomHand.TestCase.settings = settings(
    max_examples=max(500, settings.default.max_examples if settings.default else 0),
    stateful_step_count=40,
)
TestRouterUnderARandomHand = RouterUnderARandomHand.TestCase
