"""One policy in one simulated world: the engine that routes real requests, on another clock."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import ceil

from capability_router.engine.decision import Decision
from capability_router.engine.request import CompletionRequest
from capability_router.engine.router import Router
from capability_router.simulation.agenda import STARTS_AT
from capability_router.simulation.contenders import (
    Record,
    router_of,
)
from capability_router.simulation.providers import SimulatedProvider, World
from capability_router.simulation.result import SimulationResult
from capability_router.simulation.scene import Policy, Progress, Scene, models_of
from capability_router.simulation.workload import Arrival, Demand

__all__ = ["drawn_scene", "simulate"]


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
        ValueError: If no model serves what it asks for, or ``providers`` names what is neither a
            provider nor a model.
    """
    scene = drawn_scene(policy, workload, providers or {}, seed, starts_at)
    return scene.play(policy, lambda _, decision: record(decision), progress)


def drawn_scene(
    policy: Policy,
    workload: Demand,
    providers: Mapping[str, SimulatedProvider],
    seed: int,
    starts_at: float = STARTS_AT,
    *,
    part: float = 1.0,
) -> Scene:
    """Return one world with its requests.

    Args:
        policy: One of those that will be tried there, all with the same models.
        workload: What is asked for, and when.
        providers: How providers behave.
        seed: Seed of the world.
        starts_at: Seconds since 1970 UTC at the start.
        part: How much of the workload counts, from its beginning, above 0 and at most 1.
    """
    router = router_of(models_of(policy))
    arrivals = list(workload.arrivals(seed))
    _check_served(router, arrivals)

    def world() -> World:
        return World(providers, router.models, seed, starts_at)

    return Scene(router, arrivals[: ceil(part * len(arrivals))], world, seed, starts_at)


def _check_served(router: Router, arrivals: Iterable[Arrival]) -> None:
    for capability in dict.fromkeys(arrival.request.capability for arrival in arrivals):
        if not router.candidates(CompletionRequest(capability)):
            raise ValueError(
                f"no model can serve {capability!r}: register one at or under it, or ask for"
                " something else"
            )
