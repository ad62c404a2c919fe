"""A model as one pool sees it, and why and until when it is excluded."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from math import inf

from capability_router.engine.limits import Meter, Unit
from capability_router.engine.model import Model
from capability_router.engine.request import CompletionRequest
from capability_router.engine.state import ModelState

__all__ = ["Member", "Order", "Rank", "Standby"]

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
        meter: The limit that was used up, if it was one.
        behind: The order that this one, of a limit, holds back for longer; it is in force again
            if something of the limit is given back.
    """

    reason: str
    until: float
    whole_provider: bool = False
    probe: bool = True
    meter: Meter | None = None
    behind: Order | None = None


@dataclass(slots=True, eq=False)
class Standby:
    """Why and until when a member is excluded.

    Attributes:
        order: The order that holds longest of those given.
        since: Monotonic seconds when it left.
        ejected: True if it left for errors, that is, by our own conclusion, and no other reason
            has been given since.
        on_trial: True while its probe is in flight.
        place: Its place among those that wait for a trial; None if it does not wait.
    """

    order: Order
    since: float
    ejected: bool = False
    on_trial: bool = False
    place: tuple[float, int, str] | None = None

    def describe(self, now: float) -> str:
        """Return the reason with the time left, for people."""
        if self.on_trial:
            return f"{self.order.reason}, probe in flight"
        if self.order.until == inf:
            return f"{self.order.reason}, until recovered by hand"
        return f"{self.order.reason}, {max(0.0, self.order.until - now):.1f} s left"


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
        return lack or (self.standby.describe(now) if self.standby else None)

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
