"""The members of one pool and their standing: active, on standby, or on trial.

Each method is one transition and returns the events that tell of it. Knows no request and no
policy on when to leave; it is told who leaves and until when.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from math import inf

from capability_router.engine.deactivation import Reason
from capability_router.engine.events import EventType, RoutingEvent
from capability_router.engine.model import Model
from capability_router.engine.request import CompletionRequest
from capability_router.engine.selection import Rank, SelectionStrategy
from capability_router.engine.state import ModelState

__all__ = ["Member", "Order", "Pick", "Roster", "Standby"]


@dataclass(frozen=True, slots=True)
class Order:
    """The order that a model goes to standby.

    Attributes:
        reason: Why.
        until: Monotonic seconds from which it may be tried; ``inf`` if only by hand.
        whole_provider: True if it concerns every model of the provider.
    """

    reason: str
    until: float
    whole_provider: bool = False


@dataclass(slots=True, eq=False)
class Standby:
    """Why and until when a member is excluded.

    Attributes:
        order: The order that holds longest of those given.
        since: Monotonic seconds when it left.
        on_trial: True while its probe is in flight.
        place: Its place among those that wait for a trial; None if it does not wait.
    """

    order: Order
    since: float
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
        standby: Why it is excluded; None while it is active.
        step: Growth steps of its next standby.
    """

    model: Model
    state: ModelState
    rank: Rank
    places: frozenset[str]
    active_since: float
    standby: Standby | None = None
    step: int = 0

    def serves(self, request: CompletionRequest, node: str) -> bool:
        """Return whether it is at or under a node and meets a request, active or not."""
        return node in self.places and self.model.lacks(request) is None

    def obstacle(
        self, request: CompletionRequest, tried: Collection[str], now: float
    ) -> str | None:
        """Say why this member cannot serve a request now; None if it can."""
        lack = self.model.lacks(request)
        if lack is None and self.model.id in tried:
            lack = "tried in this call"
        return lack or (self.standby.describe(now) if self.standby else None)


@dataclass(frozen=True, slots=True)
class Pick:
    """A model handed out for one attempt.

    Attributes:
        model: The model.
        trial: The standby that this attempt puts to the test; None for an active model.
        panic: True if it was tried before its time because nothing else was left.
    """

    model: Model
    trial: Standby | None = None
    panic: bool = False


Events = list[RoutingEvent]


