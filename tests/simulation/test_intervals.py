"""How sure a mean is: intervals that hold it, and say nothing where nothing is known."""

from math import inf, isnan, nan
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capability_router.simulation import Interval

VALUES = st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=12)


@settings(max_examples=30)
@given(VALUES)
def test_interval_lies_within_the_values_and_is_the_same_again(values: list[float]) -> None:
    interval = Interval.of(values)
    slack = 1e-9 * max(map(abs, values))
    assert min(values) - slack <= interval.low <= interval.high <= max(values) + slack
    assert interval == Interval.of(values)


def test_interval_holds_the_true_mean_about_as_often_as_it_says() -> None:
    rng = Random(5)
    trials, held = 80, 0
    for _ in range(trials):
        interval = Interval.of([rng.gauss(3.0, 1.0) for _ in range(20)])
        held += interval.low <= 3.0 <= interval.high
    # Of 20 values the percentile bootstrap is a little too narrow.
    assert 0.86 <= held / trials <= 0.99


def test_more_values_make_it_surer() -> None:
    few, many = ([float(number % 2) for number in range(count)] for count in (10, 100))
    assert width(Interval.of(many)) < width(Interval.of(few)) / 2


def width(interval: Interval) -> float:
    return interval.high - interval.low


def test_what_is_no_number_is_left_out() -> None:
    assert Interval.of([1.0, None, nan, inf, 3.0]) == Interval.of([1.0, 3.0])


def test_one_value_has_no_interval() -> None:
    alone = Interval.of([0.25])
    assert (alone.mean, isnan(alone.low), isnan(alone.high)) == (0.25, True, True)
    assert not alone.excludes_zero
    assert alone.as_dict() == {"mean": 0.25, "low": None, "high": None}


def test_no_value_has_no_mean() -> None:
    nothing = Interval.of([None, nan])
    assert isnan(nothing.mean)
    assert nothing.as_dict() == {"mean": None, "low": None, "high": None}


@pytest.mark.parametrize(
    ("values", "excludes"),
    [
        ([1.0, 2.0, 3.0], True),
        ([-1.0, -2.0, -3.0], True),
        ([-1.0, 1.0, 0.5, -0.5], False),
        ([0.0, 0.0], False),
    ],
)
def test_difference_is_hardly_chance_where_the_interval_excludes_zero(
    values: list[float], excludes: bool
) -> None:
    assert Interval.of(values).excludes_zero is excludes
