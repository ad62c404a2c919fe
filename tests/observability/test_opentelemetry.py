import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.semconv._incubating.attributes import gen_ai_attributes
from opentelemetry.semconv._incubating.metrics import gen_ai_metrics
from opentelemetry.semconv.attributes import error_attributes, http_attributes
from opentelemetry.trace import SpanKind, StatusCode, Tracer

from capability_router import CapabilityRouter, FailureKind, Model, OpenTelemetry, Price
from capability_router.engine.outcome import Failure, Usage
from capability_router.observability import conventions
from capability_router.testing.clock import ManualClock

START = ManualClock().wall()
NODE = "generation.text-generation.chat-completion"
NAMED = ("chat-completion", "text-completion", "text-embeddings", "semantic-search")
RENAMED = ("azure", "azure_ai", "bedrock", "gemini", "mistral", "vertex_ai", "watsonx", "xai")


@dataclass
class Traced:
    """A router whose calls are traced into memory."""

    router: CapabilityRouter
    clock: ManualClock
    spans: InMemorySpanExporter
    metrics: InMemoryMetricReader
    tracer: Tracer

    def told(self) -> list[ReadableSpan]:
        """The spans that ended, those of calls after those of their attempts."""
        return list(self.spans.get_finished_spans())

    def measured(self, name: str) -> list[Any]:
        data = self.metrics.get_metrics_data()
        assert data is not None
        (metric,) = (
            metric
            for resource in data.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
            if metric.name == name
        )
        return list(metric.data.data_points)


@pytest.fixture
def traced() -> Traced:
    clock, spans, metrics = ManualClock(now=500.0), InMemorySpanExporter(), InMemoryMetricReader()
    tracers = TracerProvider()
    tracers.add_span_processor(SimpleSpanProcessor(spans))
    connector = OpenTelemetry(
        tracer_provider=tracers, meter_provider=MeterProvider(metric_readers=[metrics])
    )
    router = CapabilityRouter(clock=clock, observability=[connector], seed=1)
    router.register(Model("gemini/x", ("chat-completion",), price=Price(1.0, 2.0)))
    router.register(Model("b/org/y", ("chat-completion",)))
    return Traced(router, clock, spans, metrics, tracers.get_tracer("application"))


def failed_over(traced: Traced) -> None:
    """Ask; the first model is overloaded for 2 seconds, and the second answers in 3."""
    call = traced.router.plan("chat-completion")
    call.next()
    traced.clock.advance(2.0)
    call.failed(Failure(FailureKind.OVERLOADED, 503))
    call.next()
    traced.clock.advance(0.5)
    call.first_token()
    traced.clock.advance(2.5)
    call.succeeded(Usage(100, 20))


def seconds(span: ReadableSpan) -> tuple[float, float]:
    assert span.start_time is not None
    assert span.end_time is not None
    return span.start_time / 1e9 - START, span.end_time / 1e9 - START


def told_of(span: ReadableSpan) -> Mapping[str, object]:
    return dict(span.attributes or {})


def test_call_is_a_span_with_a_span_for_each_attempt_at_the_times_they_were(
    traced: Traced,
) -> None:
    failed_over(traced)
    first, second, call = traced.told()
    assert [span.name for span in (first, second, call)] == [
        "chat x",
        "chat org/y",
        "route chat-completion",
    ]
    assert [span.kind for span in (first, call)] == [SpanKind.CLIENT, SpanKind.INTERNAL]
    assert call.parent is None
    assert {span.parent and span.parent.span_id for span in (first, second)} == {
        call.context.span_id
    }
    assert [seconds(span) for span in (first, second, call)] == [
        pytest.approx((0.0, 2.0), abs=1e-5),
        pytest.approx((2.0, 5.0), abs=1e-5),
        pytest.approx((0.0, 5.0), abs=1e-5),
    ]


def test_attempts_are_described_as_the_conventions_say(traced: Traced) -> None:
    failed_over(traced)
    first, second, _ = traced.told()
    assert told_of(first) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "gcp.gemini",
        "gen_ai.request.model": "x",
        "error.type": "overloaded",
        "http.response.status_code": 503,
        "capability_router.attempt.pool": NODE,
        "capability_router.attempt.trial": False,
        "capability_router.attempt.hedge": False,
        "capability_router.attempt.wait": 0.0,
    }
    assert first.status.status_code is StatusCode.ERROR
    assert {
        "gen_ai.provider.name": "b",
        "gen_ai.request.stream": True,
        "gen_ai.response.time_to_first_chunk": 0.5,
        "gen_ai.usage.input_tokens": 100,
        "gen_ai.usage.output_tokens": 20,
    }.items() <= told_of(second).items()
    assert second.status.status_code is StatusCode.UNSET


