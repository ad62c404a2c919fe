"""What an outcome means for the model and for every pool that it is in.

Knows leases that have ended, not how they are handed out.
"""

from __future__ import annotations

from collections.abc import Mapping

from capability_router.engine.faults import FaultRule
from capability_router.engine.lease import Lease
from capability_router.engine.member import Order
from capability_router.engine.outcome import Failure, FailureKind, Outcome
from capability_router.engine.reason import Reason
from capability_router.engine.topology import Topology

__all__ = ["Assessor"]


class Assessor:
    """Carries outcomes to counters and pools.

    Args:
        topology: The models and the pools they are in.
        faults: The fault table; may be replaced.
    """

    def __init__(self, topology: Topology, faults: Mapping[FailureKind, FaultRule]) -> None:
        self._topology = topology
        self.faults = faults

    def succeeded(self, lease: Lease, outcome: Outcome, latency_s: float, now: float) -> None:
        """Note an answer; that to a trial brings the model back.

        Only a trial does: other answers may be older than the model's failures.
        """
        member, usage = lease.member, outcome.usage
        cost_usd = member.model.cost_usd(usage)
        lease.pool.tally.count_answer(usage, cost_usd, latency_s)
        slots = member.state.slots
        if slots is None:
            member.state.succeed(usage, latency_s, outcome.first_token_s, now, cost_usd)
        else:
            was_full = member.state.is_full
            slots.answered(outcome, latency_s, member.state.in_flight)
            member.state.succeed(usage, latency_s, outcome.first_token_s, now, cost_usd)
            if was_full or member.state.is_full:
                self.room_changed(lease)
        if lease.trial is not None and self._is_registered(lease):
            orders = list(lease.trial.orders.values())
            for pool in self._topology.pools_of(lease.model):
                own = lease.trial if pool is lease.pool else None
                pool.succeeded(lease.model, own, outcome, latency_s, now)
            if any(order.whole_provider for order in orders):
                provider = lease.model.provider
                for pool in self._topology.pools_with(provider):
                    pool.provider_recovered(provider, now)

    def failed(self, lease: Lease, failure: Failure, latency_s: float, now: float) -> None:
        """Note a failure; each pool of the model judges it by its own policy."""
        rule = self.faults[failure.kind]
        lease.pool.tally.count_failure(failure.kind)
        lease.state.fail(failure, rule, latency_s, now)
        if lease.state.slots is not None:
            lease.state.slots.failed(failure.kind)
            self.room_changed(lease)
        if not self._is_registered(lease):
            return
        order: Order | None = None
        for pool in self._topology.pools_of(lease.model):
            trial = lease.trial if pool is lease.pool else None
            given = pool.failed(lease.model, failure, rule, trial, now)
            order = given if pool is lease.pool else order
        # Only now: every pool has judged the model itself.
        if order is not None:
            self._judge_provider(lease, order, now)

    def room_changed(self, lease: Lease) -> None:
        """Tell every pool of a model that it is full now, or has room again."""
        if lease.state.slots is None:
            return
        for pool in self._topology.pools_of(lease.model):
            pool.room_changed(lease.model)

    def _judge_provider(self, lease: Lease, order: Order, now: float) -> None:
        if order.whole_provider:
            if not self._is_fine_elsewhere(lease):
                self._topology.send_provider_away(lease.model.provider, order, now)
        elif order.reason == Reason.ERROR_THRESHOLD and self._is_outage(lease):
            down = Order(Reason.PROVIDER_OUTAGE, order.until, whole_provider=True)
            self._topology.send_provider_away(lease.model.provider, down, now)

    def _is_registered(self, lease: Lease) -> bool:
        """Of one that was unregistered meanwhile nothing is learnt, though its id be used again."""
        return self._topology.states.get(lease.model.id) is lease.member.state

    def _is_outage(self, lease: Lease) -> bool:
        """Whether so many models of the provider are away for errors that all of them should be."""
        provider = lease.model.provider
        pools = self._topology.pools_with(provider)
        outage = next((p.rotation_policy.outage for p in pools if p is lease.pool), None)
        if outage is None:
            return False
        failing = {model for pool in pools for model in pool.ejected(provider)}
        return outage.is_down(len(failing), len(self._topology.models_of(provider)))

    def _is_fine_elsewhere(self, lease: Lease) -> bool:
        """Whether a sibling has answered since this model did: then the fault is the model's own.

        Without this, one model that its account may not use would send its siblings away again
        and again.
        """
        states, last = self._topology.states, lease.member.state.last_success_at
        siblings = self._topology.models_of(lease.model.provider)
        return any(states[model.id].last_success_at > last for model in siblings)
