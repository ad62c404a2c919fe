"""What connectors tell of events and decisions."""

from __future__ import annotations

from capability_router.engine.decision import Decision
from capability_router.engine.events import RoutingEvent
from capability_router.engine.timing import Clock

__all__ = ["NOBODY", "as_record", "failure_of_call"]

NOBODY = "no_available_model"
"""What kind of failure it is that there was nobody to ask."""


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


def failure_of_call(decision: Decision) -> str | None:
    """Return the kind of the last failure of a call that nobody served; None if somebody did."""
    if decision.served_by is not None:
        return None
    kinds = [attempt.kind for attempt in decision.attempts if attempt.kind is not None]
    return kinds[-1] if kinds else NOBODY
