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
from litellm_capability_router.deployments import ProviderReach
from litellm_capability_router.endpoints import ENDPOINTS, Endpoint
from litellm_capability_router.following import Following
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
    later. A model that was registered by hand and has no deployment is called with its provider's
    credentials; one that was declared is called as its deployment says, by others who share the
    capability router too, and by nobody once the deployment has gone.

    Args:
        litellm_router: The Router to change.
        capability_router: The models and pools.

    Returns:
        The attachment; its ``detach`` puts everything back. Until then the capability router
        keeps the LiteLLM Router, whose deployments its models are.

    Raises:
        TypeError: If either is not what it should be, for instance because they are swapped.
        ValueError: If the Router has been attached already, or a deployment declares a capability
            that is no leaf.
        KeyError: If a deployment declares a capability that the tree does not have. In any of
            these cases nothing is changed or registered.
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
            the models of deployments that are here as well keep their state. A mistake in a
            deployment is logged then, and not raised: the others are in use already.
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
        self._listing = Listing(host)
        self._calls = CapabilityCalls(router, _HostReach(self._listing, router))
        self._foreign: frozenset[str] = frozenset()
        self._mark: object = None
        self._logged: dict[str, str] = {}
        self._guard = RLock()
        self._following = after._let_go() if after is not None else None
        if self._following is None:
            self._following = Following(router, self._listing, catalogue)
            self._begin(self._following)
        else:
            self._following.move(self._listing)
            self._follow()
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
        """Put the LiteLLM Router back as it was, and unregister what its deployments declared.

        Models that were registered by hand stay.
        """
        following = self._let_go()
        if following is not None:
            following.drop_all()

    def _begin(self, following: Following) -> None:
        try:
            self.refresh()
        except (KeyError, ValueError):
            following.drop_all()
            raise

    def _let_go(self) -> Following | None:
        """Put the Router back and follow it no more; None if that has been done already."""
        with self._guard:
            self._put_back()
            following, self._following = self._following, None
        return following

    def _put_back(self) -> None:
        while self._before:
            name, before = self._before.popitem()
            if before is _ABSENT:
                delattr(self._host, name)
            else:
                setattr(self._host, name, before)

    def refresh(self) -> None:
        """Register what deployments declare now, and drop what none declares any more.

        Calls do so by themselves where deployments have come or gone; it is only needed after one
        has been replaced in place. After ``detach`` it does nothing.

        Raises:
            ValueError: If what a deployment declares cannot be, such as a capability that is no
                leaf. That one is left out, and the others are registered all the same.
            KeyError: If the tree does not have one; as above.
        """
        with self._guard:
            for mistake in self._refresh().values():
                raise mistake

    def _refresh(self) -> dict[str, Exception]:
        if self._following is None:
            return {}
        # Taken before: what changes in the meantime is seen the next time.
        self._mark = self._present_mark
        mistakes = self._following.follow()
        self._foreign = self._foreign_names(self._listing.deployments())
        return mistakes

    @property
    def _present_mark(self) -> object:
        # Others who share the router drop models of deployments that may be here as well.
        return self._listing.mark, self._router.revision

    def _follow(self) -> None:
        """Refresh where anything has changed; a mistake in it is no fault of the call at hand."""
        with self._guard:
            if self._present_mark == self._mark:
                return
            mistakes = {id_: str(error) for id_, error in self._refresh().items()}
            for id_, told in mistakes.items():
                if self._logged.get(id_) != told:
                    _log.error("deployment %r of LiteLLM is left out: %s", id_, told)
            self._logged = mistakes

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
        if self._present_mark != self._mark:
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
    """Reaches a model by the host's deployment of the same id, or else as it was declared."""

    def __init__(self, listing: Listing, router: CapabilityRouter) -> None:
        self._listing = listing
        self._own = ProviderReach(router)
        self.defaults = {k: v for k, v in listing.defaults.items() if v is not None}

    def deployed(self, model: Model) -> Deployed:
        """Return the deployment of a model.

        Raises:
            NoDeploymentError: If the model was declared by a deployment that has gone.
        """
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
