"""Workloads: as many requests as stated, when and as large as stated, the same for everybody."""

from collections.abc import Sequence
from itertools import islice, pairwise
from random import Random
from statistics import fmean, median, pvariance

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capability_router.engine.decision import Decision
from capability_router.engine.request import CompletionRequest
from capability_router.simulation import (
    Bursts,
    OrderedFallback,
    Percentiles,
    Poisson,
    Recorded,
    SimulatedProvider,
    Workload,
    simulate,
)
from capability_router.simulation.workload import Arrivals
from tests.simulation.worlds import CHAT, pool


def counted(arrivals: Arrivals, window_s: float, windows: int) -> list[int]:
    """Return how many requests come in each of some windows."""
    counts = [0] * windows
    for at in arrivals.times(Random(1)):
        if at >= window_s * windows:
            break
        counts[int(at / window_s)] += 1
    return counts


def test_poisson_arrivals_have_their_rate_and_its_variance() -> None:
    counts = counted(Poisson(3.0), 10.0, 2_000)
    assert fmean(counts) == pytest.approx(30.0, rel=0.02)
    assert pvariance(counts) == pytest.approx(30.0, rel=0.15)


def test_bursts_have_the_mean_rate_of_both_states_and_a_larger_variance() -> None:
    bursts = Bursts(quiet_per_s=1.0, burst_per_s=20.0, quiet_s=90.0, burst_s=10.0)
    counts = counted(bursts, 10.0, 20_000)
    assert fmean(counts) == pytest.approx(10 * (0.9 * 1.0 + 0.1 * 20.0), rel=0.05)
    assert pvariance(counts) > 10 * fmean(counts)


def test_bursts_begin_with_a_quiet_time() -> None:
    calm = Bursts(quiet_per_s=0.001, burst_per_s=1000.0, quiet_s=1_000.0, burst_s=1.0)
    firsts = [next(calm.times(Random(seed))) for seed in range(200)]
    assert median(firsts) > 100.0


def test_recorded_moments_begin_at_the_first_one() -> None:
    workload = Workload(CHAT, 3, Recorded((100.0, 100.5, 103.0, 200.0)))
    assert [arrival.at for arrival in workload.arrivals(0)] == [0.0, 0.5, 3.0]


def test_there_are_no_more_requests_than_moments() -> None:
    assert len(list(Workload(CHAT, 10, Recorded((0.0, 1.0))).arrivals(0))) == 2


@given(st.integers(0, 2**32))
def test_same_seed_makes_the_same_requests(seed: int) -> None:
    workload = Workload((CHAT, "code-generation"), 20, Bursts(1.0, 10.0, 5.0, 1.0))
    arrivals = list(workload.arrivals(seed))
    assert arrivals == list(workload.arrivals(seed)) != list(workload.arrivals(seed + 1))
    assert [arrival.number for arrival in arrivals] == list(range(20))
    assert all(a.at <= b.at for a, b in pairwise(arrivals))


def test_requests_do_not_depend_on_the_policy() -> None:
    models = pool("a/x", "b/y")
    came: list[list[Decision]] = []
    for policy in (models, OrderedFallback(models)):
        seen: list[Decision] = []
        simulate(
            policy,
            Workload(CHAT, 50),
            {"a": SimulatedProvider(failure_rate=0.3)},
            record=seen.append,
        )
        came.append(sorted(seen, key=lambda each: each.started_at))
    pooled, in_order = ([(each.started_at, each.request) for each in seen] for seen in came)
    assert pooled == in_order


def test_sizes_have_the_percentiles_that_are_stated() -> None:
    workload = Workload(
        CHAT, 5_000, input_tokens=Percentiles(400, 2_000), output_tokens=Percentiles(200, 700)
    )
    arrivals = list(workload.arrivals(0))
    assert median(each.input_tokens for each in arrivals) == pytest.approx(400, rel=0.08)
    assert median(each.output_tokens for each in arrivals) == pytest.approx(200, rel=0.08)
    assert all(each.request.input_tokens == each.input_tokens for each in arrivals)


def test_stated_sizes_hold_for_every_request() -> None:
    arrivals = Workload(CHAT, 5, input_tokens=7, output_tokens=9).arrivals(0)
    assert {(each.input_tokens, each.output_tokens) for each in arrivals} == {(7, 9)}


def test_size_that_a_request_states_goes_before_the_drawn_one() -> None:
    request = CompletionRequest(CHAT, input_tokens=5_000, output_tokens=20)
    arrivals = list(Workload(request, 100).arrivals(0))
    assert {each.input_tokens for each in arrivals} == {5_000}
    assert max(each.output_tokens for each in arrivals) == 20


def test_stated_size_is_the_truth_where_a_request_has_an_estimate() -> None:
    request = CompletionRequest(CHAT, input_tokens=10)
    (arrival,) = Workload(request, 1, input_tokens=7).arrivals(0)
    assert (arrival.input_tokens, arrival.request.input_tokens) == (7, 10)


def test_several_capabilities_are_asked_for_equally_often() -> None:
    arrivals = Workload((CHAT, "code-generation"), 4_000).arrivals(0)
    chats = sum(each.request.capability == CHAT for each in arrivals)
    assert chats == pytest.approx(2_000, rel=0.06)


@pytest.mark.parametrize("wrong", [0.0, -1.0, float("inf"), float("nan")])
def test_rate_out_of_range_is_refused(wrong: float) -> None:
    with pytest.raises(ValueError, match=r"per_s .* must be above 0 and finite"):
        Poisson(wrong)
    with pytest.raises(ValueError, match=r"burst_s .* must be above 0 and finite"):
        Bursts(1.0, 2.0, burst_s=wrong)


@pytest.mark.parametrize("at_s", [(2.0, 1.0), (0.0, float("inf")), (0.0, float("nan"))])
def test_moments_out_of_order_are_refused(at_s: Sequence[float]) -> None:
    with pytest.raises(ValueError, match="finite seconds in their order"):
        Recorded(at_s)


def test_no_moment_at_all_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        Recorded(())


def test_workload_without_a_request_is_refused() -> None:
    with pytest.raises(ValueError, match="requests 0 of"):
        Workload(CHAT, 0)
    with pytest.raises(ValueError, match=r"of \(\) must be at least 1"):
        Workload(())


@pytest.mark.parametrize("name", ["input_tokens", "output_tokens"])
def test_negative_size_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} -1 must be at least 0"):
        Workload(CHAT, **{name: -1})  # type: ignore[arg-type]  # mypy cannot tell which name it is


def test_moments_without_an_end_are_taken_as_needed() -> None:
    assert len(list(islice(Workload(CHAT, 1_000_000).arrivals(0), 5))) == 5
