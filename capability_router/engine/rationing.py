"""What limits do to the members of one pool: who serves within them, who rests, and who returns.

What a request takes of them is for ``till``.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from capability_router.engine.ledger import Reservation
from capability_router.engine.limits import Meter
from capability_router.engine.member import Member, Order
from capability_router.engine.request import CompletionRequest
from capability_router.engine.roster import Roster
from capability_router.engine.selection import SelectionStrategy
from capability_router.engine.till import Till
from capability_router.engine.timing import World

__all__ = ["Rationing"]

_MOST_REFUSALS = 8


class Rationing:
    """Sends members away whose limits are used up, and lets them return.

    Args:
        roster: The members.
        till: The limits of the pool as a whole.
        world: Clock and source of chance.
    """

    def __init__(self, roster: Roster, till: Till, world: World) -> None:
        self._roster = roster
        self._till = till
        self._clock = world.clock

    def affordable(
        self,
        strategy: SelectionStrategy,
        request: CompletionRequest,
        avoid: Collection[str],
        tried: Collection[str],
        now: float,
    ) -> tuple[Member, Reservation] | None:
        """Find a member whose limits have enough left, and take what the request needs of them.

        Args:
            strategy: Chooses among the active members.
            request: What is asked for.
            avoid: Ids of models that are asked last, those tried among them.
            tried: Ids of models that failed in this call before.
            now: Monotonic seconds.
        """
        short: dict[str, None] = {}
        for passed_over in (avoid, tried) if avoid is not tried else (tried,):
            while True:
                without = {**dict.fromkeys(passed_over), **short} if short else passed_over
                member = strategy.choose(request, without, now)
                if member is None:
                    break
                reserved = self._till.reserve(member, request, now)
                if reserved is not None:
                    return member, reserved
                short[member.model.id] = None
                if len(short) == _MOST_REFUSALS:
                    # Rather ask all of them once than each in turn, and again for each before it.
                    members = self._roster.members.values()
                    short |= self._till.too_small_for(members, request, now)
                # It may have come back by hand, or by a trial, though nothing is left.
                self.hold(member, now)
        return None

    def spent(self, meter: Meter, now: float) -> None:
        """Note that a limit is used up: whoever draws on it rests until it resets."""
        if meter in self._till.meters:
            self._till.close(meter, now)
            return
        for member in self._under(meter):
            self.hold(member, now)

    def refilled(self, meter: Meter, now: float) -> None:
        """Note that something of a limit was given back: whoever left for it returns."""
        if meter in self._till.meters:
            self._till.refill(now)
            return
        for member in self._roster.gone_for(meter):
            self._roster.lift(member, lambda order: order.meter is meter, now)

    def hold(self, member: Member, now: float) -> None:
        """Send a member away if one of its limits is used up."""
        wall = self._clock.wall() if member.meters else 0.0
        for meter in member.meters:
            wait_s = meter.wait_s(now, wall)
            if wait_s > 0:
                order = Order(meter.limit.reason, now + wait_s, probe=False, meter=meter)
                self._roster.send_away(member, order, now)

    def look_again(self, now: float) -> None:
        """Find out who has to rest, after limits have changed."""
        for meter in self._till.meters:
            if meter.wait_s(now, self._clock.wall()) > 0:
                self._till.close(meter, now)
        self._till.refill(now)
        for member in self._roster.members.values():
            self.hold(member, now)

    def _under(self, meter: Meter) -> Iterable[Member]:
        if meter.scope.kind == "provider":
            return self._roster.of_provider(meter.scope.name)
        member = self._roster.members.get(meter.scope.name)
        return [] if member is None else [member]
