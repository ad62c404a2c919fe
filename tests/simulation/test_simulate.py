"""A policy in a simulated world: figures that can be checked by hand, and what always holds."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from json import dumps
from math import isnan, nan
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capability_router.engine.deactivation import ErrorThreshold
from capability_router.engine.decision import Decision
from capability_router.engine.errors import ConfigurationError, UnknownCapabilityError
from capability_router.engine.hedge import Hedge
from capability_router.engine.model import Price
from capability_router.engine.outcome import FailureKind
from capability_router.engine.recovery import Cooldown
from capability_router.engine.retry import Interruption, RetryPolicy
from capability_router.registry import STRATEGIES, names, strategy
from capability_router.router import CapabilityRouter
from capability_router.simulation import (
    Arrival,
    Bursts,
    OrderedFallback,
    Outage,
    Outages,
    Percentiles,
    Poisson,
    RandomRetry,
    SimulatedProvider,
    SimulationResult,
    StickyFallback,
    Workload,
    simulate,
)
from capability_router.simulation.agenda import STARTS_AT
from capability_router.simulation.providers import World
from capability_router.simulation.scene import Policy, Scene
from tests.simulation.worlds import CHAT, asked, model, path, pool, requests, run, steady

CHEAP, DEAR = Price(1_000.0, 1_000.0), Price(1_000.0, 10_000.0)
"""A prompt of 100 tokens costs 0.1 dollars, an answer of 100 tokens 0.1 or 1 dollar."""


BY_HAND = {
    "a": steady(1.0, 100.0, outages=(Outage(5.0, 15.0),)),
    "b": steady(3.0, 50.0),
}


class TestByHand:
    """Two models, three requests: a, the cheap one, is down for the second of them."""

    def result(self) -> SimulationResult:
        router = pool(
            model("a/x", CHEAP),
            model("b/y", DEAR),
            selection=strategy("priority"),
            deactivation=ErrorThreshold(consecutive=1),
            recovery=Cooldown(initial_s=10.0, max_s=10.0, jitter=0.0),
        )
        result, _ = run(router, requests(0.0, 10.0, 30.0), BY_HAND)
        return result

    def test_latencies_are_those_of_the_answers(self) -> None:
        result = self.result()
        # a takes 2 s; after its error of 0.5 s b takes 5.
        assert (result.latency_p50_s, result.latency_p95_s) == (2.0, 5.5)
        assert result.latency_p99_s == result.first_token_p95_s == 5.5

    def test_attempts_are_served_or_wasted(self) -> None:
        result = self.result()
        assert (result.success, result.wasted_calls) == (1.0, 1)
        assert result.attempts_per_request == pytest.approx(4 / 3)
        tried = {name: (each.attempts, each.served) for name, each in result.models.items()}
        assert tried == {"a/x": (3, 2), "b/y": (1, 1)}

    def test_cost_is_that_of_the_answers(self) -> None:
        result = self.result()
        assert result.cost_usd == pytest.approx(0.2 + 1.1 + 0.2)
        assert result.cost_per_1000_usd == pytest.approx(500.0)
        assert result.models["b/y"].cost_usd == pytest.approx(1.1)

    def test_model_leaves_with_its_error_and_returns_with_its_trial(self) -> None:
        result = self.result()
        # Down from 5 to 15 s, found out at 10.5 s, tried again and back at 32 s.
        assert result.leave_s == pytest.approx(5.5)
        assert result.return_s == pytest.approx(17.0)
        assert result.models["a/x"].standby_s == pytest.approx(21.5)
        assert result.models["b/y"].standby_s == 0.0

    def test_regret_is_against_the_best_model_at_each_time(self) -> None:
        result = self.result()
        # In the outage only b could have answered, in 5 s and for 1.1 dollars.
        assert result.regret_latency_s == pytest.approx(0.5 / 3)
        assert result.regret_cost_usd == pytest.approx(0.0)
        assert result.regret_success == 0.0

    def test_all_of_it_is_json_and_can_be_read(self) -> None:
        told = self.result().as_dict()
        assert set(dumps(told, allow_nan=False)) >= {"{"}
        assert told["requests"] == 3
        shown = str(self.result())
        assert "100.000%" in shown
        assert "a/x" in shown


def test_regret_counts_the_requests_that_somebody_could_have_answered() -> None:
    down = (Outage(0.0, 10.0),)
    impatient = pool(retry=RetryPolicy(max_attempts=1))
    result, _ = run(impatient, requests(0.0), {"a": steady(outages=down)})
    assert (result.success, result.regret_success) == (0.0, 1.0)
    told = {name: steady(outages=down) for name in "ab"}
    result, _ = run(impatient, requests(0.0), told)
    assert (result.success, result.regret_success) == (0.0, 0.0)


def test_regret_in_cost_is_what_is_above_the_cheapest() -> None:
    router = pool(model("a/x", DEAR), model("b/y", CHEAP), selection=strategy("priority"))
    result, _ = run(router, requests(0.0, 5.0), {"a": steady(1.0), "b": steady(4.0)})
    assert result.regret_cost_usd == pytest.approx(2 * 0.9)
    assert result.regret_latency_s == 0.0


def test_nothing_answered_has_no_latency_and_no_price() -> None:
    told = {name: steady(outages=(Outage(0.0),)) for name in "ab"}
    result, _ = run(pool(), requests(0.0, 1.0), told)
    figures = (result.latency_p50_s, result.first_token_p95_s, result.cost_per_1000_usd)
    assert all(map(isnan, figures))
    assert (result.success, sum(result.errors.values())) == (0.0, 2)
    assert result.as_dict()["latency_p50_s"] is None
    assert "–" in str(result)


def test_standby_ends_with_the_last_request() -> None:
    router = pool(
        deactivation=ErrorThreshold(consecutive=1),
        recovery=Cooldown(initial_s=1e6, max_s=1e6),
        # What was to happen after the last request does not happen.
        hedge=Hedge(after_s=50_000.0),
    )
    result, decisions = run(router, requests(0.0, 10.0), {"a": steady(outages=(Outage(0.0),))})
    assert result.models["a/x"].standby_s == decisions[-1].at - 0.5


def test_outage_that_nobody_met_has_no_time_to_leave() -> None:
    result, _ = run(pool(), requests(0.0, 60.0), {"b": steady(outages=(Outage(5.0, 10.0),))})
    assert (result.leave_s, result.return_s) == (None, None)


def test_gray_failure_is_no_outage_to_leave() -> None:
    told = {"a": steady(outages=(Outage(0.0, share=0.99),))}
    router = pool(deactivation=ErrorThreshold(consecutive=1))
    result, _ = run(router, requests(*map(float, range(30))), told)
    assert result.models["a/x"].standby_s > 0
    assert result.leave_s is None


def test_calendar_quotas_go_by_the_stated_start() -> None:
    spring = simulate(pool(), requests(0.0), record=(seen := list[Decision]()).append)
    assert spring.success == 1.0
    assert seen[0].wall == pytest.approx(STARTS_AT + seen[0].at)
    simulate(pool(), requests(0.0), record=seen.append, starts_at=1000.0)
    assert seen[1].wall == pytest.approx(1000.0 + seen[1].at)


def test_router_that_is_given_is_not_touched() -> None:
    router = pool()
    run(router, requests(*map(float, range(20))), {"a": steady(outages=(Outage(0.0),))})
    assert router.decisions == []
    assert [router.state(each.id).failures for each in router.models] == [0, 0]


class TestProgress:
    """How far a simulation is."""

    @pytest.mark.parametrize("count", [1, 7, 1_000])
    def test_it_rises_to_the_end(self, count: int) -> None:
        told: list[tuple[int, int]] = []
        simulate(pool(), Workload(CHAT, count), progress=lambda *each: told.append(each))
        done = [each for each, _ in told]
        assert done == sorted(done)
        assert told[-1] == (count, count)
        assert {total for _, total in told} == {count}
        assert len(told) <= 210


class TestErrors:
    """What cannot be simulated is refused at once."""

    def test_unknown_provider(self) -> None:
        with pytest.raises(ValueError, match=r"'c' is no provider and no model.* a, a/x, b, b/y"):
            run(pool(), requests(0.0), {"c": steady()})

    def test_unknown_capability(self) -> None:
        with pytest.raises(UnknownCapabilityError):
            run(pool(), requests(0.0, capability="no-such-node"), {})

    def test_no_such_file(self) -> None:
        with pytest.raises((ConfigurationError, OSError)):
            simulate("/no/such/file.yaml", requests(0.0))

    def test_policy_with_other_models(self) -> None:
        scene = scene_of(pool("a/x"), [asked(0)])
        with pytest.raises(ValueError, match="do not have the same models: b/y"):
            scene.play(pool("a/x", "b/y"))

    def test_no_request(self) -> None:
        class Nothing:
            def arrivals(self, seed: int) -> Iterator[Arrival]:
                return iter(())

        with pytest.raises(ValueError, match="no request"):
            simulate(pool(), Nothing())

    @pytest.mark.parametrize(
        "wrong",
        [
            {"failure_rate": 1.1},
            {"cut_rate": -0.1},
            {"first_token_s": -1.0},
            {"error_s": nan},
            {"tokens_per_s": 0.0},
            {"failure": "no such kind"},
        ],
    )
    def test_provider_that_cannot_be(self, wrong: dict[str, float]) -> None:
        with pytest.raises(ValueError, match=str(next(iter(wrong.values())))):
            SimulatedProvider(**wrong)  # type: ignore[arg-type]  # values are wrong

    @pytest.mark.parametrize("name", ["outages", "limits"])
    def test_one_of_what_there_may_be_several_of(self, name: str) -> None:
        one: Any = {name: Outage(0.0)}
        with pytest.raises(TypeError, match=f"{name} .* must be a tuple"):
            SimulatedProvider(**one)


def scene_of(router: CapabilityRouter, arrivals: list[Arrival]) -> Scene:
    return Scene(router, arrivals, lambda: World({}, router.models, 0, STARTS_AT), 0, STARTS_AT)


ROUGH = {
    "a": SimulatedProvider(
        failure_rate=0.15,
        cut_rate=0.2,
        outages=(Outages(0.8, Percentiles(20.0, 60.0)), Outage(30.0, 45.0, FailureKind.TIMEOUT)),
    ),
    "b": SimulatedProvider(
        failure_rate=0.1, failure=FailureKind.RATE_LIMITED, outages=(Outage(20.0, 40.0, share=0.5),)
    ),
    "c": SimulatedProvider(tokens_per_s=Percentiles(20, 10, 2)),
}


def rough_pool() -> CapabilityRouter:
    models = (model("a/x", CHEAP), model("b/y", DEAR), model("c/z", CHEAP))
    return pool(
        *models,
        selection=strategy("load-balanced"),
        hedge=Hedge(after_s=6.0),
        retry=RetryPolicy(
            deadline_s=40.0,
            max_wait_s=3.0,
            on_interruption=(Interruption.CONTINUE, Interruption.RESTART),
        ),
    )


def itself(router: CapabilityRouter) -> Policy:
    return router


Choice = Callable[[CapabilityRouter], Policy]
CHOICES: list[Choice] = [itself, OrderedFallback, RandomRetry, StickyFallback]
POLICIES = st.sampled_from(CHOICES)


@settings(max_examples=50)
@given(st.integers(0, 10_000), POLICIES, st.booleans())
def test_every_request_ends_once_and_every_attempt_is_counted(
    seed: int, choice: Choice, streamed: bool
) -> None:
    workload = Workload(CHAT, 60, Bursts(1.0, 20.0, 20.0, 3.0), streamed=streamed)
    decisions: list[Decision] = []
    result = simulate(choice(rough_pool()), workload, ROUGH, seed, record=decisions.append)
    assert len(decisions) == 60
    attempts = [attempt for decision in decisions for attempt in decision.attempts]
    tried = Counter(attempt.model for attempt in attempts)
    served = Counter(attempt.model for attempt in attempts if attempt.kind is None)
    for name, each in result.models.items():
        assert (each.attempts, each.served) == (tried[name], served[name])
    assert result.attempts_per_request * 60 == pytest.approx(len(attempts))
    assert result.wasted_calls + sum(served.values()) == len(attempts)
    answered = [each for each in decisions if each.served_by is not None]
    assert result.success == pytest.approx(len(answered) / 60)
    assert sum(result.errors.values()) == 60 - len(answered)
    assert sum(served.values()) == len(answered)
    latency_s = sorted(each.at - each.started_at for each in answered)
    assert result.latency_p99_s == latency_s[-1]
    assert result.cost_usd == pytest.approx(sum(each.cost_usd for each in result.models.values()))


@settings(max_examples=30)
@given(st.integers(0, 10_000), POLICIES)
def test_same_arguments_give_the_same_result(seed: int, choice: Choice) -> None:
    workload = Workload(CHAT, 40, Poisson(2.0), streamed=True)

    def once() -> tuple[SimulationResult, list[Decision]]:
        seen: list[Decision] = []
        told = choice(rough_pool())
        return simulate(told, workload, ROUGH, seed, record=seen.append), seen

    (result, seen), (again, seen_again) = once(), once()
    assert result.as_dict() == again.as_dict()
    assert [path(each) for each in seen] == [path(each) for each in seen_again]
    assert [each.at for each in seen] == [each.at for each in seen_again]


def first_outcomes(policy: Policy, seed: int) -> dict[tuple[int, str], tuple[str | None, float]]:
    """Return what each model has said when it was asked first for each request."""
    told = {
        name: replace(ROUGH[name], outages=(), failure=FailureKind.SERVER_ERROR) for name in "abc"
    }
    seen: list[Decision] = []
    workload = Workload(CHAT, 60, Poisson(0.5))
    simulate(policy, workload, told, seed, record=seen.append)
    number = {at: place for place, at in enumerate(sorted(each.started_at for each in seen))}
    outcomes: dict[tuple[int, str], tuple[str | None, float]] = {}
    for decision in seen:
        for attempt in decision.attempts:
            key = (number[decision.started_at], attempt.model)
            outcomes.setdefault(key, (attempt.kind, attempt.latency_s))
    return outcomes


@pytest.mark.parametrize("name", [each for each in names(STRATEGIES) if each != "scored"])
def test_model_does_the_same_for_a_request_under_every_policy(name: str) -> None:
    models = ("a/x", "b/y", "c/z")
    never = RetryPolicy(attempt_timeout_s=1e6)
    ours = first_outcomes(pool(*models, selection=strategy(name), retry=never), 1)
    theirs = first_outcomes(RandomRetry(pool(*models), timeout_s=1e6), 1)
    both = ours.keys() & theirs.keys()
    assert len(both) > 10
    assert {key: ours[key][0] for key in both} == {key: theirs[key][0] for key in both}
    for key in both:
        assert ours[key][1] == pytest.approx(theirs[key][1])


def test_other_seeds_are_other_worlds() -> None:
    results = {simulate(pool(), Workload(CHAT, 30), seed=seed).latency_p50_s for seed in range(5)}
    assert len(results) == 5


def test_nothing_is_in_flight_at_the_end() -> None:
    # Before a lease expires that was never given back, which it does after 600 s.
    one_at_a_time = [replace(model(each), concurrency=1) for each in ("a/x", "b/y", "c/z")]
    router = pool(*one_at_a_time, selection=strategy("load-balanced"), hedge=Hedge(after_s=3.0))
    at_s = [*(0.1 * number for number in range(100)), 400.0]
    _, decisions = run(router, requests(*at_s, streamed=True), ROUGH)
    last = [each for each in decisions if each.started_at == 400.0]
    assert [each.in_flight for each in last[0].choices[0].candidates] == [0, 0, 0]
