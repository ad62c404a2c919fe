"""What the engine tells the world: events, who emits them and who listens."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Self, TypeVar

from capability_router.engine.timing import spell

__all__ = ["EventEmitter", "EventType", "Outbox", "RoutingEvent"]


class EventType(StrEnum):
    """What happened: to a model of a pool, to a pool, to a provider, or to the router."""

    POOL_MEMBERSHIP_CHANGED = "pool_membership_changed"
    MODEL_DEACTIVATED = "model_deactivated"
    MODEL_ACTIVATED = "model_activated"
    MODEL_ROTATED = "model_rotated"
    PROBE_STARTED = "probe_started"
    PROBE_FAILED = "probe_failed"
    PROBE_RETURNED = "probe_returned"
    STANDBY_EXTENDED = "standby_extended"
    STANDBY_RESTORED = "standby_restored"
    MODEL_SPARED = "model_spared"
    PANIC = "panic"
    DEGRADED = "degraded"
    POOL_CLOSED = "pool_closed"
    POOL_OPENED = "pool_opened"
    BUDGET_EXHAUSTED = "budget_exhausted"
    PROVIDER_DEACTIVATED = "provider_deactivated"
    PROVIDER_RECOVERED = "provider_recovered"
    PROVIDER_HEALTH_CHANGED = "provider_health_changed"
    MODELS_UPDATED = "models_updated"
    MODELS_DISCOVERED = "models_discovered"
    STATE_STORE_LOST = "state_store_lost"
    STATE_STORE_RETURNED = "state_store_returned"
    STATE_DAMAGED = "state_damaged"
    CONFIGURATION_DIFFERS = "configuration_differs"


@dataclass(frozen=True, slots=True)
class RoutingEvent:
    """One change in one pool, or one that concerns a provider or the router as a whole.

    Attributes:
        type: What happened.
        pool: Name of the pool; empty where the event is about no pool.
        model: Id of the model; empty where the event is about the pool as a whole.
        at: Monotonic seconds of the router's clock.
        reason: Why, for instance ``error_threshold`` or ``manual``; ``added`` or ``removed`` where
            the membership of a pool changed; empty if there is none.
        until: Monotonic seconds of the next trial, for a deactivation; None if it stays until
            it is recovered by hand.
        details: Further JSON-ready facts; ``provider`` is the id of the provider that the event
            is about.
    """

    type: EventType
    pool: str
    model: str
    at: float
    reason: str = ""
    until: float | None = None
    details: dict[str, object] = field(default_factory=dict[str, object])

    def __str__(self) -> str:
        about = f"{self._subject()} {self.type}"
        reason = f" ({self.reason})" if self.reason else ""
        until = "" if self.until is None else f", for {spell(max(0.0, self.until - self.at))}"
        return f"{about}{reason}{until}"

    def _subject(self) -> str:
        if self.pool:
            return f"{self.pool}: {self.model or 'the pool'}"
        provider = self.details.get("provider")
        return "the router:" if provider is None else f"provider {provider}:"

    def as_dict(self) -> dict[str, object]:
        """Return the event as JSON-ready values, which ``from_dict`` reads."""
        return {
            "type": str(self.type),
            "pool": self.pool,
            "model": self.model,
            "at": self.at,
            "reason": str(self.reason),
            "until": self.until,
            "details": dict(self.details),
        }

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Self:
        """Return the event that ``as_dict`` has written down, also after JSON.

        Args:
            record: What ``as_dict`` returned; other keys are passed over.

        Raises:
            KeyError: If a key is missing.
            ValueError: If there is no such type of event.
        """
        return cls(
            type=EventType(record["type"]),
            pool=record["pool"],
            model=record["model"],
            at=record["at"],
            reason=record["reason"],
            until=record["until"],
            details=dict(record["details"]),
        )


T = TypeVar("T")

Subscriber = Callable[[RoutingEvent], object]


class Outbox(list[RoutingEvent]):
    """The events of steps, in their order, until they can be handed out.

    Args:
        conclude: Returns the further events that follow from those steps taken together; called
            under the guard.
        pending: Holds something as long as ``conclude`` may have to tell something.
    """

    def __init__(
        self,
        conclude: Callable[[], Iterable[RoutingEvent]] = tuple,
        pending: Collection[object] = (),
    ) -> None:
        super().__init__()
        self._conclude = conclude
        self._pending = pending

    def drained(self, guard: AbstractContextManager[object]) -> list[RoutingEvent]:
        """Take every event out, to be handed out while the guard is not held.

        Args:
            guard: What those who add to the outbox hold; of two threads, one gets each event.
        """
        if not self and not self._pending:
            return []
        with guard:
            events = [*self, *self._conclude()]
            self.clear()
        return events


class EventEmitter:
    """Hands each event to every subscriber, in the order they subscribed.

    A subscriber that raises is passed over: the others get the event, and the router goes on.
    What it raised is kept in ``failures``, the newest 100.
    """

    def __init__(self) -> None:
        # Replaced as a whole on change, so emitting in one thread never sees half a list.
        self._subscribers: tuple[tuple[Subscriber, EventType | None], ...] = ()
        self.failures: deque[tuple[object, Exception]] = deque(maxlen=100)

    def subscribe(self, subscriber: Subscriber, event_type: EventType | None = None) -> None:
        """Call ``subscriber`` with every later event, or with those of one type.

        Args:
            subscriber: A callable that takes the event; called in the thread that caused it.
            event_type: The only type to hand over; None for all.

        Raises:
            TypeError: If the subscriber cannot be called.
            ValueError: If there is no such type of event.
        """
        if not callable(subscriber):
            raise TypeError(f"subscriber {subscriber!r} must be callable")
        wanted = None if event_type is None else EventType(event_type)
        self._subscribers = (*self._subscribers, (subscriber, wanted))

    def unsubscribe(self, subscriber: Subscriber) -> None:
        """Stop calling ``subscriber``; one that never subscribed is no error."""
        self._subscribers = tuple(s for s in self._subscribers if s[0] != subscriber)

    def emit(self, event: RoutingEvent) -> None:
        """Hand one event to all who asked for its type."""
        for subscriber, wanted in self._subscribers:
            if wanted in (None, event.type):
                self.deliver(subscriber, event)

    def deliver(self, subscriber: Callable[[T], object], item: T) -> None:
        """Hand one record to one listener; what it raises goes no further than ``failures``."""
        try:
            subscriber(item)
        except Exception as error:  # noqa: BLE001 - foreign code, and it must harm nobody
            self.failures.append((item, error))
