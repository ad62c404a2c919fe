"""Several policies in the same worlds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import isnan
from statistics import fmean

from capability_router.display.blocks import Block, Branch, Page, Paged, Table
from capability_router.engine.timing import spell
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
    "cost_per_1000_usd": "USD/1,000",
    "attempts_per_request": "attempts",
    "wasted_calls": "wasted",
}
_SURE = ("success", "latency_p99_s", "cost_per_1000_usd")
_FEW = 10


@dataclass(frozen=True, slots=True)
class Comparison(Paged):
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

    def page(self) -> Page:
        """Return the figures as tables that fit a terminal, with what has to be known of them."""
        rows = [
            (policy, *(_told(name, self.figure(policy, name).mean) for name in _SHOWN))
            for policy in self.results
        ]
        blocks: list[Block] = [Table(("policy", *_SHOWN.values()), rows)]
        if len(self.seeds) > 1:
            blocks.append(self._intervals())
        if remarks := self._remarks():
            blocks.append(Branch("Remarks", tuple(map(Branch, remarks))))
        return Page(self._heading(), tuple(blocks))

    def _heading(self) -> str:
        first = next(iter(self.results.values()))
        outages = fmean(result.outages for result in first)
        worlds = "One world" if len(first) == 1 else f"Mean over {len(first)} worlds"
        span = spell(fmean(result.span_s for result in first))
        return (
            f"{worlds}: {first[0].requests:,} requests in {span}, {outages:.3g} outages of models"
        )

    def _intervals(self) -> Table:
        heads = [f"{_SHOWN[name]}, 95 %" for name in _SURE]
        rows = [
            (policy, *(_range(name, self.figure(policy, name)) for name in _SURE))
            for policy in self.results
        ]
        return Table(("policy", *heads), rows)

    def _remarks(self) -> list[str]:
        """Say what the figures do not: what was lost, what is not known, and how sure they are."""
        remarks: list[str] = []
        for policy, results in self.results.items():
            lost = sum((Counter(result.errors) for result in results), Counter[str]())
            if lost:
                told = ", ".join(f"{count:,} {name}" for name, count in lost.most_common())
                remarks.append(f"{policy} lost {told}")
        first = next(iter(self.results.values()))
        if not any(result.outages for result in first):
            remarks.append("no outage fell into these worlds: take more requests, or more outages")
        if unpriced := first[0].unpriced:
            remarks.append(f"without a price, and counted as free: {', '.join(unpriced)}")
        if 1 < len(first) < _FEW:
            remarks.append(f"95 % intervals of fewer than {_FEW} worlds are too narrow")
        return remarks

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


def _told(name: str, value: float) -> str:
    return "–" if isnan(value) else _SHOWS.get(name, _number)(value)


def _range(name: str, interval: Interval) -> str:
    return f"{_told(name, interval.low)} – {_told(name, interval.high)}"


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


_SHOWS = {"success": "{:.3%}".format, **{name: time_of for name in _SHOWN if name.endswith("_s")}}