class Roster:
    """Who is in a pool, who is active, and when the others may be tried.

    Args:
        pool: Name of the pool, for the events.
        strategy: Is told of every model that becomes active or stops being so.
    """

    def __init__(self, pool: str, strategy: SelectionStrategy) -> None:
        self._pool = pool
        self._strategy = strategy
        self.members: dict[str, Member] = {}
        self.standby: dict[str, Member] = {}
        # Standby members in the order of their next trial; those that only a person brings back,
        # and those on trial, are not in it.
        self._waiting: list[tuple[float, int, str]] = []
        self.transitions = 0

    def join(self, member: Member) -> Events:
        """Take a new member in as active."""
        self.members[member.model.id] = member
        self._strategy.admit(member.model, member.rank)
        return [self._event(EventType.MODEL_ADDED, member, member.active_since)]

    def leave(self, member: Member, now: float) -> Events:
        """Drop a member, whatever its standing."""
        del self.members[member.model.id]
        if self.standby.pop(member.model.id, None) is None:
            self._strategy.withdraw(member.model)
        else:
            self._stop_waiting(member)
        return [self._event(EventType.MODEL_REMOVED, member, now)]

    def send_away(self, member: Member, order: Order, now: float) -> Events:
        """Move a member to standby; one that is there takes the order if it holds longer."""
        if member.standby is not None:
            return self._extend(member, member.standby, order, now)
        member.standby = Standby(order, since=now)
        self.standby[member.model.id] = member
        self._strategy.withdraw(member.model)
        self._wait(member)
        self.transitions += 1
        return [self._event(EventType.MODEL_DEACTIVATED, member, now)]

    def activate(self, member: Member, now: float) -> Events:
        """Move a member back to active; one that is active stays so."""
        if member.standby is None:
            return []
        reason = member.standby.order.reason
        self._stop_waiting(member)
        del self.standby[member.model.id]
        member.standby, member.active_since = None, now
        self._strategy.admit(member.model, member.rank)
        self.transitions += 1
        return [self._event(EventType.MODEL_ACTIVATED, member, now, reason)]

    def start_trial(self, member: Member, now: float) -> Events:
        """Put a standby member on trial: no other request gets it until the trial has ended."""
        standby = _standby_of(member)
        self._stop_waiting(member)
        standby.on_trial = True
        return [self._event(EventType.PROBE_STARTED, member, now)]

    def fail_trial(self, member: Member, order: Order, now: float) -> Events:
        """End a trial with a failure: the member waits again, as ordered."""
        standby = _standby_of(member)
        standby.on_trial = False
        # A person may have sent it away during the trial, or the trial was before its time.
        if order.until > standby.order.until:
            standby.order = order
        self._wait(member)
        return [self._event(EventType.PROBE_FAILED, member, now)]

    def return_trial(self, member: Member, now: float, *, failed: bool = False) -> Events:
        """End a trial that showed nothing new: the member waits as it did before."""
        _standby_of(member).on_trial = False
        self._wait(member)
        told = EventType.PROBE_FAILED if failed else EventType.PROBE_RETURNED
        return [self._event(told, member, now)]

    def due(self, now: float) -> Iterator[Member]:
        """Iterate over the members whose trial is due, longest due first."""
        for until, _, model_id in self._waiting:
            if until > now:
                return
            yield self.members[model_id]

    def earliest(self, fits: Callable[[Model], bool]) -> Member | None:
        """Return the fitting member that comes back first of those ejected for errors.

        Where a provider or a person has stated a time, trying earlier would only do harm.
        """
        for *_, model_id in self._waiting:
            member = self.members[model_id]
            if _standby_of(member).order.reason == Reason.ERROR_THRESHOLD and fits(member.model):
                return member
        return None

    def gone_with(self, provider: str) -> list[Member]:
        """Return the members that left because their whole provider did."""
        return [
            member
            for member in self.standby.values()
            if member.model.provider == provider and _standby_of(member).order.whole_provider
        ]

    def next_trial(self, fits: Callable[[Member], bool]) -> float | None:
        """Return the monotonic seconds of the first trial of a member that fits; None for never."""
        waiting = ((until, self.members[model_id]) for until, _, model_id in self._waiting)
        return next((until for until, member in waiting if fits(member)), None)

    def _extend(self, member: Member, standby: Standby, order: Order, now: float) -> Events:
        if order.until <= standby.order.until:
            return []
        self._stop_waiting(member)
        standby.order = order
        if not standby.on_trial:
            self._wait(member)
        return [self._event(EventType.STANDBY_EXTENDED, member, now)]

    def _wait(self, member: Member) -> None:
        standby = _standby_of(member)
        if standby.order.until < inf:
            # Of those that left together, as a provider's models do, first who has failed least:
            # one that always fails must not keep the others from showing that they do not.
            standby.place = (standby.order.until, member.step, member.model.id)
            insort(self._waiting, standby.place)

    def _stop_waiting(self, member: Member) -> None:
        standby = _standby_of(member)
        if standby.place is not None:
            del self._waiting[bisect_left(self._waiting, standby.place)]
            standby.place = None

    def _event(
        self, event_type: EventType, member: Member, now: float, reason: str = ""
    ) -> RoutingEvent:
        order = member.standby.order if member.standby else None
        until = order.until if order and order.until < inf else None
        reason = order.reason if order else reason
        return RoutingEvent(event_type, self._pool, member.model.id, now, reason, until)


def _standby_of(member: Member) -> Standby:
    if member.standby is None:
        raise AssertionError(f"{member.model.id!r} is active, not on standby")
    return member.standby
