"""What the clock and the calendar demand of one pool: returns, windows, last days, slow models.

Looked at when the pool is, so nothing waits in a thread. Calendar moments are worked out anew at
least once an hour, because somebody may set the clock, and a machine may sleep.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from math import inf
from statistics import median_low

from capability_router.engine.agenda import Agenda
from capability_router.engine.deactivation import Maintenance, SlowOutlier
from capability_router.engine.member import Member, Order, Standby
from capability_router.engine.reason import Reason
from capability_router.engine.roster import Roster
from capability_router.engine.rotator import Rotator
from capability_router.engine.timing import World

__all__ = ["Timetable"]

_LOOK_AGAIN_S = 3600.0


class Timetable:
    """What is to be done when.

    Args:
        roster: The members.
        rotator: Moves them.
        world: Clock and source of chance.

    Attributes:
        agenda: What is to be done at which moment.
    """

    __slots__ = (
        "_roster",
        "_rotator",
        "_world",
        "agenda",
    )

    def __init__(self, roster: Roster, rotator: Rotator, world: World) -> None:
        self._roster = roster
        self._rotator = rotator
        self._world = world
        self.agenda = Agenda()

    def start(self, now: float) -> None:
        """Begin with the policy that the rotator has now."""
        self.agenda.clear()
        policy = self._rotator.policy
        for maintenance in policy.maintenance:
            self._maintain(maintenance, now)
        if policy.slow is not None:
            self._look_for_slow(policy.slow, now)
        for member in self._roster.members.values():
            self.retire(member, now)
        self._look_again(now)

    def joined(self, member: Member, now: float) -> None:
        """Look after a new member: its last day may come, and a window may be open."""
        self.retire(member, now)
        for maintenance in self._rotator.policy.maintenance:
            self._pause_if_open(maintenance, [member], now)

    def run(self, now: float) -> None:
        """Do what is due, and bring back whose time has come."""
        self.agenda.run(now)
        if self._roster.next_return_at <= now:
            for member, standby in self._roster.returning(now):
                self._bring_back(member, standby, now)

    def retire(self, member: Member, now: float) -> None:
        """Send a member away on its last day, now or when it comes."""
        deprecated_at = member.model.deprecated_at
        if deprecated_at is None or self._roster.members.get(member.model.id) is not member:
            return
        left_s = deprecated_at - self._world.clock.wall()
        if left_s <= 0:
            order = Order(Reason.DEPRECATED, inf, probe=False)
            self._roster.send_away(member, order, now)
            return
        again = now + min(left_s, _LOOK_AGAIN_S)
        self.agenda.add(again, lambda at: self.retire(member, at))

    def lift_what_is_over(self, now: float) -> None:
        """Bring back whom the calendar holds no more, for instance because it was changed."""
        for member in list(self._roster.standby.values()):
            self._roster.lift(member, partial(self._is_over, member, now), now)

    def _look_again(self, now: float) -> None:
        self.lift_what_is_over(now)
        self.agenda.add(now + _LOOK_AGAIN_S, self._look_again)

    def _is_over(self, member: Member, now: float, order: Order) -> bool:
        if order.probe:
            # A person's, whatever its words are, or our own conclusion.
            return False
        wall = self._world.clock.wall()
        if order.meter is not None:
            return order.meter not in member.meters or order.meter.wait_s(now, wall) == 0
        if order.reason == Reason.DEPRECATED:
            return member.model.deprecated_at is None or member.model.deprecated_at > wall
        if order.reason == Reason.MAINTENANCE_WINDOW:
            windows = self._rotator.policy.maintenance
            spans = [self._span(each, now) for each in windows if each.concerns(member.model)]
            return all(start > now for start, _ in spans)
        return False

    def _bring_back(self, member: Member, standby: Standby, now: float) -> None:
        wall = self._world.clock.wall()
        for order in list(standby.orders.values()):
            wait_s = order.meter.wait_s(now, wall) if order.meter else 0.0
            if wait_s > 0:
                # The wall clock was set back meanwhile: what was foretold is still to come.
                self._roster.send_away(member, replace(order, until=now + wait_s), now)
        if standby.order.until <= now:
            self._roster.activate(member, now)

    def _maintain(self, maintenance: Maintenance, now: float) -> None:
        members = list(self._roster.members.values())
        again = self._pause_if_open(maintenance, members, now)
        at = min(again, now + _LOOK_AGAIN_S)
        self.agenda.add(at, lambda at: self._maintain(maintenance, at))

    def _pause_if_open(
        self, maintenance: Maintenance, members: Iterable[Member], now: float
    ) -> float:
        """Send members away if a window is open; return when it closes, or the next one opens."""
        start, end = self._span(maintenance, now)
        if start > now:
            return start
        order = Order(Reason.MAINTENANCE_WINDOW, end, probe=False)
        for member in members:
            # Whom a person has brought back since the window opened stays.
            if maintenance.concerns(member.model) and member.recovered_at < start:
                self._roster.send_away(member, order, now)
        return end

    def _span(self, maintenance: Maintenance, now: float) -> tuple[float, float]:
        """Return start and end of the open window, or of the next one, in monotonic seconds."""
        wall = self._world.clock.wall()
        start, end = maintenance.spans.next_span(wall)
        return now + (start - wall), now + (end - wall)

    def _look_for_slow(self, slow: SlowOutlier, now: float) -> None:
        self.agenda.add(now + slow.interval_s, lambda at: self._look_for_slow(slow, at))
        judged = {
            member: latency_s
            for member in self._roster.members.values()
            if member.standby is None
            and member.state.successes - member.served_before >= slow.min_requests
            and (latency_s := slow.latency_s(member.state)) > 0
        }
        if len(judged) < slow.min_models:
            # What was measured when there were enough says nothing about today.
            self._rotator.slow_limit_s = inf
            return
        # The lower of two middle values: with two models, the faster one is the measure.
        self._rotator.slow_limit_s = limit_s = slow.factor * median_low(judged.values())
        for member, latency_s in judged.items():
            if latency_s > limit_s:
                order = self._rotator.order(member, Reason.SLOW, now)
                self._rotator.send_away(member, order, now)
