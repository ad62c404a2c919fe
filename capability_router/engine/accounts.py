"""The meters of models and providers, each made once and shared by every pool."""

from __future__ import annotations

from collections.abc import Mapping

from capability_router.engine.limits import Limit, Meter, Scope, meters_for
from capability_router.engine.model import Model, Provider

__all__ = ["Accounts"]


class Accounts:
    """Finds the limits that a request to a model draws on.

    Args:
        providers: How to reach each provider, with its limits.
    """

    def __init__(self, providers: Mapping[str, Provider]) -> None:
        self._providers = providers
        self._meters: dict[Scope, tuple[tuple[Limit, ...], tuple[Meter, ...]]] = {}

    def of(self, model: Model) -> tuple[Meter, ...]:
        """Return the meters of a model and of its provider; none where nothing is limited."""
        provider = self._providers.get(model.provider)
        own = self._at(Scope("model", model.id), model.limits) if model.limits else ()
        if provider is None or not provider.limits:
            return own
        return own + self._at(Scope("provider", provider.id), provider.limits)

    def forget(self, model: Model) -> None:
        """Drop the meters of a model that is gone."""
        self._meters.pop(Scope("model", model.id), None)

    def _at(self, scope: Scope, limits: tuple[Limit, ...]) -> tuple[Meter, ...]:
        """The meters of a scope, made anew where its limits have changed."""
        found = self._meters.get(scope)
        if found is None or found[0] != limits:
            before = found[1] if found else ()
            found = self._meters[scope] = limits, meters_for(limits, scope, before)
        return found[1]
