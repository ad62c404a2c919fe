"""LiteLLM's deployments and this project's models: one for the other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import lru_cache
from importlib import import_module
from importlib.util import find_spec
from types import MappingProxyType
from typing import Any

from capability_router import CapabilityRouter, CapabilityRouterError, Model, Provider
from litellm_capability_router.listing import Deployed, Listing

__all__ = [
    "NO_RETRIES",
    "DeployedModel",
    "NoDeploymentError",
    "Place",
    "ProviderReach",
    "capability_model_list",
    "completion_params",
    "deployment_of",
    "for_tools",
    "may_ask_for_usage",
]


class _Zero(int):
    """The number 0 for those who write ``max_retries or 2``, as LiteLLM does for embeddings."""

    def __bool__(self) -> bool:
        return True


_NO_KEY = "none"

NO_RETRIES = _Zero()
"""Keeps the client library from repeating an attempt behind the router's back."""


class NoDeploymentError(CapabilityRouterError, LookupError):
    """The deployment that declared a model has gone, and nothing else says how to reach it.

    Args:
        model_id: Id of the model, and of its deployment.
    """

    def __init__(self, model_id: str) -> None:
        super().__init__(model_id)
        self.model_id = model_id

    def __str__(self) -> str:
        return (
            f"the deployment of model {self.model_id!r} has left its LiteLLM Router: add it there"
            " again, or unregister the model"
        )


@dataclass(slots=True)
class Place:
    """The LiteLLM Router where models are deployed; another one may take its place.

    Attributes:
        listing: What that Router lists.
    """

    listing: Listing


@dataclass(frozen=True, slots=True)
class DeployedModel(Model):
    """A model that a deployment of a LiteLLM Router declares, and that is reached as it says.

    Its name and provider are the deployment's, and say nothing of an address: called by them, it
    would be looked for at its vendor, with whatever key the environment has.

    Attributes:
        place: Where the deployment is.
    """

    place: Place = field(kw_only=True, repr=False, compare=False)

    @classmethod
    def at(cls, place: Place, model: Model) -> DeployedModel:
        """Return a model as one that is deployed at a place."""
        return cls(**{each.name: getattr(model, each.name) for each in fields(model)}, place=place)

    @property
    def deployment(self) -> Deployed:
        """The deployment as it stands now.

        Raises:
            NoDeploymentError: If it has gone.
        """
        found = self.place.listing.deployment(self.id)
        if found is None:
            raise NoDeploymentError(self.id)
        return found


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


class ProviderReach:
    """Reaches models by what their providers declare, and deployed ones by their deployments.

    Args:
        router: Where the models and their providers are registered.
    """

    defaults: Mapping[str, Any] = MappingProxyType({})
    timeout = None

    def __init__(self, router: CapabilityRouter) -> None:
        self._router = router
        self._made: dict[str, tuple[Model, Provider, dict[str, Any]]] = {}

    def deployed(self, model: Model) -> Deployed:
        """Return the deployment for a model; the same one as long as nothing about it changes.

        Raises:
            NoDeploymentError: If the model was declared by a deployment that has gone.
        """
        if isinstance(model, DeployedModel):
            return model.deployment
        provider = self._router.provider(model.provider)
        made = self._made.get(model.id)
        if made is None or made[0] is not model or made[1] is not provider:
            made = self._made[model.id] = (model, provider, deployment_of(self._router, model))
        return made[2]


def completion_params(provider: Provider, model: Model) -> dict[str, Any]:
    """Return the arguments with which LiteLLM reaches a model, without retries of its own.

    Raises:
        NoDeploymentError: If the model was declared by a deployment that has gone.
    """
    if isinstance(model, DeployedModel):
        return {**model.deployment["litellm_params"], "max_retries": NO_RETRIES}
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


def may_ask_for_usage(params: Mapping[str, Any]) -> bool:
    """Return whether a stream may be asked for its usage although the caller has not.

    Some servers that are compatible with OpenAI's API refuse what they do not know.

    Args:
        params: The ``litellm_params`` of a deployment.
    """
    vendor, _, name = str(params["model"]).partition("/")
    return not (vendor == "openai" and params.get("api_base")) and _has_stream_options(vendor, name)


@lru_cache(maxsize=4096)
def _has_stream_options(vendor: str, name: str) -> bool:
    # Not at the top: importing LiteLLM takes seconds, and whoever asks this has it.
    litellm: Any = import_module("litellm")
    known = litellm.get_supported_openai_params(model=name, custom_llm_provider=vendor)
    return "stream_options" in (known or ())


def for_tools(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return what has to be added to a call with tools.

    LiteLLM looks for tools of its MCP gateway with code that only runs where the package ``mcp``
    is installed: elsewhere no tool could be called at all.
    """
    skip = arguments.get("tools") and find_spec("mcp") is None
    return {"_skip_mcp_handler": True} if skip else {}
