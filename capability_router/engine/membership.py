"""Which models belong to a pool, and in which order it prefers them.

Knows facts of models and places of the tree, not who is active.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from capability_router.engine.model import Model
from capability_router.engine.tree import CapabilityTree

__all__ = ["PoolPreferences", "places_of"]


@dataclass(frozen=True, slots=True)
class PoolPreferences:
    """Which models a pool takes, and in which order it prefers them.

    Attributes:
        allowed_providers: The only providers to take; empty for all.
        excluded_providers: Providers not to take; wins over ``allowed_providers``.
        model_priority: Ids of models, best first; those not named come after.
        provider_priority: Ids of providers, best first, among models of equal priority.
    """

    allowed_providers: Sequence[str] = ()
    excluded_providers: Sequence[str] = ()
    model_priority: Sequence[str] = ()
    provider_priority: Sequence[str] = ()

    def admits(self, model: Model) -> bool:
        """Return whether the pool takes models of this provider."""
        allowed = not self.allowed_providers or model.provider in self.allowed_providers
        return allowed and model.provider not in self.excluded_providers

    def rank(self, model: Model) -> tuple[int, int]:
        """Return the model's place in the two lists; low is first."""
        return _place(model.id, self.model_priority), _place(model.provider, self.provider_priority)


def places_of(model: Model, tree: CapabilityTree) -> frozenset[str]:
    """Return the paths of every node that a model serves: where it registered and all above.

    Raises:
        KeyError: If one of its capabilities is no node of the tree.
    """
    at = [tree.resolve(capability) for capability in model.capabilities]
    above = [node for place in at for node in tree.get_ancestors(place.path)]
    return frozenset(node.path for node in (*at, *above))


def _place(name: str, order: Sequence[str]) -> int:
    return order.index(name) if name in order else len(order)
