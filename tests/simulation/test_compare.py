"""Policies in the same worlds: paired differences, with intervals, as a table and as data."""

from json import dumps
from math import isnan

import pytest

from capability_router.engine.deactivation import ErrorThreshold
from capability_router.engine.outcome import FailureKind
from capability_router.engine.retry import RetryPolicy
from capability_router.registry import strategy
from capability_router.simulation import (
    Comparison,
    Interval,
    OrderedFallback,
    Outage,
    Outages,
    Percentiles,
    SimulatedProvider,
    StickyFallback,
    Workload,
    compare,
    simulate,
)
from capability_router.simulation.compare import FIGURES
from capability_router.simulation.scene import Policy
from tests.simulation.worlds import CHAT, pool

WORKLOAD = Workload(CHAT, 150)
ROUGH = {"a": SimulatedProvider(failure_rate=0.1, outages=(Outages(0.7, Percentiles(20.0, 40.0)),))}


def policies() -> dict[str, Policy]:
    models = pool()
    hasty = pool(retry=RetryPolicy(max_attempts=1))
    return {"pool": models, "hasty": hasty, "in order": OrderedFallback(models, retries=0)}


@pytest.fixture(scope="module")
def comparison() -> Comparison:
    return compare(policies(), WORKLOAD, ROUGH, range(4))


def test_every_policy_lives_in_the_world_of_a_simulation_alone(comparison: Comparison) -> None:
    for name, policy in policies().items():
        alone = [simulate(policy, WORKLOAD, ROUGH, seed).as_dict() for seed in range(4)]
        assert [each.as_dict() for each in comparison.results[name]] == alone


def test_figure_is_the_mean_over_the_worlds(comparison: Comparison) -> None:
    values = [each.success for each in comparison.results["hasty"]]
    assert comparison.figure("hasty", "success") == Interval.of(values)
    assert comparison.figure("hasty", "success").mean == pytest.approx(sum(values) / 4)


def test_difference_is_taken_world_by_world(comparison: Comparison) -> None:
    pairs = zip(comparison.results["pool"], comparison.results["hasty"], strict=True)
    expected = Interval.of([one.success - other.success for one, other in pairs])
    found = comparison.difference("pool", "hasty", "success")
    assert found == expected
    assert found.mean > 0
    assert found.excludes_zero
    assert comparison.difference("hasty", "pool", "success").mean == pytest.approx(-found.mean)


def test_policy_does_not_differ_from_itself(comparison: Comparison) -> None:
    for name in FIGURES:
        difference = comparison.difference("pool", "pool", name)
        assert difference.mean == 0.0 or isnan(difference.mean)
        assert not difference.excludes_zero


def test_paired_difference_is_surer_than_two_intervals(comparison: Comparison) -> None:
    one, other = (comparison.figure(name, "latency_p50_s") for name in ("pool", "in order"))
    both = comparison.difference("pool", "in order", "latency_p50_s")
    assert both.high - both.low < (one.high - one.low) + (other.high - other.low)


def test_figure_that_only_some_worlds_have_is_of_those() -> None:
    rare = {"a": SimulatedProvider(outages=(Outages(0.9, Percentiles(30.0)),))}
    hasty = pool(selection=strategy("priority"), deactivation=ErrorThreshold(consecutive=1))
    found = compare({"pool": hasty}, Workload(CHAT, 100), rare, range(6))
    known = [each.leave_s for each in found.results["pool"] if each.leave_s is not None]
    assert 0 < len(known) < 6
    assert found.figure("pool", "leave_s").mean == pytest.approx(sum(known) / len(known))


def test_all_of_it_is_json(comparison: Comparison) -> None:
    told = comparison.as_dict()
    dumps(told, allow_nan=False)
    assert told["seeds"] == [0, 1, 2, 3]
    assert set(comparison.results) == {"pool", "hasty", "in order"}


def test_table_has_a_row_for_each_policy(comparison: Comparison) -> None:
    lines = str(comparison).splitlines()
    assert lines[0].startswith("Mean over 4 worlds: 150 requests in 2 min")
    assert [line.split("  ")[0] for line in lines[2:5]] == ["pool", "hasty", "in order"]
    assert comparison._repr_mimebundle_()["text/html"]


def test_one_world_has_no_intervals() -> None:
    found = compare({"pool": pool()}, Workload(CHAT, 20), seeds=[0])
    heading, _, row = str(found).splitlines()[:3]
    assert heading.startswith("One world: 20 requests in ")
    assert "nan" not in row
    assert "(" not in row
    assert not found.difference("pool", "pool", "success").excludes_zero


def test_progress_goes_over_all_policies_and_worlds() -> None:
    told: list[tuple[int, int]] = []
    compare(policies(), WORKLOAD, seeds=range(2), progress=lambda *each: told.append(each))
    done = [each for each, _ in told]
    assert done == sorted(done)
    assert told[-1] == (900, 900)


def test_nothing_to_compare_is_refused() -> None:
    with pytest.raises(ValueError, match="must not be empty"):
        compare({}, WORKLOAD)
    with pytest.raises(ValueError, match="must not be empty"):
        compare(policies(), WORKLOAD, seeds=())


def test_policies_with_other_models_are_refused() -> None:
    other = StickyFallback(pool("a/x", "c/z"))
    with pytest.raises(ValueError, match="do not have the same models: b/y, c/z"):
        compare({"pool": pool(), "other": other}, WORKLOAD)


def test_unknown_figures_and_policies_are_refused(comparison: Comparison) -> None:
    with pytest.raises(ValueError, match="figure 'speed' is none of success, latency_p50_s"):
        comparison.figure("pool", "speed")
    with pytest.raises(KeyError, match="nobody"):
        comparison.figure("nobody", "success")


def test_what_has_to_be_known_of_the_figures_is_said() -> None:
    router = pool("a/x")
    never = {"a": SimulatedProvider(outages=(Outage(30.0, 60.0, FailureKind.AUTH),))}
    told = str(compare({"pool": router}, Workload(CHAT, 60), never, range(2)))
    assert "pool lost" in told
    assert "after auth" in told
    assert "without a price, and counted as free: a/x" in told
    assert "fewer than 10 worlds are too narrow" in told
    assert "no outage fell into these worlds" not in told
    assert "no outage fell into these worlds" in str(compare({"pool": router}, Workload(CHAT, 5)))


def test_a_capability_that_no_model_has_is_refused() -> None:
    with pytest.raises(ValueError, match="no model can serve 'ocr': register one"):
        compare({"pool": pool("a/x")}, Workload("ocr", 5))
