"""A pool: the models at or under a node, which of them are active, and who serves next.

Knows no call and no other pool. Every public method is one step under the guard; its events are
handed out after it, so that a subscriber may use the pool.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from contextlib import AbstractContextManager, nullcontext
from math import inf

from capability_router.engine.deactivation import Reason
from capability_router.engine.errors import NoAvailableModelError, UnknownModelError, nearest
from capability_router.engine.events import (
    EventEmitter,
    EventType,
    ObservabilityConnector,
    RoutingEvent,
)
from capability_router.engine.faults import FaultRule, Health
from capability_router.engine.membership import PoolPreferences, places_of
from capability_router.engine.model import Model
from capability_router.engine.outcome import Failure
from capability_router.engine.request import CompletionRequest
from capability_router.engine.roster import Member, Order, Pick, Roster, Standby
from capability_router.engine.rotation import RotationPolicy
from capability_router.engine.state import ModelState, PoolState
from capability_router.engine.timing import World, default_world
from capability_router.engine.tree import CapabilityTree

__all__ = ["CapabilityPool"]


class CapabilityPool:
    """The models that serve one node of the tree, with their rotation.

    Args:
        name: Name of the pool.
        hierarchy_node: Node it targets: path, unique last segment or alias.
        rotation_policy: When models leave, return, and which one serves.
        event_emitter: Receives an event for every change.
        preferences: Providers to take and orders of preference.
        tree: The tree that the node and the models' capabilities belong to; None for the
            default one.
        states: Counters by model id, to share with other pools; None for its own.
        world: Clock and source of chance; None for the system's.
        guard: Entered around every step, for instance an ``RLock`` where threads share the pool.
        observability: A further sink for this pool's events.
        managed: True if a router decides who is in it, by what is registered.

    Raises:
        KeyError: If the tree has no such node.
    """

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
        world: World | None = None,
        guard: AbstractContextManager[object] | None = None,
        observability: ObservabilityConnector | None = None,
        managed: bool = False,
    ) -> None:
        self._tree = tree if tree is not None else CapabilityTree()
        self.name = name
        self.hierarchy_node = self._tree.resolve(hierarchy_node).path
        self.rotation_policy = rotation_policy
        self._preferences = preferences or PoolPreferences()
        self._emitter = event_emitter
        self._observability = observability
        self._managed = managed
        self._states = states if states is not None else {}
        self._world = world or default_world()
        self._guard = guard if guard is not None else nullcontext()
        self._strategy = rotation_policy.selection()
        self._roster = Roster(name, self._strategy)
        self._joined = 0
        self._total_requests = 0

    def get_active_models(self) -> list[Model]:
        """Return the models that are eligible now, in the order they joined."""
        with self._guard:
            return [m.model for m in self._roster.members.values() if m.standby is None]

    def get_standby_models(self) -> list[Model]:
        """Return the models that are excluded now, in the order they left."""
        with self._guard:
            return [member.model for member in self._roster.standby.values()]

    def get_state(self) -> PoolState:
        """Return the pool's counts at this moment."""
        with self._guard:
            standby = len(self._roster.standby)
            return PoolState(
                name=self.name,
                hierarchy_node=self.hierarchy_node,
                active_count=len(self._roster.members) - standby,
                standby_count=standby,
                total_requests=self._total_requests,
                rotation_events=self._roster.transitions,
            )

    def covers(self, model: Model) -> bool:
        """Return whether the model belongs here: at or under the node, of a provider it takes."""
        places = places_of(model, self._tree)
        return self.hierarchy_node in places and self._preferences.admits(model)

    def add_model(self, model: Model) -> None:
        """Take a model in as active; one that is in already stays as it is.

        Raises:
            KeyError: If one of its capabilities is no node of the tree.
            ValueError: If it does not belong to this pool, or the pool is a router's.
        """
        self._refuse_if_managed("register")
        if not self.covers(model):
            raise ValueError(
                f"model {model.id!r} does not belong to pool {self.name!r}: none of its"
                f" capabilities {list(model.capabilities)} is at or under"
                f" {self.hierarchy_node!r}, or its provider {model.provider!r} is filtered out"
            )
        with self._guard:
            events = self.join(model)
        self.publish(events)

    def remove_model(self, model: Model) -> None:
        """Drop a model, active or not; one that is not in the pool is no error.

        Raises:
            ValueError: If the pool is a router's.
        """
        self._refuse_if_managed("unregister")
        with self._guard:
            events = self.leave(model)
        self.publish(events)

    def select(self, request: CompletionRequest) -> Model:
        """Return the model that the strategy puts first.

        No report follows, so there is nothing to judge a trial by: a model whose standby time
        has passed is simply active again. ``CapabilityRouter.select`` hands out a lease, and
        tries such a model with a single request.

        Raises:
            NoAvailableModelError: If no active model meets the request.
        """
        with self._guard:
            now = self._now()
            events = [e for m in list(self._roster.due(now)) for e in self._roster.activate(m, now)]
            pick, _ = self.pick(request, self.hierarchy_node)
        self.publish(events)
        if pick is None:
            raise NoAvailableModelError(
                self.hierarchy_node,
                self.reasons(request, self.hierarchy_node),
                retry_after_s=self.next_trial_s(request, self.hierarchy_node),
            )
        return pick.model

    def deactivate(self, model: Model, reason: str) -> None:
        """Move a model to standby; one that is there already takes the later of the two ends.

        Args:
            model: A member of the pool.
            reason: Why. ``manual``, and every reason that the recovery policy does not know,
                lasts until ``recover``.

        Raises:
            KeyError: If the model is not in the pool.
        """
        with self._guard:
            events = self.send_away(model, reason)
        self.publish(events)

    def recover(self, model: Model) -> None:
        """Move a model back to active and forget its failures in a row.

        Raises:
            KeyError: If the model is not in the pool.
        """
        with self._guard:
            events = self.take_back(model)
        self.publish(events)

    def reasons(
        self, request: CompletionRequest, node: str, tried: Collection[str] = ()
    ) -> dict[str, str]:
        """Return by model id why each member at or under a node cannot serve a request now."""
        now = self._now()
        with self._guard:
            members = [m for m in self._roster.members.values() if node in m.places]
            causes = {m.model.id: m.obstacle(request, tried, now) for m in members}
        return {model_id: cause for model_id, cause in causes.items() if cause}

    def next_trial_s(self, request: CompletionRequest, node: str) -> float | None:
        """Return the seconds until a standby model under a node may be tried; None for never."""
        with self._guard:
            until = self._roster.next_trial(lambda member: member.serves(request, node))
        return None if until is None else max(0.0, until - self._now())

    # The steps below are the router's: it holds the guard around several pools at once, and
    # publishes the events after it.

    def join(self, model: Model) -> list[RoutingEvent]:
        """Take in a model that the pool covers."""
        if model.id in self._roster.members:
            return []
        self._joined += 1
        state = self._states.setdefault(model.id, ModelState())
        rank = (*self._preferences.rank(model), self._joined)
        places = places_of(model, self._tree)
        return self._roster.join(Member(model, state, rank, places, active_since=self._now()))

    def send_away(self, model: Model, reason: str) -> list[RoutingEvent]:
        """Move a model to standby by a person's order."""
        member = self._member(model)
        return self._roster.send_away(member, self._order(member, reason), self._now())

    def take_back(self, model: Model) -> list[RoutingEvent]:
        """Move a model back to active by a person's order."""
        member = self._member(model)
        member.state.consecutive_failures = 0
        return self._roster.activate(member, self._now())

    def leave(self, model: Model) -> list[RoutingEvent]:
        """Drop a model."""
        member = self._roster.members.get(model.id)
        return [] if member is None else self._roster.leave(member, self._now())

    def pick(
        self,
        request: CompletionRequest,
        node: str,
        tried: Collection[str] = (),
        *,
        panic: bool = False,
    ) -> tuple[Pick | None, list[RoutingEvent]]:
        """Hand out a model, or None if none can serve.

        A trial that is due goes first in a fresh call, because somebody has to take it; in a
        call that has already failed once it comes last, so that nobody pays for two.

        Args:
            request: What is asked for.
            node: Full path of the node; only models at or under it serve.
            tried: Ids of models that failed in this call before.
            panic: True to try a model that left for errors before its time, if all else fails.
        """
        members = self._roster.members

        def fits(model: Model) -> bool:
            return model.id not in tried and members[model.id].serves(request, node)

        due = next((m for m in self._roster.due(self._now()) if fits(m.model)), None)
        model = None if due and not tried else self._strategy.choose(request, fits)
        if model is not None:
            self._strategy.chosen(model, tried)
            return self._hand_out(Pick(model), tried)
        early = self._roster.earliest(fits) if panic and due is None else None
        probe = due or early
        if probe is None:
            return None, []
        started = self._roster.start_trial(probe, self._now())
        pick, events = self._hand_out(Pick(probe.model, probe.standby, early is not None), tried)
        return pick, started + events

    def failed(
        self, model: Model, failure: Failure, rule: FaultRule, trial: Standby | None
    ) -> tuple[list[RoutingEvent], Order | None]:
        """Judge a failure of a member.

        Args:
            model: The model that failed.
            failure: What happened.
            rule: Its row of the fault table.
            trial: The trial it ended, if this pool had handed the model out for one.

        Returns:
            The events, and the order to leave that the whole provider has to follow, if any.
        """
        member = self._roster.members.get(model.id)
        if member is None:
            return [], None
        verdict = self.rotation_policy.deactivation.judge(member.state, failure, rule)
        on_trial = trial is not None and member.standby is trial
        if verdict is None and not (on_trial and rule.health is not Health.UNTOUCHED):
            return (self._roster.return_trial(member, self._now()) if on_trial else []), None
        reason = verdict.reason if verdict else Reason.ERROR_THRESHOLD
        whole_provider = verdict is not None and verdict.whole_provider
        if member.standby is not None and not on_trial and failure.retry_after_s is None:
            # The news of an attempt that began before the model left: it says nothing new.
            return [], None
        if on_trial and reason == Reason.ERROR_THRESHOLD and self._is_early(member):
            # A trial in panic showed what was known: it must not lengthen the standby.
            return self._roster.return_trial(member, self._now(), failed=True), None
        order = self._order(member, reason, failure, whole_provider=whole_provider)
        move = self._roster.fail_trial if on_trial else self._roster.send_away
        return move(member, order, self._now()), (order if whole_provider else None)

    def succeeded(self, model: Model, trial: Standby | None) -> list[RoutingEvent]:
        """Take a member back that has proved itself on trial, here (``trial``) or elsewhere."""
        member = self._roster.members.get(model.id)
        if member is None or member.standby is None:
            return []
        if member.standby.order.until == inf:
            # A person's order, or a limit, is not lifted by one answer.
            return self.trial_returned(model, trial) if trial else []
        return self._roster.activate(member, self._now())

    def trial_returned(self, model: Model, trial: Standby) -> list[RoutingEvent]:
        """Note that a trial ended without a result: it is due as it was before."""
        member = self._roster.members.get(model.id)
        if member is None or member.standby is not trial:
            return []
        return self._roster.return_trial(member, self._now())

    def provider_failed(self, provider: str, order: Order) -> list[RoutingEvent]:
        """Send away every member of a provider as one of its models was."""
        now = self._now()
        members = [m for m in self._roster.members.values() if m.model.provider == provider]
        return [event for m in members for event in self._roster.send_away(m, order, now)]

    def provider_recovered(self, provider: str) -> list[RoutingEvent]:
        """Take back every member that had left because of its provider."""
        gone, now = self._roster.gone_with(provider), self._now()
        return [event for member in gone for event in self._roster.activate(member, now)]

    def publish(self, events: Iterable[RoutingEvent]) -> None:
        """Hand events out; the guard must not be held."""
        for event in events:
            self._emitter.emit(event)
            if self._observability is not None:
                self._emitter.deliver(self._observability.record, event)

    def __contains__(self, model: object) -> bool:
        return isinstance(model, Model) and model.id in self._roster.members

    def __len__(self) -> int:
        return len(self._roster.members)

    def __repr__(self) -> str:
        state = self.get_state()
        return (
            f"CapabilityPool({self.name!r}, {self.hierarchy_node!r},"
            f" active={state.active_count}, standby={state.standby_count})"
        )

    def _refuse_if_managed(self, instead: str) -> None:
        if self._managed:
            raise ValueError(f"pool {self.name!r} is a router's: use router.{instead}")

    def _now(self) -> float:
        return self._world.clock.now()

    def _is_early(self, member: Member) -> bool:
        return member.standby is not None and member.standby.order.until > self._now()

    def _member(self, model: Model) -> Member:
        members = self._roster.members
        if model.id not in members:
            raise UnknownModelError(model.id, nearest(model.id, list(members)))
        return members[model.id]

    def _hand_out(self, pick: Pick, tried: Collection[str]) -> tuple[Pick, list[RoutingEvent]]:
        self._total_requests += 1
        if not tried:
            return pick, []
        details: dict[str, object] = {"tried": list(tried)}
        rotated = RoutingEvent(
            EventType.MODEL_ROTATED, self.name, pick.model.id, self._now(), details=details
        )
        return pick, [rotated]

    def _order(
        self,
        member: Member,
        reason: str,
        failure: Failure | None = None,
        *,
        whole_provider: bool = False,
    ) -> Order:
        """Work out until when a member stays away, and let the next time grow."""
        now, recovery = self._now(), self.rotation_policy.recovery
        if member.standby is None:
            member.step = recovery.steps_left(member.step, now - member.active_since)
        seconds = recovery.standby_s(reason, failure, member.step, self._world.rng)
        if failure is not None and failure.retry_after_s is None:
            member.step += 1
        return Order(reason, now + seconds, whole_provider)
