"""The router of the engine: its models and pools, as they are declared and changed.

What happens to a single request is for ``desk``, what would happen for ``foresight``, and what
people order for ``steering``, which this extends.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from capability_router.engine.blueprint import Blueprint, PoolSpec, try_selects
from capability_router.engine.events import EventType, RoutingEvent
from capability_router.engine.membership import PoolPreferences, placed
from capability_router.engine.model import Model, Provider
from capability_router.engine.pool import CapabilityPool
from capability_router.engine.provider_health import ProviderHealth
from capability_router.engine.replica import Replica
from capability_router.engine.rotation import RotationPolicy
from capability_router.engine.state import ModelState
from capability_router.engine.statistics import RouterStatistics, Statistics
from capability_router.engine.steering import Steering
from capability_router.engine.timing import World

__all__ = ["Router"]


class Router(Steering):
    """Models, pools and leases; each public method is one step under the guard.

    Args:
        tree: The capability tree; None for the default one.
        providers: How to reach each provider, and what may be used of it.
        policy: Rotation of a pool for which none is given; None for the defaults.
        faults: The fault table.
        emitter: Receives every event; None for a new one.
        world: Clock and source of chance; None for the system's.
        guard: Entered around every step, for instance an ``RLock``; None where one thread is all.
        lease_ttl_s: Seconds after which a lease that nobody ended expires, > 0. Default 600, the
            longest that the OpenAI client waits for an answer.
    """

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

    def provider(self, provider_id: str) -> Provider:
        """Return how to reach a provider."""
        return self._providers.get(provider_id) or Provider(provider_id)

    def provider_health(self, provider_id: str) -> ProviderHealth:
        """Return how much of a provider is left, as was told last; one without models is healthy.

        Args:
            provider_id: Its id.
        """
        state = self._topology.providers.states.get(provider_id)
        return ProviderHealth.HEALTHY if state is None else state.told

    def state(self, model_id: str) -> ModelState:
        """Return the live counters of a model.

        Raises:
            UnknownModelError: If it is not registered.
        """
        return self._topology.states[self.model(model_id).id]

    def statistics(self) -> RouterStatistics:
        """Return what models, providers and pools have done so far; a copy that stays as it is.

        Whoever's time on standby is over comes back, as with every other question.
        """
        with self._guard:
            now, wall = self.world.clock.now(), self.world.clock.wall()
            pools = self._topology.every_pool()
            for pool in pools:
                pool.catch_up(now)
            in_pools = {pool.name: pool.statistics(now) for pool in pools}
            models = {name: state.statistics(now) for name, state in self._topology.states.items()}
            down = {
                name: state.downtime.total_s(now)
                for name, state in self._topology.providers.states.items()
            }
            of_provider = {name: self._topology.models_of(name) for name in down}
        self._publish()
        providers = {
            name: Statistics.merged((models[model.id] for model in own), downtime_s=down[name])
            for name, own in of_provider.items()
        }
        return RouterStatistics(now, wall, models, providers, in_pools)

    @property
    def replica(self) -> Replica:
        """This router as one of several that work as one, for whoever keeps what they share."""
        return Replica(self._topology, self._accounts, self._permits, self.world.clock)

    @contextmanager
    def step(self) -> Generator[None]:
        """Hold the guard, and hand out the events of what is done under it afterwards."""
        with self._guard:
            yield
        self._publish()

    @property
    def revision(self) -> int:
        """Grows with every change after which other models, or the same elsewhere, may serve.

        For those who keep what they work out of ``candidates``.
        """
        return self._topology.revision

    def twin(self, world: World) -> Router:
        """Return a router of the same models, pools and rules, which has learnt nothing yet.

        Args:
            world: Its clock and its source of chance.
        """
        with self._guard:
            twin = Router(
                self.tree,
                providers=self._providers.values(),
                policy=self._policy,
                faults=self._assessor.faults,
                world=world,
                lease_ttl_s=self._lease_ttl_s,
            )
            for model in self.models:
                twin.register(model)
            for pool in self.pools:
                twin.add_pool(
                    pool.name, pool.hierarchy_node, pool.rotation_policy, pool.preferences
                )
        return twin

    def register(self, model: Model) -> Model:
        """Take a model in; it joins every pool at or above its leaves at once.

        Returns:
            The model as registered, with full paths for its capabilities.

        Raises:
            KeyError: If one of its capabilities is no node of the tree.
            ValueError: If the id is taken, or one of its capabilities is not a leaf.
        """
        with self._guard:
            model = self._topology.register(model)
            self._tell_models(added=[model.id])
        self._publish()
        return model

    def unregister(self, model_id: str) -> None:
        """Drop a model from every pool; attempts in progress end as they will.

        Raises:
            UnknownModelError: If it is not registered.
        """
        with self._guard:
            self._topology.unregister(model_id)
            self._tell_models(removed=[model_id])
        self._publish()

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
            preferences: Which models to take, and orders of preference.

        Raises:
            KeyError: If the tree has no such node.
            ValueError: If the name is taken.
        """
        with self._guard:
            pool = self._make_pool(name, hierarchy_node, policy, preferences)
            self._topology.add_pool(pool)
        self._publish()
        return pool

    def update_pool(
        self,
        name: str,
        policy: RotationPolicy | None = None,
        preferences: PoolPreferences | None = None,
    ) -> None:
        """Change how a declared pool works while it works; its members keep their standing.

        Args:
            name: Name of the pool.
            policy: Its new rotation; None to keep the present one.
            preferences: Its new filters and orders, upon which models join and leave; None to
                keep the present ones.

        Raises:
            UnknownPoolError: If no declared pool has this name.
        """
        with self._guard:
            pool = self._topology.declared(name)
            self._topology.change_pool(
                pool, policy or pool.rotation_policy, preferences or pool.preferences
            )
        self._publish()

    def remove_pool(self, name: str) -> None:
        """Take a declared pool away; its models stay in their other pools.

        Raises:
            UnknownPoolError: If no declared pool has this name.
        """
        with self._guard:
            self._topology.remove_pool(name)
        self._publish()

    def refresh(self) -> None:
        """Ask the ``select`` functions of all pools again which models they take."""
        with self._guard:
            for pool in self._topology.every_pool():
                self._topology.refresh(pool)
        self._publish()

    def pool(self, name: str) -> CapabilityPool:
        """Return a pool by its name, or the most specific one that serves a capability.

        Raises:
            UnknownPoolError: If it is neither.
        """
        with self._guard:
            pool = self._topology.pool(name)
        self._publish()
        return pool

    def configure(self, blueprint: Blueprint) -> None:
        """Become what a configuration says, in one step; called again, become what another says.

        Models and pools that stay keep their counters, their standing and what was taken of
        limits that stay. Those of the last configuration that this one does not name are
        dropped; those that were registered or added by hand stay. Attempts in progress end as
        they will.

        Args:
            blueprint: The configuration.

        Raises:
            KeyError: If the new tree lacks a node that is named.
            ValueError: If a capability is not a leaf of it, it lacks a node of what was added by
                hand, a name is taken by that, or a pool's ``select`` raises; in all of these
                cases nothing has changed.
        """
        tree = blueprint.tree
        blueprint = replace(
            blueprint,
            models=tuple(placed(model, tree) for model in blueprint.models),
            pools=tuple(
                replace(spec, hierarchy_node=tree.resolve(spec.hierarchy_node).path)
                for spec in blueprint.pools
            ),
        )
        with self._guard:
            before, states = self._declared, self._topology.states.copy()
            by_hand = self._by_hand(before, blueprint)
            try_selects(blueprint.pools, [*blueprint.models, *by_hand])
            self._declared = blueprint
            for provider in before.providers:
                self._providers.pop(provider.id, None)
            self._providers.update((provider.id, provider) for provider in blueprint.providers)
            self._topology.revision += 1
            self._assessor.faults = blueprint.faults
            self._topology.replant(blueprint.tree)
            self._drop_models(before, blueprint)
            models = {model.id: model for model in blueprint.models}
            for model in [*by_hand, *(models[m.id] for m in self.models if m.id in models)]:
                self._topology.replace(model)
            self._rebuild_pools(before.pools, blueprint.pools)
            for model in blueprint.models:
                if model.id not in self._topology.models:
                    self._topology.register(model)
            self._topology.reorder([*models, *(model.id for model in by_hand)])
            # A model that has gone over to another provider is another one, with its own counters.
            after = self._topology.states
            self._tell_models(
                added=[each for each, state in after.items() if states.get(each) is not state],
                removed=[each for each, state in states.items() if after.get(each) is not state],
            )
        self._publish()

    def _tell_models(self, *, added: Sequence[str] = (), removed: Sequence[str] = ()) -> None:
        if added or removed:
            now = self.world.clock.now()
            details: dict[str, object] = {"added": [*added], "removed": [*removed]}
            told = RoutingEvent(EventType.MODELS_UPDATED, "", "", now, details=details)
            self._outbox.append(told)

    def _by_hand(self, before: Blueprint, after: Blueprint) -> list[Model]:
        """Return the models that no configuration declared, having checked that they can stay."""
        declared = {model.id for model in before.models}
        models = [model for model in self.models if model.id not in declared]
        pools = {pool.name for pool in before.pools}
        others = [pool for pool in self.pools if pool.name not in pools]
        taken = {model.id for model in models} & {model.id for model in after.models}
        taken |= {pool.name for pool in others} & {pool.name for pool in after.pools}
        if taken:
            raise ValueError(f"{min(taken)!r} was added by hand; remove it there or here")
        nodes = [path for model in models for path in model.capabilities]
        nodes += [pool.hierarchy_node for pool in others]
        missing = [path for path in nodes if path not in after.tree]
        if missing:
            raise ValueError(f"{missing[0]!r} is used by hand, and the new tree has no such node")
        return models

    def _drop_models(self, before: Blueprint, after: Blueprint) -> None:
        """Unregister what is declared no more, and what has gone over to another provider."""
        provider_of = {model.id: model.provider for model in after.models}
        for model in before.models:
            known = self._topology.models.get(model.id)
            if known is not None and provider_of.get(model.id) != known.provider:
                self._topology.unregister(model.id)

    def _rebuild_pools(self, before: Sequence[PoolSpec], after: Sequence[PoolSpec]) -> None:
        wanted = {spec.name: spec for spec in after}
        for old in before:
            new = wanted.get(old.name)
            moved = new is None or new.hierarchy_node != old.hierarchy_node
            if moved and old.name in self._topology.pools:
                self._topology.remove_pool(old.name)
        for pool in self._topology.every_pool():
            spec = wanted.get(pool.name)
            policy = spec.policy if spec else pool.rotation_policy
            preferences = spec.preferences if spec else pool.preferences
            self._topology.change_pool(pool, policy, preferences)
        for spec in after:
            if spec.name not in self._topology.pools:
                self._topology.add_pool(
                    self._make_pool(spec.name, spec.hierarchy_node, spec.policy, spec.preferences)
                )
