"""All pools together: from a request to a lease, and from an outcome to every pool it concerns.

Knows single attempts only; that one follows another is the business of ``call``.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import AbstractContextManager, nullcontext

from capability_router.engine.deactivation import Reason
from capability_router.engine.errors import LeaseEndedError, NoAvailableModelError
from capability_router.engine.events import EventEmitter, RoutingEvent
from capability_router.engine.faults import FAULT_TABLE, FaultRule
from capability_router.engine.lease import Lease, LeaseEnd
from capability_router.engine.membership import PoolPreferences
from capability_router.engine.model import Model
from capability_router.engine.outcome import Failure, FailureKind, Outcome
from capability_router.engine.pool import CapabilityPool
from capability_router.engine.request import CompletionRequest
from capability_router.engine.roster import Order, Pick
from capability_router.engine.rotation import RotationPolicy
from capability_router.engine.state import ModelState
from capability_router.engine.timing import World, default_world
from capability_router.engine.topology import Topology
from capability_router.engine.tree import CapabilityTree

__all__ = ["Router"]

Events = list[RoutingEvent]


class Router:
    """Models, pools and leases; each public method is one step under the guard.

    Args:
        tree: The capability tree; None for the default one.
        policy: Rotation of a pool for which none is given; None for the defaults.
        faults: The fault table.
        emitter: Receives every event; None for a new one.
        world: Clock and source of chance; None for the system's.
        guard: Entered around every step, for instance an ``RLock``; None where one thread is all.
        lease_ttl_s: Seconds after which a lease that nobody ended expires, > 0. Default 600, the
            longest that the OpenAI client waits for an answer.
    """

    def __init__(
        self,
        tree: CapabilityTree | None = None,
        *,
        policy: RotationPolicy | None = None,
        faults: Mapping[FailureKind, FaultRule] = FAULT_TABLE,
        emitter: EventEmitter | None = None,
        world: World | None = None,
        guard: AbstractContextManager[object] | None = None,
        lease_ttl_s: float = 600.0,
    ) -> None:
        self.tree = tree if tree is not None else CapabilityTree()
        self.emitter = emitter or EventEmitter()
        self.world = world or default_world()
        self._policy = policy or RotationPolicy()
        self._faults = faults
        self._guard = guard if guard is not None else nullcontext()
        self._lease_ttl_s = lease_ttl_s
        self._topology = Topology(self.tree, lambda node: self._make_pool(node, node, None, None))
        # In the order they were handed out, which is the order in which they expire.
        self._open: dict[int, Lease] = {}

    @property
    def models(self) -> list[Model]:
        """The registered models, in the order they were registered."""
        return list(self._topology.models.values())

    @property
    def pools(self) -> list[CapabilityPool]:
        """The declared pools, in the order they were declared."""
        return list(self._topology.pools.values())

    def model(self, model_id: str) -> Model:
        """Return a registered model.

        Raises:
            UnknownModelError: If it is not registered.
        """
        return self._topology.model(model_id)

    def state(self, model_id: str) -> ModelState:
        """Return the live counters of a model.

        Raises:
            UnknownModelError: If it is not registered.
        """
        return self._topology.states[self.model(model_id).id]

    def register(self, model: Model) -> Model:
        """Take a model in; it joins every pool at or above its leaves at once.

        Returns:
            The model as registered, with full paths for its capabilities.

        Raises:
            KeyError: If one of its capabilities is no node of the tree.
            ValueError: If the id is taken, or one of its capabilities is not a leaf.
        """
        with self._guard:
            model, events = self._topology.register(model)
        self._publish(events)
        return model

    def unregister(self, model_id: str) -> None:
        """Drop a model from every pool; attempts in progress end as they will.

        Raises:
            UnknownModelError: If it is not registered.
        """
        with self._guard:
            events = self._topology.unregister(model_id)
        self._publish(events)

    def add_pool(
        self,
        name: str,
        hierarchy_node: str,
        policy: RotationPolicy | None = None,
        preferences: PoolPreferences | None = None,
    ) -> CapabilityPool:
        """Declare a pool; every registered model that it covers joins at once.

        Args:
            name: Name of the pool.
            hierarchy_node: Node it targets: path, unique last segment or alias.
            policy: Its rotation; None for the router's.
            preferences: Providers to take and orders of preference.

        Raises:
            KeyError: If the tree has no such node.
            ValueError: If the name is taken.
        """
        with self._guard:
            pool = self._make_pool(name, hierarchy_node, policy, preferences)
            events = self._topology.add_pool(pool)
        self._publish(events)
        return pool

    def pool(self, name: str) -> CapabilityPool:
        """Return a pool by its name, or the most specific one that serves a capability.

        Raises:
            UnknownPoolError: If it is neither.
        """
        with self._guard:
            pool, events = self._topology.pool(name)
        self._publish(events)
        return pool

    def deactivate(self, model_id: str, reason: str = Reason.MANUAL) -> None:
        """Move a model to standby in all of its pools, also in those that it joins later.

        Args:
            model_id: Id of the model.
            reason: Why; see ``CapabilityPool.deactivate``.

        Raises:
            UnknownModelError: If it is not registered.
        """
        with self._guard:
            events = self._topology.send_away(model_id, reason)
        self._publish(events)

    def recover(self, model_id: str) -> None:
        """Move a model back to active in all of its pools.

        Raises:
            UnknownModelError: If it is not registered.
        """
        with self._guard:
            events = self._topology.take_back(model_id)
        self._publish(events)

    def select(self, request: CompletionRequest, tried: Collection[str] = ()) -> Lease:
        """Hand out a model for one attempt.

        Pools are asked from the most specific up; only when none of them has a model is one
        tried that had left for errors, before its time.

        Args:
            request: What is asked for.
            tried: Ids of models that failed in this call before.

        Raises:
            NoAvailableModelError: If no model can take the request.
            UnknownCapabilityError: If the tree has no such node.
            UnknownPoolError: If the request names a pool that does not exist.
        """
        node = self.tree.resolve(request.capability).path
        with self._guard:
            pools, events = self._serving(request, node)
            events = events + self._expire()
            lease, more = self._lease(pools, request, node, tried)
        self._publish(events + more)
        if lease is None:
            raise self._none_available(pools, request, node, tried)
        return lease

    def report(self, lease: Lease, outcome: Outcome) -> None:
        """End a lease with the outcome of its attempt.

        An attempt that outlived its lease is too late to count: the expiry has ended it.

        Raises:
            LeaseEndedError: If it was reported or released before.
        """
        with self._guard:
            events = self._judge(lease, outcome) if self._end(lease, LeaseEnd.REPORTED) else []
        self._publish(events)

    def release(self, lease: Lease) -> None:
        """End a lease without an outcome: the caller left, and nothing was learnt.

        Raises:
            LeaseEndedError: If it was reported or released before.
        """
        with self._guard:
            events = self._abandon(lease) if self._end(lease, LeaseEnd.RELEASED) else []
        self._publish(events)

    def rule(self, kind: FailureKind) -> FaultRule:
        """Return the row of the fault table for a kind of failure."""
        return self._faults[kind]

    def policy_for(self, request: CompletionRequest) -> RotationPolicy:
        """Return the rotation policy of the first pool that serves a request.

        Raises:
            UnknownCapabilityError: If the tree has no such node.
            UnknownPoolError: If the request names a pool that does not exist.
        """
        node = self.tree.resolve(request.capability).path
        with self._guard:
            pools, events = self._serving(request, node)
        self._publish(events)
        return pools[0].rotation_policy

    def _make_pool(
        self,
        name: str,
        hierarchy_node: str,
        policy: RotationPolicy | None,
        preferences: PoolPreferences | None,
    ) -> CapabilityPool:
        return CapabilityPool(
            name,
            hierarchy_node,
            policy or self._policy,
            self.emitter,
            preferences=preferences,
            tree=self.tree,
            states=self._topology.states,
            world=self.world,
            guard=self._guard,
            managed=True,
        )

    def _serving(
        self, request: CompletionRequest, node: str
    ) -> tuple[tuple[CapabilityPool, ...], Events]:
        if request.pool is None:
            return self._topology.covering(node)
        pool, events = self._topology.pool(request.pool)
        return (pool,), events

    def _lease(
        self,
        pools: tuple[CapabilityPool, ...],
        request: CompletionRequest,
        node: str,
        tried: Collection[str],
    ) -> tuple[Lease | None, Events]:
        for panic in (False, True):
            for pool in pools:
                pick, events = pool.pick(request, node, tried, panic=panic)
                if pick is not None:
                    return self._hand_out(pick, pool, request), events
        return None, []

    def _hand_out(self, pick: Pick, pool: CapabilityPool, request: CompletionRequest) -> Lease:
        state = self._topology.states[pick.model.id]
        lease = Lease(pick, pool, state, request, self.world.clock.now())
        self._open[id(lease)] = lease
        state.start()
        return lease

    def _end(self, lease: Lease, end: LeaseEnd) -> bool:
        """Close a lease; False if it had expired before."""
        if lease.end is LeaseEnd.EXPIRED:
            return False
        if lease.end is not None:
            raise LeaseEndedError(lease.model.id)
        lease.end = end
        del self._open[id(lease)]
        return True

    def _expire(self) -> Events:
        oldest = self.world.clock.now() - self._lease_ttl_s
        events: Events = []
        while self._open:
            lease = next(iter(self._open.values()))
            if lease.started_at > oldest:
                break
            self._end(lease, LeaseEnd.EXPIRED)
            events += self._abandon(lease)
        return events

    def _abandon(self, lease: Lease) -> Events:
        lease.state.abandon()
        trial = lease.pick.trial
        return lease.pool.trial_returned(lease.model, trial) if trial else []

    def _judge(self, lease: Lease, outcome: Outcome) -> Events:
        rule = self._faults[outcome.failure.kind] if outcome.failure else None
        now, latency_s = self.world.clock.now(), outcome.latency_s
        if latency_s is None:
            latency_s = max(0.0, now - lease.started_at)
        lease.state.finish(outcome, rule, latency_s, now)
        if self._topology.states.get(lease.model.id) is not lease.state:
            # Unregistered meanwhile: what was learnt is about a model that is gone.
            return []
        if outcome.failure is None or rule is None:
            return self._proved(lease)
        return self._failed(lease, outcome.failure, rule)

    def _proved(self, lease: Lease) -> Events:
        """Only a trial brings a model back: other answers may be older than its failures."""
        trial = lease.pick.trial
        if trial is None:
            return []
        events: Events = []
        for pool in self._topology.pools_of(lease.model):
            events += pool.succeeded(lease.model, trial if pool is lease.pool else None)
        if not trial.order.whole_provider:
            return events
        provider = lease.model.provider
        pools = self._topology.pools_with(provider)
        return events + [e for pool in pools for e in pool.provider_recovered(provider)]

    def _failed(self, lease: Lease, failure: Failure, rule: FaultRule) -> Events:
        events: Events = []
        for_all: Order | None = None
        for pool in self._topology.pools_of(lease.model):
            trial = lease.pick.trial if pool is lease.pool else None
            told, order = pool.failed(lease.model, failure, rule, trial)
            events += told
            for_all = order if pool is lease.pool else for_all
        # Only now: every pool has judged the model by its own policy.
        if for_all is not None and not self._is_fine_elsewhere(lease):
            provider = lease.model.provider
            for pool in self._topology.pools_with(provider):
                events += pool.provider_failed(provider, for_all)
        return events

    def _is_fine_elsewhere(self, lease: Lease) -> bool:
        """Whether a sibling has answered since this model did: then the fault is the model's own.

        Without this, one model that its account may not use would send its siblings away again
        and again.
        """
        states = self._topology.states
        return any(
            states[model.id].last_success_at > lease.state.last_success_at
            for model in self._topology.models.values()
            if model.provider == lease.model.provider
        )

    def _none_available(
        self,
        pools: tuple[CapabilityPool, ...],
        request: CompletionRequest,
        node: str,
        tried: Collection[str],
    ) -> NoAvailableModelError:
        reasons = {
            model: why
            for pool in pools
            for model, why in pool.reasons(request, node, tried).items()
        }
        waits = [w for pool in pools if (w := pool.next_trial_s(request, node)) is not None]
        return NoAvailableModelError(
            request.capability, reasons, retry_after_s=min(waits, default=None)
        )

    def _publish(self, events: Events) -> None:
        for event in events:
            self.emitter.emit(event)
