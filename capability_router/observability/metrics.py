"""Calls and events as metrics of Prometheus; needs its client."""

from __future__ import annotations

from threading import Lock
from weakref import WeakKeyDictionary

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from capability_router.engine.decision import Decision
from capability_router.engine.events import EventType, RoutingEvent
from capability_router.engine.outcome import Attempt
from capability_router.observability.records import failure_of_call

__all__ = ["Metrics", "metrics_of"]

MOST_SERIES = 1000
_OTHER = "other"
_SERVED = "served"
_SECONDS = (0.1, 0.25, 0.5, 1, 2, 4, 8, 16, 32, 64, 128, 256)
_WHO = ("model", "provider", "pool")
_STANDBY = frozenset(
    {
        EventType.MODEL_DEACTIVATED,
        EventType.PROBE_STARTED,
        EventType.PROBE_FAILED,
        EventType.PROBE_RETURNED,
        EventType.STANDBY_EXTENDED,
        EventType.STANDBY_RESTORED,
    }
)
"""Events of a model that is on standby afterwards."""


class Metrics:
    """All metrics of one registry.

    Args:
        registry: Where they are registered.

    Raises:
        ValueError: If a metric of the same name is there already.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._who, self._nodes, self._pools = _Bounded(), _Bounded(), _Bounded()
        self._requests = Counter(
            "capability_router_requests",
            "Calls that ended, by how they did.",
            ("node", "pool", "outcome"),
            registry=registry,
        )
        self._request_seconds = Histogram(
            "capability_router_request_seconds",
            "Seconds from the beginning of a call to its end.",
            ("node",),
            buckets=_SECONDS,
            registry=registry,
        )
        self._attempts = Counter(
            "capability_router_attempts",
            "Attempts that ended, by how they did.",
            (*_WHO, "outcome"),
            registry=registry,
        )
        self._attempt_seconds = Histogram(
            "capability_router_attempt_seconds",
            "Seconds of attempts that served.",
            _WHO,
            buckets=_SECONDS,
            registry=registry,
        )
        self._first_token_seconds = Histogram(
            "capability_router_first_token_seconds",
            "Seconds to the first token of streams that served.",
            _WHO,
            buckets=_SECONDS,
            registry=registry,
        )
        self._tokens = Counter(
            "capability_router_tokens",
            "Tokens as providers counted them.",
            (*_WHO, "type"),
            registry=registry,
        )
        self._cost = Counter(
            "capability_router_cost_usd",
            "US dollars that answers cost, where that is known.",
            _WHO,
            registry=registry,
        )
        self._events = Counter(
            "capability_router_events",
            "Events of a pool, or of the router.",
            ("type", "pool"),
            registry=registry,
        )
        self._active, self._state_store_lost = _gauges(registry)

    def count(self, item: RoutingEvent | Decision) -> None:
        """Take note of one record."""
        if isinstance(item, Decision):
            self._count_call(item)
        else:
            self._count_event(item)

    def _count_call(self, decision: Decision) -> None:
        (node,) = self._nodes(decision.node)
        (pool,) = self._pools(decision.pool or "")
        self._requests.labels(node, pool, failure_of_call(decision) or _SERVED).inc()
        self._request_seconds.labels(node).observe(max(0.0, decision.at - decision.started_at))
        for attempt in decision.attempts:
            self._count_attempt(attempt)

    def _count_attempt(self, attempt: Attempt) -> None:
        who = self._who(attempt.model, attempt.provider, attempt.pool)
        self._attempts.labels(*who, attempt.kind or _SERVED).inc()
        usage = attempt.usage
        for kind, tokens in (("input", usage.input_tokens), ("output", usage.output_tokens)):
            if tokens:
                self._tokens.labels(*who, kind).inc(tokens)
        if attempt.cost_usd:
            self._cost.labels(*who).inc(attempt.cost_usd)
        if attempt.kind is None:
            self._attempt_seconds.labels(*who).observe(attempt.latency_s)
            if attempt.first_token_s is not None:
                self._first_token_seconds.labels(*who).observe(attempt.first_token_s)

    def _count_event(self, event: RoutingEvent) -> None:
        self._events.labels(event.type, *self._pools(event.pool)).inc()
        if event.type in (EventType.STATE_STORE_LOST, EventType.STATE_STORE_RETURNED):
            self._state_store_lost.set(event.type is EventType.STATE_STORE_LOST)
        member = event.pool, event.model
        if event.type is EventType.POOL_MEMBERSHIP_CHANGED and event.reason == "removed":
            self._active.remove(*member)
        elif event.type in (EventType.POOL_MEMBERSHIP_CHANGED, EventType.MODEL_ACTIVATED):
            self._active.labels(*member).set(1)
        elif event.type in _STANDBY and event.model:
            self._active.labels(*member).set(0)


def _gauges(registry: CollectorRegistry) -> tuple[Gauge, Gauge]:
    """Make the metrics of what is so now: who serves, and whether shared state is lost."""
    active = Gauge(
        "capability_router_model_active",
        "1 for a member of a pool that serves, 0 for one on standby.",
        ("pool", "model"),
        registry=registry,
        multiprocess_mode="livemin",
    )
    lost = Gauge(
        "capability_router_state_store_lost",
        "1 while the store of shared state cannot be used, 0 otherwise.",
        registry=registry,
        multiprocess_mode="livemax",
    )
    return active, lost


class _Bounded:
    """Labels as they are, until there are too many different ones."""

    def __init__(self) -> None:
        self._known: set[tuple[str, ...]] = set()

    def __call__(self, *labels: str) -> tuple[str, ...]:
        if labels not in self._known:
            if len(self._known) >= MOST_SERIES:
                return (_OTHER,) * len(labels)
            self._known.add(labels)
        return labels


# A registry takes each name once, and a process may well have several routers.
_by_registry: WeakKeyDictionary[CollectorRegistry, Metrics] = WeakKeyDictionary()
_guard = Lock()


def metrics_of(registry: CollectorRegistry) -> Metrics:
    """Return the metrics of a registry, which are made for the first to ask.

    Raises:
        ValueError: If something else has registered one of their names.
    """
    with _guard:
        found = _by_registry.get(registry)
        if found is None:
            found = _by_registry[registry] = Metrics(registry)
        return found
