"""A search for the parameters of a pool that meet a goal best."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from random import Random

from capability_router.display.blocks import Page, Paged, Table
from capability_router.engine.chance import Chance
from capability_router.engine.rotation import RotationPolicy
from capability_router.engine.router import Router
from capability_router.engine.timing import World
from capability_router.simulation.agenda import STARTS_AT, SimulatedClock
from capability_router.simulation.contenders import Config, router_of
from capability_router.simulation.goal import Goal, Trial, front
from capability_router.simulation.providers import SimulatedProvider
from capability_router.simulation.result import SimulationResult, time_of
from capability_router.simulation.scene import Progress, Scene
from capability_router.simulation.settings import Settings, Space, changed, sampled
from capability_router.simulation.simulate import drawn_scene
from capability_router.simulation.workload import Demand

__all__ = ["Trial", "Tuning", "tune"]

_KEPT = 3
"""One in so many goes on to the next round, as in the study of successive halving."""

_PARTS = (9, 3, 1)
"""Which part of the workload each round serves: all of it in the last one."""


@dataclass(frozen=True, slots=True)
class Tuning(Paged):
    """What a search has found.

    Attributes:
        best: The trial that meets the goal best, of those of the last round.
        policy: The rotation of ``best``, to be given to ``update_pool``.
        meets: Whether it keeps every limit of the goal.
        front: The trials of the last round that no other one beats in success, in p95 latency and
            in cost at once: what can be traded for what.
        trials: All trials, the best one first; those of longer rounds before all others.
    """

    best: Trial
    policy: RotationPolicy
    meets: bool
    front: tuple[Trial, ...]
    trials: tuple[Trial, ...]

    def as_dict(self) -> dict[str, object]:
        """Return all of it as JSON-ready values."""
        return {
            "best": self.best.as_dict(),
            "meets": self.meets,
            "front": [trial.as_dict() for trial in self.front],
            "trials": [trial.as_dict() for trial in self.trials],
        }

    def page(self) -> Page:
        """Return the front as a table."""
        rows = [
            (
                ("▶ " if trial is self.best else "  ") + trial.named,
                f"{trial.mean('success'):.3%}",
                time_of(trial.mean("latency_p95_s")),
                f"{trial.mean('cost_per_1000_usd'):,.4g}",
            )
            for trial in self.front
        ]
        met = "meets the goal" if self.meets else "comes closest to the goal, and misses it"
        heading = f"▶ {met}; of {len(self.trials)} trials these are beaten by none in everything"
        table = Table(("settings", "success", "p95", "USD per 1,000"), rows)
        return Page(heading, (table,))


def tune(
    config: Config,
    pool: str,
    space: Space,
    workload: Demand,
    providers: Mapping[str, SimulatedProvider] | None = None,
    *,
    minimize: str = "cost_per_1000_usd",
    at_least: Mapping[str, float] | None = None,
    at_most: Mapping[str, float] | None = None,
    trials: int = 27,
    seeds: Iterable[int] = range(3),
    seed: int = 0,
    progress: Progress | None = None,
    starts_at: float = STARTS_AT,
) -> Tuning:
    """Search the parameters of a pool for those that meet a goal best.

    By successive halving (K. Jamieson, A. Talwalkar, "Non-stochastic Best Arm Identification and
    Hyperparameter Optimization", 2016): all points serve the first ninth of the workload, the best
    third of them the first third, and the best third of those all of it. Points that nobody beats
    in success, latency and cost at once go on too. The pool as it is takes part in every round.

    Args:
        config: A YAML file or a router; it is not changed.
        pool: Name of the pool, a declared one.
        space: For each parameter the values to try, for instance
            ``{"recovery.initial_s": [1, 2, 5], "selection": ["cost-first", "latency-first"]}``.
            The names are those of ``RotationPolicy`` and of what is in it.
        workload: What is asked for, and when.
        providers: How providers, or single models, really behave.
        minimize: The figure of a result that is to be small; see ``FIGURES``.
        at_least: What figures have to reach, for instance ``{"success": 0.999}``.
        at_most: What figures may not pass, for instance ``{"latency_p95_s": 10}``.
        trials: Points at most, >= 1; of a larger space they are drawn.
        seeds: Seeds of the worlds.
        seed: Seed of the draw.
        progress: Is told how many simulations have ended, and how many there will be at most.
        starts_at: Seconds since 1970 UTC at the start.

    Raises:
        UnknownPoolError: If no declared pool has this name.
        ValueError: If a parameter, a value or a figure is wrong, or there is no trial or no seed.
    """
    seeds = tuple(seeds)
    if trials < 1 or not seeds:
        raise ValueError(f"trials {trials} must be at least 1, and seeds {seeds} not empty")
    router = router_of(config)
    pool = router.pool(pool).name
    policy = router.pool(pool).rotation_policy
    goal = Goal(minimize, at_least or {}, at_most or {})
    drawn = sampled(space, trials, Random(seed))
    points: list[Settings] = [{}, *(point for point in drawn if point)]
    variants = [(point, _variant(router, pool, changed(policy, point))) for point in points]
    search = _Search(goal, progress)
    for part in _PARTS:
        scenes = [
            drawn_scene(router, workload, providers or {}, each, starts_at, part=1 / part)
            for each in seeds
        ]
        variants = search.round(variants, scenes)
    return search.result(policy)


Variant = tuple[Settings, Router]


class _Search:
    """Successive halving, round by round."""

    def __init__(self, goal: Goal, progress: Progress | None) -> None:
        self._goal = goal
        self._progress = progress or _untold
        self._rounds = len(_PARTS)
        self._done = self._all = 0
        self._trials: dict[str, Trial] = {}
        self._last: list[Trial] = []

    def round(self, variants: Sequence[Variant], scenes: Sequence[Scene]) -> list[Variant]:
        """Try some points; return those that go on."""
        self._all = self._done + self._rounds * len(variants) * len(scenes)
        self._rounds -= 1
        tried = {id(router): self._tried(point, router, scenes) for point, router in variants}
        ranked = sorted(variants, key=lambda each: self._goal.rank(tried[id(each[1])]))
        self._last = [tried[id(router)] for _, router in ranked]
        self._trials.update((trial.named, trial) for trial in self._last)
        unbeaten = {trial.named for trial in front(self._last)}
        kept = ceil(len(ranked) / _KEPT)
        return [
            (point, router)
            for place, (point, router) in enumerate(ranked)
            if place < kept or not point or tried[id(router)].named in unbeaten
        ]

    def result(self, policy: RotationPolicy) -> Tuning:
        """Return what was found."""
        best = min(self._last, key=self._goal.rank)
        ranked = sorted(
            self._trials.values(), key=lambda trial: (-trial.requests, self._goal.rank(trial))
        )
        return Tuning(
            best,
            changed(policy, best.settings),
            self._goal.shortfall(best) == 0,
            tuple(front(self._last)),
            tuple(ranked),
        )

    def _tried(self, point: Settings, router: Router, scenes: Sequence[Scene]) -> Trial:
        results: list[SimulationResult] = []
        for scene in scenes:
            results.append(scene.play(router))
            self._done += 1
            self._progress(self._done, self._all)
        return Trial(point, results[0].requests, tuple(results))


def _untold(done: int, total: int) -> None:
    """Tell nobody."""


def _variant(router: Router, pool: str, policy: RotationPolicy) -> Router:
    twin = router.twin(World(SimulatedClock(), Chance(0)))
    twin.update_pool(pool, policy)
    return twin
