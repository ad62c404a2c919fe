from dataclasses import replace

import pytest
from prometheus_client import CollectorRegistry, Counter, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from capability_router import CapabilityRouter, FailureKind, Model, Price, Prometheus
from capability_router.engine.outcome import Failure, Usage
from capability_router.observability.metrics import MOST_SERIES
from capability_router.storage.keeper import Keeper
from capability_router.storage.store import StoreFault
from capability_router.testing.clock import ManualClock
from tests.storage.model import Shared
from tests.storage.shelf import Client

NODE = "generation.text-generation.chat-completion"
Sample = tuple[dict[str, str], float]


class Counted:
    """A router whose calls are counted in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.connector = Prometheus(registry=self.registry)
        self.clock = ManualClock()
        self.router = CapabilityRouter(clock=self.clock, observability=[self.connector], seed=1)
        self.router.register(Model("a/x", ("chat-completion",), price=Price(1.0, 2.0)))
        self.router.register(Model("b/y", ("chat-completion",)))

    def fail_over(self) -> None:
        """Ask; the first model is overloaded for 2 seconds, and the second answers in 3."""
        call = self.router.plan("chat-completion")
        call.next()
        self.clock.advance(2.0)
        call.failed(Failure(FailureKind.OVERLOADED, 503))
        call.next()
        self.clock.advance(0.5)
        call.first_token()
        self.clock.advance(2.5)
        call.succeeded(Usage(100, 20, 0.25))

    def shown(self, name: str) -> list[Sample]:
        """The samples of a metric, as the text says that Prometheus reads."""
        text = generate_latest(self.registry).decode()
        return [
            (dict(sample.labels), sample.value)
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == f"capability_router_{name}"
        ]

    def active(self) -> dict[str, float]:
        return {labels["model"]: value for labels, value in self.shown("model_active")}


@pytest.fixture
def counted() -> Counted:
    return Counted()


def who(model: str, **more: str) -> dict[str, str]:
    return {"model": model, "provider": model[0], "pool": NODE, **more}


def test_requests_and_attempts_are_counted_by_how_they_ended(counted: Counted) -> None:
    counted.fail_over()
    assert counted.shown("requests_total") == [
        ({"node": NODE, "pool": NODE, "outcome": "served"}, 1.0)
    ]
    assert counted.shown("attempts_total") == [
        (who("a/x", outcome="overloaded"), 1.0),
        (who("b/y", outcome="served"), 1.0),
    ]


def test_times_tokens_and_costs_are_those_of_who_served(counted: Counted) -> None:
    counted.fail_over()
    assert counted.shown("request_seconds_sum") == [({"node": NODE}, 5.0)]
    assert counted.shown("attempt_seconds_sum") == [(who("b/y"), 3.0)]
    assert counted.shown("first_token_seconds_sum") == [(who("b/y"), 0.5)]
    assert counted.shown("tokens_total") == [
        (who("b/y", type="input"), 100.0),
        (who("b/y", type="output"), 20.0),
    ]
    assert counted.shown("cost_usd_total") == [(who("b/y"), 0.25)]


def test_call_that_nobody_served_counts_by_its_last_failure(counted: Counted) -> None:
    call = counted.router.plan("chat-completion")
    for kind in (FailureKind.AUTH, FailureKind.BILLING):
        call.next()
        call.failed(Failure(kind))
    call.next()
    for model in counted.router.models:
        counted.router.deactivate(model.id)
    counted.router.plan("chat-completion").next()
    outcomes = {labels["outcome"]: value for labels, value in counted.shown("requests_total")}
    assert outcomes == {"billing": 1.0, "no_available_model": 1.0}


def test_members_are_active_until_they_leave_and_gone_when_they_are_removed(
    counted: Counted,
) -> None:
    router = counted.router
    router.pool("chat-completion")
    assert counted.active() == {"a/x": 1.0, "b/y": 1.0}
    router.deactivate("a/x")
    assert counted.active() == {"a/x": 0.0, "b/y": 1.0}
    router.recover("a/x")
    router.unregister("b/y")
    assert counted.active() == {"a/x": 1.0}
    types = {labels["type"]: value for labels, value in counted.shown("events_total")}
    assert types["pool_membership_changed"] == 3.0
    assert types["model_deactivated"] == 1.0


def test_model_that_is_removed_before_anything_was_told_of_it_is_no_fault(
    counted: Counted,
) -> None:
    router = CapabilityRouter()
    router.register(Model("a/x", ("chat-completion",)))
    router.pool("chat-completion")
    router.observe(counted.connector)
    router.unregister("a/x")
    assert counted.active() == {}
    assert not router.emitter.failures


def test_routers_of_one_registry_count_together(counted: Counted) -> None:
    counted.fail_over()
    second = CapabilityRouter(observability=[Prometheus(registry=counted.registry)])
    second.register(Model("a/x", ("chat-completion",)))
    second.call("chat-completion", lambda model: model.name)
    assert [value for _, value in counted.shown("requests_total")] == [2.0]


def test_labels_stay_bounded_however_many_models_come_and_go(counted: Counted) -> None:
    counted.fail_over()
    (decision,) = counted.router.decisions
    for number in range(MOST_SERIES + 5):
        attempt = replace(decision.attempts[1], model=f"b/{number}")
        counted.connector.record(replace(decision, attempts=(attempt,)))
    attempts = counted.shown("attempts_total")
    assert len(attempts) == MOST_SERIES + 1
    other = {"model": "other", "provider": "other", "pool": "other", "outcome": "served"}
    assert [value for labels, value in attempts if labels == other] == [7.0]


def test_a_store_of_shared_state_that_is_gone_can_be_alarmed_on(counted: Counted) -> None:
    assert counted.shown("state_store_lost") == [({}, 0.0)]
    shelf = Shared(counted.clock.wall)
    client = Client(shelf)
    keeper = Keeper(client, counted.clock, lambda: None)
    keeper.attach(counted.router)
    keeper.turn(counted.router)
    client.cut = StoreFault.UNREACHABLE
    keeper.turn(counted.router)
    assert counted.shown("state_store_lost") == [({}, 1.0)]
    client.cut = None
    counted.clock.advance(5.0)
    keeper.turn(counted.router)
    assert counted.shown("state_store_lost") == [({}, 0.0)]


def test_name_that_is_taken_is_refused_by_the_registry() -> None:
    registry = CollectorRegistry()
    Counter("capability_router_requests", "Somebody else's.", registry=registry)
    with pytest.raises(ValueError, match="Duplicated timeseries"):
        Prometheus(registry=registry)
