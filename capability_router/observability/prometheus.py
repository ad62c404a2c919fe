"""Calls and events counted for Prometheus."""

from __future__ import annotations

from typing import TYPE_CHECKING

from capability_router.engine.decision import Decision
from capability_router.engine.events import RoutingEvent
from capability_router.observability.extras import needing

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

__all__ = ["Prometheus"]


class Prometheus:
    """Counts calls, attempts, seconds, tokens, US dollars and events, by model, provider and pool.

    Connectors of one registry count together, so that each router of a process may have one. How
    the metrics are served is the application's choice, for instance ``start_http_server`` of
    ``prometheus_client``. Labels stay bounded: what comes after the first 1,000 combinations of
    model, provider and pool counts as ``other``.

    Args:
        registry: Where the metrics are registered; None for the client's global one.

    Raises:
        ImportError: If ``prometheus_client`` is not installed.
        ValueError: If something else has registered one of the names.
    """

    def __init__(self, *, registry: CollectorRegistry | None = None) -> None:
        with needing("prometheus-client", extra="prometheus", user="Prometheus"):
            from prometheus_client import REGISTRY  # noqa: PLC0415 - an extra

            from capability_router.observability.metrics import metrics_of  # noqa: PLC0415 - as above
        self._metrics = metrics_of(registry or REGISTRY)

    def record(self, item: RoutingEvent | Decision) -> None:
        """Count one record."""
        self._metrics.count(item)
