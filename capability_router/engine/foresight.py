"""What would happen to a request: who may serve it, who would be asked first, and why no other.

Asks the pools that ``desk`` hands out leases from, and changes nothing.
"""

from __future__ import annotations

from collections.abc import Collection

from capability_router.engine.choice import Why
from capability_router.engine.decision import Decision
from capability_router.engine.desk import LeaseDesk
from capability_router.engine.evidence import Evidence
from capability_router.engine.model import Model
from capability_router.engine.pool import CapabilityPool
from capability_router.engine.request import CompletionRequest

__all__ = ["Foresight"]


class Foresight(LeaseDesk):
    """Leases, and what can be told of them before; ``Router`` tells of the arguments."""

    def candidates(self, request: CompletionRequest) -> list[Model]:
        """Return the models that may serve a request by what they are, whatever their standing.

        Those of related nodes, which stand in where a pool allows it, are not among them.

        Raises:
            UnknownCapabilityError: If the tree has no such node.
            UnknownPoolError: If the request names a pool that does not exist.
        """
        with self._guard:
            node, pools = self._route(request)
            models = [model for p in pools for model in p.inquiry.candidates(request, node)]
        self._publish()
        return list({model.id: model for model in models}.values())

    def route(self, request: CompletionRequest) -> tuple[str, tuple[str, ...]]:
        """Return the full path of the node of a request, and the names of the pools that serve it.

        Raises:
            UnknownCapabilityError, UnknownPoolError: If the tree or the router has no such.
        """
        with self._guard:
            node, pools = self._route(request)
        self._publish()
        return node, tuple(pool.name for pool in pools)

    def evidence(self, request: CompletionRequest, tried: Collection[str]) -> list[Evidence]:
        """Return why no pool had a model for a request; one note for each."""
        with self._guard:
            now = self.world.clock.now()
            node, pools = self._route(request)
            return [pool.evidence(request, node, tried, now, None, Why.NOBODY) for pool in pools]

    def explain(self, request: CompletionRequest) -> Decision:
        """Return who would be tried first now, and why; changes nothing.

        Whoever's time on standby is over comes back, as with every other question.

        Returns:
            A decision without attempts; ``served_by`` is who would be asked, None for nobody.

        Raises:
            UnknownCapabilityError: If the tree has no such node.
            UnknownPoolError: If the request names a pool that does not exist.
        """
        with self._guard:
            now = self.world.clock.now()
            node, pools = self._route(request)
            evidence = self._foreseen(request, node, pools, now)
        self._publish()
        last = evidence[-1]
        return Decision(
            capability=request.capability,
            at=now,
            served_by=last.model,
            pool=last.pool if last.model else None,
            attempts=(),
            panic=last.why is Why.PANIC,
            degraded_to=last.node if last.why is Why.DEGRADED else None,
            request=request,
            node=node,
            pools=tuple(pool.name for pool in pools),
            started_at=now,
            wall=self.world.clock.wall(),
            evidence=tuple(evidence),
        )

    def _foreseen(
        self, request: CompletionRequest, node: str, pools: tuple[CapabilityPool, ...], now: float
    ) -> list[Evidence]:
        """Return what ``select`` would note: of every pool in turn, up to the one that serves."""
        evidence: list[Evidence] = []
        for pool in pools:
            found = pool.peek(request, node, (), now, trial_first=not self.probing)
            if found is not None:
                return [*evidence, found]
            evidence.append(pool.evidence(request, node, (), now, None, Why.NOBODY))
        for pool, other, barred in self._last_resort.stand_ins(request, node, pools, ()):
            found = pool.peek(request, other, barred, now)
            if found is not None:
                found.why = Why.DEGRADED
                return [*evidence, found]
        early = (pool.peek_early(request, node, (), now) for pool in pools)
        return [*evidence, *[each for each in early if each is not None][:1]]
