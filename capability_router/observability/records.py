"""Events and decisions as lines of a log."""

from __future__ import annotations

from capability_router.engine.decision import Decision
from capability_router.engine.events import RoutingEvent
from capability_router.engine.timing import Clock

__all__ = ["as_record"]


def as_record(item: RoutingEvent | Decision, clock: Clock) -> dict[str, object]:
    """Return a JSON-ready record: ``record`` says what it is, ``wall`` when it was.

    ``wall`` is in seconds since 1970 UTC, by the clock as it is set now.

    Args:
        item: The event or the decision.
        clock: The router's.
    """
    kind = "decision" if isinstance(item, Decision) else "event"
    wall = clock.wall() - (clock.now() - item.at)
    return {**item.as_dict(), "record": kind, "wall": wall}
