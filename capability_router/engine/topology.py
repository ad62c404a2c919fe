"""Which models and pools there are, and which pools serve which node.

Knows no request and no lease. The caller holds the guard and publishes the events.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import inf

from capability_router.engine.accounts import Accounts
from capability_router.engine.concurrency import slots_for
from capability_router.engine.errors import (
    UndeclaredPoolError,
    UnknownCapabilityError,
    UnknownModelError,
    UnknownPoolError,
    nearest,
)
from capability_router.engine.limits import Scope
from capability_router.engine.member import Order
from capability_router.engine.membership import PoolPreferences, placed, places_of
from capability_router.engine.model import Model
from capability_router.engine.pool import CapabilityPool
from capability_router.engine.providers import Providers
from capability_router.engine.rotation import RotationPolicy
from capability_router.engine.state import ModelState
from capability_router.engine.tree import CapabilityTree

__all__ = ["Topology"]


class Topology:
    """The registered models and the pools they are in.

    Args:
        tree: The capability tree.
        accounts: Meters of the models and providers.
        make_pool: Makes the pool for a node that no declared pool covers, given its path.

    Attributes:
        version: Grows with every change after which other pools may serve a request.
        revision: Grows with every change after which other models may serve one.
        by_hand: What people have ordered, by the model or provider that it is about.
    """

    def __init__(
        self,
        tree: CapabilityTree,
        accounts: Accounts,
        make_pool: Callable[[str], CapabilityPool],
    ) -> None:
        self.tree = tree
        self._accounts = accounts
        self._make_pool = make_pool
        self.version = 0
        self.revision = 0
        self.states: dict[str, ModelState] = {}
        self.providers = Providers()
        self.models: dict[str, Model] = {}
        self.pools: dict[str, CapabilityPool] = {}
        self._at_node: dict[str, list[CapabilityPool]] = {}
        self._of_model: dict[str, list[CapabilityPool]] = {}
        self._of_provider: dict[str, dict[CapabilityPool, int]] = {}
        self._models_of: dict[str, dict[str, Model]] = {}
        self.by_hand: dict[Scope, Order] = {}
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

    def register(self, model: Model) -> Model:
        """Take a model in, with full paths for its capabilities; it joins its pools at once.

        Raises:
            KeyError: If one of its capabilities is no node of the tree.
            ValueError: If the id is taken, or one of its capabilities is not a leaf.
        """
        if model.id in self.models:
            raise ValueError(f"model {model.id!r} is registered already; unregister it first")
        model = placed(model, self.tree)
        self.models[model.id] = model
        provider = self.providers.of(model.provider)
        provider.count(models=1)
        slots = slots_for(model.concurrency, None)
        self.states[model.id] = ModelState(slots=slots, provider=provider)
        self._of_model[model.id] = []
        self._models_of.setdefault(model.provider, {})[model.id] = model
        # Now, and not with the first request: of a limit that is shared, something has to be
        # reserved before.
        self._accounts.of(model)
        self._join_all(model)
        return model

    def replace(self, model: Model) -> Model:
        """Take a model in again with other facts; its counters and its standing stay.

        Raises:
            KeyError: If it is not registered, or a capability is no node of the tree.
            ValueError: If one of its capabilities is not a leaf, or the provider is another one.
        """
        old = self.model(model.id)
        # A leaf that has been given children since goes on being a place of this model.
        if model.capabilities != old.capabilities:
            model = placed(model, self.tree)
        if model.provider != old.provider:
            raise ValueError(
                f"model {model.id!r} is of provider {old.provider!r}; unregister it to make it one"
                f" of {model.provider!r}"
            )
        self.revision += 1
        self.models[model.id] = self._models_of[model.provider][model.id] = model
        state = self.states[model.id]
        state.slots = slots_for(model.concurrency, state.slots)
        for pool in [pool for pool in self._of_model[model.id] if not pool.covers(model)]:
            self._part(pool, old)
        for pool in self._of_model[model.id]:
            pool.exchange(model)
        self._join_all(model)
        return model

    def unregister(self, model_id: str) -> None:
        """Drop a model from every pool.

        Raises:
            UnknownModelError: If it is not registered.
        """
        model = self.model(model_id)
        self.revision += 1
        for pool in self._of_model.pop(model_id):
            pool.leave(model)
            self._count(model.provider, pool, -1)
        del self.models[model_id], self.states[model_id], self._models_of[model.provider][model_id]
        self.providers.of(model.provider).count(models=-1)
        self.by_hand.pop(Scope("model", model_id), None)
        self._accounts.forget(Scope("model", model_id))

    def send_away(self, model_id: str, reason: str, until: float | None = None) -> None:
        """Move a model to standby in every pool, also in those that it joins later.

        Args:
            model_id: Id of the model.
            reason: Why.
            until: Monotonic seconds when it is active again; None for what each pool's policy
                says of the reason.

        Raises:
            UnknownModelError: If it is not registered.
        """
        model = self.model(model_id)
        if not self._of_model[model_id]:
            # Somewhere it has to be written down, for the pools that come.
            self.covering(model.capabilities[0])
        orders = [pool.send_away(model, reason, until) for pool in self._of_model[model_id]]
        # A cooldown is for now; what a person has fixed is for pools that come as well.
        if until is not None or all(order.until == inf for order in orders):
            fixed = orders or [Order(reason, until or inf, probe=False)]
            self.by_hand[Scope("model", model_id)] = fixed[0]

    def send_provider_away(self, provider: str, order: Order, now: float) -> None:
        """Move every model of a provider to standby."""
        for pool in self.pools_with(provider):
            pool.provider_failed(provider, order, now)
        until = order.until if order.until < inf else None
        self.providers.of(provider).send_away(order.reason, until)

    def drain(self, provider: str, reason: str, until: float, now: float) -> None:
        """Move every model of a provider to standby, also those that come later.

        Args:
            provider: Its id.
            reason: Why.
            until: Monotonic seconds when they serve again; ``inf`` if only by hand.
            now: Monotonic seconds.
        """
        order = Order(reason, until, whole_provider=True, probe=False)
        self.by_hand[Scope("provider", provider)] = order
        for model in self.models_of(provider):
            if not self._of_model[model.id]:
                self.covering(model.capabilities[0])
        if self.models_of(provider):
            self.send_provider_away(provider, order, now)

    def lift_by_hand(self, model_id: str) -> None:
        """End what a person has ordered about a model, and nothing else that holds it."""
        order = self.by_hand.pop(Scope("model", model_id), None)
        if order is not None:
            for pool in self._of_model.get(model_id, []):
                pool.lift(model_id, order.reason)

    def take_provider_back(self, provider: str) -> None:
        """Lift what holds the models of a provider for the whole of it."""
        self.by_hand.pop(Scope("provider", provider), None)
        for pool in self.pools_with(provider):
            pool.provider_recovered(provider, pool.now())

    def take_back(self, model_id: str) -> None:
        """Move a model back to active in every pool.

        Raises:
            UnknownModelError: If it is not registered.
        """
        model = self.model(model_id)
        self.by_hand.pop(Scope("model", model_id), None)
        for pool in self._of_model[model_id]:
            pool.take_back(model)

    def add_pool(self, pool: CapabilityPool) -> None:
        """Take a declared pool in; every model it covers joins at once.

        Raises:
            ValueError: If the name is taken.
        """
        if pool.name in self.pools:
            raise ValueError(f"pool {pool.name!r} exists already; choose another name")
        self.pools[pool.name] = pool
        self._forget_routes()
        self._fill(pool)

    def remove_pool(self, name: str) -> None:
        """Drop a declared pool; its models stay in their other pools.

        Raises:
            UnknownPoolError: If no declared pool has this name.
        """
        pool = self.declared(name)
        for model_id in [m.id for m in self.models.values() if m in pool]:
            self._part(pool, self.models[model_id])
        del self.pools[name]
        self._at_node[pool.hierarchy_node].remove(pool)
        self._accounts.forget(Scope("pool", name))
        self._forget_routes()

    def change_pool(
        self, pool: CapabilityPool, policy: RotationPolicy, preferences: PoolPreferences
    ) -> None:
        """Give a pool another policy and other preferences; models join and leave as they say."""
        pool.change(policy, preferences, self.tree)
        self.refresh(pool)

    def refresh(self, pool: CapabilityPool) -> None:
        """Let models join and leave a pool whose filters may have changed their mind."""
        for model in list(self.models.values()):
            if pool.covers(model) == (model in pool):
                continue
            if model in pool:
                self._part(pool, model)
            else:
                self._join(pool, model)

    def declared(self, name: str) -> CapabilityPool:
        """Return a declared pool.

        Raises:
            UnknownPoolError: If no declared pool has this name.
        """
        if name not in self.pools:
            raise UndeclaredPoolError(name, nearest(name, list(self.pools)))
        return self.pools[name]

    def pool(self, name: str) -> CapabilityPool:
        """Return a pool by its name, or the most specific one that serves a capability.

        Raises:
            UnknownPoolError: If it is neither.
        """
        if name in self.pools:
            return self.pools[name]
        try:
            return self.covering(self.tree.resolve(name).path)[0]
        except UnknownCapabilityError as error:
            near = (*nearest(name, list(self.pools)), *error.near)
            raise UnknownPoolError(name, near) from error

    def covering(self, node: str) -> tuple[CapabilityPool, ...]:
        """Return the pools at or above a node, most specific first.

        Where none is declared, a pool for just this node is made.
        """
        found = self._covering.get(node)
        if found is not None:
            return found
        up = [node, *(above.path for above in self.tree.get_ancestors(node))]
        declared = set(self.pools.values())
        pools = tuple(p for at in up for p in self._at_node.get(at, ()) if p in declared)
        pools = self._covering[node] = pools or (self._implicit_pool(node),)
        return pools

    def drawing_on(self, scope: Scope) -> list[CapabilityPool]:
        """Return the pools whose requests draw on the limits of a model, provider or pool."""
        if scope.kind == "pool":
            return [pool for pool in self.every_pool() if pool.name == scope.name]
        of_provider = scope.kind == "provider"
        return self.pools_with(scope.name) if of_provider else self._of_model.get(scope.name, [])

    def pools_of(self, model: Model) -> list[CapabilityPool]:
        """Return every pool the model is in; none if it is no longer registered."""
        return self._of_model.get(model.id, [])

    def pools_with(self, provider: str) -> list[CapabilityPool]:
        """Return every pool that has a model of the provider."""
        return list(self._of_provider.get(provider, ()))

    def is_held(self, provider: str) -> bool:
        """Return whether an order still holds a model of a provider for the whole of it."""
        return any(pool.inquiry.is_without(provider) for pool in self.pools_with(provider))

    def models_of(self, provider: str) -> list[Model]:
        """Return the registered models of a provider."""
        return list(self._models_of.get(provider, {}).values())

    def every_pool(self) -> list[CapabilityPool]:
        """Return the declared pools and the implicit ones that were made so far."""
        return [*self.pools.values(), *self._implicit.values()]

    def reorder(self, model_ids: Sequence[str]) -> None:
        """Put the models in another order, in which pools take those that are equal otherwise."""
        self.models = {model_id: self.models[model_id] for model_id in model_ids}
        place = {model_id: number for number, model_id in enumerate(model_ids)}
        for pool in self.every_pool():
            pool.reorder(place)
            pool.look_again()

    def replant(self, tree: CapabilityTree) -> None:
        """Go by another tree, in which every model's capabilities are still leaves."""
        self.tree = tree
        self._forget_routes()

    def _join_all(self, model: Model) -> None:
        """Let a model join every pool that covers it and does not have it."""
        # In order of path: that of a set differs from process to process, and with it who draws
        # from the source of chance first.
        for node in sorted(places_of(model, self.tree)):
            for pool in self._at_node.get(node, ()):
                if model not in pool and pool.covers(model):
                    self._join(pool, model)

    def _implicit_pool(self, node: str) -> CapabilityPool:
        if node not in self._implicit:
            self._implicit[node] = self._make_pool(node)
            self._fill(self._implicit[node])
        return self._implicit[node]

    def _fill(self, pool: CapabilityPool) -> None:
        self._at_node.setdefault(pool.hierarchy_node, []).append(pool)
        for model in self.models.values():
            if pool.covers(model):
                self._join(pool, model)

    def _join(self, pool: CapabilityPool, model: Model) -> None:
        elsewhere = [
            order
            for other in self._of_model[model.id]
            for order in other.inquiry.standing(model.id)
        ]
        for other in self._of_provider.get(model.provider, ()):
            elsewhere += other.inquiry.standing_with(model.provider)
        self.revision += 1
        self._of_model[model.id].append(pool)
        self._count(model.provider, pool, 1)
        pool.join(model)
        pool.take_over(model.id, elsewhere)
        ordered = (Scope("provider", model.provider), Scope("model", model.id))
        by_hand = (self.by_hand.get(scope) for scope in ordered)
        pool.take_over(model.id, (o for o in by_hand if o is not None and o.until > pool.now()))

    def _part(self, pool: CapabilityPool, model: Model) -> None:
        self.revision += 1
        self._of_model[model.id].remove(pool)
        self._count(model.provider, pool, -1)
        pool.leave(model)

    def _forget_routes(self) -> None:
        self._covering.clear()
        self.version += 1
        self.revision += 1

    def _count(self, provider: str, pool: CapabilityPool, change: int) -> None:
        """Keep how many models of a provider a pool has; a pool without any is not listed."""
        pools = self._of_provider.setdefault(provider, {})
        pools[pool] = pools.get(pool, 0) + change
        if not pools[pool]:
            del pools[pool]
