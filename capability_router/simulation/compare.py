"""Several policies in the same worlds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import isnan

from capability_router.display.blocks import Page, Table
from capability_router.engine.displaying import Bundle
from capability_router.simulation.agenda import STARTS_AT
from capability_router.simulation.intervals import Interval
from capability_router.simulation.providers import SimulatedProvider
from capability_router.simulation.result import SimulationResult, time_of
from capability_router.simulation.scene import Policy, Progress
from capability_router.simulation.simulate import drawn_scene
from capability_router.simulation.workload import Demand

__all__ = ["FIGURES", "Comparison", "compare"]

FIGURES = (
    "success",
    "latency_p50_s",
    "latency_p95_s",
    "latency_p99_s",
    "first_token_p50_s",
    "first_token_p95_s",
    "cost_usd",
    "cost_per_1000_usd",
    "attempts_per_request",
    "wasted_calls",
    "leave_s",
    "return_s",
    "regret_success",
    "regret_latency_s",
    "regret_cost_usd",
)
"""The figures of a result that can be compared."""

_SHOWN = {
    "success": "success",
    "latency_p50_s": "p50",
    "latency_p95_s": "p95",
    "latency_p99_s": "p99",
    "cost_per_1000_usd": "USD per 1,000",
    "attempts_per_request": "attempts",
    "wasted_calls": "wasted",
}


@dataclass(frozen=True, slots=True)
class Comparison:
    """How several policies have fared in the same worlds.

    Attributes:
        seeds: The seeds of the worlds.
        results: For each policy its results, in the order of the seeds.
    """

    seeds: tuple[int, ...]
    results: Mapping[str, tuple[SimulationResult, ...]]

    def figure(self, policy: str, name: str) -> Interval:
        """Return a figure of one policy over all worlds.

        Args:
            policy: Its name.
            name: One of ``FIGURES``.

        Raises:
            KeyError: If there is no such policy.
            ValueError: If there is no such figure.
        """
        return Interval.of(self._values(policy, name))

    def difference(self, policy: str, other: str, name: str) -> Interval:
        """Return by how much a figure of one policy is above that of another, world by world.

        Both live in the same worlds, so that this is far surer than two intervals are.
        """
        pairs = zip(self._values(policy, name), self._values(other, name), strict=True)
        return Interval.of([None if a is None or b is None else a - b for a, b in pairs])

    def as_dict(self) -> dict[str, object]:
        """Return all of it as JSON-ready values: figures with intervals, and every result."""
        return {
            "seeds": list(self.seeds),
            "policies": {
                policy: {
                    "figures": {name: self.figure(policy, name).as_dict() for name in FIGURES},
                    "results": [result.as_dict() for result in results],
                }
                for policy, results in self.results.items()
            },
        }

    def __str__(self) -> str:
        return self.page().bundle()["text/plain"]

    def _repr_mimebundle_(self, **_: object) -> Bundle:
        return self.page().bundle()

    def page(self) -> Page:
        """Return the figures as a table with intervals."""
        rows = [
            (policy, *(_told(name, self.figure(policy, name)) for name in _SHOWN))
            for policy in self.results
        ]
        worlds = len(self.seeds)
        heading = "One world" if worlds == 1 else f"Mean over {worlds} worlds, with 95 % intervals"
        return Page(heading, (Table(("policy", *_SHOWN.values()), rows),))

    def _values(self, policy: str, name: str) -> Sequence[float | None]:
        if name not in FIGURES:
            raise ValueError(f"figure {name!r} is none of {', '.join(FIGURES)}")
        return [getattr(result, name) for result in self.results[policy]]


def compare(
    policies: Mapping[str, Policy],
    workload: Demand,
    providers: Mapping[str, SimulatedProvider] | None = None,
    seeds: Iterable[int] = range(5),
    *,
    progress: Progress | None = None,
    starts_at: float = STARTS_AT,
) -> Comparison:
    """Let several policies serve the same workloads in the same worlds.

    Args:
        policies: What to compare, by a name of yours; all with the same models. See ``simulate``.
        workload: What is asked for, and when.
        providers: How providers, or single models, really behave.
        seeds: Seeds of the worlds; each policy lives in every one. More make it surer.
        progress: Is told how many requests have ended, of all policies and worlds.
        starts_at: Seconds since 1970 UTC at the start, for what goes by the calendar.

    Raises:
        ConfigurationError: If a YAML file is wrong.
        ValueError: If there is no policy or no seed, the policies have other models, or
            ``providers`` names what is neither a provider nor a model.
    """
    seeds = tuple(seeds)
    if not policies or not seeds:
        raise ValueError(f"policies {list(policies)} and seeds {list(seeds)} must not be empty")
    results: dict[str, list[SimulationResult]] = {name: [] for name in policies}
    first = next(iter(policies.values()))
    runs = len(seeds) * len(policies)
    for world, seed in enumerate(seeds):
        scene = drawn_scene(first, workload, providers or {}, seed, starts_at)
        for number, (name, policy) in enumerate(policies.items()):
            before = world * len(policies) + number
            told = progress and partial(_within, progress, before, runs)
            results[name].append(scene.play(policy, progress=told))
    return Comparison(seeds, {name: tuple(each) for name, each in results.items()})


def _within(progress: Progress, before: int, runs: int, done: int, total: int) -> None:
    """Tell how far one run of several is."""
    progress(before * total + done, runs * total)


def _told(name: str, interval: Interval) -> str:
    if isnan(interval.mean):
        return "–"
    show = _SHOWS.get(name, _number)
    if isnan(interval.low):
        return show(interval.mean)
    return f"{show(interval.mean)} ({show(interval.low)} – {show(interval.high)})"


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


_SHOWS = {"success": "{:.3%}".format, **{name: time_of for name in _SHOWN if name.endswith("_s")}}
