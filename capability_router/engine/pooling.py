"""A pool as its router uses it: members, picks, and what follows from outcomes.

Each method is one step; the caller holds the guard, around several pools at once where need be,
and hands out the events after it. Knows no call and no other pool.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from math import inf

from capability_router.engine.accounts import Accounts
from capability_router.engine.errors import UnknownModelError, nearest
from capability_router.engine.events import (
    EventEmitter,
    ObservabilityConnector,
    RoutingEvent,
)
from capability_router.engine.faults import FaultRule
from capability_router.engine.inquiry import Inquiry
from capability_router.engine.lanes import Lanes
from capability_router.engine.lease import Lease
from capability_router.engine.ledger import Reservation, give_back
from capability_router.engine.member import Member, Order, Standby
from capability_router.engine.membership import PoolPreferences, places_of
from capability_router.engine.model import Model
from capability_router.engine.outcome import Failure, Outcome
from capability_router.engine.preferring import preferred
from capability_router.engine.rationing import Rationing
from capability_router.engine.request import CompletionRequest
from capability_router.engine.retry import RetryAccount
from capability_router.engine.roster import Roster
from capability_router.engine.rotation import RotationPolicy
from capability_router.engine.rotator import Rotator
from capability_router.engine.state import ModelState
from capability_router.engine.tempo import Tempo
from capability_router.engine.throttling import Throttling
from capability_router.engine.till import Till
from capability_router.engine.timetable import Timetable
from capability_router.engine.timing import World, default_world
from capability_router.engine.tree import CapabilityTree

__all__ = ["RoutedPool"]


class RoutedPool:
    """The steps that a router takes on a pool; ``CapabilityPool`` tells of the arguments."""

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
        outbox: list[RoutingEvent] | None = None,
    ) -> None:
        self._tree = tree if tree is not None else CapabilityTree()
        self.name = name
        self.hierarchy_node = self._tree.resolve(hierarchy_node).path
        self._preferences = preferences or PoolPreferences()
        self._emitter = event_emitter
        self._observability = observability
        self._managed = outbox is not None
        self._outbox = outbox if outbox is not None else []
        self._states = states if states is not None else {}
        self._accounts = accounts or Accounts({})
        self._world = world or default_world()
        self._guard = guard if guard is not None else nullcontext()
        self._lanes = Lanes(rotation_policy.selection, self._world.rng)
        self._roster = Roster(name, self._lanes, self._outbox)
        self._rotator = Rotator(self._roster, rotation_policy, self._world)
        self._timetable = Timetable(self._roster, self._rotator, self._world)
        self._agenda = self._timetable.agenda
        self._till = Till(name, rotation_policy.limits, self._world, self._outbox)
        self.rationing = Rationing(self._roster, self._till, self._world)
        self._throttle(rotation_policy.throttling)
        self.inquiry = Inquiry(self._roster, self._till)
        self._retries = RetryAccount(rotation_policy.retry.budget, self.now())
        self.tempo = Tempo()
        self._timetable.start(self.now())
        self._joined = 0
        self._total_requests = 0
        self._calls = 0

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

    def send_away(self, model: Model, reason: str) -> bool:
        """Move a model to standby by a person's order; return whether only a person ends it."""
        now = self.now()
        member = self._member(model)
        order = self._rotator.order(member, reason, now)
        self._roster.send_away(member, order, now)
        return order.until == inf

    def take_back(self, model: Model) -> None:
        """Move a model back to active by a person's order, unless a limit holds it back."""
        member, now = self._member(model), self.now()
        self._rotator.take_back(member, now)
        self.rationing.hold(member, now)
        self._timetable.retire(member, now)

    def pick(
        self,
        request: CompletionRequest,
        node: str,
        tried: Collection[str],
        now: float,
        *,
        trial_first: bool = True,
        trials: bool = True,
    ) -> Lease | None:
        """Hand out a model, or None if none can serve.

        A trial that is due goes first in a fresh call, because somebody has to take it; in a
        call that has already failed once it comes last, so that nobody pays for two.

        Args:
            request: What is asked for.
            node: Full path of the node; only models at or under it serve.
            tried: Ids of models that failed in this call before.
            now: Monotonic seconds.
            trial_first: False to let a trial that is due come last in a fresh call as well,
                because somebody else takes it.
            trials: False to hand out active models only.
        """
        roster, trial_first = self._roster, trial_first and not tried
        if now >= roster.next_at or now >= self._agenda.next_at:
            self._timetable.run(now)
            if trial_first and (lease := self._try_first(request, node, now)):
                return lease
        if self._till.meters and not self._till.is_open(now):
            return None
        strategy = self._lanes.lane(node, request)
        avoid = roster.avoiding(tried, now) if roster.spared else tried
        member = None if self._throttles else strategy.choose(request, avoid, now)
        reserved: Reservation | None = ()
        if member is not None and (member.meters or self._till.meters):
            reserved = self._till.reserve(member, request, now)
        if member is None or reserved is None:
            found = self.rationing.affordable(strategy, request, avoid, tried, now)
            if found is None:
                if trial_first or not trials:
                    return None
                due = preferred(roster.due(now, node), request.prefers)
                return self._try_one(due, request, node, tried, now)
            member, reserved = found
        noted = False
        try:
            strategy.chosen(member, avoid, now)
            noted = True
        finally:
            if not noted:
                # A strategy may be somebody else's code: what it breaks must not stay taken.
                give_back(reserved, now)
        return self._hand_out(Lease(member, self, request, node, now, strategy, reserved))

    def pick_early(
        self, request: CompletionRequest, node: str, tried: Collection[str], now: float
    ) -> Lease | None:
        """Hand out a model before its time that left for errors, because nobody else is left."""
        early = preferred(self._roster.early(now), request.prefers)
        return self._try_one(early, request, node, tried, now)

    def pick_model(
        self, model_id: str, request: CompletionRequest, node: str, now: float
    ) -> Lease | None:
        """Hand out this model and no other; None if it cannot serve, or its trial is not due."""
        member = self._roster.members.get(model_id)
        if member is None or member.model.lacks(request) is not None:
            return None
        if member.state.is_full:
            return None
        self._timetable.run(now)
        if member.standby is not None:
            due = (each for each in self._roster.due(now) if each is member)
            return self._try_one(due, request, node, (), now)
        reserved = self._till.reserve(member, request, now) if self._till.is_open(now) else None
        if reserved is None:
            return None
        return self._hand_out(Lease(member, self, request, node, now, None, reserved))

    def due_trials(self, now: float) -> list[Model]:
        """Return the models whose trial is due."""
        self._timetable.run(now)
        return [member.model for member in self._roster.due(now)]

    def failed(
        self, model: Model, failure: Failure, rule: FaultRule, trial: Standby | None, now: float
    ) -> Order | None:
        """Judge a failure of a member; return the order to leave, where there is one."""
        member = self._roster.members.get(model.id)
        if member is None:
            return None
        return self._rotator.failed(member, failure, rule, trial, now)

    def succeeded(
        self, model: Model, trial: Standby | None, outcome: Outcome, latency_s: float, now: float
    ) -> None:
        """Lift what a success on trial, here (``trial``) or elsewhere, has disproved."""
        member = self._roster.members.get(model.id)
        if member is not None:
            self._rotator.succeeded(member, trial, outcome, latency_s, now)

    def room_changed(self, model: Model) -> None:
        """Take note that a model is full, or is so no more."""
        member = self._roster.members.get(model.id)
        if member is not None:
            self._roster.room_changed(member)

    def trial_returned(self, member: Member, trial: Standby, now: float) -> None:
        """Note that a trial ended without a result: it is due as it was before."""
        if self._roster.members.get(member.model.id) is member:
            self._rotator.trial_returned(member, trial, now)

    def provider_failed(self, provider: str, order: Order, now: float) -> None:
        """Send away every member of a provider as one of its models was."""
        for member in self._roster.of_provider(provider):
            self._rotator.send_away(member, order, now)

    def provider_recovered(self, provider: str, now: float) -> None:
        """Take back every member that had left because of its provider."""
        for member in self._roster.gone_with(provider):
            self._rotator.provider_recovered(member, now)

    def ejected(self, provider: str) -> set[str]:
        """Return the ids of a provider's models that are on standby for errors."""
        gone = (member.model for member, _ in self._roster.ejected_members())
        return {model.id for model in gone if model.provider == provider}

    def begin_call(self) -> RotationPolicy:
        """Note that a call begins, of which there may be a share of repetitions."""
        self._calls += 1
        return self.rotation_policy

    def may_repeat(self, now: float) -> bool:
        """Take one repetition of the same model from the pool's budget, if one is left."""
        return self._retries.withdraw(self._calls, now)

    def _throttle(self, throttling: Throttling | None) -> None:
        self.rationing.throttling = throttling
        self._throttles = throttling is not None

    def _order_anew(self) -> None:
        active = [m for m in self._roster.members.values() if m.standby is None]
        self._lanes.remake(self.rotation_policy.selection, active)

    def _try_first(self, request: CompletionRequest, node: str, now: float) -> Lease | None:
        """Put a member on trial in a fresh call, unless one that is preferred more can serve."""
        due: Iterable[Member] = self._roster.due(now, node)
        if request.prefers:
            avoid = self._roster.avoiding((), now)
            serving = self._lanes.lane(node, request).choose(request, avoid, now)
            due = preferred(due, request.prefers, serving)
        return self._try_one(due, request, node, (), now)

    def _try_one(
        self,
        members: Iterable[Member],
        request: CompletionRequest,
        node: str,
        tried: Collection[str],
        now: float,
    ) -> Lease | None:
        """Put the first of some standby members on trial that fits and can afford it."""
        short: list[Member] = []
        lease = None
        for member in members:
            fits = node in member.places and member.model.lacks(request) is None
            free = member.model.id not in tried and not member.state.is_full
            if not (fits and free and self._till.is_open(now)):
                continue
            reserved = self._till.reserve(member, request, now)
            if reserved is not None:
                trial = self._roster.start_trial(member, now)
                lease = Lease(member, self, request, node, now, None, reserved, trial)
                break
            short.append(member)
        for member in short:
            self.rationing.hold(member, now)
        return lease and self._hand_out(lease)

    def _hand_out(self, lease: Lease) -> Lease:
        self._total_requests += 1
        return lease

    def _member(self, model: Model) -> Member:
        members = self._roster.members
        if model.id not in members:
            raise UnknownModelError(model.id, nearest(model.id, list(members)))
        return members[model.id]

    def now(self) -> float:
        """Return monotonic seconds."""
        return self._world.clock.now()
