"""Where a router comes from that nobody has built in code: from a file that is named."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, cast

from langchain_core.language_models import BaseChatModel
from langchain_core.load.serializable import SerializedConstructor
from pydantic import BeforeValidator

from capability_router.router import CapabilityRouter

__all__ = ["Configured", "form_of"]


def _as_router(router: object) -> object:
    """Return the router of a file for the path of it; anything else as it is."""
    return CapabilityRouter.shared(router) if isinstance(router, str | Path) else router


Configured = Annotated[CapabilityRouter, BeforeValidator(_as_router)]
"""A router, or the path of its YAML file."""


def form_of(chat: BaseChatModel, router: CapabilityRouter) -> SerializedConstructor | None:
    """Return the JSON form of a chat model, with the path of its router's configuration.

    LangChain loads classes that are not its own only where they are named: ``load(form,
    allowed_objects=[ChatCapabilityRouter], valid_namespaces=["langchain_capability_router"])``.

    Returns:
        The form; None where the router was built by code, which has no path.
    """
    if router.path is None:
        return None
    fields = type(chat).model_fields
    given = {name: getattr(chat, name) for name in fields if name in chat.model_fields_set}
    kept = {name: value for name, value in given.items() if not fields[name].exclude}
    plain = {name: _plain(value) for name, value in kept.items()}
    kwargs = {**plain, "router": str(router.path)}
    return {"lc": 1, "type": "constructor", "id": chat.lc_id(), "kwargs": kwargs}


def _plain(value: object) -> object:
    return sorted(cast("frozenset[str]", value)) if isinstance(value, frozenset) else value
