"""From a checked configuration to values of the engine.

Nothing can be wrong any more: whatever could be was found before.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, cast

from pydantic import BaseModel

from capability_router import registry
from capability_router.config.schema import ModelConfig, PoolConfig, ProviderConfig, RouterConfig
from capability_router.engine.deactivation import ConsecutiveFailures
from capability_router.engine.faults import FAULT_TABLE, FaultRule
from capability_router.engine.membership import PoolPreferences
from capability_router.engine.model import Model, Price, Provider
from capability_router.engine.outcome import FailureKind
from capability_router.engine.recovery import Cooldown
from capability_router.engine.retry import RetryPolicy
from capability_router.engine.rotation import RotationPolicy
from capability_router.engine.selection import SelectionStrategy
from capability_router.engine.tree import CapabilityTree

__all__ = ["Blueprint", "PoolSpec", "build"]


@dataclass(frozen=True, slots=True)
class PoolSpec:
    """One pool to be.

    Attributes:
        name: Its name, unique among the pools.
        hierarchy_node: Full path of the node it serves.
        policy: When models leave and return, and which one serves.
        preferences: Which models it takes, and in which order it prefers them.
    """

    name: str
    hierarchy_node: str
    policy: RotationPolicy
    preferences: PoolPreferences


@dataclass(frozen=True, slots=True)
class Blueprint:
    """All that a configuration says, as values of the engine; each list is in the file's order.

    Attributes:
        tree: The default tree with the nodes and aliases that were added.
        providers: How to reach each provider.
        models: The models, with full paths for their capabilities.
        pools: The pools.
        faults: The whole fault table, with the cells that were replaced.
    """

    tree: CapabilityTree
    providers: tuple[Provider, ...]
    models: tuple[Model, ...]
    pools: tuple[PoolSpec, ...]
    faults: Mapping[FailureKind, FaultRule]


def build(config: RouterConfig, tree: CapabilityTree) -> Blueprint:
    """Turn a configuration that passed every check into values of the engine.

    Args:
        config: The configuration.
        tree: The tree grown from the same document; it becomes the blueprint's own.
    """
    return Blueprint(
        tree=tree,
        providers=tuple(_provider(*item) for item in config.providers.items()),
        models=tuple(_model(*item, tree) for item in config.models.items()),
        pools=tuple(_pool(*item, tree) for item in config.pools.items()),
        faults=_faults(config),
    )


def _provider(provider_id: str, config: ProviderConfig) -> Provider:
    return Provider(provider_id, **_given(config))


def _model(model_id: str, config: ModelConfig, tree: CapabilityTree) -> Model:
    capabilities = tuple(tree.resolve(name).path for name in config.capabilities)
    model = Model(model_id, capabilities, context_window=config.context_window)
    if config.features is not None:
        model = replace(model, features=frozenset(config.features))
    if config.price is not None:
        model = replace(model, price=Price(config.price.input, config.price.output))
    return model


def _pool(name: str, config: PoolConfig, tree: CapabilityTree) -> PoolSpec:
    policy = RotationPolicy(
        deactivation=replace(ConsecutiveFailures(), **_given(config.deactivation)),
        recovery=replace(Cooldown(), **_given(config.recovery)),
        retry=replace(RetryPolicy(), **_given(config.retry)),
    )
    if config.strategy is not None:
        found = registry.resolve(registry.STRATEGIES, config.strategy)
        policy = replace(policy, selection=cast("Callable[[], SelectionStrategy]", found))
    preferences = PoolPreferences(
        allowed_providers=config.allowed_providers,
        excluded_providers=config.excluded_providers,
        model_priority=config.model_priority,
        provider_priority=config.provider_priority,
    )
    return PoolSpec(name, tree.resolve(config.hierarchy_node).path, policy, preferences)


def _faults(config: RouterConfig) -> Mapping[FailureKind, FaultRule]:
    table = dict(FAULT_TABLE)
    for name, cells in config.faults.items():
        kind = FailureKind(name)
        table[kind] = replace(table[kind], **_given(cells))
    return MappingProxyType(table)


def _given(section: BaseModel) -> dict[str, Any]:  # the schema has checked each field's type
    """The fields that the document sets; the engine's defaults hold for the others."""
    return {name: getattr(section, name) for name in section.model_fields_set}
