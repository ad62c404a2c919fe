"""Chat models that a user has, as models of a router."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager
from typing import Any

from langchain_core.language_models import BaseChatModel

from capability_router.engine.model import Model
from capability_router.engine.rotation import RotationPolicy
from capability_router.registry import strategy as strategy_of
from capability_router.router import CapabilityRouter
from langchain_capability_router.profiles import known_by_profile

__all__ = ["named", "registered", "router_with"]


def router_with(strategy: str | None, router: CapabilityRouter | None) -> CapabilityRouter:
    """Return a router, a new one with a strategy if none is given.

    Raises:
        ValueError: If both are given, or there is no such strategy.
    """
    if router is None:
        selection = strategy_of(strategy or "priority")
        return CapabilityRouter(policy=RotationPolicy(selection=selection))
    if strategy is not None:
        raise ValueError(f"strategy {strategy!r} is for a new router: the one given has its own")
    return router


@contextmanager
def registered(
    router: CapabilityRouter, models: Mapping[str, BaseChatModel], capability: str
) -> Generator[None, None, None]:
    """Register chat models; none of them stays if anything goes wrong in it, or within.

    Raises:
        ValueError: If there are none, an id is taken, or the capability is not a leaf.
    """
    if not models:
        raise ValueError("models is empty: a pool needs at least one chat model")
    done: list[str] = []
    try:
        for model_id, inner in models.items():
            model = known_by_profile(Model(model_id, (capability,)), inner)
            done.append(router.register(model).id)
        yield
    except BaseException:
        for model_id in done:
            router.unregister(model_id)
        raise


def named(
    models: Iterable[BaseChatModel] | Mapping[str, BaseChatModel],
) -> dict[str, BaseChatModel]:
    """Name chat models ``provider/model``, each account of a vendor being a provider of its own.

    The second account of one vendor is ``vendor-2``: what one key may not, another may.

    Args:
        models: Chat models, or chat models that have names.

    Raises:
        TypeError: If one of them is no chat model.
    """
    given: Any = models
    if isinstance(models, Mapping):
        return {model_id: _checked(inner) for model_id, inner in given.items()}
    if isinstance(given, BaseChatModel | str):
        raise TypeError(f"models must be a list of chat models, found {_kind(given)}")
    found: dict[str, BaseChatModel] = {}
    accounts: dict[str, list[object]] = {}
    for inner in map(_checked, given):
        told = inner._get_ls_params()  # pyright: ignore[reportPrivateUsage]  # nothing else tells
        vendor = told.get("ls_provider", "local")
        known = accounts.setdefault(vendor, [])
        name = told.get("ls_model_name", type(inner).__name__)
        account = _account(inner)
        if account not in known or f"{_provider(vendor, known.index(account))}/{name}" in found:
            known.append(account)
        place = len(known) - 1 - known[::-1].index(account)
        found[f"{_provider(vendor, place)}/{name}"] = inner
    return found


def _checked(inner: object) -> BaseChatModel:
    if not isinstance(inner, BaseChatModel):
        raise TypeError(
            f"models holds {_kind(inner)}, which is no chat model: pass the chat model that is in"
            " it, and bind or wrap the pool instead"
        )
    return inner


def _kind(value: object) -> str:
    return f"a {type(value).__name__}"


def _provider(vendor: str, place: int) -> str:
    return vendor if place == 0 else f"{vendor}-{place + 1}"


def _account(inner: BaseChatModel) -> object:
    """Return what is equal for two chat models of one account; it holds their secrets."""
    fields = type(inner).model_fields
    at = [name for name in fields if any(part in name for part in ("base", "url", "endpoint"))]
    values = (getattr(inner, name, None) for name in [*sorted(inner.lc_secrets), *at])
    return [type(inner), *(value for value in values if not callable(value))]
