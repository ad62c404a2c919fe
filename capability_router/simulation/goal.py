"""What a search is for: trials of settings, the goal that ranks them, and what can be traded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf, isnan

from capability_router.simulation.compare import FIGURES
from capability_router.simulation.intervals import Interval, mean
from capability_router.simulation.result import SimulationResult
from capability_router.simulation.settings import Settings

__all__ = ["Goal", "Trial", "front"]

_TRADED = ("success", "latency_p95_s", "cost_per_1000_usd")


@dataclass(frozen=True, slots=True)
class Trial:
    """One point of the space, tried.

    Attributes:
        settings: What was changed; empty for the pool as it is.
        requests: Requests of each world in the longest round that it took part in.
        results: What came of them, one for each world.
    """

    settings: Settings
    requests: int
    results: tuple[SimulationResult, ...]

    def figure(self, name: str) -> Interval:
        """Return a figure over all worlds; see ``FIGURES``."""
        return Interval.of(self._values(name))

    def mean(self, name: str) -> float:
        """Return the mean of a figure over all worlds; ``nan`` if none has it."""
        return mean(self._values(name))

    @property
    def named(self) -> str:
        """The settings in words."""
        return ", ".join(f"{name}={value}" for name, value in self.settings.items()) or "as it is"

    def as_dict(self) -> dict[str, object]:
        """Return the settings and all figures as JSON-ready values."""
        return {
            "settings": {name: _plain(value) for name, value in self.settings.items()},
            "requests": self.requests,
            "figures": {name: self.figure(name).as_dict() for name in FIGURES},
        }

    def _values(self, name: str) -> list[float | None]:
        return [getattr(result, name) for result in self.results]


@dataclass(frozen=True, slots=True)
class Goal:
    """What is wanted.

    Attributes:
        minimize: The figure that is to be small.
        at_least: Figures with what they have to reach.
        at_most: Figures with what they may not pass.
    """

    minimize: str
    at_least: Mapping[str, float]
    at_most: Mapping[str, float]

    def __post_init__(self) -> None:
        for name in (self.minimize, *self.at_least, *self.at_most):
            if name not in FIGURES:
                raise ValueError(f"figure {name!r} is none of {', '.join(FIGURES)}")

    def shortfall(self, trial: Trial) -> float:
        """Return by how much the limits are missed, in shares of each; 0 if all are kept."""
        below = (limit - trial.mean(name) for name, limit in self.at_least.items())
        above = (trial.mean(name) - limit for name, limit in self.at_most.items())
        limits = (*self.at_least.values(), *self.at_most.values())
        missed = zip((*below, *above), limits, strict=True)
        return sum(_share(max(0.0, miss) if not isnan(miss) else inf, by) for miss, by in missed)

    def rank(self, trial: Trial) -> tuple[float, float]:
        """Return what to sort trials by; the best one comes first."""
        figure = trial.mean(self.minimize)
        return self.shortfall(trial), inf if isnan(figure) else figure


def front(trials: Sequence[Trial]) -> list[Trial]:
    """Return the trials that no other one is better than in one thing, and as good in all."""
    traded = [_costs(trial) for trial in trials]
    return [
        trial
        for trial, own in zip(trials, traded, strict=True)
        if not any(
            other != own and all(a <= b for a, b in zip(other, own, strict=True))
            for other in traded
        )
    ]


def _costs(trial: Trial) -> tuple[float, ...]:
    """Return what is traded, each so that less is better."""
    success, *others = (trial.mean(name) for name in _TRADED)
    return -success, *(inf if isnan(other) else other for other in others)


def _share(miss: float, limit: float) -> float:
    return miss / abs(limit) if limit else miss


def _plain(value: object) -> object:
    return value if isinstance(value, str | int | float | bool | None) else str(value)
