"""The search for parameters: finds what is best, keeps what was asked for, and changes nothing."""

from json import dumps
from math import inf
from typing import Any

import pytest

from capability_router.engine.deactivation import ErrorThreshold
from capability_router.engine.errors import UnknownPoolError
from capability_router.engine.model import Price
from capability_router.engine.outcome import FailureKind
from capability_router.router import CapabilityRouter
from capability_router.simulation import (
    Outage,
    Poisson,
    SimulatedProvider,
    Tuning,
    Workload,
    simulate,
    tune,
)
from capability_router.simulation.settings import Space
from tests.simulation.worlds import CHAT, model, pool, steady

# a is cheap and hangs now and then, b is dear and always answers.
WORKLOAD = Workload(CHAT, 180, Poisson(0.5), input_tokens=100, output_tokens=100)
HANGS = tuple(Outage(at, at + 40.0, FailureKind.TIMEOUT) for at in (5.0, 100.0, 200.0, 300.0))
TOLD = {"a": steady(1.0, 100.0, outages=HANGS), "b": steady(2.0, 100.0)}
SPACE: Space = {
    "retry.attempt_timeout_s": [4.0, 60.0],
    "selection": ["cost-first", "latency-first"],
    "retry.max_attempts": [1, 3],
}


def router() -> CapabilityRouter:
    return pool(model("a/x", Price(100.0, 100.0)), model("b/y", Price(1_000.0, 1_000.0)))


def tuned(minimize: str = "latency_p95_s", worlds: int = 2, **said: Any) -> Tuning:
    return tune(
        router(), CHAT, SPACE, WORKLOAD, TOLD, minimize=minimize, seeds=range(worlds), **said
    )


@pytest.fixture(scope="module")
def found() -> Tuning:
    return tuned(worlds=3, at_least={"success": 1.0})


def test_point_that_is_best_of_all_is_found(found: Tuning) -> None:
    assert found.meets
    assert found.best.settings["retry.attempt_timeout_s"] == 4.0
    assert found.best.settings["retry.max_attempts"] == 3
    as_it_is = next(trial for trial in found.trials if not trial.settings)
    assert found.best.mean("latency_p95_s") < as_it_is.mean("latency_p95_s") / 5


def test_policy_that_is_found_has_the_figures_of_the_best_trial(found: Tuning) -> None:
    again = pool(*router().models)
    again.update_pool(CHAT, found.policy)
    for seed, result in enumerate(found.best.results):
        assert simulate(again, WORKLOAD, TOLD, seed).as_dict() == result.as_dict()


def test_limits_go_before_what_is_to_be_small() -> None:
    free = tuned("cost_per_1000_usd")
    bound = tuned("cost_per_1000_usd", at_least={"success": 1.0}, at_most={"latency_p95_s": 8.0})
    assert bound.meets
    assert bound.best.mean("success") == 1.0
    assert bound.best.mean("latency_p95_s") <= 8.0
    assert free.best.mean("cost_per_1000_usd") < bound.best.mean("cost_per_1000_usd")


def test_goal_out_of_reach_is_missed_by_as_little_as_possible() -> None:
    missed = tuned("cost_per_1000_usd", at_most={"latency_p50_s": 0.5})
    assert not missed.meets
    last = [trial for trial in missed.trials if trial.requests == 180]
    assert missed.best.mean("latency_p50_s") == min(each.mean("latency_p50_s") for each in last)
    assert "misses it" in str(missed)


TRADED = (("success", -1), ("latency_p95_s", 1), ("cost_per_1000_usd", 1))


def test_front_is_what_nobody_of_the_last_round_beats(found: Tuning) -> None:
    last = [trial for trial in found.trials if trial.requests == 180]
    costs = {each.named: [sign * each.mean(name) for name, sign in TRADED] for each in last}

    def beaten(name: str) -> bool:
        return any(
            all(a <= b for a, b in zip(other, costs[name], strict=True)) and other != costs[name]
            for other in costs.values()
        )

    assert {each.named for each in found.front} == {name for name in costs if not beaten(name)}
    assert found.best.named in costs


def test_pool_as_it_is_takes_part_to_the_end(found: Tuning) -> None:
    assert {} in [trial.settings for trial in found.trials if trial.requests == 180]


def test_rounds_grow_and_fewer_go_on(found: Tuning) -> None:
    assert len(found.trials) == 9
    requests = [trial.requests for trial in found.trials]
    assert requests == sorted(requests, reverse=True)
    assert set(requests) <= {20, 60, 180}
    assert requests.count(180) < 9
    assert len({trial.named for trial in found.trials}) == 9


