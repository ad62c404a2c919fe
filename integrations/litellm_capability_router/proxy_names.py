"""Lets a LiteLLM Router own up to the capabilities that it serves.

The proxy asks its Router which model names there are before it hands a request over.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from capability_router import AmbiguousCapabilityError, CompletionRequest
from litellm_capability_router.attachment import Attachment
from litellm_capability_router.listing import Listing

__all__ = ["announce", "listed_names"]


def announce(attachment: Attachment) -> None:
    """Add the capabilities to the model names that the attached Router recognizes and lists.

    It recognizes every name that resolves, and lists one for each leaf that has a model. Asked
    anew each time, so what is registered later needs no announcement; nothing is written into the
    Router's settings, which the proxy may store.
    """
    host: Any = attachment.host
    is_recognized: Callable[[str], bool] = host.is_recognized_model
    names: Callable[..., list[str]] = host.get_model_names
    resolved: Callable[..., tuple[str, ...]] = host.resolved_litellm_models

    def is_recognized_model(model: str) -> bool:
        return is_recognized(model) or attachment.serves(model)

    def get_model_names(team_id: str | None = None) -> list[str]:
        known = names(team_id=team_id)
        return [*known, *(name for name in listed_names(attachment) if name not in known)]

    def resolved_litellm_models(model_name: str, team_id: str | None = None) -> tuple[str, ...]:
        return resolved(model_name, team_id=team_id) or _vendors_names(model_name, attachment)

    host.is_recognized_model = is_recognized_model
    host.get_model_names = get_model_names
    # By these names the proxy decides whether it can ask a stream for its usage, to charge it.
    host.resolved_litellm_models = resolved_litellm_models


def listed_names(attachment: Attachment) -> list[str]:
    """Return one name for each leaf that has a model: its last segment, or its path.

    The path stands in where the last segment is ambiguous, or the name of a group of LiteLLM's.
    """
    router = attachment.router
    leaves = dict.fromkeys(leaf for model in router.models for leaf in model.capabilities)
    return [_name(leaf, attachment) for leaf in leaves]


def _vendors_names(name: str, attachment: Attachment) -> tuple[str, ...]:
    """Return what LiteLLM calls the models that may serve a capability."""
    if not attachment.serves(name):
        return ()
    listing = Listing(attachment.host)
    try:
        models = attachment.router.candidates(CompletionRequest(name))
    except AmbiguousCapabilityError:
        # The call will tell it.
        return ()
    found = (listing.deployment(model.id) for model in models)
    return tuple(str(each["litellm_params"]["model"]) for each in found if each is not None)


def _name(leaf: str, attachment: Attachment) -> str:
    short = leaf.rpartition(".")[2]
    try:
        means_it = attachment.router.tree.resolve(short).path == leaf
    except AmbiguousCapabilityError:
        return leaf
    return short if means_it and attachment.serves(short) else leaf
