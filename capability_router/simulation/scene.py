"""A world with its requests, in which policies are tried one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from os import PathLike
from typing import Any

from capability_router.engine.blueprint import Blueprint
from capability_router.engine.chance import Chance
from capability_router.engine.decision import Decision
from capability_router.engine.router import Router
from capability_router.engine.timing import World as EngineWorld
from capability_router.simulation.agenda import Agenda, SimulatedClock
from capability_router.simulation.contenders import Config, Contender, Pooled, Rule, router_of
from capability_router.simulation.flights import Flight
from capability_router.simulation.oracle import Oracle
from capability_router.simulation.providers import Truth
from capability_router.simulation.result import SimulationResult
from capability_router.simulation.tally import Standbys, Tally
from capability_router.simulation.workload import Arrival

__all__ = ["Policy", "Progress", "Scene", "Witness", "models_of"]

Policy = Config | Rule
"""What is to be simulated: a configuration, a router, or the rule of another library."""

Progress = Callable[[int, int], object]
"""Is told how many requests have ended, and how many there are; about a hundred times."""

Witness = Callable[[int, Decision], object]
"""Is given the number and the decision of each request, in the order in which they end."""

_REPORTS = 100


def _unwitnessed(number: int, decision: Decision) -> None:
    """Take no note."""


class Scene:
    """A world with its requests.

    Args:
        router: Its models, and which of them may serve what.
        arrivals: The requests, in the order of time.
        truth: Makes the providers as they really are; called for each policy, and once more.
        seed: Seed of the policies.
        starts_at: Seconds since 1970 UTC at the start.

    Raises:
        ValueError: If there is no request.
    """

    def __init__(
        self,
        router: Router,
        arrivals: Sequence[Arrival],
        truth: Callable[[], Truth],
        seed: int,
        starts_at: float,
    ) -> None:
        if not arrivals:
            raise ValueError("the workload has no request")
        self._models = router.models
        self._known = {model.id for model in self._models}
        self._arrivals = arrivals
        self._truth = truth
        self._seed = seed
        self._starts_at = starts_at
        self._oracle = Oracle.of(arrivals, router, truth())

    def play(
        self,
        policy: Policy,
        witness: Witness = _unwitnessed,
        progress: Progress | None = None,
    ) -> SimulationResult:
        """Let one policy serve the requests.

        Raises:
            ValueError: If it has other models than the scene.
        """
        clock = SimulatedClock(self._starts_at)
        agenda, truth, standbys = Agenda(clock), self._truth(), Standbys()
        tally = Tally(clock, len(self._arrivals), self._models)
        contender = self._contender(policy, clock, standbys)
        every = max(1, len(self._arrivals) // _REPORTS)
        coming: Iterator[Arrival] = iter(self._arrivals)

        def arrive(arrival: Arrival) -> None:
            follow()
            if progress is not None and arrival.number % every == 0:
                progress(tally.done, len(self._arrivals))
            plan = contender.plan(arrival.request, partial(witness, arrival.number))
            Flight(arrival, plan, truth, clock, agenda, tally).go_on()

        def follow() -> None:
            # Noted one at a time: what is due stays short, however long the workload.
            following = next(coming, None)
            if following is not None:
                agenda.at(following.at, arrive, following)

        follow()
        agenda.run()
        if progress is not None:
            progress(tally.done, len(self._arrivals))
        return tally.result(self._oracle, standbys, truth)

    def _contender(
        self, policy: Policy, clock: SimulatedClock, standbys: Standbys
    ) -> Contender[Any]:
        router = router_of(models_of(policy))
        if {model.id for model in router.models} != self._known:
            names = ", ".join(sorted({model.id for model in router.models} ^ self._known))
            raise ValueError(f"the policies do not have the same models: {names}")
        engine = EngineWorld(clock, Chance(self._seed))
        if isinstance(policy, str | PathLike | Blueprint | Router):
            pooled = Pooled(router, engine)
            pooled.router.emitter.subscribe(standbys)
            return pooled
        return policy.contender(router, engine)


def models_of(policy: Policy) -> Config:
    """Return where the models of a policy come from."""
    if isinstance(policy, str | PathLike | Blueprint | Router):
        return policy
    return policy.models
