"""The members of one pool and their standing: active, on standby, or on trial.

Each method is one transition and tells of it by an event. Knows no request and no policy on when
to leave; it is told who leaves and until when.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Collection, Iterator, Mapping
from heapq import merge
from itertools import takewhile
from math import inf

from capability_router.engine.downtime import Downtime
from capability_router.engine.events import EventType, RoutingEvent
from capability_router.engine.lanes import Lanes
from capability_router.engine.member import Member, Order, Standby
from capability_router.engine.meter import Meter
from capability_router.engine.reason import ERRORS, Reason
from capability_router.engine.state import StandbyState

__all__ = ["Roster"]

Queue = list[tuple[float, int, str]]
"""Monotonic seconds, growth steps and ids of members that wait, in this order."""


class Roster:
    """Who is in a pool, who is active, and when the others may be tried.

    Args:
        pool: Name of the pool, for the events.
        lanes: Are told of every model that becomes active or stops being so.
        outbox: Takes the events, to be handed out when the step is over.

    Attributes:
        members: Every member by the id of its model, in the order they joined.
        standby: Those that are excluded, in the order they left.
        spared: The order that an active member should have left by, by the id of its model: until
            its time has come, it serves only if nobody else can.
        next_at: Monotonic seconds of the first return or trial; ``inf`` if nobody waits.
        next_return_at: The same of the first return.
        ejected: How many are on standby for errors.
        transitions: Deactivations and recoveries so far.
        standbys: Deactivations alone.
        downtime: How long it had members, and none was active.
    """

    __slots__ = (
        "_lanes",
        "_outbox",
        "_pool",
        "_returns",
        "_trials",
        "downtime",
        "ejected",
        "members",
        "next_at",
        "next_return_at",
        "spared",
        "standby",
        "standbys",
        "transitions",
    )

    def __init__(self, pool: str, lanes: Lanes, outbox: list[RoutingEvent]) -> None:
        self._pool = pool
        self._lanes = lanes
        self._outbox = outbox
        self.members: dict[str, Member] = {}
        self.standby: dict[str, Member] = {}
        self.spared: dict[str, Order] = {}
        # Standby members in the order of their return, and of their trial for each set of places,
        # so that a trial nobody asks for is in nobody's way. Those that only a person brings back,
        # and those on trial, are in none.
        self._returns: Queue = []
        self._trials: dict[frozenset[str], Queue] = {}
        self.next_return_at = inf
        self.next_at = inf
        self.ejected = 0
        self.transitions = self.standbys = 0
        self.downtime = Downtime()

    def join(self, member: Member) -> None:
        """Take a new member in as active."""
        self.members[member.model.id] = member
        self.order_anew(member)
        self._note_whether_down(member.active_since)
        self._tell_membership("added", member, member.active_since)

    def leave(self, member: Member, now: float) -> None:
        """Drop a member, whatever its standing."""
        del self.members[member.model.id]
        self.spared.pop(member.model.id, None)
        self.take_out(member)
        if member.standby is not None:
            self._end_standby(member, member.standby, now)
        self._note_whether_down(now)
        self._tell_membership("removed", member, now)

    def take_out(self, member: Member) -> None:
        """Take a member out of the order of service, for instance because its facts change."""
        if member.standby is None:
            self._lanes.withdraw(member)
        self._lanes.leave(member)

    def order_anew(self, member: Member) -> None:
        """Find a member's place in the order of service, or among those that wait."""
        self._lanes.join(member)
        if member.standby is None:
            self._lanes.admit(member)
        elif member.standby.place is not None:
            self._stop_waiting(member.standby)
            self._wait(member)

    def reorder(self, place: Mapping[str, int]) -> bool:
        """Take other places for what was the order of joining; return whether anybody moved.

        The lanes know members by their ranks, so these change only where the lanes are made anew.
        """
        members = self.members.values()
        ranks = {member: (*member.rank[:2], place[member.model.id]) for member in members}
        if sorted(members, key=lambda m: m.rank) == sorted(members, key=lambda m: ranks[m]):
            return False
        for member, rank in ranks.items():
            member.rank = rank
        return True

    def send_away(self, member: Member, order: Order, now: float, *, ejected: bool = False) -> None:
        """Move a member to standby; one that is there takes the order if it holds longer.

        Args:
            member: Who leaves.
            order: Why and until when.
            now: Monotonic seconds.
            ejected: True if it is our own conclusion, and counts as such.
        """
        if member.standby is not None:
            self._extend(member, member.standby, order, now)
            return
        member.standby = Standby(order, now, ejected=ejected)
        self.ejected += member.standby.ejected
        self.standby[member.model.id] = member
        self.spared.pop(member.model.id, None)
        self._lanes.withdraw(member)
        self._wait(member)
        member.state.leave(now)
        self.transitions += 1
        self.standbys += 1
        self._note_whether_down(now)
        self._tell(EventType.MODEL_DEACTIVATED, member, now)

    def room_changed(self, member: Member) -> None:
        """Take note that a member is full, or is so no more; that changes no standing."""
        if member.standby is None:
            self._lanes.room_changed(member)

    def spare(self, member: Member, order: Order, now: float) -> None:
        """Keep a member that should leave: until its time has come, it serves last."""
        model_id = member.model.id
        before = self.spared.get(model_id)
        if before is None or before.until <= now:
            told = (EventType.MODEL_SPARED, self._pool, model_id, now, order.reason, order.until)
            self._outbox.append(RoutingEvent(*told))
        self.spared[model_id] = order

    def activate(self, member: Member, now: float) -> None:
        """Move a member back to active; one that is active stays so."""
        if member.standby is None:
            return
        reason = member.standby.order.reason
        self._end_standby(member, member.standby, now)
        member.standby, member.active_since, member.recovered_at = None, now, now
        member.served_before = member.state.successes
        self._lanes.admit(member)
        self._note_whether_down(now)
        self.transitions += 1
        self._tell(EventType.MODEL_ACTIVATED, member, now, reason)

    def lift(
        self,
        member: Member,
        which: Callable[[Order], bool],
        now: float,
        *,
        trial_over: bool = False,
    ) -> None:
        """Lift some of the orders that hold a member; it is active if no other does.

        Args:
            member: On standby.
            which: The orders to lift; those that are over go as well.
            now: Monotonic seconds.
            trial_over: True if its own trial has just succeeded.
        """
        standby, before = _standby_of(member), _standby_of(member).order
        if standby.drop(lambda order: which(order) or order.is_over(now)):
            # As it was: the event of its return tells why it had left.
            standby.order = before
            self.activate(member, now)
            return
        self._stop_waiting(standby)
        standby.on_trial = standby.on_trial and not trial_over
        self._count_ejected(standby)
        if not standby.on_trial:
            self._wait(member)
        member.state.orders_changed()
        if standby.order.until < before.until:
            self._tell(EventType.STANDBY_RESTORED, member, now)
        elif trial_over:
            self._tell(EventType.PROBE_RETURNED, member, now)

    def start_trial(self, member: Member, now: float) -> Standby:
        """Put a standby member on trial: no other request gets it until the trial has ended."""
        standby = _standby_of(member)
        self._stop_waiting(standby)
        standby.on_trial = True
        self._tell(EventType.PROBE_STARTED, member, now)
        return standby

    def fail_trial(self, member: Member, order: Order, now: float) -> None:
        """End a trial with a failure: the member waits again, as ordered."""
        standby = _standby_of(member)
        standby.on_trial = False
        self._add(member, standby, order)
        self._wait(member)
        self._tell(EventType.PROBE_FAILED, member, now)

    def return_trial(self, member: Member, now: float, *, failed: bool = False) -> None:
        """End a trial that showed nothing new: the member waits as it did before."""
        _standby_of(member).on_trial = False
        self._wait(member)
        self._tell(EventType.PROBE_FAILED if failed else EventType.PROBE_RETURNED, member, now)

    def returning(self, now: float) -> list[tuple[Member, Standby]]:
        """Return the members that left for a time only, and whose time has come."""
        back = takewhile(lambda place: place[0] <= now, self._returns)
        return [(self.members[name], _standby_of(self.members[name])) for *_, name in back]

    def due(self, now: float, node: str | None = None) -> Iterator[Member]:
        """Iterate over the members whose trial is due, longest due first.

        Args:
            now: Monotonic seconds.
            node: Full path of the node that they serve; None for any.
        """
        queues = [queue for places, queue in self._trials.items() if not node or node in places]
        due = [takewhile(lambda place: place[0] <= now, queue) for queue in queues]
        return (self.members[name] for *_, name in merge(*due))

    def early(self, now: float) -> Iterator[Member]:
        """Iterate over the members ejected for errors that wait, first due first.

        Where a provider or a person has stated a time, trying earlier would only do harm.
        """
        return (m for _, m in self.waiting() if _standby_of(m).is_only_for_errors(now))

    def waiting(self) -> Iterator[tuple[float, Member]]:
        """Iterate over the monotonic seconds of each return or trial, with the member."""
        places = merge(self._returns, *self._trials.values())
        return ((until, self.members[model_id]) for until, _, model_id in places)

    def standby_states(self) -> list[StandbyState]:
        """Return why, since when and until when members are excluded, in the order they left."""
        return [
            StandbyState(
                model=model_id,
                reason=str(standby.order.reason),
                since=standby.since,
                until=standby.order.until if standby.order.until < inf else None,
                on_trial=standby.on_trial,
            )
            for model_id, member in self.standby.items()
            if (standby := member.standby)
        ]

    def ejected_members(self) -> list[tuple[Member, Standby]]:
        """Return the members that are on standby for errors."""
        standby = ((member, _standby_of(member)) for member in self.standby.values())
        return [(member, why) for member, why in standby if why.ejected]

    def of_provider(self, provider: str) -> list[Member]:
        """Return the members of a provider."""
        return [member for member in self.members.values() if member.model.provider == provider]

    def gone_with(self, provider: str) -> Iterator[Member]:
        """Iterate over the members that left because their whole provider did."""
        return (
            member
            for member in self.standby.values()
            if member.model.provider == provider
            and any(order.whole_provider for order in _standby_of(member).orders.values())
        )

    def gone_for(self, meter: Meter) -> list[Member]:
        """Return the members that left because a limit was used up."""
        away = self.standby.values()
        return [m for m in away if any(o.meter is meter for o in _standby_of(m).orders.values())]

    def avoiding(self, tried: Collection[str], now: float) -> Collection[str]:
        """Return the models not to take while there is another: tried, or spared for now."""
        for model_id, order in list(self.spared.items()):
            # Its time has come, or it has answered since; an answer does not show that it is fast.
            failing = (
                self.members[model_id].state.consecutive_failures or order.reason == Reason.SLOW
            )
            if order.until <= now or not failing:
                del self.spared[model_id]
        return {**dict.fromkeys(tried), **dict.fromkeys(self.spared)} if self.spared else tried

    def _extend(self, member: Member, standby: Standby, order: Order, now: float) -> None:
        before = standby.order
        self._stop_waiting(standby)
        self._add(member, standby, order)
        if not standby.on_trial:
            self._wait(member)
        if standby.order is not before:
            self._tell(EventType.STANDBY_EXTENDED, member, now)

    def _add(self, member: Member, standby: Standby, order: Order) -> None:
        standby.add(order)
        self._count_ejected(standby)
        member.state.orders_changed()

    def _count_ejected(self, standby: Standby) -> None:
        """Count a member no more as ejected once another reason holds it for longer."""
        if standby.ejected and standby.order.reason not in ERRORS:
            standby.ejected = False
            self.ejected -= 1

    def _end_standby(self, member: Member, standby: Standby, now: float) -> None:
        self._stop_waiting(standby)
        self.ejected -= standby.ejected
        del self.standby[member.model.id]
        member.state.come_back(now)

    def _wait(self, member: Member) -> None:
        standby = _standby_of(member)
        if standby.order.until < inf:
            # Of those that left together, as a provider's models do, first who has failed least:
            # one that always fails must not keep the others from showing that they do not.
            standby.place = (standby.order.until, member.step, member.model.id)
            trials = self._trials.setdefault(member.places, [])
            standby.queue = trials if standby.probe else self._returns
            insort(standby.queue, standby.place)
            self._note_next()

    def _stop_waiting(self, standby: Standby) -> None:
        if standby.place is not None:
            del standby.queue[bisect_left(standby.queue, standby.place)]
            standby.place = None
            self._note_next()

    def _note_whether_down(self, now: float) -> None:
        self.downtime.note(now, down=0 < len(self.members) == len(self.standby))

    def _note_next(self) -> None:
        self.next_return_at = self._returns[0][0] if self._returns else inf
        trials = (queue[0][0] for queue in self._trials.values() if queue)
        self.next_at = min(self.next_return_at, min(trials, default=inf))

    def _tell_membership(self, change: str, member: Member, now: float) -> None:
        told = (EventType.POOL_MEMBERSHIP_CHANGED, self._pool, member.model.id, now, change)
        self._outbox.append(RoutingEvent(*told))

    def _tell(self, event_type: EventType, member: Member, now: float, reason: str = "") -> None:
        order = member.standby.order if member.standby else None
        until = order.until if order and order.until < inf else None
        reason = order.reason if order else reason
        self._outbox.append(
            RoutingEvent(event_type, self._pool, member.model.id, now, reason, until)
        )


def _standby_of(member: Member) -> Standby:
    if member.standby is None:
        raise AssertionError(f"{member.model.id!r} is active, not on standby")
    return member.standby
