import logging
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from capability_router import (
    CapabilityRouter,
    Decision,
    EventEmitter,
    EventType,
    Model,
    RoutingEvent,
)
from capability_router.observability.webhook import Webhook
from capability_router.testing.clock import ManualClock
from tests.receiving import Receiver, receiving


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


def patient(url: str, **options: Any) -> Webhook:
    """A webhook that waits at its end for as long as a busy machine may need."""
    return Webhook(url, **{"close_s": 50.0, **options})


def routed(webhook: Webhook, emitter: EventEmitter | None = None) -> CapabilityRouter:
    router = CapabilityRouter(clock=ManualClock(), observability=[webhook], seed=1, emitter=emitter)
    router.register(Model("a/x", ("chat-completion",)))
    return router


def ask(router: CapabilityRouter, times: int = 1) -> None:
    for _ in range(times):
        router.call("chat-completion", lambda model: model.name)


def kinds(receiver: Receiver) -> set[str]:
    return {record["record"] for record in receiver.records}


def test_every_event_and_decision_arrives_and_can_be_read_back(receiver: Receiver) -> None:
    with patient(receiver.url, headers={"X-Source": "test"}, clock=ManualClock()) as webhook:
        events: list[RoutingEvent] = []
        emitter = EventEmitter()
        emitter.subscribe(events.append)
        router = routed(webhook, emitter)
        ask(router)
        router.deactivate("a/x", "manual")
    told = receiver.records
    assert [RoutingEvent.from_dict(each) for each in told if each["record"] == "event"] == events
    (decision,) = (Decision.from_dict(each) for each in told if each["record"] == "decision")
    assert decision.as_dict() == router.decisions[0].as_dict()
    _, headers = receiver.requests[0]
    assert (headers["content-type"], headers["x-source"]) == ("application/json", "test")
    assert webhook.dropped == 0


def test_what_waits_while_a_body_is_under_way_goes_together_in_the_next(
    receiver: Receiver,
) -> None:
    receiver.open.clear()
    with patient(receiver.url, events=False) as webhook:
        router = routed(webhook)
        ask(router)
        receiver.wait_for(requests=1)
        ask(router, times=120)
        receiver.open.set()
    assert [len(body["records"]) for body in receiver.bodies] == [1, 100, 20]


def test_request_waits_for_no_receiver_and_the_oldest_records_are_dropped(
    receiver: Receiver,
) -> None:
    receiver.open.clear()
    with patient(receiver.url, events=False, capacity=3) as webhook:
        router = routed(webhook)
        ask(router)
        receiver.wait_for(requests=1)
        ask(router, times=10)
        assert webhook.dropped == 7
        receiver.open.set()
    assert [body["dropped"] for body in receiver.bodies] == [0, 7]
    assert [each["at"] for each in receiver.records[1:]] == [d.at for d in router.decisions[-3:]]


@pytest.mark.parametrize(
    ("wanted", "seen"), [({"events": False}, {"decision"}), ({"decisions": False}, {"event"})]
)
def test_either_kind_of_record_can_be_left_out(
    receiver: Receiver, wanted: dict[str, Any], seen: set[str]
) -> None:
    with patient(receiver.url, **wanted) as webhook:
        ask(routed(webhook))
    assert kinds(receiver) == seen


def test_body_that_is_refused_is_counted_and_told_in_the_log_and_in_the_next(
    receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.answers.append((401, {}))
    receiver.open.clear()
    url = f"{receiver.url}/T0K3N"
    webhook = patient(url, headers={"Authorization": "Bearer S3CR3T"}, events=False)
    with webhook, caplog.at_level(logging.DEBUG):
        router = routed(webhook)
        ask(router)
        receiver.wait_for(requests=1)
        ask(router)
        receiver.open.set()
    assert webhook.dropped == 1
    assert [body["dropped"] for body in receiver.bodies] == [1]
    assert "has not taken 1 records: status 401" in caplog.text
    assert "T0K3N" not in caplog.text + repr(webhook)
    assert "S3CR3T" not in caplog.text + repr(webhook)


def test_records_that_cannot_be_told_are_counted_and_keep_no_later_one_back(
    receiver: Receiver,
) -> None:
    endless: dict[str, object] = {}
    endless["details"] = endless
    receiver.open.clear()
    with patient(receiver.url, decisions=False) as webhook:
        webhook.record(RoutingEvent(EventType.POOL_OPENED, "first", "", 0.0))
        receiver.wait_for(requests=1)
        for _ in range(100):
            webhook.record(RoutingEvent(EventType.POOL_OPENED, "", "", 0.0, details=endless))
        webhook.record(RoutingEvent(EventType.POOL_OPENED, "last", "", 0.0))
        receiver.open.set()
    assert [record["pool"] for record in receiver.records] == ["first", "last"]
    assert [body["dropped"] for body in receiver.bodies] == [0, 100]
    assert webhook.dropped == 100


def test_process_that_ends_without_closing_sends_what_waits(receiver: Receiver) -> None:
    script = f"""
from capability_router import CapabilityRouter, Model, Webhook
router = CapabilityRouter(observability=[Webhook({receiver.url!r}, events=False, close_s=50.0)])
router.register(Model("a/x", ("chat-completion",)))
router.call("chat-completion", lambda model: model.name)
"""
    subprocess.run([sys.executable, "-c", script], check=True)
    assert kinds(receiver) == {"decision"}


def test_closing_cuts_a_pause_short_and_sends_what_waits(receiver: Receiver) -> None:
    receiver.answers.append((503, {"retry-after": "250"}))
    webhook = patient(receiver.url, events=False)
    ask(routed(webhook))
    receiver.wait_for(requests=1)
    webhook.close()
    assert (len(receiver.records), webhook.dropped) == (1, 0)


def test_closing_waits_no_longer_than_stated_and_counts_what_is_lost(receiver: Receiver) -> None:
    receiver.open.clear()
    webhook = patient(receiver.url, events=False, close_s=0.0)
    router = routed(webhook)
    ask(router)
    receiver.wait_for(requests=1)
    ask(router, times=2)
    webhook.close()
    assert webhook.dropped == 2
    assert receiver.bodies == []


def test_webhook_that_is_closed_refuses_records_and_harms_no_request(receiver: Receiver) -> None:
    webhook = patient(receiver.url, events=False)
    router = routed(webhook)
    webhook.close()
    webhook.close()
    ask(router)
    _, error = router.emitter.failures[-1]
    assert "is closed" in str(error)
    assert receiver.requests == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"capacity": 0},
        {"timeout_s": 0},
        {"max_attempts": 0},
        {"base_delay_s": -1},
        {"max_delay_s": -1},
        {"close_s": -1},
    ],
)
def test_number_out_of_range_is_refused_by_name(wrong: dict[str, Any]) -> None:
    (name,) = wrong
    with pytest.raises(ValueError, match=f"{name} -?[01] must"):
        Webhook("http://127.0.0.1/", **wrong)
