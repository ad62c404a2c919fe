"""How sure a mean over several worlds is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite, isnan, nan
from random import Random
from statistics import fmean

__all__ = ["Interval", "mean"]

_RESAMPLES = 2_000
_TAIL = 0.025


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean, and what it may well lie between.

    Attributes:
        mean: The mean of the values that there are; ``nan`` if there is none.
        low: Lower end of a 95 % interval; ``nan`` if there are not two values.
        high: Upper end of it.

    The interval is the percentile bootstrap's (B. Efron, "Bootstrap Methods", 1979): the 2.5th and
    97.5th percentile of the means of 2,000 samples that are drawn from the values, with repetition.
    With fewer than about ten values it is too narrow, and of one there is none.
    """

    mean: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float | None]) -> Interval:
        """Return the interval of the mean of some values; those that are no number are left out."""
        known = _known(values)
        if len(known) < 2:
            return cls(mean(known), nan, nan)
        # The same values have the same interval, whoever asks.
        rng = Random(len(known))
        means = sorted(fmean(rng.choices(known, k=len(known))) for _ in range(_RESAMPLES))
        edge = round(_TAIL * _RESAMPLES)
        return cls(fmean(known), means[edge], means[-1 - edge])

    def __str__(self) -> str:
        return f"{self.mean:.4g} ({self.low:.4g} – {self.high:.4g})"

    def as_dict(self) -> dict[str, float | None]:
        """Return it as JSON-ready values; None where there is no number."""
        ends = {"mean": self.mean, "low": self.low, "high": self.high}
        return {name: None if isnan(end) else end for name, end in ends.items()}

    @property
    def excludes_zero(self) -> bool:
        """Whether it is all above or all below 0: a difference that is hardly chance."""
        return self.low > 0 or self.high < 0


def mean(values: Sequence[float | None]) -> float:
    """Return the mean of some values; those that are no number are left out, ``nan`` if all are."""
    known = _known(values)
    return fmean(known) if known else nan


def _known(values: Sequence[float | None]) -> list[float]:
    return [value for value in values if value is not None and isfinite(value)]
