"""What one pool's requests draw on: the pool's own limits and those of each member.

A pool whose own limit is used up is closed until it resets; its members stay where they are.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from math import inf

from capability_router.engine.accounts import Accounts
from capability_router.engine.events import EventType, RoutingEvent
from capability_router.engine.ledger import Reservation, estimate, refusing, reserve
from capability_router.engine.limits import Forecast, Limit, Scope
from capability_router.engine.member import Member
from capability_router.engine.meter import Meter
from capability_router.engine.request import CompletionRequest
from capability_router.engine.timing import World, spell

__all__ = ["Till"]


class Till:
    """Takes what a request needs, or refuses it.

    Args:
        pool: Name of the pool.
        limits: What may be used of the pool as a whole.
        accounts: Has every meter.
        world: Clock and source of chance.
        outbox: Takes the events.

    Attributes:
        meters: The meters of the pool as a whole.
        closed_until: Monotonic seconds until which the pool is closed; ``-inf`` if it is open.
    """

    __slots__ = (
        "_accounts",
        "_clock",
        "_outbox",
        "_reason",
        "_scope",
        "closed_until",
        "meters",
    )

    def __init__(
        self,
        pool: str,
        limits: tuple[Limit, ...],
        accounts: Accounts,
        world: World,
        outbox: list[RoutingEvent],
    ) -> None:
        self._scope = Scope("pool", pool)
        self._accounts = accounts
        self._clock = world.clock
        self._outbox = outbox
        self._reason = ""
        self.meters: tuple[Meter, ...] = ()
        self.closed_until = -inf
        self.change(limits)

    def change(self, limits: tuple[Limit, ...]) -> None:
        """Take other limits; one on the same window as before goes on counting there."""
        self.meters = self._accounts.at(self._scope, limits)

    def reserve(self, member: Member, request: CompletionRequest, now: float) -> Reservation | None:
        """Take what a request to a member needs from every limit; None, and nothing, if refused."""
        meters = (*self.meters, *member.meters)
        if not meters:
            return ()
        need = estimate(request, member.model, member.state)
        refused = refusing(meters, need, now, self._clock.wall())
        if refused is None:
            return reserve(meters, need, now)
        refused.ask(need[refused.place])
        return None

    def too_small_for(
        self, members: Iterable[Member], request: CompletionRequest, now: float
    ) -> dict[str, None]:
        """Return the ids of the members whose limits have too little left for a request."""
        wall = self._clock.wall()
        return {
            member.model.id: None
            for member in members
            if refusing(member.meters, estimate(request, member.model, member.state), now, wall)
        }

    def is_open(self, now: float) -> bool:
        """Return whether the pool takes requests; one whose time has come is opened again."""
        if self.closed_until == -inf:
            return True
        if now < self.closed_until:
            return False
        wall = self._clock.wall()
        for meter in self.meters:
            if meter.wait_s(now, wall) > 0:
                # The wall clock was set back meanwhile: what was foretold is still to come.
                self.close(meter, now)
        if now < self.closed_until:
            return False
        self.reopen(now)
        return True

    def close(self, meter: Meter, now: float) -> None:
        """Take no more requests until a limit of the pool resets."""
        until = now + meter.resets_in_s(now, self._clock.wall())
        if until > self.closed_until:
            closed = self.closed_until > -inf
            self.closed_until, self._reason = until, meter.limit.reason
            told = EventType.STANDBY_EXTENDED if closed else EventType.POOL_CLOSED
            self._tell(told, now, until if until < inf else None)

    def refill(self, now: float) -> None:
        """Take requests again if something of every limit is left."""
        if not any(meter.spent for meter in self.meters):
            self.reopen(now)

    def reopen(self, now: float) -> None:
        """Take requests again."""
        if self.closed_until > -inf:
            self.closed_until = -inf
            self._tell(EventType.POOL_OPENED, now)

    def obstacle(self, now: float) -> str | None:
        """Say why the pool takes no requests; None if it does."""
        if now >= self.closed_until:
            return None
        if self.closed_until == inf:
            return f"{self._scope} closed: {self._reason}, for ever"
        return f"{self._scope} closed: {self._reason}, {spell(self.closed_until - now)} left"

    def wait_s(self, now: float, reasons: Collection[str]) -> float | None:
        """Return the seconds until the pool opens; None if its reason is not among those given."""
        if (reasons and self._reason not in reasons) or self.closed_until == inf:
            return None
        return max(0.0, self.closed_until - now)

    def room_in_s(
        self, member: Member, request: CompletionRequest, now: float
    ) -> tuple[float, str]:
        """Return the seconds until every limit has room for a request, and the last one's reason.

        ``inf`` where a limit is smaller than the request, or never resets.
        """
        wall, longest = self._clock.wall(), (0.0, "")
        need = estimate(request, member.model, member.state)
        for meter in (*self.meters, *member.meters):
            if refusing([meter], need, now, wall) is not None:
                wait_s = meter.fits_in_s(need[meter.place], now)
                longest = max(longest, (wait_s, meter.limit.reason))
        return longest

    def shortage(self, member: Member, request: CompletionRequest, now: float) -> str:
        """Say which limit has not enough left for a request; empty if all have."""
        meters = (*self.meters, *member.meters)
        need = estimate(request, member.model, member.state)
        meter = refusing(meters, need, now, self._clock.wall())
        if meter is None:
            return ""
        whose = f"{meter.limit.reason}: {meter.scope}"
        if meter.ceiling < meter.capacity:
            return f"{whose} has too little reserved for this process of {meter.limit}"
        return f"{whose} has too little left of {meter.limit}"

    def forecast(self, members: Iterable[Member], now: float) -> list[Forecast]:
        """Return how long each limit lasts: the pool's, then those of its models and providers."""
        meters = [*self.meters, *(meter for member in members for meter in member.meters)]
        wall = self._clock.wall()
        return [meter.forecast(now, wall) for meter in dict.fromkeys(meters)]

    def _tell(self, event_type: EventType, now: float, until: float | None = None) -> None:
        event = RoutingEvent(event_type, self._scope.name, "", now, self._reason, until)
        self._outbox.append(event)
