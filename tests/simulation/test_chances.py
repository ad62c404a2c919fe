"""Chance that belongs to a place: even, independent, and the same for whoever looks."""

from statistics import correlation, fmean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capability_router.simulation.chances import Chances, generator

NUMBERS = st.integers(0, 2**40)


@given(NUMBERS, st.text(max_size=10), NUMBERS, st.integers(0, 100))
def test_place_has_its_shares_whatever_was_looked_at_before(
    seed: int, what: str, number: int, again: int
) -> None:
    chances = Chances(seed, what)
    chances.at(number + 1)
    shares = chances.at(number, again)
    assert shares == Chances(seed, what).at(number, again)
    assert all(0 < share < 1 for share in shares)
    others = (
        chances.at(number + 1, again),
        chances.at(number, again + 1),
        Chances(seed + 1, what).at(number, again),
        Chances(seed, what + "'").at(number, again),
    )
    assert shares not in others


def test_shares_are_even_and_independent() -> None:
    chances = Chances(0, "model:a/x")
    columns = list(zip(*map(chances.at, range(4_000)), strict=True))
    for column in columns:
        assert fmean(column) == pytest.approx(0.5, abs=0.02)
        assert fmean(share < 0.1 for share in column) == pytest.approx(0.1, abs=0.02)
    pairs = [(a, b) for a in range(4) for b in range(a)]
    for a, b in pairs:
        assert correlation(columns[a], columns[b]) == pytest.approx(0.0, abs=0.06)


def test_generators_are_their_own() -> None:
    first, again, other = (generator(1, what).random() for what in ("a", "a", "b"))
    assert first == again != other
