"""What a sink for events and decisions is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from capability_router.engine.decision import Decision
from capability_router.engine.events import RoutingEvent

__all__ = ["ConnectorSpec", "ObservabilityConnector"]


class ObservabilityConnector(Protocol):
    """A sink for what pools do and how calls went.

    It is told of every event and of every call that ended, in the thread that caused it, in which
    a request waits meanwhile. One that a configuration names is closed by the router, if it has a
    method ``close``.
    """

    def record(self, item: RoutingEvent | Decision) -> None:
        """Take one event or decision; must return quickly, and may raise without harm."""
        ...


@dataclass(frozen=True, slots=True)
class ConnectorSpec:
    """A connector to be; two of them are equal if their connectors would be.

    Attributes:
        factory: Makes it.
        parameters: Keyword arguments of the factory; they may hold secrets.
        clocked: Whether the factory takes the router's clock besides, as ``clock``.
        refused: Turns what the factory raises into an error that names its place.
    """

    factory: Callable[..., ObservabilityConnector]
    parameters: Mapping[str, object] = field(repr=False)
    clocked: bool
    refused: Callable[[Exception], Exception] = field(compare=False, repr=False)
