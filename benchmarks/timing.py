"""How the other benchmarks measure: medians within one run, because machines differ."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

__all__ = ["median_of_pairs_us", "median_us"]

T = TypeVar("T")


def median_us(act: Callable[[], object], *, rounds: int = 30, times: int = 200) -> float:
    """Return the median over rounds of the mean time of one call, in microseconds."""
    means: list[float] = []
    for _ in range(rounds):
        start = time.perf_counter()
        for _ in range(times):
            act()
        means.append((time.perf_counter() - start) / times * 1e6)
    return statistics.median(means)


def median_of_pairs_us(
    first: Callable[[], T], second: Callable[[T], object], *, rounds: int = 30, times: int = 200
) -> tuple[float, float]:
    """Time two acts of which the second takes what the first returns.

    Returns:
        The medians of the first alone and of both together, in microseconds.
    """
    firsts: list[float] = []
    boths: list[float] = []
    for _ in range(rounds):
        start = time.perf_counter()
        made: Sequence[T] = [first() for _ in range(times)]
        between = time.perf_counter()
        for each in made:
            second(each)
        firsts.append((between - start) / times * 1e6)
        boths.append((time.perf_counter() - start) / times * 1e6)
    return statistics.median(firsts), statistics.median(boths)
