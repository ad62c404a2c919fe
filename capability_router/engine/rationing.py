"""What limits do to the members of one pool: who serves within them, who rests, and who returns.

Throttling is one of them: it lets a share of requests go to somebody else.
What a request takes of them is for ``till``.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from capability_router.engine.ledger import Reservation
from capability_router.engine.member import Member, Order
from capability_router.engine.meter import Meter
from capability_router.engine.request import CompletionRequest
from capability_router.engine.roster import Roster
from capability_router.engine.selection import SelectionStrategy
from capability_router.engine.throttling import Acceptance, Throttling
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

    Attributes:
        throttling: Which share of requests passes a member over; None for no request.
    """

    def __init__(self, roster: Roster, till: Till, world: World) -> None:
        self._roster = roster
        self._till = till
        self._clock = world.clock
        self._random = world.rng.random
        self.throttling: Throttling | None = None

    def affordable(
        self,
        strategy: SelectionStrategy,
        request: CompletionRequest,
        avoid: Collection[str],
        tried: Collection[str],
        now: float,
    ) -> tuple[Member, Reservation] | None:
        """Find a member whose limits have enough left, and take what the request needs of them.

        A share of requests passes over those that are throttled. If nobody else can serve, they
        are asked all the same, and only after them those that are to be avoided.

        Args:
            strategy: Chooses among the active members.
            request: What is asked for.
            avoid: Ids of models that are asked last, those tried among them.
            tried: Ids of models that failed in this call before.
            now: Monotonic seconds.
        """
        short: dict[str, None] = {}
        passed: dict[str, Acceptance] = {}
        for out, throttling in self._rounds(avoid, tried):
            aside: dict[str, None] = {}
            while True:
                without = {**dict.fromkeys(out), **short, **aside} if short or aside else out
                member = strategy.choose(request, without, now)
                if member is None:
                    break
                if throttling is not None and self._is_throttled(member, throttling, now):
                    aside |= self._set_aside(member, throttling, passed, now)
                    continue
                reserved = self._till.reserve(member, request, now)
                if reserved is not None:
                    _count(passed, member, now)
                    return member, reserved
                self._note_short(member, short, request, now)
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

    def _rounds(
        self, avoid: Collection[str], tried: Collection[str]
    ) -> Iterator[tuple[Collection[str], Throttling | None]]:
        """Whom not to take at first, and then, while nobody is found."""
        if self.throttling is not None:
            yield avoid, self.throttling
        yield avoid, None
        if avoid is not tried:
            yield tried, None

    def _is_throttled(self, member: Member, throttling: Throttling, now: float) -> bool:
        """Draw whether a request passes a member over whose turn it is."""
        state = member.state
        if state.acceptance is None:
            state.acceptance = Acceptance()
        share = throttling.share(state.acceptance, now)
        return share > 0 and self._random() < share

    def _set_aside(
        self, member: Member, throttling: Throttling, passed: dict[str, Acceptance], now: float
    ) -> dict[str, None]:
        """Note who is passed over; return the ids of those not to choose for now."""
        if member.state.acceptance is not None:
            passed[member.model.id] = member.state.acceptance
        if len(passed) < _MOST_REFUSALS:
            return {member.model.id: None}
        # Rather whoever is not throttled at all than to draw for each of a thousand.
        return {
            model_id: None
            for model_id, each in self._roster.members.items()
            if each.state.acceptance and throttling.share(each.state.acceptance, now)
        }

    def _note_short(
        self, member: Member, short: dict[str, None], request: CompletionRequest, now: float
    ) -> None:
        """Note whose limits have too little left for a request."""
        short[member.model.id] = None
        if len(short) == _MOST_REFUSALS:
            # Rather ask all of them once than each in turn, and again for each before it.
            members = self._roster.members.values()
            short |= self._till.too_small_for(members, request, now)
        # It may have come back by hand, or by a trial, though nothing is left.
        self.hold(member, now)

    def _under(self, meter: Meter) -> Iterable[Member]:
        if meter.scope.kind == "provider":
            return self._roster.of_provider(meter.scope.name)
        member = self._roster.members.get(meter.scope.name)
        return [] if member is None else [member]


def _count(passed: dict[str, Acceptance], served: Member, now: float) -> None:
    """Count the requests that were passed over, but for one that is asked all the same."""
    for model_id, acceptance in passed.items():
        if model_id != served.model.id:
            acceptance.note(now, accepted=False)
