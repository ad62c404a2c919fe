"""Calls told to OpenTelemetry."""

from __future__ import annotations

from typing import TYPE_CHECKING

from capability_router.engine.decision import Decision
from capability_router.engine.events import RoutingEvent
from capability_router.observability.extras import needing

if TYPE_CHECKING:
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import TracerProvider

__all__ = ["OpenTelemetry"]


class OpenTelemetry:
    """Makes a span for each call, below the span in which it was asked for, or else a root.

    Below it is a span for each attempt, named and described by OpenTelemetry's conventions for
    generative AI, which are still in development: ``conventions`` has them all. Each attempt is
    measured as well, by ``gen_ai.client.operation.duration`` and ``gen_ai.client.token.usage``.
    Spans are made when a call has ended, with the times at which everything was. For events the
    conventions have no place; they are passed over.

    Whoever lets OpenTelemetry instrument a provider's client as well gets two spans for each
    attempt.

    Args:
        tracer_provider: Where spans go; None for OpenTelemetry's global one.
        meter_provider: Where measurements go; None for the global one.

    Raises:
        ImportError: If OpenTelemetry's API is not installed.
    """

    def __init__(
        self,
        *,
        tracer_provider: TracerProvider | None = None,
        meter_provider: MeterProvider | None = None,
    ) -> None:
        with needing("opentelemetry-api", extra="otel", user="OpenTelemetry"):
            from capability_router.observability.spans import Spans  # noqa: PLC0415 - an extra
        self._spans = Spans(tracer_provider, meter_provider)

    def record(self, item: RoutingEvent | Decision) -> None:
        """Tell of a call that has ended."""
        if isinstance(item, Decision):
            self._spans.tell(item)
