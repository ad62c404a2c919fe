"""Calls as spans and measurements of OpenTelemetry; needs its API."""

from __future__ import annotations

from importlib.metadata import version

from opentelemetry.context import Context
from opentelemetry.metrics import MeterProvider, get_meter
from opentelemetry.trace import (
    Span,
    SpanKind,
    Status,
    StatusCode,
    TracerProvider,
    get_tracer,
    set_span_in_context,
)
from opentelemetry.util.types import AttributeValue

from capability_router.engine.decision import Decision
from capability_router.engine.outcome import Attempt, FailureKind
from capability_router.observability import conventions as names
from capability_router.observability.records import failure_of_call

__all__ = ["Spans"]

_Attributes = dict[str, AttributeValue]
_LIBRARY = "capability_router"


class Spans:
    """Tells of calls that have ended.

    Args:
        tracers: Makes the tracer; None for the global one.
        meters: Makes the meter; None for the global one.
    """

    def __init__(self, tracers: TracerProvider | None, meters: MeterProvider | None) -> None:
        library = _LIBRARY, version("capability-router")
        self._tracer = get_tracer(*library, tracers)
        meter = get_meter(*library, meters)
        self._durations = meter.create_histogram(
            names.OPERATION_DURATION,
            unit="s",
            description="GenAI operation duration.",
            explicit_bucket_boundaries_advisory=names.DURATION_BUCKETS,
        )
        self._tokens = meter.create_histogram(
            names.TOKEN_USAGE,
            unit="{token}",
            description="Number of input and output tokens used.",
            explicit_bucket_boundaries_advisory=names.TOKEN_BUCKETS,
        )

    def tell(self, decision: Decision) -> None:
        """Make a span for a call below the current one, and one for each of its attempts."""
        # The clock may be set meanwhile: all times are those of the end, less what has passed.
        offset_s = decision.wall - decision.at
        node = decision.node or decision.capability
        span = self._tracer.start_span(
            f"route {node.rpartition('.')[2]}",
            kind=SpanKind.INTERNAL,
            attributes=_of_call(decision),
            start_time=_nanoseconds(decision.started_at + offset_s),
        )
        failure = failure_of_call(decision)
        if failure is not None:
            _fail(span, failure)
        within = set_span_in_context(span)
        for attempt in decision.attempts:
            self._tell_attempt(attempt, names.operation(node), offset_s, within)
        span.end(_nanoseconds(decision.wall))

    def _tell_attempt(
        self, attempt: Attempt, operation: str, offset_s: float, within: Context
    ) -> None:
        common = _of_both(attempt, operation)
        started_at = attempt.started_at + offset_s
        span = self._tracer.start_span(
            f"{operation} {names.model_name(attempt)}",
            within,
            SpanKind.CLIENT,
            {**common, **_of_attempt(attempt)},
            start_time=_nanoseconds(started_at),
        )
        if attempt.kind is not None:
            _fail(span, attempt.kind)
        span.end(_nanoseconds(started_at + attempt.latency_s))
        self._measure(attempt, common, set_span_in_context(span, within))

    def _measure(self, attempt: Attempt, common: _Attributes, within: Context) -> None:
        failed: _Attributes = {} if attempt.kind is None else {names.ERROR_TYPE: str(attempt.kind)}
        self._durations.record(attempt.latency_s, {**common, **failed}, within)
        usage = attempt.usage
        for kind, tokens in (("input", usage.input_tokens), ("output", usage.output_tokens)):
            if tokens:
                self._tokens.record(tokens, {**common, names.TOKEN_TYPE: kind}, within)


def _fail(span: Span, failure: str) -> None:
    span.set_attribute(names.ERROR_TYPE, str(failure))
    # Of two attempts beside each other one is always cancelled, and nothing went wrong.
    if failure != FailureKind.CANCELLED:
        span.set_status(Status(StatusCode.ERROR))


def _of_call(decision: Decision) -> _Attributes:
    return _known(
        {
            names.CALL_CAPABILITY: decision.capability,
            names.CALL_NODE: decision.node or None,
            names.CALL_POOL: decision.pool,
            names.CALL_SERVED_BY: decision.served_by,
            names.CALL_ATTEMPTS: len(decision.attempts),
            names.CALL_PANIC: decision.panic,
            names.CALL_DEGRADED_TO: decision.degraded_to,
        }
    )


def _of_both(attempt: Attempt, operation: str) -> _Attributes:
    """What a span and a measurement of an attempt have in common."""
    return {
        names.OPERATION: operation,
        names.PROVIDER: names.provider_name(attempt.provider),
        names.REQUEST_MODEL: names.model_name(attempt),
    }


def _of_attempt(attempt: Attempt) -> _Attributes:
    usage = attempt.usage
    return _known(
        {
            names.REQUEST_STREAM: None if attempt.first_token_s is None else True,
            names.FIRST_CHUNK: attempt.first_token_s,
            names.INPUT_TOKENS: usage.input_tokens or None,
            names.OUTPUT_TOKENS: usage.output_tokens or None,
            names.STATUS_CODE: attempt.status,
            names.ATTEMPT_POOL: attempt.pool or None,
            names.ATTEMPT_TRIAL: attempt.probe,
            names.ATTEMPT_HEDGE: attempt.hedge,
            names.ATTEMPT_WAIT: attempt.wait_s,
            names.ATTEMPT_COST: attempt.cost_usd,
        }
    )


def _known(attributes: dict[str, AttributeValue | None]) -> _Attributes:
    return {name: value for name, value in attributes.items() if value is not None}


def _nanoseconds(wall_s: float) -> int:
    return round(wall_s * 1e9)
