"""The meters of models, providers and pools, each made once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from capability_router.engine.limits import Limit, Scope
from capability_router.engine.meter import Meter
from capability_router.engine.model import Model, Provider

__all__ = ["Accounts"]


class Accounts:
    """Finds the limits that a request to a model draws on.

    Args:
        providers: How to reach each provider, with its limits.

    Attributes:
        made: Called with every meter that is new; None for nobody.
    """

    def __init__(self, providers: Mapping[str, Provider]) -> None:
        self._providers = providers
        self.made: Callable[[Meter], object] | None = None
        self._meters: dict[Scope, tuple[tuple[Limit, ...], tuple[Meter, ...]]] = {}

    def of(self, model: Model) -> tuple[Meter, ...]:
        """Return the meters of a model and of its provider; none where nothing is limited."""
        provider = self._providers.get(model.provider)
        own = self.at(Scope("model", model.id), model.limits) if model.limits else ()
        if provider is None or not provider.limits:
            return own
        return own + self.at(Scope("provider", provider.id), provider.limits)

    def forget(self, scope: Scope) -> None:
        """Drop the meters of a model or a pool that is gone."""
        self._meters.pop(scope, None)

    def every(self) -> Iterator[Meter]:
        """Iterate over all meters."""
        return (meter for _, meters in self._meters.values() for meter in meters)

    def at(self, scope: Scope, limits: tuple[Limit, ...]) -> tuple[Meter, ...]:
        """Return the meters of a scope, made anew where its limits have changed."""
        found = self._meters.get(scope)
        if found is not None and found[0] == limits:
            return found[1]
        before = found[1] if found else ()
        meters = _meters_for(limits, scope, before)
        self._meters[scope] = limits, meters
        if self.made is not None:
            for meter in set(meters).difference(before):
                self.made(meter)
        return meters


def _meters_for(
    limits: Iterable[Limit], scope: Scope, before: Iterable[Meter]
) -> tuple[Meter, ...]:
    """Return a meter for each limit; one on the same window as before goes on counting there.

    Args:
        limits: The limits; of several on one window the smallest counts, for it holds them all.
        scope: Whose they are.
        before: The meters of the scope so far.
    """
    smallest: dict[tuple[object, ...], Limit] = {}
    for limit in limits:
        other = smallest.setdefault(limit.window, limit)
        if limit.amount < other.amount:
            smallest[limit.window] = limit
    known = {meter.limit.window: meter for meter in before}
    for window, limit in smallest.items():
        known.setdefault(window, Meter(limit, scope)).change(limit)
    return tuple(known[window] for window in smallest)