def test_call_tells_who_served_and_is_no_error_if_somebody_did(traced: Traced) -> None:
    failed_over(traced)
    *_, call = traced.told()
    assert told_of(call) == {
        "capability_router.capability": "chat-completion",
        "capability_router.node": NODE,
        "capability_router.pool": NODE,
        "capability_router.served_by": "b/org/y",
        "capability_router.attempts": 2,
        "capability_router.panic": False,
    }
    assert call.status.status_code is StatusCode.UNSET


def test_call_that_nobody_served_is_an_error_of_the_last_kind(traced: Traced) -> None:
    call = traced.router.plan("chat-completion")
    for kind in (FailureKind.AUTH, FailureKind.BILLING):
        call.next()
        call.failed(Failure(kind))
    call.next()
    *_, span = traced.told()
    assert (span.status.status_code, told_of(span)["error.type"]) == (StatusCode.ERROR, "billing")


def test_call_with_nobody_to_ask_is_an_error_of_its_own(traced: Traced) -> None:
    for model in traced.router.models:
        traced.router.deactivate(model.id)
    traced.router.plan("chat-completion").next()
    (span,) = traced.told()
    assert told_of(span)["error.type"] == "no_available_model"
    assert span.status.status_code is StatusCode.ERROR


def test_attempt_that_was_cancelled_is_no_error(traced: Traced) -> None:
    call = traced.router.plan("chat-completion")
    call.next()
    call.cancelled()
    for span in traced.told():
        assert told_of(span)["error.type"] == "cancelled"
        assert span.status.status_code is StatusCode.UNSET


def test_call_belongs_to_the_span_in_which_it_was_asked_for_wherever_it_ends(
    traced: Traced,
) -> None:
    with traced.tracer.start_as_current_span("request") as parent:
        call = traced.router.plan("chat-completion")
    with traced.tracer.start_as_current_span("elsewhere"):
        call.next()
        call.succeeded()
    (span,) = (span for span in traced.told() if span.name.startswith("route"))
    assert span.parent is not None
    assert span.parent.span_id == parent.get_span_context().span_id


async def test_calls_of_tasks_that_run_at_once_keep_to_their_own_spans(traced: Traced) -> None:
    async def attempt(model: Model) -> str:
        await asyncio.sleep(0)
        return model.name

    async def serve(number: int) -> None:
        with traced.tracer.start_as_current_span(f"request {number}"):
            await traced.router.acall("chat-completion", attempt)

    await asyncio.gather(*map(serve, range(5)))
    requests = {s.context.span_id for s in traced.told() if s.name.startswith("request")}
    parents = [s.parent for s in traced.told() if s.name.startswith("route")]
    assert len(requests) == 5
    assert {parent.span_id for parent in parents if parent} == requests


def test_attempts_are_measured_by_model_and_kind_of_failure(traced: Traced) -> None:
    failed_over(traced)
    first, second = traced.measured("gen_ai.client.operation.duration")
    assert (first.sum, second.sum) == (2.0, 3.0)
    assert first.attributes == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "gcp.gemini",
        "gen_ai.request.model": "x",
        "error.type": "overloaded",
    }
    assert "error.type" not in second.attributes
    tokens = traced.measured("gen_ai.client.token.usage")
    assert {each.attributes["gen_ai.token.type"]: each.sum for each in tokens} == {
        "input": 100,
        "output": 20,
    }


def test_without_an_application_that_set_up_opentelemetry_nothing_happens() -> None:
    router = CapabilityRouter(observability=[OpenTelemetry()])
    router.register(Model("a/x", ("chat-completion",)))
    assert router.call("chat-completion", lambda model: model.name) == "x"
    assert not router.emitter.failures


def texts(module: ModuleType) -> set[str]:
    return {value for value in vars(module).values() if isinstance(value, str)}


def values(enumeration: str) -> set[object]:
    # Deprecated in this package, because the conventions live on in a repository of their own.
    return {each.value for each in getattr(gen_ai_attributes, enumeration)}


def test_names_are_those_of_the_conventions() -> None:
    published = {
        *texts(gen_ai_attributes),
        *texts(gen_ai_metrics),
        error_attributes.ERROR_TYPE,
        http_attributes.HTTP_RESPONSE_STATUS_CODE,
    }
    named = [getattr(conventions, name) for name in conventions.__all__ if name.isupper()]
    used = {name for name in named if isinstance(name, str) and "." in name}
    assert len(used) > 20
    assert {name for name in used if not name.startswith("capability_router.")} <= published
    operations = {conventions.operation(f"a.b.{leaf}") for leaf in NAMED}
    assert operations <= values("GenAiOperationNameValues")
    vendors = {conventions.provider_name(vendor) for vendor in RENAMED}
    assert vendors <= values("GenAiProviderNameValues")
