"""Quantities by their percentiles: met exactly, and with the mean that follows from them."""

from math import inf, nan
from statistics import fmean

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from capability_router.simulation import Percentiles

POINTS = st.floats(0.01, 1000.0)
SHARES = st.floats(0.0001, 0.9999)


@st.composite
def several(draw: st.DrawFn) -> Percentiles:
    """Draw three percentiles that rise or fall."""
    points = sorted(draw(st.lists(POINTS, min_size=3, max_size=3)), reverse=draw(st.booleans()))
    return Percentiles(*points)


@given(several())
def test_percentiles_are_met_exactly(told: Percentiles) -> None:
    met = [told.at(0.50), told.at(0.90), told.at(0.99)]
    assert met == pytest.approx([told.p50, told.p90, told.p99], rel=1e-12)


@given(several(), SHARES, SHARES)
def test_values_go_the_way_that_the_percentiles_go(told: Percentiles, a: float, b: float) -> None:
    assume(a < b)
    first, second = told.at(a), told.at(b)
    rises = told.p50 <= (told.p99 or told.p50)
    # As exact as a float is: a flat one may differ in its last digit.
    assert first <= second * (1 + 1e-12) if rises else second <= first * (1 + 1e-12)


def integrated(told: Percentiles, steps: int = 200_000) -> float:
    """Return the mean of the values at the middle of so many equal shares."""
    return fmean(told.at((step + 0.5) / steps) for step in range(steps))


@pytest.mark.parametrize(
    "told",
    [
        Percentiles(1.0, 2.0),
        Percentiles(0.4, 1.0, 3.0),
        Percentiles(80, 50, 20),
        Percentiles(75, 307, 1518),
        Percentiles(5, 5, 5),
    ],
    ids=repr,
)
def test_mean_is_what_integration_finds(told: Percentiles) -> None:
    # What the sum misses lies beyond its last share, in the tail.
    assert told.mean == pytest.approx(integrated(told), rel=0.005)


def test_quantity_with_a_median_alone_does_not_vary() -> None:
    told = Percentiles(3.0)
    assert [told.at(0.001), told.at(0.999), told.mean] == [3.0, 3.0, 3.0]


def test_without_a_99th_percentile_it_is_log_normal() -> None:
    told = Percentiles(1.0, 2.0)
    assert told.at(0.10) == pytest.approx(0.5)
    assert told.at(0.99) == pytest.approx(2.0 ** (2.3263478740 / 1.2815515655))


@pytest.mark.parametrize(
    ("points", "said"),
    [
        ((0.0,), "above 0 and finite"),
        ((-1.0, 2.0), "above 0 and finite"),
        ((1.0, inf), "above 0 and finite"),
        ((nan,), "above 0 and finite"),
        ((1.0, None, 3.0), "a p99 without a p90"),
        ((1.0, 3.0, 2.0), "only rise or only fall"),
    ],
)
def test_percentiles_that_cannot_be_are_refused(
    points: tuple[float, float | None, float | None], said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        Percentiles(*points)
