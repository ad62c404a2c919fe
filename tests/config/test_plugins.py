"""Strategies and functions that a document names, and what they are told."""

import sys
from importlib.metadata import EntryPoint, EntryPoints
from random import Random

import pytest

from capability_router import registry
from capability_router.config import loads
from capability_router.engine.adaptive import Adaptive
from capability_router.engine.costs import CostFirst
from capability_router.engine.headroom import RateLimitAware
from capability_router.engine.sampling import LatencyFirst, LoadBalanced, Weighted
from capability_router.engine.scored import Scored
from capability_router.engine.selection import (
    InOrder,
    Priority,
    RoundRobin,
    StickUntilFailure,
    StrategyFactory,
    WithParameters,
)
from tests.config.bad import problem_of
from tests.config.own import Tuned, tokens_left, wants_small

TUNED = "tests.config.own:Tuned"


def strategy_of(written: str) -> StrategyFactory:
    models = "providers: {a: }\nmodels: {a/m: {capabilities: [ocr]}}"
    pool = f"{{hierarchy_node: ocr, strategy: {written}}}"
    text = f"allow_imports: true\n{models}\npools: {{p: {pool}}}"
    return loads(text).pools[0].policy.selection


def tuned(parameters: str) -> Tuned:
    """Make the strategy as a pool does."""
    made = strategy_of(f"{{name: '{TUNED}', {parameters}}}")(Random(1))
    assert isinstance(made, Tuned)
    return made


@pytest.mark.parametrize(
    ("written", "strategy", "told"),
    [
        (
            "weighted, weights: {a/m: 3}, slow_start: 1m, slow_start_from: 0.2",
            Weighted,
            {"weights": {"a/m": 3}, "slow_start_s": 60.0, "slow_start_from": 0.2},
        ),
        ("latency-first, first_token: true", LatencyFirst, {"first_token": True}),
        ("load-balanced, by: absolute", LoadBalanced, {"by": "absolute"}),
        ("rate-limit-aware, switch_at: 0.9", RateLimitAware, {"switch_at": 0.9}),
        ("priority, fallback: cost-first", Priority, {"fallback": CostFirst}),
        ("adaptive, cost_weight: 0, memory: 50", Adaptive, {"cost_weight": 0, "memory": 50}),
        ("scored, score: tests.config.own:tokens_left", Scored, {"score": tokens_left}),
    ],
)
def test_strategies_that_ship_have_parameters(
    written: str, strategy: type, told: dict[str, object]
) -> None:
    make = strategy_of(f"{{name: {written}}}")
    assert isinstance(make, WithParameters)
    assert (make.make, make.parameters) == (strategy, told)


@pytest.mark.parametrize(
    ("written", "strategy"),
    [
        ("priority", Priority),
        ("round-robin", RoundRobin),
        ("stick-until-failure", StickUntilFailure),
        ("{name: round-robin}", RoundRobin),
        ("capability_router.engine.selection:RoundRobin", RoundRobin),
    ],
)
def test_a_strategy_is_found_by_its_name_or_its_import_path(written: str, strategy: type) -> None:
    assert strategy_of(written) is strategy


def test_parameters_are_handed_to_the_strategy_as_they_stand() -> None:
    made = tuned("weights: {a/m: 3, b/m: 0.5}, share: 1")
    assert (made.weights, made.share) == ({"a/m": 3, "b/m": 0.5}, 1)
    assert made.slow_start_s == 30.0


def test_a_parameter_in_seconds_is_written_as_a_duration() -> None:
    assert tuned("weights: {a: 1}, slow_start: 1m30s").slow_start_s == 90.0


def test_a_parameter_that_is_a_strategy_is_written_as_one() -> None:
    assert tuned("weights: {a: 1}, other: round-robin").other is RoundRobin


def test_a_strategy_within_a_strategy_has_parameters_too() -> None:
    make = strategy_of(f"{{name: priority, fallback: {{name: '{TUNED}', weights: {{a: 1}}}}}}")
    assert isinstance(make, WithParameters)
    fallback = make.parameters["fallback"]
    assert isinstance(fallback, WithParameters)
    assert (fallback.make, fallback.parameters) == (Tuned, {"weights": {"a": 1}})


def test_a_parameter_that_is_a_function_is_written_as_its_import_path() -> None:
    assert tuned("weights: {a: 1}, score: tests.config.own:wants_small").score is wants_small


def test_every_pool_and_kind_of_request_gets_a_strategy_of_its_own() -> None:
    make = strategy_of(f"{{name: '{TUNED}', weights: {{a: 1}}}}")
    assert make(Random(1)) is not make(Random(1))


def test_a_strategy_of_another_distribution_has_parameters_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    points = EntryPoints([EntryPoint("tuned", TUNED, "capability_router.strategies")])
    monkeypatch.setattr(registry, "entry_points", points.select)
    text = "pools: {p: {hierarchy_node: ocr, strategy: {name: tuned, weights: {a: 1}}}}"
    (pool,) = loads(text).pools
    assert isinstance(pool.policy.selection(Random(1)), Tuned)


def test_annotations_that_only_a_type_checker_understands_do_no_harm(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def make(rng: Random, *, fallback: "Unknown", pause_s: "Unknown" = 1.0) -> InOrder:  # type: ignore[name-defined]  # noqa: F821 - as under TYPE_CHECKING
        del fallback, pause_s
        return InOrder(rng)

    monkeypatch.setattr(sys.modules["tests.config.own"], "make", make, raising=False)
    written = "{name: 'tests.config.own:make', fallback: priority, pause: 2s}"
    made = strategy_of(written)
    assert isinstance(made, WithParameters)
    assert made.parameters == {"fallback": Priority, "pause_s": 2.0}


def test_a_function_selects_the_models_of_a_pool() -> None:
    pool = "{hierarchy_node: ocr, select: tests.config.own:wants_small}"
    plan = loads(f"allow_imports: true\npools: {{p: {pool}}}")
    assert plan.pools[0].preferences.select is wants_small


def test_nothing_is_imported_where_that_is_not_allowed() -> None:
    problem = problem_of("pools: {p: {hierarchy_node: ocr, select: 'no_such_module:wants'}}")
    assert "allow_imports: true" in problem.message


def test_all_that_is_wrong_with_a_strategy_is_told_at_once() -> None:
    text = f"{{name: '{TUNED}', slow_start: 5, weight: 1, other: nobody, score: nobody}}"
    with pytest.raises(ValueError, match="weights") as caught:
        strategy_of(text)
    assert len(str(caught.value).splitlines()) == 5


def test_what_a_strategy_objects_to_shows_no_value_from_the_environment() -> None:
    strategy = f"{{name: '{TUNED}', weights: {{a: 1}}, only: '${{env:SET}}'}}"
    pool = f"{{hierarchy_node: ocr, strategy: {strategy}}}"
    problem = problem_of(f"allow_imports: true\npools: {{p: {pool}}}")
    assert problem.key_path == "pools.p.strategy"
    assert "a reference" in problem.message
