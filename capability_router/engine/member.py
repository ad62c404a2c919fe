"""A model as one pool sees it, and why and until when it is excluded."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from math import inf

from capability_router.engine.concurrency import fullness
from capability_router.engine.limits import Unit
from capability_router.engine.meter import Meter
from capability_router.engine.model import Model
from capability_router.engine.reason import ERRORS
from capability_router.engine.request import CompletionRequest
from capability_router.engine.state import ModelState
from capability_router.engine.timing import spell

__all__ = ["Member", "Order", "Rank", "Standby", "held"]

_REQUESTS = Unit.REQUESTS

Rank = tuple[int, int, int]
"""Place in the pool's model list, in its provider list, and in order of joining; low is first."""


@dataclass(frozen=True, slots=True)
class Order:
    """The order that a model goes to standby.

    Attributes:
        reason: Why.
        until: Monotonic seconds from which it may be tried; ``inf`` if only by hand.
        whole_provider: True if it concerns every model of the provider.
        probe: True if the model has to prove itself then, with a single request; False if it is
            simply active again, because nothing was wrong with it.
        stated: True if the provider named the time: it is not tried before, come what may.
        meter: The limit that was used up, if it was one.
    """

    reason: str
    until: float
    whole_provider: bool = False
    probe: bool = True
    stated: bool = False
    meter: Meter | None = None

    def is_over(self, now: float) -> bool:
        """Whether nothing more is asked: no trial, and no look at what is left of a limit."""
        return self.until <= now and not self.probe and self.meter is None

    @property
    def key(self) -> tuple[str, Meter | None]:
        """What it is about: of two orders about the same, the one that holds longer counts."""
        return self.reason, self.meter


def held(order: Order, now: float, *, on_trial: bool) -> str:
    """Return why a model is on standby, with the time left, for people."""
    if on_trial:
        return f"{order.reason}, probe in flight"
    if order.until == inf:
        return f"{order.reason}, until recovered by hand"
    return f"{order.reason}, {spell(max(0.0, order.until - now))} left"


class Standby:
    """Why and until when a member is excluded: every order that holds, until it is over or lifted.

    Attributes:
        orders: The orders, the one given last at the end.
        order: The one that holds longest; of those without an end, the last given.
        since: Monotonic seconds when the member left.
        ejected: True if it left for errors, that is, by our own conclusion, and no other reason
            has come to hold longer since.
        on_trial: True while its probe is in flight.
        place: Its place in the queue of those that wait as it does; None if it does not wait.
        queue: That queue.
    """

    __slots__ = ("ejected", "on_trial", "order", "orders", "place", "queue", "since")

    def __init__(self, order: Order, since: float, *, ejected: bool = False) -> None:
        self.orders = {order.key: order}
        self.order = order
        self.since = since
        self.ejected = ejected
        self.on_trial = False
        self.place: tuple[float, int, str] | None = None
        self.queue: list[tuple[float, int, str]] = []

    @property
    def probe(self) -> bool:
        """Whether the model has to prove itself before it is active again."""
        return any(order.probe for order in self.orders.values())

    def add(self, order: Order) -> None:
        """Take one more order; what is about the same is never shortened."""
        old = self.orders.get(order.key)
        if old is None or order.until > old.until:
            self.orders.pop(order.key, None)
            self.orders[order.key] = order
            self._choose()

    def drop(self, which: Callable[[Order], bool]) -> bool:
        """Forget some orders; return whether none is left."""
        self.orders = {key: order for key, order in self.orders.items() if not which(order)}
        if self.orders:
            self._choose()
        return not self.orders

    def is_only_for_errors(self, now: float) -> bool:
        """Whether nothing but our own conclusions holds now: no stated time, limit or person."""
        holding = (order for order in self.orders.values() if order.until > now)
        return all(order.reason in ERRORS and not order.stated for order in holding)

    def _choose(self) -> None:
        orders = self.orders.values()
        endless = (order for order in reversed(orders) if order.until == inf)
        self.order = next(endless, None) or max(orders, key=lambda order: order.until)

    def describe(self, now: float) -> str:
        """Return the reason with the time left, for people."""
        return held(self.order, now, on_trial=self.on_trial)


@dataclass(slots=True, eq=False)
class Member:
    """A model as one pool sees it.

    Attributes:
        model: The model.
        state: Its counters, shared with its other pools.
        rank: Its place in the pool's order.
        places: Every node it serves: where it registered and all above.
        active_since: Monotonic seconds when it last became active.
        meters: The limits that a request to it draws on: its own and its provider's.
        recovered_at: Monotonic seconds when it last came back from standby; ``-inf`` before.
        standby: Why it is excluded; None while it is active.
        step: Growth steps of its next standby.
        served_before: Successes when it last became active.
    """

    model: Model
    state: ModelState
    rank: Rank
    places: frozenset[str]
    active_since: float
    meters: tuple[Meter, ...] = ()
    recovered_at: float = -inf
    standby: Standby | None = None
    step: int = 0
    served_before: int = 0

    def obstacle(
        self, request: CompletionRequest, tried: Collection[str], now: float
    ) -> str | None:
        """Say why this member cannot serve a request now; None if it can."""
        lack = self.model.lacks(request)
        if lack is None and self.model.id in tried:
            lack = "tried in this call"
        if lack is None and self.standby is not None:
            lack = self.standby.describe(now)
        slots = self.state.slots
        return lack or fullness(self.state.in_flight, slots.limit if slots else None)

    def used(self, now: float) -> float:
        """Return the largest share that is taken of its limits, >= 0; 0 if it has none."""
        most = 0.0
        for meter in self.meters:
            # Spelled out, because strategies ask this of several members for each request.
            taken = meter.taken if now < meter.true_until else meter.taken_at(now)
            if taken > most * meter.capacity:
                most = taken / meter.capacity
        return most

    def requests_left(self, now: float) -> float:
        """Return how many requests its limits leave; ``inf`` if none counts requests."""
        fewest = inf
        for meter in self.meters:
            if meter.limit.unit is _REQUESTS:
                taken = meter.taken if now < meter.true_until else meter.taken_at(now)
                fewest = min(fewest, meter.capacity - taken)
        return fewest
