"""Ask the providers what they serve, and tell what is new, what is gone and what will go."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial

from capability_router.catalogue.catalogue import Catalogue
from capability_router.catalogue.entry import CatalogueEntry
from capability_router.catalogue.served import UnlistedError, served_models
from capability_router.engine.events import EventType, RoutingEvent
from capability_router.engine.model import Model, Provider
from capability_router.router import CapabilityRouter

__all__ = ["Discovery", "ProviderDiscovery", "adiscover", "discover"]

_AT_ONCE = 16
_MOST_SHOWN = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderDiscovery:
    """What one provider serves, beside what is registered of it.

    Attributes:
        provider: Its id.
        error: Why it gave no list; empty if it did. Without a list nothing is new or vanished.
        served: How many models it lists.
        new: Listed and in the catalogue, but not registered, by name: ready to be registered.
        unknown: Names listed that are neither registered nor in the catalogue.
        vanished: Ids that are registered, and not listed.
        deprecated: Ids that are registered and past their last day, or near it: seconds since
            1970 UTC of that day.
    """

    provider: str
    error: str = ""
    served: int = 0
    new: Mapping[str, CatalogueEntry] = field(default_factory=dict[str, CatalogueEntry], hash=False)
    unknown: tuple[str, ...] = ()
    vanished: tuple[str, ...] = ()
    deprecated: Mapping[str, float] = field(default_factory=dict[str, float], hash=False)

    def __str__(self) -> str:
        told = [f"{self.provider}: {self.error or f'serves {self.served}'}"]
        groups = (
            ("new", self.new),
            ("unknown", self.unknown),
            ("vanished", self.vanished),
            ("deprecated", self.deprecated),
        )
        told += [f"  {what}: {_listed(list(names))}" for what, names in groups if names]
        return "\n".join(told)

    def details(self) -> dict[str, object]:
        """Return it as plain values that JSON can hold."""
        return {
            "error": self.error,
            "served": self.served,
            "new": list(self.new),
            "unknown": list(self.unknown),
            "vanished": list(self.vanished),
            "deprecated": dict(self.deprecated),
        }

    def models(self) -> list[Model]:
        """Return the new models that the catalogue knows, to register those that you want."""
        return [entry.model(self.provider) for entry in self.new.values()]


@dataclass(frozen=True, slots=True)
class Discovery:
    """What was found at each provider that was asked; ``str`` tells it in a few lines."""

    providers: tuple[ProviderDiscovery, ...]

    def __str__(self) -> str:
        return "\n".join(map(str, self.providers)) or "no provider to ask"

    def __getitem__(self, provider: str) -> ProviderDiscovery:
        """Return what was found at one provider.

        Raises:
            KeyError: If it was not asked; the message names those that were.
        """
        for found in self.providers:
            if found.provider == provider:
                return found
        asked = ", ".join(found.provider for found in self.providers) or "none"
        raise KeyError(f"provider {provider!r} was not asked, only: {asked}")

    def models(self) -> list[Model]:
        """Return the new models of all providers that the catalogue knows."""
        return [model for found in self.providers for model in found.models()]


def discover(
    router: CapabilityRouter,
    providers: Iterable[Provider] | None = None,
    *,
    catalogue: Catalogue | None = None,
    timeout_s: float = 10.0,
    soon_s: float = 30 * 86_400.0,
    environ: Mapping[str, str] | None = None,
) -> Discovery:
    """Ask providers for their models, and compare with what is registered and what is known.

    One event, ``MODELS_DISCOVERED``, tells the same to the router's subscribers. Nothing is
    registered and nothing removed: that is yours to decide, ``Discovery.models`` helps.

    Args:
        router: Whose models are compared.
        providers: Whom to ask; None for those that the router declares or has a model of.
        catalogue: The models that are known; None for LiteLLM's, or none if it is not installed.
        timeout_s: Seconds that a provider may take, > 0; all are asked at the same time.
        soon_s: Seconds before its last day at which a model counts as deprecated, >= 0. Default
            30 days.
        environ: Where a vendor's key is if its provider has none; None for the process's
            environment.

    Returns:
        What was found at each of them; one that fails does no harm to the others.

    Raises:
        ImportError: If httpx is not installed.
        ValueError: If a number is out of range.
    """
    if timeout_s <= 0 or soon_s < 0:
        raise ValueError(f"timeout_s {timeout_s} must be above 0, soon_s {soon_s} at least 0")
    asked = _asked(router) if providers is None else list(providers)
    known = _installed() if catalogue is None else catalogue
    ask = partial(served_models, clock=router.clock, timeout_s=timeout_s, environ=environ)
    look = partial(_looked_at, router.models, known, router.clock.wall() + soon_s)
    with ThreadPoolExecutor(_AT_ONCE) as threads:
        # All are under way before the first is waited for.
        answers = [(provider, threads.submit(ask, provider)) for provider in asked]
        found: list[ProviderDiscovery] = []
        for provider, answer in answers:
            try:
                found.append(look(provider, answer.result()))
            except UnlistedError as error:
                found.append(look(provider, None, str(error)))
    discovery = Discovery(tuple(found))
    details: dict[str, object] = {each.provider: each.details() for each in found}
    event = RoutingEvent(
        EventType.MODELS_DISCOVERED, "", "", router.clock.now(), details={"providers": details}
    )
    router.emitter.emit(event)
    return discovery


async def adiscover(
    router: CapabilityRouter,
    providers: Iterable[Provider] | None = None,
    *,
    catalogue: Catalogue | None = None,
    timeout_s: float = 10.0,
    soon_s: float = 30 * 86_400.0,
    environ: Mapping[str, str] | None = None,
) -> Discovery:
    """Do what ``discover`` does, in a thread, so that the event loop goes on."""
    # Here and not above: it takes longer to import than this package.
    import asyncio  # noqa: PLC0415 - said above

    ask = partial(
        discover,
        catalogue=catalogue,
        timeout_s=timeout_s,
        soon_s=soon_s,
        environ=environ,
    )
    return await asyncio.to_thread(ask, router, providers)


def _asked(router: CapabilityRouter) -> list[Provider]:
    ids = [provider.id for provider in router.providers]
    ids += [model.provider for model in router.models]
    return [router.provider(provider) for provider in dict.fromkeys(ids)]


def _installed() -> Catalogue:
    try:
        return Catalogue.from_litellm()
    except ImportError:
        return Catalogue()


def _looked_at(
    models: Sequence[Model],
    catalogue: Catalogue,
    soon: float,
    provider: Provider,
    listed: list[str] | None,
    error: str = "",
) -> ProviderDiscovery:
    own = {model.name: model for model in models if model.provider == provider.id}
    entries = {name: catalogue.find(provider.vendor, name) for name in {*own, *(listed or ())}}
    days = {model.id: _last_day(model, entries[name]) for name, model in own.items()}
    others = [name for name in listed or () if name not in own]
    known = {name: entry for name in others if (entry := entries[name]) and entry.capabilities}
    return ProviderDiscovery(
        provider=provider.id,
        error=error,
        served=len(listed or ()),
        new=known,
        unknown=tuple(name for name in others if entries[name] is None),
        vanished=tuple(
            model.id for name, model in own.items() if listed is not None and name not in listed
        ),
        deprecated={model: day for model, day in days.items() if day is not None and day <= soon},
    )


def _last_day(model: Model, entry: CatalogueEntry | None) -> float | None:
    known = None if entry is None else entry.deprecated_at
    return known if model.deprecated_at is None else model.deprecated_at


def _listed(names: list[str]) -> str:
    more = len(names) - _MOST_SHOWN
    shown = ", ".join(names[:_MOST_SHOWN])
    return f"{shown} and {more} more" if more > 0 else shown
