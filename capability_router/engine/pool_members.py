"""Who is in a pool, and the rules that it goes by, as its router changes them.

Each method is one step; the caller holds the guard and hands out the events after it. Knows no
request.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext

from capability_router.engine.accounts import Accounts
from capability_router.engine.chance import draws_of
from capability_router.engine.errors import UnknownModelError, nearest
from capability_router.engine.events import EventEmitter, Outbox
from capability_router.engine.evidence import Terms
from capability_router.engine.inquiry import Inquiry
from capability_router.engine.lanes import Lanes
from capability_router.engine.member import Member, Order, Standby
from capability_router.engine.membership import PoolPreferences, places_of
from capability_router.engine.model import Model
from capability_router.engine.observing import ObservabilityConnector
from capability_router.engine.permits import Permits
from capability_router.engine.rationing import Rationing
from capability_router.engine.retry import RetryAccount
from capability_router.engine.roster import Roster
from capability_router.engine.rotation import RotationPolicy
from capability_router.engine.rotator import Rotator
from capability_router.engine.state import ModelState
from capability_router.engine.tally import Tally
from capability_router.engine.tempo import Tempo
from capability_router.engine.throttling import Throttling
from capability_router.engine.till import Till
from capability_router.engine.timetable import Timetable
from capability_router.engine.timing import World, default_world
from capability_router.engine.tree import CapabilityTree

__all__ = ["PoolMembers"]


class PoolMembers:
    """The members of a pool and its rules; ``CapabilityPool`` tells of the arguments."""

    def __init__(
        self,
        name: str,
        hierarchy_node: str,
        rotation_policy: RotationPolicy,
        event_emitter: EventEmitter,
        *,
        preferences: PoolPreferences | None = None,
        tree: CapabilityTree | None = None,
        states: dict[str, ModelState] | None = None,
        accounts: Accounts | None = None,
        world: World | None = None,
        guard: AbstractContextManager[object] | None = None,
        observability: ObservabilityConnector | None = None,
        outbox: Outbox | None = None,
        permits: Permits | None = None,
    ) -> None:
        self._tree = tree if tree is not None else CapabilityTree()
        self.name = name
        self.hierarchy_node = self._tree.resolve(hierarchy_node).path
        self._preferences = preferences or PoolPreferences()
        self._emitter = event_emitter
        self._observability = observability
        self._managed = outbox is not None
        self._outbox = outbox if outbox is not None else Outbox()
        self._states = states if states is not None else {}
        self._accounts = accounts or Accounts({})
        self._world = world or default_world()
        self._guard = guard if guard is not None else nullcontext()
        self._lanes = Lanes(rotation_policy.selection, self._world.rng)
        self._roster = Roster(name, self._lanes, self._outbox)
        self._rotator = Rotator(self._roster, rotation_policy, self._world)
        self._timetable = Timetable(self._roster, self._rotator, self._world)
        self._agenda = self._timetable.agenda
        self._till = Till(name, rotation_policy.limits, self._accounts, self._world, self._outbox)
        self.rationing = Rationing(self._roster, self._till, self._world)
        self._throttle(rotation_policy.throttling)
        self._permits = permits or Permits()
        self._terms = Terms(rotation_policy, self._preferences)
        self._draws = draws_of(self._world.rng)
        self.inquiry = Inquiry(self._roster, self._till)
        self._retries = RetryAccount(rotation_policy.retry.budget, self.now())
        self.tempo = Tempo()
        self.tally = Tally()
        self._timetable.start(self.now())
        self._joined = 0
        self._total_requests: int = 0
        self._calls: int = 0

    @property
    def rotation_policy(self) -> RotationPolicy:
        """When models leave, return, and which one serves."""
        return self._rotator.policy

    def covers(self, model: Model) -> bool:
        """Return whether the model belongs here: at or under the node, and not filtered out."""
        places = places_of(model, self._tree)
        return self.hierarchy_node in places and self._preferences.admits(model)

    def join(self, model: Model) -> None:
        """Take in a model that the pool covers."""
        if model.id in self._roster.members:
            return
        now = self.now()
        self._joined += 1
        member = Member(
            model=model,
            state=self._states.setdefault(model.id, ModelState()),
            rank=(*self._preferences.rank(model), self._joined),
            places=places_of(model, self._tree),
            active_since=now,
            meters=self._accounts.of(model),
        )
        member.served_before = member.state.successes
        self._roster.join(member)
        self._timetable.joined(member, now)
        self.rationing.hold(member, now)

    def leave(self, model: Model) -> None:
        """Drop a model."""
        member = self._roster.members.get(model.id)
        if member is not None:
            self._roster.leave(member, self.now())
            self._rotator.keep_enough(self.now())

    def exchange(self, model: Model) -> None:
        """Take other facts of a member, which keeps its standing."""
        member, meters = self._roster.members[model.id], self._accounts.of(model)
        if (model, meters) == (member.model, member.meters):
            return
        self._roster.take_out(member)
        member.model = model
        member.rank = (*self._preferences.rank(model), member.rank[-1])
        member.places = places_of(model, self._tree)
        member.meters = meters
        self._roster.order_anew(member)
        self._timetable.lift_what_is_over(self.now())
        self._timetable.joined(member, self.now())
        self.rationing.hold(member, self.now())

    def change(
        self, policy: RotationPolicy, preferences: PoolPreferences, tree: CapabilityTree
    ) -> None:
        """Go by another policy and other preferences; members keep their standing.

        Who is to join or leave for it is the router's to find out.
        """
        now, self._tree = self.now(), tree
        if (policy, preferences) == (self.rotation_policy, self._preferences):
            return
        self._preferences = preferences
        if policy.retry.budget != self.rotation_policy.retry.budget:
            self._retries = RetryAccount(policy.retry.budget, now)
        self._rotator.policy = policy
        self._throttle(policy.throttling)
        self._terms = Terms(policy, preferences)
        self._till.change(policy.limits)
        self._till.refill(now)
        for member in self._roster.members.values():
            member.rank = (*preferences.rank(member.model), member.rank[-1])
        self._order_anew()
        self._timetable.start(now)
        self._rotator.keep_enough(now)

    def reorder(self, place: Mapping[str, int]) -> None:
        """Let members come in another order where nothing else tells them apart.

        Args:
            place: Place of each model by its id, low is first.
        """
        if self._roster.reorder(place):
            self._joined = len(place)
            self._order_anew()

    def take_over(self, model_id: str, orders: Iterable[Order]) -> None:
        """Let orders that hold a model elsewhere hold it here as well."""
        for order in orders:
            self._roster.send_away(self._roster.members[model_id], order, self.now())

    def look_again(self) -> None:
        """Find out who has to rest and who may return, after anything has changed."""
        self._timetable.lift_what_is_over(self.now())
        self.rationing.look_again(self.now())

    def send_away(self, model: Model, reason: str, until: float | None = None) -> Order:
        """Move a model to standby by a person's order, which is returned.

        Args:
            model: Who leaves.
            reason: Why.
            until: Monotonic seconds when it is active again; None for what the policy says.
        """
        now = self.now()
        member = self._member(model)
        if until is None:
            order = self._rotator.order(member, reason, now)
        else:
            order = Order(reason, until, probe=False)
        self._roster.send_away(member, order, now)
        return order

    def lift(self, model_id: str, reason: str) -> None:
        """Lift what holds a member for one reason."""
        member = self._roster.members.get(model_id)
        if member is not None and member.standby is not None:
            self._roster.lift(member, lambda order: order.reason == reason, self.now())

    def hear_of(self, model_id: str, order: Order, step: int) -> Order | None:
        """Let an order that was given in another process hold here as well.

        Args:
            model_id: Whom it concerns.
            order: The order.
            step: Growth steps of the next standby, as they are there.

        Returns:
            What holds the model for that reason now; None if nothing does, because the pool may
            lose no more of its members, or does not have it.
        """
        member = self._roster.members.get(model_id)
        if member is None:
            return None
        member.step = max(member.step, step)
        self._rotator.send_away(member, order, self.now())
        return member.standby.orders.get(order.key) if member.standby else None

    def hear_end(self, model_id: str, order: Order) -> None:
        """Lift an order that another process has lifted, if it is still the same here."""
        member = self._roster.members.get(model_id)
        standby = member.standby if member else None
        if member and standby and standby.orders.get(order.key) is order:
            self._rotator.lifted_elsewhere(member, order, self.now())

    def held_orders(self) -> Iterator[tuple[str, Order, int]]:
        """Iterate over the orders that hold members, with their ids and growth steps."""
        for model_id, member in self._roster.standby.items():
            orders = member.standby.orders.values() if member.standby else ()
            for order in orders:
                yield model_id, order, member.step

    def trial_of(self, model_id: str, now: float) -> Standby | None:
        """Return the standby of a member whose trial is due or in flight; None if neither is."""
        member = self._roster.members.get(model_id)
        standby = member.standby if member else None
        if standby is None or not (standby.on_trial or standby.order.until <= now):
            return None
        return standby

    def take_back(self, model: Model) -> None:
        """Move a model back to active by a person's order, unless a limit holds it back."""
        member, now = self._member(model), self.now()
        self._rotator.take_back(member, now)
        self.rationing.hold(member, now)
        self._timetable.retire(member, now)

    def _throttle(self, throttling: Throttling | None) -> None:
        self.rationing.throttling = throttling
        self._throttles = throttling is not None

    def _order_anew(self) -> None:
        active = [m for m in self._roster.members.values() if m.standby is None]
        self._lanes.remake(self.rotation_policy.selection, active)

    def _member(self, model: Model) -> Member:
        members = self._roster.members
        if model.id not in members:
            raise UnknownModelError(model.id, nearest(model.id, list(members)))
        return members[model.id]

    def now(self) -> float:
        """Return monotonic seconds."""
        return self._world.clock.now()
