"""Events and decisions as messages of Python's own logging."""

from __future__ import annotations

from logging import DEBUG, INFO, WARNING, Logger, getLogger

from capability_router.engine.decision import Decision
from capability_router.engine.events import EventType, RoutingEvent

__all__ = ["Logging"]

_LOUD = frozenset(
    {
        EventType.BUDGET_EXHAUSTED,
        EventType.DEGRADED,
        EventType.MODEL_DEACTIVATED,
        EventType.MODEL_SPARED,
        EventType.PANIC,
        EventType.POOL_CLOSED,
        EventType.PROBE_FAILED,
        EventType.PROVIDER_DEACTIVATED,
    }
)


class Logging:
    """Logs each record: what somebody may have to act upon as a warning.

    These are models and providers that leave, trials that fail, pools that close or have no
    repetitions left, stand-ins, and calls that nobody served or that needed a panic. Other events
    are told at ``INFO``; other calls at ``DEBUG``, with ``INFO`` for those that took more than one
    attempt. The event or decision itself is the attribute ``record`` of the log record.

    Args:
        logger: Where to; None for ``capability_router``.
    """

    def __init__(self, logger: Logger | None = None) -> None:
        self._logger = logger or getLogger("capability_router")

    def record(self, item: RoutingEvent | Decision) -> None:
        """Log one record."""
        level = _level_of_call(item) if isinstance(item, Decision) else _level_of_event(item)
        if self._logger.isEnabledFor(level):
            self._logger.log(level, "%s", item, extra={"record": item})


def _level_of_event(event: RoutingEvent) -> int:
    return WARNING if event.type in _LOUD else INFO


def _level_of_call(decision: Decision) -> int:
    if decision.served_by is None or decision.panic:
        return WARNING
    return DEBUG if len(decision.attempts) == 1 else INFO
