"""What a sink for events and decisions is."""

from __future__ import annotations

from typing import Protocol

from capability_router.engine.decision import Decision
from capability_router.engine.events import RoutingEvent

__all__ = ["ObservabilityConnector"]


class ObservabilityConnector(Protocol):
    """A sink for what pools do and how calls went.

    It is told of every event and of every call that ended, in the thread that caused it, in which
    a request waits meanwhile.
    """

    def record(self, item: RoutingEvent | Decision) -> None:
        """Take one event or decision; must return quickly, and may raise without harm."""
        ...
