"""The conformance suite for connectors: it lets a sound one pass, and finds each broken rule."""

from collections.abc import Callable, Iterator
from pathlib import Path
from threading import get_ident

import pytest
from opentelemetry.sdk.trace import TracerProvider
from prometheus_client import CollectorRegistry

from capability_router import (
    Decision,
    EventType,
    JsonLines,
    Logging,
    ObservabilityConnector,
    OpenTelemetry,
    Prometheus,
    RoutingEvent,
    Webhook,
    registry,
)
from capability_router.testing import check_connector
from tests.receiving import Receiver, receiving


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


def those_that_ship(folder: Path, url: str) -> dict[str, Callable[[], ObservabilityConnector]]:
    return {
        "jsonl": lambda: JsonLines(folder / "log.jsonl"),
        "logging": Logging,
        "opentelemetry": lambda: OpenTelemetry(tracer_provider=TracerProvider()),
        "prometheus": lambda: Prometheus(registry=CollectorRegistry()),
        "webhook": lambda: Webhook(url, close_s=25.0),
    }


@pytest.mark.parametrize("name", registry.names("observability"))
def test_connectors_that_ship_keep_the_rules(name: str, tmp_path: Path, receiver: Receiver) -> None:
    check_connector(those_that_ship(tmp_path, receiver.url)[name])


class Sound:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.items: list[RoutingEvent | Decision] = []

    def record(self, item: RoutingEvent | Decision) -> None:
        self.items.append(item)


def test_connector_is_told_of_every_type_of_event_and_of_calls_that_ended_in_every_way() -> None:
    made: list[Sound] = []

    def make() -> Sound:
        made.append(Sound())
        return made[-1]

    check_connector(make)
    items = made[0].items
    assert {item.type for item in items if isinstance(item, RoutingEvent)} == set(EventType)
    calls = [item for item in items if isinstance(item, Decision)]
    assert {call.served_by for call in calls} == {None, "b/org/y"}
    assert {len(call.attempts) for call in calls} == {0, 1, 2}


class Fussy(Sound):
    def record(self, item: RoutingEvent | Decision) -> None:
        if isinstance(item, RoutingEvent) and not item.model:
            raise KeyError("model")


class Meddling(Sound):
    def record(self, item: RoutingEvent | Decision) -> None:
        if isinstance(item, RoutingEvent):
            item.details["seen"] = True


class Domestic(Sound):
    """Works in the thread that made it only."""

    def __init__(self) -> None:
        super().__init__()
        self.home = get_ident()

    def record(self, item: RoutingEvent | Decision) -> None:
        if get_ident() != self.home:
            raise RuntimeError("another thread")


class ClosedOnce(Sound):
    is_closed = False

    def close(self) -> None:
        if self.is_closed:
            raise ValueError("closed")
        self.is_closed = True


class Mute:
    record = None


@pytest.mark.parametrize(
    ("broken", "sentence"),
    [
        (Fussy, "record of .* raised KeyError"),
        (Meddling, "record changed what it was given"),
        (Domestic, "from several threads at once, raised RuntimeError"),
        (ClosedOnce, "close, for the second time, raised ValueError"),
        (Mute, "'Mute' has no method record"),
        (lambda: 1 / 0, "making it raised ZeroDivisionError"),
    ],
)
def test_broken_rule_is_found(broken: Callable[[], ObservabilityConnector], sentence: str) -> None:
    with pytest.raises(AssertionError, match=sentence):
        check_connector(broken)
