"""Who serves when no pool of a capability has a model left: a related node, or one before its time.

Both are told, because a user gets something else than was asked for, or the risk of a failure.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from capability_router.engine.choice import Why
from capability_router.engine.events import EventType, Outbox, RoutingEvent
from capability_router.engine.lease import Lease
from capability_router.engine.pool import CapabilityPool
from capability_router.engine.request import CompletionRequest
from capability_router.engine.rotation import Degrade
from capability_router.engine.topology import Topology
from capability_router.engine.tree import CapabilityTree

__all__ = ["LastResort"]


class LastResort:
    """Looks further than the pools that serve a node.

    Args:
        topology: The models and the pools they are in.
        outbox: Takes the events.
    """

    def __init__(self, topology: Topology, outbox: Outbox) -> None:
        self._topology = topology
        self._outbox = outbox

    def lease(
        self,
        request: CompletionRequest,
        node: str,
        pools: tuple[CapabilityPool, ...],
        tried: Collection[str],
        now: float,
    ) -> Lease | None:
        """Look at related nodes, where the first pool allows it, and then before a time is over.

        Args:
            request: What is asked for.
            node: Full path of its node.
            pools: Those that serve the node, none of which has a model.
            tried: Ids of models that failed in this call before.
            now: Monotonic seconds.
        """
        for pool, other, barred in self.stand_ins(request, node, pools, tried):
            lease = pool.pick(request, other, barred, now)
            if lease is not None:
                lease.degraded = True
                lease.evidence.why = Why.DEGRADED
                told = EventType.DEGRADED, pool.name, lease.model.id, now
                details: dict[str, object] = {"from": node, "to": other}
                self._outbox.append(RoutingEvent(*told, details=details))
                return lease
        for pool in pools:
            lease = pool.pick_early(request, node, tried, now)
            if lease is not None:
                lease.evidence.why = Why.PANIC
                self._outbox.append(_early(lease, now))
                return lease
        return None

    def stand_ins(
        self,
        request: CompletionRequest,
        node: str,
        pools: tuple[CapabilityPool, ...],
        tried: Collection[str],
    ) -> Iterator[tuple[CapabilityPool, str, list[str]]]:
        """Iterate over pools of related nodes, with the node and whom not to take there."""
        if request.pool is None:
            for other in _related(self._topology.tree, node, pools[0].rotation_policy.degrade):
                for pool in self._topology.covering(other):
                    barred = pool.inquiry.barred(node, pools[0].preferences)
                    yield pool, other, [*tried, *barred]


def _early(lease: Lease, now: float) -> RoutingEvent:
    order = lease.trial.order if lease.trial else None
    told = EventType.PANIC, lease.pool.name, lease.model.id, now
    return RoutingEvent(*told) if order is None else RoutingEvent(*told, order.reason, order.until)


def _related(tree: CapabilityTree, node: str, ways: Iterable[Degrade]) -> Iterator[str]:
    """Yield the paths of the nodes that may stand in for a node, best first."""
    ancestors = tree.get_ancestors(node)
    for way in ways:
        if way is Degrade.ANCESTORS:
            yield from (above.path for above in ancestors)
        elif ancestors:
            yield from (path for path in ancestors[0].children if path != node)
