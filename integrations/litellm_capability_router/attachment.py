"""Give a LiteLLM Router capabilities to route by.

The public methods of one Router object are replaced by ones that know capabilities. For any other
model name they call what was there before; for a capability the project's own drivers call
LiteLLM's functions. Nothing else of the Router is touched, so whatever LiteLLM does to its own
settings, strategies and deployments takes nothing away.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import wraps
from threading import RLock
from typing import Any

from litellm.router import Router as LiteLLMRouter

from capability_router import (
    AmbiguousCapabilityError,
    CapabilityRouter,
    Catalogue,
    Model,
    UnknownCapabilityError,
)
from litellm_capability_router.calls import CapabilityCalls
from litellm_capability_router.declarations import declared_models
from litellm_capability_router.deployments import ProviderReach
from litellm_capability_router.endpoints import ENDPOINTS, Endpoint
from litellm_capability_router.listing import Deployed, Listing

__all__ = ["Attachment", "attach"]

Original = Callable[..., Any]

_log = logging.getLogger(__name__)
_ABSENT = object()
_MARK = "__capability_router__"


def attach(litellm_router: LiteLLMRouter, capability_router: CapabilityRouter) -> Attachment:
    """Let a LiteLLM Router pick its deployments by capability.

    Afterwards a capability (full path, unique last segment or alias) is a model name for the
    methods of the LiteLLM Router, sync and async: chat and text completions, responses,
    embeddings, images and their edits, speech, transcriptions, reranking, moderation, OCR and
    Anthropic's messages. Other names go on as before, and so does a group or alias of the Router
    that is named like a capability, unless one of its deployments is a model of the capability
    router. LiteLLM's retries, cooldowns, limits and fallbacks hold for those names; a call for a
    capability has the pools instead.

    A deployment and a model are the same if ``model_info["id"]`` is the model's id. A deployment
    that declares ``model_info["capabilities"]`` is registered as a model, also when it is added
    later; a model without a deployment is called with its provider's credentials.

    Args:
        litellm_router: The Router to change.
        capability_router: The models and pools.

    Returns:
        The attachment; its ``detach`` puts everything back.

    Raises:
        TypeError: If either is not what it should be, for instance because they are swapped.
        ValueError: If the Router has been attached already, or a deployment declares a capability
            that is no leaf.
        KeyError: If a deployment declares a capability that the tree does not have.
    """
    _check_kinds(litellm_router, capability_router)
    return Attachment(litellm_router, capability_router)


def _check_kinds(host: object, router: object) -> None:
    if not isinstance(host, LiteLLMRouter):
        raise TypeError(f"the first argument must be a litellm.Router, not {host!r}")
    if not isinstance(router, CapabilityRouter):
        raise TypeError(f"the second argument must be a CapabilityRouter, not {router!r}")
    if hasattr(getattr(host, "completion", None), _MARK):
        raise ValueError("this LiteLLM Router is attached already; detach it first")


class Attachment:
    """What ``attach`` has changed.

    Args:
        host: The LiteLLM Router.
        router: The models and pools.
        catalogue: Where is looked up what deployments do not declare; None for nowhere.
        after: The attachment to the Router that this one takes the place of; it is detached, and
            the models of deployments that are here as well keep their state.
    """

    def __init__(
        self,
        host: LiteLLMRouter,
        router: CapabilityRouter,
        catalogue: Catalogue | None = None,
        after: Attachment | None = None,
    ) -> None:
        self._host: Any = host
        self._router = router
        self._catalogue = catalogue
        self._listing = Listing(host)
        self._calls = CapabilityCalls(router, _HostReach(self._listing, router))
        self._declared: dict[str, Model] = {} if after is None else after._let_go()
        self._foreign: frozenset[str] = frozenset()
        self._mark: object = None
        self._guard = RLock()
        self.refresh()
        self._before = {each.name: vars(host).get(each.name, _ABSENT) for each in ENDPOINTS}
        for endpoint in ENDPOINTS:
            routed = self._arouted if endpoint.is_async else self._routed
            setattr(host, endpoint.name, routed(endpoint, getattr(host, endpoint.name, None)))

    @property
    def router(self) -> CapabilityRouter:
        """The models and pools."""
        return self._router

    @property
    def host(self) -> LiteLLMRouter:
        """The LiteLLM Router."""
        host: LiteLLMRouter = self._host
        return host

    def serves(self, name: object) -> bool:
        """Return whether a call for a model name is one for a capability, not for LiteLLM's."""
        return self._capability(name) is not None

    def detach(self) -> None:
        """Put the LiteLLM Router back as it was; registered models stay registered."""
        while self._before:
            name, before = self._before.popitem()
            if before is _ABSENT:
                delattr(self._host, name)
            else:
                setattr(self._host, name, before)

    def _let_go(self) -> dict[str, Model]:
        self.detach()
        declared, self._declared = self._declared, {}
        return declared

    def refresh(self) -> None:
        """Register what deployments declare now, and drop what none declares any more.

        Calls do so by themselves where deployments have come or gone; it is only needed after one
        has been replaced in place.

        Raises:
            ValueError: If a deployment declares a capability that is no leaf; nothing of it is
                registered.
            KeyError: If the tree does not have one; as above.
        """
        with self._guard:
            self._mark = self._listing.mark
            self._refresh()

    def _refresh(self) -> None:
        deployments = self._listing.deployments()
        stated = {each.id: each for each in declared_models(deployments, self._catalogue)}
        for gone in [id_ for id_, model in self._declared.items() if stated.get(id_) != model]:
            self._router.unregister(gone)
            del self._declared[gone]
        known = {model.id for model in self._router.models}
        for model in stated.values():
            if model.id not in known:
                self._router.register(model)
                self._declared[model.id] = model
        self._foreign = self._foreign_names(deployments)

    def _follow(self) -> None:
        """Refresh where the host has changed; a mistake in it is no fault of the call at hand."""
        with self._guard:
            if self._listing.mark == self._mark:
                return
            try:
                self.refresh()
            except (KeyError, ValueError) as error:
                _log.error("a deployment of LiteLLM is left out, and all after it: %s", error)

    def _foreign_names(self, deployments: Sequence[Deployed]) -> frozenset[str]:
        """Return the names of the groups that hold none of the capability router's models."""
        known = {model.id for model in self._router.models}
        ours = {d["model_name"] for d in deployments if d["model_info"].get("id") in known}
        named = {str(d["model_name"]) for d in deployments} | set(self._listing.aliases or {})
        return frozenset(named - ours)

    def _routed(self, endpoint: Endpoint, original: Original | None) -> Original:
        def routed(*args: Any, **kwargs: Any) -> Any:
            arguments = endpoint.named(args) | kwargs
            capability = self._capability(arguments.get("model"))
            if capability is not None:
                return self._calls.call(endpoint, capability, arguments)
            return self._left_to(original, endpoint)(*args, **kwargs)

        return _in_place_of(original, routed, endpoint)

    def _arouted(self, endpoint: Endpoint, original: Original | None) -> Original:
        async def routed(*args: Any, **kwargs: Any) -> Any:
            arguments = endpoint.named(args) | kwargs
            capability = self._capability(arguments.get("model"))
            if capability is not None:
                return await self._calls.acall(endpoint, capability, arguments)
            return await self._left_to(original, endpoint)(*args, **kwargs)

        return _in_place_of(original, routed, endpoint)

    def _capability(self, name: object) -> str | None:
        """Return a model name that is a capability here; None for one that is LiteLLM's."""
        if self._listing.mark != self._mark:
            self._follow()
        if not isinstance(name, str) or name in self._foreign:
            return None
        try:
            self._router.tree.resolve(name)
        except AmbiguousCapabilityError:
            # Not LiteLLM's either: the call tells which names there are.
            return name
        except UnknownCapabilityError:
            return None
        return name

    def _left_to(self, original: Original | None, endpoint: Endpoint) -> Original:
        if original is None:
            raise AttributeError(
                f"LiteLLM's Router has no {endpoint.name}(): only a capability can be asked for it"
            )
        return original


class _HostReach:
    """Reaches a model by the host's deployment of the same id, or else by its provider."""

    def __init__(self, listing: Listing, router: CapabilityRouter) -> None:
        self._listing = listing
        self._own = ProviderReach(router)
        self.defaults = {k: v for k, v in listing.defaults.items() if v is not None}

    def deployed(self, model: Model) -> Deployed:
        """Return the deployment of a model."""
        return self._listing.deployment(model.id) or self._own.deployed(model)

    @property
    def timeout(self) -> Any:
        """What the host gives each call."""
        return self._listing.timeout


def _in_place_of(original: Original | None, routed: Original, endpoint: Endpoint) -> Original:
    """Let a function look like the one that it stands for, where there is one."""
    if original is None:
        routed.__name__ = endpoint.name
    else:
        wraps(original)(routed)
    vars(routed)[_MARK] = True
    return routed