def test_larger_space_is_drawn_from() -> None:
    space: Space = {"retry.base_s": list(range(50)), "retry.max_attempts": list(range(1, 51))}
    few = tune(router(), CHAT, space, Workload(CHAT, 9), trials=5, seeds=[0])
    assert len(few.trials) == 6
    again = tune(router(), CHAT, space, Workload(CHAT, 9), trials=5, seeds=[0])
    other = tune(router(), CHAT, space, Workload(CHAT, 9), trials=5, seeds=[0], seed=1)
    assert names(few) == names(again) != names(other)


def names(tuning: Tuning) -> set[str]:
    return {trial.named for trial in tuning.trials}


def test_router_that_is_given_is_not_changed() -> None:
    given = router()
    before = given.pool(CHAT).rotation_policy
    tune(given, CHAT, SPACE, WORKLOAD, TOLD, seeds=[0])
    assert given.pool(CHAT).rotation_policy is before
    assert given.decisions == []


def test_parameters_may_only_be_valid_together() -> None:
    together: Space = {"recovery.initial_s": [100.0], "recovery.max_s": [200.0]}
    found = tune(router(), CHAT, together, Workload(CHAT, 9), seeds=[0])
    assert len(found.trials) == 2
    with pytest.raises(ValueError, match=r"recovery\.initial_s=100\.0: initial_s 100\.0 must be"):
        tune(router(), CHAT, {"recovery.initial_s": [100.0]}, Workload(CHAT, 9), seeds=[0])


def test_whole_part_may_be_replaced_and_changed_at_once() -> None:
    space: Space = {"deactivation": [ErrorThreshold(rate=None)], "deactivation.consecutive": [7]}
    found = tune(
        router(), CHAT, space, Workload(CHAT, 9), minimize="latency_p50_s", seeds=[0], trials=1
    )
    (point,) = [trial for trial in found.trials if trial.settings]
    assert dumps(point.as_dict(), allow_nan=False)
    assert "consecutive=7" in point.named


@pytest.mark.parametrize(
    ("name", "values", "said"),
    [
        ("speed", [1], r"parameter 'speed': RotationPolicy has no 'speed'; it has deactivation"),
        ("retry.speed", [1], r"parameter 'retry\.speed': RetryPolicy has no 'speed'"),
        ("max_ejected.share", [1], r"float has no 'share'; it has no parameters"),
        ("retry.max_attempts", [0], r"retry\.max_attempts=0: max_attempts 0"),
        ("selection", ["no-such-strategy"], "no-such-strategy"),
        ("retry.base_s", [], r"space 'retry\.base_s' must name at least one value"),
    ],
)
def test_wrong_parameters_are_refused(name: str, values: list[object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        tune(router(), CHAT, {name: values}, WORKLOAD)


def test_unknown_figures_and_pools_are_refused() -> None:
    with pytest.raises(ValueError, match="figure 'speed' is none of"):
        tune(router(), CHAT, SPACE, WORKLOAD, minimize="speed")
    with pytest.raises(ValueError, match="figure 'speed' is none of"):
        tune(router(), CHAT, SPACE, WORKLOAD, at_most={"speed": 1.0})
    with pytest.raises(UnknownPoolError):
        tune(router(), "no-such-pool", SPACE, WORKLOAD)


@pytest.mark.parametrize("trials", [0, -1])
def test_no_trial_is_refused(trials: int) -> None:
    with pytest.raises(ValueError, match=f"trials {trials} must be at least 1"):
        tune(router(), CHAT, SPACE, WORKLOAD, trials=trials)


def test_no_world_is_refused() -> None:
    with pytest.raises(ValueError, match=r"seeds \(\) not empty"):
        tune(router(), CHAT, SPACE, WORKLOAD, seeds=())


def test_progress_ends_with_all_simulations() -> None:
    told: list[tuple[int, int]] = []
    tuned(progress=lambda *each: told.append(each))
    done, total = zip(*told, strict=True)
    assert list(done) == list(range(1, len(done) + 1))
    assert list(total) == sorted(total, reverse=True)
    assert told[-1][0] == told[-1][1]
    assert total[0] == 3 * 9 * 2


def test_all_of_it_is_json_and_can_be_read(found: Tuning) -> None:
    assert dumps(found.as_dict(), allow_nan=False)
    shown = str(found)
    assert shown.startswith("▶ meets the goal; of 9 trials")
    assert shown.count("▶") >= 2
    assert found._repr_mimebundle_()["text/html"]


def test_trial_that_answers_nothing_ranks_last() -> None:
    down = {name: SimulatedProvider(outages=(Outage(0.0),)) for name in "ab"}
    found = tune(router(), CHAT, {"retry.max_attempts": [1, 2]}, WORKLOAD, down, seeds=[0])
    assert dumps(found.as_dict(), allow_nan=False)
    assert found.meets
    assert not found.best.mean("latency_p50_s") < inf
