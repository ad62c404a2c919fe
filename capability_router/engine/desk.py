"""Leases: from a request to a model, and from an outcome to every pool it concerns.

Knows single attempts only; that one follows another is the business of ``call``.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from math import inf

from capability_router.engine.accounts import Accounts
from capability_router.engine.assessor import Assessor
from capability_router.engine.blueprint import Blueprint
from capability_router.engine.choice import Why
from capability_router.engine.errors import LeaseEndedError, NoAvailableModelError
from capability_router.engine.events import EventEmitter, EventType, Outbox, RoutingEvent
from capability_router.engine.faults import FAULT_TABLE, FaultRule
from capability_router.engine.last_resort import LastResort
from capability_router.engine.lease import Lease, LeaseEnd
from capability_router.engine.ledger import give_back, settle
from capability_router.engine.membership import PoolPreferences
from capability_router.engine.model import Model, Provider
from capability_router.engine.outcome import FailureKind, Outcome
from capability_router.engine.permits import Permits
from capability_router.engine.pool import CapabilityPool
from capability_router.engine.request import CompletionRequest
from capability_router.engine.rotation import RotationPolicy
from capability_router.engine.routes import Routes
from capability_router.engine.timing import World, default_world
from capability_router.engine.topology import Topology
from capability_router.engine.tree import CapabilityTree

__all__ = ["LeaseDesk"]

_LEFT = Outcome.failed(FailureKind.CANCELLED)


class LeaseDesk:
    """Hands out leases and takes them back; ``Router`` tells of the arguments."""

    def __init__(
        self,
        tree: CapabilityTree | None = None,
        *,
        providers: Iterable[Provider] = (),
        policy: RotationPolicy | None = None,
        faults: Mapping[FailureKind, FaultRule] = FAULT_TABLE,
        emitter: EventEmitter | None = None,
        world: World | None = None,
        guard: AbstractContextManager[object] | None = None,
        lease_ttl_s: float = 600.0,
    ) -> None:
        self.emitter = emitter or EventEmitter()
        self.world = world or default_world()
        self._providers = {provider.id: provider for provider in providers}
        self._policy = policy or RotationPolicy()
        self._guard = guard if guard is not None else nullcontext()
        self._lease_ttl_s = lease_ttl_s
        self._accounts = Accounts(self._providers)
        self._permits = Permits()
        tree = tree if tree is not None else CapabilityTree()
        make = self._make_pool
        self._topology = Topology(tree, self._accounts, lambda node: make(node, node, None, None))
        self._declared = Blueprint(tree, (), (), (), faults)
        self._assessor = Assessor(self._topology, faults)
        self._outbox = Outbox(self._conclusions, self._topology.providers.changed)
        self._last_resort = LastResort(self._topology, self._outbox)
        self._route = Routes(self._topology).of
        # In the order they were handed out, which is the order in which they expire.
        self._open: dict[Lease, None] = {}
        self._expires_at = inf
        # While models are probed in the background, no user's request is one unless it must be.
        self.probing = False

    @property
    def tree(self) -> CapabilityTree:
        """The capability tree."""
        return self._topology.tree

    def select(self, request: CompletionRequest, tried: Collection[str] = ()) -> Lease:
        """Hand out a model for one attempt.

        Pools are asked from the most specific up, then, where the first of them allows it, those
        of related nodes; only when none has a model is one tried that had left for errors,
        before its time.

        Args:
            request: What is asked for.
            tried: Ids of models that failed in this call before.

        Raises:
            NoAvailableModelError: If no model can take the request.
            UnknownCapabilityError: If the tree has no such node.
            UnknownPoolError: If the request names a pool that does not exist.
        """
        lease = None
        with self._guard:
            now = self.world.clock.now()
            if now >= self._expires_at:
                self._expire(now)
            node, pools = self._route(request)
            for pool in pools:
                lease = pool.pick(request, node, tried, now, trial_first=not self.probing)
                if lease is not None:
                    break
            lease = lease or self._last_resort.lease(request, node, pools, tried, now)
            if lease is not None:
                self._hand_out(lease, tried, now)
            nobody = None if lease else self._none_available(request, node, pools, tried, now)
        if self._outbox:
            self._publish()
        if lease is None:
            raise nobody or AssertionError("there is a lease, or a reason why not")
        return lease

    def select_beside(self, request: CompletionRequest, busy: Collection[str]) -> Lease | None:
        """Hand out an active model for a second attempt beside a first; None if there is none.

        Args:
            request: What is asked for.
            busy: Ids of models that failed in this call before, or are asked at the moment.
        """
        with self._guard:
            now = self.world.clock.now()
            node, pools = self._route(request)
            picks = (pool.pick(request, node, busy, now, trials=False) for pool in pools)
            lease = next((lease for lease in picks if lease is not None), None)
            if lease is not None:
                lease.evidence.why = Why.HEDGE
                self._hand_out(lease, busy, now)
        self._publish()
        return lease

    def select_model(self, model_id: str, request: CompletionRequest) -> Lease | None:
        """Hand out one certain model for one attempt: to repeat it, or to probe it.

        Args:
            model_id: Id of the model.
            request: What is asked for; the pool is the first that serves it.

        Returns:
            The lease: a trial for a model on standby whose time has come. None if it is on
            standby before its time, on trial already, full, has too little left of a limit, or
            was unregistered meanwhile.
        """
        with self._guard:
            now = self.world.clock.now()
            node, pools = self._route(request)
            model = self._topology.models.get(model_id)
            pool = next((pool for pool in pools if model in pool), None)
            lease = pool.pick_model(model_id, request, node, now) if pool else None
            if lease is not None:
                self._hand_out(lease, (), now)
        self._publish()
        return lease

    def report(self, lease: Lease, outcome: Outcome) -> bool:
        """End a lease with the outcome of its attempt; False if the model may be tried again.

        An attempt that outlived its lease is too late to count: the expiry has ended it.

        Raises:
            LeaseEndedError: If it was reported or released before.
        """
        with self._guard:
            if self._end(lease, LeaseEnd.REPORTED):
                self._judge(lease, outcome, self.world.clock.now())
        if self._outbox:
            self._publish()
        return True

    def release(self, lease: Lease, *, sent: bool = False) -> None:
        """End a lease without an outcome: the caller left, and nothing was learnt.

        Args:
            lease: The lease.
            sent: True if the request may have reached the provider, which will count it then:
                of what was reserved, one request stays taken. False gives everything back.

        Raises:
            LeaseEndedError: If it was reported or released before.
        """
        with self._guard:
            if self._end(lease, LeaseEnd.RELEASED):
                now = self.world.clock.now()
                self._abandon(lease, now)
                self._settle(lease, _LEFT if sent else None, now)
        self._publish()

    def due_trials(self) -> list[tuple[CompletionRequest, Model]]:
        """Return the models whose trial is due, each with a request for its pool."""
        with self._guard:
            now = self.world.clock.now()
            due = [
                (CompletionRequest(pool.hierarchy_node, pool=pool.name), model)
                for pool in self._topology.every_pool()
                for model in pool.due_trials(now)
            ]
        self._publish()
        return due

    def rule(self, kind: FailureKind) -> FaultRule:
        """Return the row of the fault table for a kind of failure."""
        return self._assessor.faults[kind]

    def begin_call(self, request: CompletionRequest) -> RotationPolicy:
        """Note that a call begins; return the rotation policy of the first pool that serves it.

        Raises:
            UnknownCapabilityError, UnknownPoolError: If the tree or the router has no such.
        """
        with self._guard:
            _, pools = self._route(request)
            policy = pools[0].begin_call()
        self._publish()
        return policy

    def may_repeat(self, request: CompletionRequest) -> bool:
        """Take one repetition of the same model from the budget of the first pool that serves."""
        with self._guard:
            _, pools = self._route(request)
            granted = pools[0].may_repeat(self.world.clock.now())
        self._publish()
        return granted

    def wait_s(self, request: CompletionRequest) -> float | None:
        """Return the seconds until a model comes back that is worth waiting for, if any.

        What is worth it says ``wait_for`` of the first pool's ``RetryPolicy``.
        """
        with self._guard:
            now = self.world.clock.now()
            node, pools = self._route(request)
            reasons = pools[0].rotation_policy.retry.wait_for
            waits = [pool.inquiry.next_return_s(request, node, now, reasons) for pool in pools]
        self._publish()
        return min((wait for wait in waits if wait is not None), default=None)

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
            accounts=self._accounts,
            world=self.world,
            guard=self._guard,
            outbox=self._outbox,
            permits=self._permits,
        )

    def _hand_out(self, lease: Lease, tried: Collection[str], now: float) -> None:
        self._open[lease] = None
        if self._expires_at == inf:
            self._expires_at = now + self._lease_ttl_s
        state = lease.member.state
        state.in_flight += 1
        if state.slots is not None and state.is_full:
            self._assessor.room_changed(lease)
        if tried:
            details: dict[str, object] = {"tried": list(tried)}
            event = EventType.MODEL_ROTATED, lease.pool.name, lease.model.id, now
            self._outbox.append(RoutingEvent(*event, details=details))
        for meter, _, _ in lease.reserved:
            if meter.spent:
                for pool in self._topology.drawing_on(meter.scope):
                    pool.rationing.spent(meter, now)

    def _settle(self, lease: Lease, outcome: Outcome | None, now: float) -> None:
        """Put what was used in the place of what was reserved; nothing, without an outcome."""
        if not lease.reserved:
            return
        before = [meter.spent for meter, _, _ in lease.reserved]
        if outcome is None:
            give_back(lease.reserved, now)
        else:
            settle(lease.reserved, lease.model, outcome, now, self.world.clock.wall())
        for was_spent, (meter, _, _) in zip(before, lease.reserved, strict=True):
            if was_spent != meter.spent:
                for pool in self._topology.drawing_on(meter.scope):
                    rationing = pool.rationing
                    (rationing.refilled if was_spent else rationing.spent)(meter, now)

    def _end(self, lease: Lease, end: LeaseEnd) -> bool:
        """Close a lease; False if it had expired before."""
        if lease.end is None:
            lease.end = end
            del self._open[lease]
            return True
        if lease.end is LeaseEnd.EXPIRED:
            return False
        raise LeaseEndedError(lease.model.id)

    def _expire(self, now: float) -> None:
        """End what nobody ended; what was reserved counts as used, for it may have been."""
        while self._open:
            lease = next(iter(self._open))
            if lease.started_at + self._lease_ttl_s > now:
                self._expires_at = lease.started_at + self._lease_ttl_s
                return
            self._end(lease, LeaseEnd.EXPIRED)
            self._abandon(lease, now)
        self._expires_at = inf

    def _abandon(self, lease: Lease, now: float) -> None:
        lease.member.state.in_flight -= 1
        lease.member.state.abandoned += 1
        self._assessor.room_changed(lease)
        if lease.trial is not None:
            lease.pool.trial_returned(lease.member, lease.trial, now)

    def _judge(self, lease: Lease, outcome: Outcome, now: float) -> None:
        latency_s = outcome.latency_s
        if latency_s is None:
            latency_s = now - lease.started_at
        if outcome.failure is None:
            lease.pool.tempo.note(outcome.first_token_s, latency_s)
            self._assessor.succeeded(lease, outcome, latency_s, now)
        else:
            self._assessor.failed(lease, outcome.failure, latency_s, now)
        if lease.reserved:
            self._settle(lease, outcome, now)
        learn = getattr(lease.strategy, "learn", None)
        if learn is not None:
            learn(lease.member, lease.node, outcome, latency_s)

    def _none_available(
        self,
        request: CompletionRequest,
        node: str,
        pools: tuple[CapabilityPool, ...],
        tried: Collection[str],
        now: float,
    ) -> NoAvailableModelError:
        reasons: dict[str, str] = {}
        for pool in pools:
            # Who could serve and does not is one that a function of the user has left out.
            otherwise = "left out by the pool's strategy"
            reasons |= pool.inquiry.obstacles(request, node, tried, now, otherwise)
        waits = [pool.inquiry.next_return_s(request, node, now) for pool in pools]
        return NoAvailableModelError(
            request.capability,
            reasons,
            retry_after_s=min((wait for wait in waits if wait is not None), default=None),
        )

    def _conclusions(self) -> list[RoutingEvent]:
        now = self.world.clock.now()
        return self._topology.providers.conclude(self._topology.is_held, now)

    def _publish(self) -> None:
        for event in self._outbox.drained(self._guard):
            self.emitter.emit(event)
