"""Which models and pools there are, and which pools serve which node.

Knows no request and no lease. The caller holds the guard and publishes the events.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from capability_router.engine.errors import (
    UnknownCapabilityError,
    UnknownModelError,
    UnknownPoolError,
    nearest,
)
from capability_router.engine.events import RoutingEvent
from capability_router.engine.membership import places_of
from capability_router.engine.model import Model
from capability_router.engine.pool import CapabilityPool
from capability_router.engine.state import ModelState
from capability_router.engine.tree import CapabilityTree

__all__ = ["Topology"]

Events = list[RoutingEvent]


class Topology:
    """The registered models and the pools they are in.

    Args:
        tree: The capability tree.
        make_pool: Makes the pool for a node that no declared pool covers, given its path.
    """

    def __init__(self, tree: CapabilityTree, make_pool: Callable[[str], CapabilityPool]) -> None:
        self.tree = tree
        self._make_pool = make_pool
        self.states: dict[str, ModelState] = {}
        self.models: dict[str, Model] = {}
        self.pools: dict[str, CapabilityPool] = {}
        self._at_node: dict[str, list[CapabilityPool]] = {}
        self._of_model: dict[str, list[CapabilityPool]] = {}
        self._of_provider: dict[str, dict[CapabilityPool, int]] = {}
        self._ordered_away: dict[str, str] = {}
        self._implicit: dict[str, CapabilityPool] = {}
        self._covering: dict[str, tuple[CapabilityPool, ...]] = {}

    def model(self, model_id: str) -> Model:
        """Return a registered model.

        Raises:
            UnknownModelError: If it is not registered.
        """
        if model_id not in self.models:
            raise UnknownModelError(model_id, nearest(model_id, list(self.models)))
        return self.models[model_id]

    def register(self, model: Model) -> tuple[Model, Events]:
        """Take a model in, with full paths for its capabilities; it joins its pools at once.

        Raises:
            KeyError: If one of its capabilities is no node of the tree.
            ValueError: If the id is taken, or one of its capabilities is not a leaf.
        """
        paths = tuple(self._leaf(model.id, capability) for capability in model.capabilities)
        if model.id in self.models:
            raise ValueError(f"model {model.id!r} is registered already; unregister it first")
        model = replace(model, capabilities=paths)
        self.models[model.id] = model
        self.states[model.id] = ModelState()
        self._of_model[model.id] = []
        # In order of path: that of a set differs from process to process, and with it who draws
        # from the source of chance first.
        places = sorted(places_of(model, self.tree))
        above = [pool for node in places for pool in self._at_node.get(node, ())]
        return model, [e for pool in above if pool.covers(model) for e in self._join(pool, model)]

    def unregister(self, model_id: str) -> Events:
        """Drop a model from every pool.

        Raises:
            UnknownModelError: If it is not registered.
        """
        model = self.model(model_id)
        events: Events = []
        for pool in self._of_model.pop(model_id):
            events += pool.leave(model)
            self._count(model.provider, pool, -1)
        del self.models[model_id], self.states[model_id]
        self._ordered_away.pop(model_id, None)
        return events

    def send_away(self, model_id: str, reason: str) -> Events:
        """Move a model to standby in every pool, also in those that it joins later.

        Raises:
            UnknownModelError: If it is not registered.
        """
        model = self.model(model_id)
        events = [e for pool in self._of_model[model_id] for e in pool.send_away(model, reason)]
        # An order that ends by itself is for now; one that only a person lifts is for later too.
        if all(event.until is None for event in events):
            self._ordered_away[model_id] = reason
        return events

    def take_back(self, model_id: str) -> Events:
        """Move a model back to active in every pool.

        Raises:
            UnknownModelError: If it is not registered.
        """
        model = self.model(model_id)
        self._ordered_away.pop(model_id, None)
        return [e for pool in self._of_model[model_id] for e in pool.take_back(model)]

    def add_pool(self, pool: CapabilityPool) -> Events:
        """Take a declared pool in; every model it covers joins at once.

        Raises:
            ValueError: If the name is taken.
        """
        if pool.name in self.pools:
            raise ValueError(f"pool {pool.name!r} exists already; choose another name")
        self.pools[pool.name] = pool
        self._covering.clear()
        return self._fill(pool)

    def pool(self, name: str) -> tuple[CapabilityPool, Events]:
        """Return a pool by its name, or the most specific one that serves a capability.

        Raises:
            UnknownPoolError: If it is neither.
        """
        if name in self.pools:
            return self.pools[name], []
        try:
            pools, events = self.covering(self.tree.resolve(name).path)
        except UnknownCapabilityError as error:
            near = (*nearest(name, list(self.pools)), *error.near)
            raise UnknownPoolError(name, near) from error
        return pools[0], events

    def covering(self, node: str) -> tuple[tuple[CapabilityPool, ...], Events]:
        """Return the pools at or above a node, most specific first.

        Where none is declared, a pool for just this node is made.
        """
        found = self._covering.get(node)
        if found is not None:
            return found, []
        up = [node, *(above.path for above in self.tree.get_ancestors(node))]
        declared = set(self.pools.values())
        pools = tuple(p for at in up for p in self._at_node.get(at, ()) if p in declared)
        events: Events = []
        if not pools:
            pool, events = self._implicit_pool(node)
            pools = (pool,)
        self._covering[node] = pools
        return pools, events

    def pools_of(self, model: Model) -> list[CapabilityPool]:
        """Return every pool the model is in; none if it is no longer registered."""
        return self._of_model.get(model.id, [])

    def pools_with(self, provider: str) -> list[CapabilityPool]:
        """Return every pool that has a model of the provider."""
        return list(self._of_provider.get(provider, ()))

    def _implicit_pool(self, node: str) -> tuple[CapabilityPool, Events]:
        if node in self._implicit:
            return self._implicit[node], []
        pool = self._implicit[node] = self._make_pool(node)
        return pool, self._fill(pool)

    def _fill(self, pool: CapabilityPool) -> Events:
        self._at_node.setdefault(pool.hierarchy_node, []).append(pool)
        covered = [model for model in self.models.values() if pool.covers(model)]
        return [event for model in covered for event in self._join(pool, model)]

    def _join(self, pool: CapabilityPool, model: Model) -> Events:
        self._of_model[model.id].append(pool)
        self._count(model.provider, pool, 1)
        reason = self._ordered_away.get(model.id)
        return pool.join(model) + ([] if reason is None else pool.send_away(model, reason))

    def _count(self, provider: str, pool: CapabilityPool, change: int) -> None:
        """Keep how many models of a provider a pool has; a pool without any is not listed."""
        pools = self._of_provider.setdefault(provider, {})
        pools[pool] = pools.get(pool, 0) + change
        if not pools[pool]:
            del pools[pool]

    def _leaf(self, model_id: str, capability: str) -> str:
        node = self.tree.resolve(capability)
        if not node.is_leaf:
            leaves = ", ".join(leaf.name for leaf in self.tree.get_leaves(node.path)) or "none yet"
            raise ValueError(
                f"model {model_id!r}: {node.path!r} is no leaf; register at its leaves: {leaves}"
            )
        return node.path
