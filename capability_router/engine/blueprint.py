"""A whole configuration as values: what a router is to be."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from capability_router.engine.errors import ConfigurationError, Problem
from capability_router.engine.faults import FaultRule
from capability_router.engine.membership import PoolPreferences
from capability_router.engine.model import Model, Provider, Secret
from capability_router.engine.observing import ConnectorSpec
from capability_router.engine.outcome import FailureKind
from capability_router.engine.rotation import RotationPolicy
from capability_router.engine.tree import CapabilityTree

__all__ = ["Blueprint", "PoolSpec", "StateSpec", "try_selects"]


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
class StateSpec:
    """Where processes share what they know; the engine itself opens nothing.

    Attributes:
        url: Address of the store, which may hold a password.
        namespace: What keeps those apart that use one server for different things.
    """

    url: Secret
    namespace: str = "default"


@dataclass(frozen=True, slots=True)
class Blueprint:
    """All that a configuration says, as values of the engine; each list is in the file's order.

    Attributes:
        tree: The default tree with the nodes and aliases that were added.
        providers: How to reach each provider.
        models: The models, with full paths for their capabilities.
        pools: The pools.
        faults: The whole fault table, with the cells that were replaced.
        keys: What reads the API key of a provider again, by the provider's id, for those whose key
            is kept elsewhere; the engine itself reads none.
        connectors: Who is to be told of events and decisions; the engine itself makes none.
        state: Where it shares what it knows; None for nowhere.
    """

    tree: CapabilityTree
    providers: tuple[Provider, ...]
    models: tuple[Model, ...]
    pools: tuple[PoolSpec, ...]
    faults: Mapping[FailureKind, FaultRule]
    keys: Mapping[str, Callable[[], Secret]] = field(
        default_factory=dict[str, Callable[[], Secret]], repr=False, compare=False
    )
    connectors: tuple[ConnectorSpec, ...] = ()
    state: StateSpec | None = None


def try_selects(pools: Iterable[PoolSpec], models: Iterable[Model]) -> None:
    """Ask every pool about every model once, before anything depends on the answer."""
    for spec in pools:
        for model in models:
            try:
                spec.preferences.admits(model)
            except Exception as error:
                raise ConfigurationError(
                    [
                        Problem(
                            f"the function raised {type(error).__name__} for model"
                            f" {model.id!r}: {error}",
                            key_path=f"pools.{spec.name}.select",
                        )
                    ]
                ) from error
