"""Who is compared: a router of this package, or a simple rule; each plans one request at a time."""

from __future__ import annotations

from collections.abc import Callable
from os import PathLike
from typing import Any, Protocol, TypeVar

from capability_router.engine.blueprint import Blueprint
from capability_router.engine.call import Call
from capability_router.engine.chance import Chance
from capability_router.engine.decision import Decision
from capability_router.engine.model import Model
from capability_router.engine.outcome import Failure, Usage
from capability_router.engine.request import CompletionRequest
from capability_router.engine.router import Router
from capability_router.engine.steps import Stop, Wait
from capability_router.engine.timing import World

__all__ = ["Ask", "Config", "Contender", "Plan", "Pooled", "Record", "Rule", "router_of"]

Config = str | PathLike[str] | Blueprint | Router
"""A YAML file, what was read of one, or a router; that is copied, and not touched."""

Record = Callable[[Decision], object]

Step = TypeVar("Step", bound="Ask")


class Ask(Protocol):
    """An attempt that is to be made, as ``Try``, without its lease."""

    @property
    def model(self) -> Model:
        """Whom to ask."""
        ...

    @property
    def timeout_s(self) -> float:
        """Seconds to a whole answer."""
        ...

    @property
    def first_token_s(self) -> float:
        """Seconds to the first token of a stream."""
        ...

    @property
    def stall_s(self) -> float:
        """Seconds that a stream may be silent after that."""
        ...

    @property
    def ends_s(self) -> float:
        """Seconds after which all is broken off."""
        ...

    @property
    def prefill(self) -> str:
        """What the answer goes on from."""
        ...


class Plan(Protocol[Step]):
    """One request's plan; ``Call`` tells of each method."""

    def next(self) -> Step | Wait | Stop:
        """Return what to do now."""
        ...

    def hedge_after_s(self, *, streamed: bool) -> float | None:
        """Return when to start a second attempt; None for never."""
        ...

    def hedge(self) -> Step | None:
        """Return a second attempt; None if there is none."""
        ...

    def won(self, step: Step) -> None:
        """Note which of two attempts counts."""
        ...

    def ends_with(self, failure: Failure, step: Step) -> bool:
        """Whether nothing follows a failure."""
        ...

    def first_token(self, step: Step | None = None) -> None:
        """Note the first token."""
        ...

    def succeeded(self, usage: Usage | None = None, step: Step | None = None) -> None:
        """Note a whole answer."""
        ...

    def failed(self, failure: Failure, step: Step | None = None) -> None:
        """Note a failure."""
        ...

    def interrupted(self, text: str, *, only_text: bool) -> None:
        """Note what a broken stream had brought."""
        ...


class Contender(Protocol[Step]):
    """Plans requests in one simulation."""

    def plan(self, request: CompletionRequest, record: Record) -> Plan[Step]:
        """Return the plan of a request that has just come.

        Args:
            request: What is asked for.
            record: Takes the decision when it has ended.
        """
        ...


class Rule(Protocol):
    """A simple way to choose, to compare with; ``baselines`` has those of other libraries."""

    @property
    def models(self) -> Config:
        """Where its models come from."""
        ...

    def contender(self, router: Router, world: World) -> Contender[Any]:
        """Return it at work in one simulation.

        Args:
            router: Its models, as a router of this package; it is not asked to route.
            world: Clock and chance of the simulation.
        """
        ...


class Pooled:
    """A router of this package at work in one simulation: the engine itself, on another clock.

    Args:
        router: What it is like.
        world: Clock and chance.
    """

    def __init__(self, router: Router, world: World) -> None:
        self.router = router.twin(world)

    def plan(self, request: CompletionRequest, record: Record) -> Call:
        """Return the plan of a request."""
        return Call(self.router, request, record)


def router_of(config: Config) -> Router:
    """Return a router as a configuration says; of a router, itself.

    Raises:
        ConfigurationError: If it is a file in which something is wrong.
    """
    if isinstance(config, Router):
        return config
    if not isinstance(config, Blueprint):
        # Here and not above: whoever has a router needs neither pydantic nor PyYAML.
        from capability_router.config import load  # noqa: PLC0415 - said above

        config = load(config)
    router = Router(config.tree, world=World(_Still(), Chance(0)))
    router.configure(config)
    return router


class _Still:
    """A clock for a router that never routes."""

    def now(self) -> float:
        return 0.0

    def wall(self) -> float:
        return 0.0
