"""What a router has to tell other processes that share its work, and what it takes from them.

Knows orders, meters and permits as values of the engine; who keeps and carries them is outside.
Nothing here locks: the caller holds the guard, and hands out the events after it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import inf

from capability_router.engine.accounts import Accounts
from capability_router.engine.errors import UnknownCapabilityError
from capability_router.engine.limits import Scope
from capability_router.engine.member import Order
from capability_router.engine.meter import Meter
from capability_router.engine.permits import Permits, Trial
from capability_router.engine.pool import CapabilityPool
from capability_router.engine.reason import Reason
from capability_router.engine.state import ModelState
from capability_router.engine.timing import Clock
from capability_router.engine.topology import Topology

__all__ = ["HeldOrder", "Replica"]

_OF_THE_CALENDAR = {Reason.MAINTENANCE_WINDOW, Reason.DEPRECATED}
"""Every process finds these out for itself."""


@dataclass(frozen=True, slots=True)
class HeldOrder:
    """An order that holds a model in one pool.

    Attributes:
        pool: Name of the pool.
        model: Id of the model.
        order: The order.
        step: Growth steps of the model's next standby.
    """

    pool: str
    model: str
    order: Order
    step: int


class Replica:
    """One of several routers that work as one.

    Args:
        topology: The models and pools.
        accounts: Their limits.
        permits: Which trials may be started.
        clock: Source of time.
    """

    def __init__(
        self, topology: Topology, accounts: Accounts, permits: Permits, clock: Clock
    ) -> None:
        self._topology = topology
        self._accounts = accounts
        self._clock = clock
        self.permits = permits

    def now(self) -> float:
        """Return monotonic seconds."""
        return self._clock.now()

    def wall(self) -> float:
        """Return seconds since 1970 UTC by the clock of this host."""
        return self._clock.wall()

    def orders(self) -> Iterator[HeldOrder]:
        """Iterate over what holds models, but for what each process finds out for itself.

        That is what is left of limits, what the calendar says, and what ``by_hand`` has.
        """
        by_hand = self._topology.by_hand
        for pool in self._topology.every_pool():
            for model_id, order, step in pool.held_orders():
                model = self._topology.models[model_id]
                ordered = (Scope("model", model_id), Scope("provider", model.provider))
                reasons = {by_hand[scope].reason for scope in ordered if scope in by_hand}
                own = order.meter is not None or order.reason in _OF_THE_CALENDAR
                if not own and order.reason not in reasons:
                    yield HeldOrder(pool.name, model_id, order, step)

    def by_hand(self) -> dict[Scope, Order]:
        """Return what people have ordered and is not over, by the model or provider it is about."""
        by_hand, now = self._topology.by_hand, self.now()
        return {scope: order for scope, order in by_hand.items() if order.until > now}

    def hear_of(self, held: HeldOrder) -> Order | None:
        """Let an order that was given in another process hold here as well.

        Returns:
            What holds the model for that reason now; None if nothing does, because the pool may
            lose no more of its members, or there is no such pool or model.
        """
        pool, model = self._pool(held.pool), self._topology.models.get(held.model)
        if pool is None or model is None:
            return None
        order = pool.hear_of(held.model, held.order, held.step)
        if order is not None and order.whole_provider:
            until = order.until if order.until < inf else None
            self._topology.providers.of(model.provider).send_away(order.reason, until)
        return order

    def hear_end(self, held: HeldOrder) -> None:
        """Lift an order that another process has lifted, if it is still the same here."""
        pool = self._pool(held.pool)
        if pool is not None:
            pool.hear_end(held.model, held.order)

    def hear_by_hand(self, scope: Scope, order: Order | None) -> None:
        """Follow what a person has ordered in another process.

        Args:
            scope: The model or provider that it is about; it may not be known here.
            order: The order; None for its end.
        """
        topology = self._topology
        if scope.kind == "provider":
            if order is None:
                topology.take_provider_back(scope.name)
            else:
                topology.drain(scope.name, order.reason, order.until, self.now())
        elif scope.name not in topology.models:
            return
        elif order is None:
            topology.lift_by_hand(scope.name)
        else:
            topology.send_away(scope.name, order.reason, order.until)

    def share_limits(self, share: Callable[[Meter], object]) -> None:
        """Let every limit be shared, also each that comes later.

        Args:
            share: Called with each meter.
        """
        self._accounts.made = share
        for meter in self._accounts.every():
            share(meter)

    def stand_alone(self) -> None:
        """Share no limit and ask for no permit any more."""
        self.permits.needed, self.permits.ask = False, None
        self.permits.granted.clear()
        self.permits.wanted.clear()
        self._accounts.made = None
        for meter in self._accounts.every():
            was_spent = meter.spent
            meter.unshare(self.now())
            self.follow(meter, was_spent)

    def meters(self) -> Iterator[Meter]:
        """Iterate over the meters of all limits."""
        return self._accounts.every()

    def follow(self, meter: Meter, was_spent: bool) -> None:
        """Send those away who draw on a limit that is used up now, or take them back.

        Args:
            meter: Of the limit.
            was_spent: Whether it was used up before.
        """
        if meter.spent == was_spent:
            return
        now = self.now()
        for pool in self._topology.drawing_on(meter.scope):
            rationing = pool.rationing
            (rationing.refilled if was_spent else rationing.spent)(meter, now)

    def trial(self, trial: Trial) -> bool | None:
        """Return whether a trial is in flight; None if it is neither that nor due."""
        pool = self._pool(trial[0])
        standby = pool.trial_of(trial[1], self.now()) if pool else None
        return None if standby is None else standby.on_trial

    def states(self) -> dict[str, ModelState]:
        """Return the counters of each model, by its id."""
        return self._topology.states

    def _pool(self, name: str) -> CapabilityPool | None:
        """Return a pool by its name; an implicit one is made if it would be with a request."""
        topology = self._topology
        if name in topology.pools:
            return topology.pools[name]
        try:
            first = topology.covering(topology.tree.resolve(name).path)[0]
        except UnknownCapabilityError:
            return None
        return first if first.name == name else None
