"""Which models belong to a pool, and in which order it prefers them.

Knows facts of models and places of the tree, not who is active.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from capability_router.engine.model import Model
from capability_router.engine.tree import CapabilityTree

__all__ = ["PoolPreferences", "placed", "places_of"]

_LISTS = ("allowed_providers", "excluded_providers", "model_priority", "provider_priority")


@dataclass(frozen=True, slots=True)
class PoolPreferences:
    """Which models a pool takes, and in which order it prefers them.

    Attributes:
        allowed_providers: The only providers to take; empty for all.
        excluded_providers: Providers not to take; wins over ``allowed_providers``.
        model_priority: Ids of models, best first; those not named come after.
        provider_priority: Ids of providers, best first, among models of equal priority.
        select: Whether to take a model that all else admits; None takes each. It is asked when a
            model or the pool is new, and again by ``router.refresh``.
    """

    allowed_providers: Sequence[str] = ()
    excluded_providers: Sequence[str] = ()
    model_priority: Sequence[str] = ()
    provider_priority: Sequence[str] = ()
    select: Callable[[Model], bool] | None = None
    _models: Mapping[str, int] = field(init=False, repr=False, compare=False)
    _providers: Mapping[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        for name in _LISTS:
            if isinstance(getattr(self, name), str):
                raise TypeError(f"{name} {getattr(self, name)!r} must be a list of names")
        object.__setattr__(self, "_models", _places(self.model_priority))
        object.__setattr__(self, "_providers", _places(self.provider_priority))

    def admits(self, model: Model) -> bool:
        """Return whether the pool takes this model, wherever it registered."""
        allowed = not self.allowed_providers or model.provider in self.allowed_providers
        if not allowed or model.provider in self.excluded_providers:
            return False
        return self.select is None or bool(self.select(model))

    def rank(self, model: Model) -> tuple[int, int]:
        """Return the model's place in the two lists; low is first."""
        return (
            self._models.get(model.id, len(self._models)),
            self._providers.get(model.provider, len(self._providers)),
        )


def places_of(model: Model, tree: CapabilityTree) -> frozenset[str]:
    """Return the paths of every node that a model serves: where it registered and all above.

    Raises:
        KeyError: If one of its capabilities is no node of the tree.
    """
    return tree.places(model.capabilities)


def _places(order: Sequence[str]) -> Mapping[str, int]:
    """The first place of each name, for a list may be long."""
    return {name: place for place, name in reversed(list(enumerate(order)))}


def placed(model: Model, tree: CapabilityTree) -> Model:
    """Return a model with full paths for its capabilities.

    Raises:
        KeyError: If one of them is no node of the tree.
        ValueError: If one of them is not a leaf.
    """
    paths = tuple(_leaf(model.id, capability, tree) for capability in model.capabilities)
    return model if paths == model.capabilities else replace(model, capabilities=paths)


def _leaf(model_id: str, capability: str, tree: CapabilityTree) -> str:
    node = tree.resolve(capability)
    if not node.is_leaf:
        leaves = ", ".join(leaf.name for leaf in tree.get_leaves(node.path)) or "none yet"
        raise ValueError(
            f"model {model_id!r}: {node.path!r} is no leaf; register at its leaves: {leaves}"
        )
    return node.path
