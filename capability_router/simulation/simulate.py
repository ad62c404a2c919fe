"""One policy in one simulated world: the engine that routes real requests, on another clock."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from math import ceil
from os import PathLike
from typing import Any

from capability_router.engine.blueprint import Blueprint
from capability_router.engine.chance import Chance
from capability_router.engine.decision import Decision
from capability_router.engine.router import Router
from capability_router.engine.timing import World as EngineWorld
from capability_router.simulation.agenda import STARTS_AT, Agenda, SimulatedClock
from capability_router.simulation.contenders import (
    Config,
    Contender,
    Pooled,
    Record,
    Rule,
    router_of,
)
from capability_router.simulation.flights import Flight
from capability_router.simulation.oracle import Oracle
from capability_router.simulation.providers import SimulatedProvider, World
from capability_router.simulation.result import SimulationResult
from capability_router.simulation.tally import Standbys, Tally
from capability_router.simulation.workload import Arrival, Demand

__all__ = ["Policy", "Progress", "Scene", "simulate"]

Policy = Config | Rule
"""What is to be simulated: a configuration, a router, or the rule of another library."""

Progress = Callable[[int, int], object]
"""Is told how many requests have ended, and how many there are; about a hundred times."""

_REPORTS = 100


def _nobody(decision: Decision) -> None:
    """Take no note."""


def simulate(
    policy: Policy,
    workload: Demand,
    providers: Mapping[str, SimulatedProvider] | None = None,
    seed: int = 0,
    *,
    record: Record = _nobody,
    progress: Progress | None = None,
    starts_at: float = STARTS_AT,
) -> SimulationResult:
    """Let a policy serve a workload, in simulated time.

    No request is sent anywhere, and nothing is waited for: a day takes seconds. The policy's
    router is copied, so that one in use may be given; what the copy does is decided by the same
    code as in use.

    Args:
        policy: A YAML file, a router, or a rule such as ``OrderedFallback``.
        workload: What is asked for, and when.
        providers: How providers, or single models, really behave, by their ids; all others as
            ``SimulatedProvider`` says.
        seed: Seed of the world and of the policy. The world is the same for every policy.
        record: Takes the decision of each request, for those who want to look at them.
        progress: Is told how far it is.
        starts_at: Seconds since 1970 UTC at the start, for what goes by the calendar.

    Returns:
        The figures. The same arguments give the same ones.

    Raises:
        ConfigurationError: If a YAML file is wrong.
        UnknownCapabilityError: If the tree lacks what the workload asks for.
        ValueError: If ``providers`` names what is neither a provider nor a model.
    """
    scene = Scene(policy, workload, providers or {}, seed, starts_at)
    return scene.play(policy, record, progress)


class Scene:
    """A world with its requests, in which policies are tried one after the other.

    Args:
        policy: One of them, of which all have the same models.
        workload: What is asked for, and when.
        providers: How providers behave.
        seed: Seed of the world.
        starts_at: Seconds since 1970 UTC at the start.
        part: How much of the workload counts, from its beginning, above 0 and at most 1.
    """

    def __init__(
        self,
        policy: Policy,
        workload: Demand,
        providers: Mapping[str, SimulatedProvider],
        seed: int,
        starts_at: float = STARTS_AT,
        *,
        part: float = 1.0,
    ) -> None:
        router = router_of(_models_of(policy))
        self._models = router.models
        self._known = {model.id for model in self._models}
        self._providers = providers
        self._seed = seed
        self._starts_at = starts_at
        arrivals = list(workload.arrivals(seed))
        self._arrivals: Sequence[Arrival] = arrivals[: ceil(part * len(arrivals))]
        self._oracle = Oracle.of(self._arrivals, router, self._world())

    def play(
        self, policy: Policy, record: Record = _nobody, progress: Progress | None = None
    ) -> SimulationResult:
        """Let one policy serve the requests."""
        clock = SimulatedClock(self._starts_at)
        agenda, world, standbys = Agenda(clock), self._world(), Standbys()
        tally = Tally(clock, len(self._arrivals), self._models)
        contender = self._contender(policy, clock, standbys, record)
        every = max(1, len(self._arrivals) // _REPORTS)
        coming: Iterator[Arrival] = iter(self._arrivals)

        def arrive(arrival: Arrival) -> None:
            # Noted one at a time: what is due stays short, however long the workload.
            following = next(coming, None)
            if following is not None:
                agenda.at(following.at, arrive, following)
            if progress is not None and arrival.number % every == 0:
                progress(tally.done, len(self._arrivals))
            plan = contender.plan(arrival.request)
            Flight(arrival, plan, world, clock, agenda, tally).go_on()

        first = next(coming, None)
        if first is not None:
            agenda.at(first.at, arrive, first)
        agenda.run()
        if progress is not None:
            progress(tally.done, len(self._arrivals))
        return tally.result(self._oracle, standbys, world)

    def _world(self) -> World:
        return World(self._providers, self._models, self._seed, self._starts_at)

    def _contender(
        self, policy: Policy, clock: SimulatedClock, standbys: Standbys, record: Record
    ) -> Contender[Any]:
        router = router_of(_models_of(policy))
        if {model.id for model in router.models} != self._known:
            names = ", ".join(sorted({model.id for model in router.models} ^ self._known))
            raise ValueError(f"the policies do not have the same models: {names}")
        engine = EngineWorld(clock, Chance(self._seed))
        if isinstance(policy, str | PathLike | Blueprint | Router):
            pooled = Pooled(router, engine, record)
            pooled.router.emitter.subscribe(standbys)
            return pooled
        return policy.contender(router, engine, record)


def _models_of(policy: Policy) -> Config:
    if isinstance(policy, str | PathLike | Blueprint | Router):
        return policy
    return policy.models
