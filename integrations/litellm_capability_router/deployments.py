"""LiteLLM's deployments and this project's models: one for the other."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

from capability_router import CapabilityRouter, Model, Provider

__all__ = [
    "NO_RETRIES",
    "capability_model_list",
    "completion_params",
    "declared_model",
    "deployment_of",
    "for_tools",
]


class _Zero(int):
    """The number 0 for those who write ``max_retries or 2``, as LiteLLM does for embeddings."""

    def __bool__(self) -> bool:
        return True


_NO_KEY = "none"

NO_RETRIES = _Zero()
"""Keeps the client library from repeating an attempt behind the router's back."""


def capability_model_list(router: CapabilityRouter) -> list[dict[str, Any]]:
    """Return the ``model_list`` for ``litellm.Router`` that holds every registered model.

    Args:
        router: Where the models and their providers are registered.

    Returns:
        One deployment per model: ``model_name`` and ``model_info["id"]`` are the model's id. The
        credentials of the providers are in it: do not print it.
    """
    return [deployment_of(router, model) for model in router.models]


def deployment_of(router: CapabilityRouter, model: Model) -> dict[str, Any]:
    """Return the deployment for one model."""
    params = completion_params(router.provider(model.provider), model)
    info = {"id": model.id, "capabilities": list(model.capabilities)}
    return {"model_name": model.id, "litellm_params": params, "model_info": info}


def completion_params(provider: Provider, model: Model) -> dict[str, Any]:
    """Return the arguments with which LiteLLM reaches a model, without retries of its own."""
    params: dict[str, Any] = {
        "model": f"{provider.vendor}/{model.name}",
        "max_retries": NO_RETRIES,
    }
    if provider.base_url is not None:
        params["api_base"] = provider.base_url
        # Without a key of its own a server gets none: LiteLLM would send it the vendor's key from
        # the environment, or refuse to call it.
        params["api_key"] = _NO_KEY
    if provider.api_key is not None:
        params["api_key"] = provider.api_key.reveal()
    return params


def for_tools(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return what has to be added to a call with tools.

    LiteLLM looks for tools of its MCP gateway with code that only runs where the package ``mcp``
    is installed: elsewhere no tool could be called at all.
    """
    skip = arguments.get("tools") and find_spec("mcp") is None
    return {"_skip_mcp_handler": True} if skip else {}


def declared_model(deployment: Mapping[str, Any]) -> Model | None:
    """Return the model that a deployment declares by ``model_info["capabilities"]``, if it does.

    Its id is the deployment's, and its provider ``model_info["provider"]`` or the vendor that
    ``litellm_params["model"]`` begins with. ``features``, ``vector_space`` and ``dimensions`` are
    read as well.
    """
    info = deployment["model_info"]
    if not info.get("capabilities"):
        return None
    name = str(deployment["litellm_params"]["model"])
    features = info.get("features")
    return Model(
        id=str(info["id"]),
        capabilities=tuple(info["capabilities"]),
        provider=str(info.get("provider") or name.partition("/")[0]),
        name=name,
        features=None if features is None else frozenset(features),
        vector_space=info.get("vector_space"),
        dimensions=info.get("dimensions"),
    )
