"""Quantities that vary, by the percentiles that people know and publish."""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, inf, log
from statistics import NormalDist

__all__ = ["Percentiles"]

_NORMAL = NormalDist()
_Z90 = _NORMAL.inv_cdf(0.90)
_Z99 = _NORMAL.inv_cdf(0.99)


@dataclass(frozen=True, slots=True)
class Percentiles:
    """A positive quantity with a tail as heavy as its percentiles say.

    Its logarithm is a piecewise linear function of a standard normal variable that goes through
    all three points: log-normal up to the 90th percentile, and from there log-normal with a spread
    of its own, so that the percentiles are met exactly and the tail is as heavy as stated.

    Attributes:
        p50: Median, > 0.
        p90: 90th percentile, > 0; None for a quantity that does not vary.
        p99: 99th percentile, > 0; None for the one of a log-normal through the other two.

    They rise, as with times, or fall, as with speeds, of which the 99th is the slow one.

    Raises:
        ValueError: If one is not above 0 and finite, they do not go one way, or ``p99`` is given
            without ``p90``.

    Example:
        >>> Percentiles(1.0, 2.0, 8.0).at(0.99)
        8.0
    """

    p50: float
    p90: float | None = None
    p99: float | None = None

    def __post_init__(self) -> None:
        known = [point for point in (self.p50, self.p90, self.p99) if point is not None]
        if not all(0 < point < inf for point in known):
            raise ValueError(f"{self} must be above 0 and finite")
        if self.p90 is None and self.p99 is not None:
            raise ValueError(f"{self} has a p99 without a p90")
        if known not in (sorted(known), sorted(known, reverse=True)):
            raise ValueError(f"{self} must only rise or only fall")

    def at(self, share: float) -> float:
        """Return the value at a share of all, above 0 and below 1: at 0.99 it is ``p99``."""
        if self.p90 is None:
            return self.p50
        z = _NORMAL.inv_cdf(share)
        start, slope = self._low if z <= _Z90 else self._high
        return exp(start + slope * z)

    @property
    def mean(self) -> float:
        """The mean of all values."""
        if self.p90 is None:
            return self.p50
        return _part_of_mean(*self._low, -inf, _Z90) + _part_of_mean(*self._high, _Z90, inf)

    @property
    def _low(self) -> tuple[float, float]:
        """Start and slope of the logarithm up to the 90th percentile."""
        return log(self.p50), (log(self.p90 or self.p50) - log(self.p50)) / _Z90

    @property
    def _high(self) -> tuple[float, float]:
        """The same above it."""
        if self.p90 is None or self.p99 is None:
            return self._low
        slope = (log(self.p99) - log(self.p90)) / (_Z99 - _Z90)
        return log(self.p90) - slope * _Z90, slope


def _part_of_mean(start: float, slope: float, low: float, high: float) -> float:
    """Return the integral of exp(start + slope z) over the normal density from low to high."""
    below, above = (
        0.0 if z == -inf else 1.0 if z == inf else _NORMAL.cdf(z - slope) for z in (low, high)
    )
    return exp(start + slope * slope / 2) * (above - below)
