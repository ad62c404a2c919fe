"""What was asked, what was answered and what was sent as a key is told to no connector."""

import logging
from pathlib import Path

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client import CollectorRegistry, generate_latest

from capability_router import (
    CapabilityRouter,
    JsonLines,
    Logging,
    Model,
    NoAvailableModelError,
    OpenTelemetry,
    Prometheus,
    Provider,
    Secret,
    Webhook,
)
from langchain_capability_router import ChatCapabilityRouter
from tests.connections import connections
from tests.receiving import receiving
from tests.security.keyed import keyed_provider

KEY = "sk-canary-A1b2C3d4E5f6G7h8"
PROMPT = "my canary prompt"
ANSWER = "a canary answer"


def use(router: CapabilityRouter) -> None:
    """Ask a provider that refuses the key and quotes it, raise a request's text, and be served."""
    chat = ChatCapabilityRouter(router=router, capability="chat-completion")
    with connections(), pytest.raises(NoAvailableModelError):
        chat.invoke(PROMPT)
    router.deactivate("keyed/m")
    router.register(Model("own/m", ("chat-completion",)))

    def refuse(model: Model) -> str:
        raise ConnectionError(f"{model.name} was asked {PROMPT!r} with {KEY}")

    with pytest.raises(NoAvailableModelError):
        router.call("chat-completion", refuse)
    router.recover("own/m")
    assert router.call("chat-completion", lambda model: ANSWER) == ANSWER


def test_no_text_and_no_key_reaches_a_connector(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "capability_router")
    spans, metrics, registry = InMemorySpanExporter(), InMemoryMetricReader(), CollectorRegistry()
    tracers = TracerProvider()
    tracers.add_span_processor(SimpleSpanProcessor(spans))
    log = JsonLines(tmp_path / "log.jsonl")
    with receiving() as receiver, keyed_provider() as keyed, log:
        webhook = Webhook(receiver.url, headers={"Authorization": f"Bearer {KEY}"}, close_s=50.0)
        router = CapabilityRouter(
            providers=[Provider("keyed", "openai", base_url=keyed.url, api_key=Secret(KEY))],
            observability=[
                Logging(),
                log,
                webhook,
                Prometheus(registry=registry),
                OpenTelemetry(
                    tracer_provider=tracers,
                    meter_provider=MeterProvider(metric_readers=[metrics]),
                ),
            ],
        )
        router.register(Model("keyed/m", ("chat-completion",)))
        use(router)
        webhook.close()
    told = {
        "logging": caplog.text,
        "jsonl": log.path.read_text(),
        "webhook": str(receiver.bodies),
        "prometheus": generate_latest(registry).decode(),
        "spans": "".join(span.to_json() for span in spans.get_finished_spans()),
        "metrics": str(metrics.get_metrics_data()),
        "shown": repr([webhook, log, router]),
    }
    assert [name for name, text in told.items() if "canary" in text] == []
    # Each has heard of the refusal, or nothing would have been shown.
    assert [name for name in list(told)[:-1] if "auth" not in told[name]] == []
    assert not router.emitter.failures
