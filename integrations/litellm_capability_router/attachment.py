"""Give a LiteLLM Router capabilities to route by.

Every endpoint of LiteLLM's Router, sync and async, runs its calls through one of two methods, in
which LiteLLM retries and falls back. For a capability these are replaced by the project's own
drivers; each attempt then goes through LiteLLM's methods for one deployment, chosen by its id,
without retries and fallbacks of its own. So the exceptions are seen as they are, before anything
else happens, and there is no limit on the number of models.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Generator
from inspect import iscoroutinefunction
from typing import Any

from litellm.router import Router as LiteLLMRouter
from litellm.router_utils.fallback_event_handlers import fallbacks_disabled_for_request
from litellm.types.router import Deployment

from capability_router import (
    AmbiguousCapabilityError,
    CapabilityRouter,
    CompletionRequest,
    Model,
    Try,
    UnknownCapabilityError,
    drivers,
)
from capability_router.engine.call import Call
from capability_router.requirements import input_tokens_of, requirements_of
from capability_router.waiting import each_within
from litellm_capability_router.answers import (
    LiteLLMJudge,
    LiteLLMWatch,
    aclosed,
    check_finish,
    closed,
    finishes,
)
from litellm_capability_router.deployments import (
    NO_RETRIES,
    declared_model,
    deployment_of,
    for_tools,
)
from litellm_capability_router.errors import as_litellm_errors
from litellm_capability_router.streams import AsyncCapabilityStream, CapabilityStream

__all__ = ["Attachment", "attach"]

_SYNC, _ASYNC = "function_with_fallbacks", "async_function_with_fallbacks"
# LiteLLM wraps each sync stream to fall back once more, and hides the chunks it keeps by that.
_SYNC_STREAM = "_completion_streaming_iterator"


def attach(litellm_router: LiteLLMRouter, capability_router: CapabilityRouter) -> Attachment:
    """Let a LiteLLM Router pick its deployments by capability.

    Afterwards a capability (full path, unique last segment or alias) is a model name for the
    methods of the LiteLLM Router that fall back; other names go on as before, and so does a group
    or alias of the Router that is named like a capability, unless one of its deployments is a
    model of the capability router. LiteLLM's retries, cooldowns and fallbacks hold for those
    names; a call for a capability has the pools instead.

    A deployment and a model are the same if ``model_info["id"]`` is the model's id. A deployment
    that declares ``model_info["capabilities"]`` is registered as a model; a model without a
    deployment gets one, with its provider's credentials: like every Router's, the ``model_list``
    is not to be printed.

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
        RuntimeError: If this version of LiteLLM is not supported.
    """
    _check_kinds(litellm_router, capability_router)
    if _SYNC in vars(litellm_router):
        raise ValueError("this LiteLLM Router is attached already; detach it first")
    return Attachment(litellm_router, capability_router)


def _check_kinds(host: object, router: object) -> None:
    if not isinstance(host, LiteLLMRouter):
        raise TypeError(f"the first argument must be a litellm.Router, not {host!r}")
    if not isinstance(router, CapabilityRouter):
        raise TypeError(f"the second argument must be a CapabilityRouter, not {router!r}")
    missing = [name for name in (_SYNC, _ASYNC, _SYNC_STREAM) if not hasattr(host, name)]
    if missing:
        raise RuntimeError(
            f"this version of LiteLLM has no Router.{missing[0]}, through which attach works;"
            " pip install 'litellm>=1.100,<1.107'"
        )


class Attachment:
    """What ``attach`` has changed.

    Args:
        host: The LiteLLM Router.
        router: The models and pools.
    """

    def __init__(self, host: LiteLLMRouter, router: CapabilityRouter) -> None:
        self._host = host
        self._router = router
        self._sync: Callable[..., Any] = getattr(host, _SYNC)
        self._async: Callable[..., Any] = getattr(host, _ASYNC)
        self._sync_stream: Callable[..., Any] = getattr(host, _SYNC_STREAM)
        self._added: dict[str, dict[str, Any]] = {}
        self._register_declared()
        self._foreign = self._foreign_groups()
        for model in router.models:
            self._deployment(model)
        setattr(host, _SYNC, self._call)
        setattr(host, _ASYNC, self._acall)
        setattr(host, _SYNC_STREAM, self._bare_stream)

    def detach(self) -> None:
        """Put the LiteLLM Router back as it was; registered models stay registered."""
        for replaced in (_SYNC, _ASYNC, _SYNC_STREAM):
            vars(self._host).pop(replaced, None)
        while self._added:
            self._host.delete_deployment(id=self._added.popitem()[0])

    def _call(self, *args: Any, **kwargs: Any) -> Any:
        request = self._request(kwargs)
        if request is None:
            return self._sync(*args, **kwargs)
        with as_litellm_errors():
            plan = self._router.plan(request)
            if kwargs.get("stream"):
                return self._stream(plan, args, kwargs)

            def attempt(step: Try) -> Any:
                return self._sync(*args, **self._arguments(step, kwargs))

            return _signed(drivers.call(plan, attempt, LiteLLMJudge(), self._router.clock), plan)

    async def _acall(self, *args: Any, **kwargs: Any) -> Any:
        request = self._request(kwargs)
        if request is None:
            return await self._async(*args, **kwargs)
        with as_litellm_errors():
            plan = self._router.plan(request)
            if kwargs.get("stream") and not iscoroutinefunction(kwargs.get("original_function")):
                # A sync call that falls back into a capability comes here, and wants sync chunks.
                return self._stream(plan, args, kwargs)
            if kwargs.get("stream"):
                return await self._astream(plan, args, kwargs)

            async def attempt(step: Try) -> Any:
                # LiteLLM's own timeout begins anew with each byte that a provider trickles.
                async with asyncio.timeout(step.timeout_s):
                    return await self._async(*args, **self._arguments(step, kwargs))

            return _signed(
                await drivers.acall(plan, attempt, LiteLLMJudge(), self._router.clock), plan
            )

    def _stream(self, plan: Call, args: Any, kwargs: dict[str, Any]) -> Any:
        opened: list[Any] = []

        def attempt(step: Try) -> Generator[Any, None, None]:
            opened.append(self._sync(*args, **self._arguments(step, kwargs)))
            with closed(opened[-1]) as chunks:
                for chunk in chunks:
                    if finishes(chunk):
                        check_finish(chunks)
                    yield chunk

        chunks = drivers.stream(plan, attempt, LiteLLMWatch, self._router.clock)
        return _signed(CapabilityStream.primed(chunks, opened), plan)

    async def _astream(self, plan: Call, args: Any, kwargs: dict[str, Any]) -> Any:
        opened: list[Any] = []

        async def attempt(step: Try) -> AsyncGenerator[Any, None]:
            async with asyncio.timeout(step.timeout_s):
                opened.append(await self._async(*args, **self._arguments(step, kwargs)))
            async with aclosed(opened[-1]) as chunks:
                async for chunk in each_within(step.timeout_s, aiter(chunks)):
                    if finishes(chunk):
                        check_finish(chunks)
                    yield chunk

        chunks = drivers.astream(plan, attempt, LiteLLMWatch, self._router.clock)
        return _signed(await AsyncCapabilityStream.primed(chunks, opened), plan)

    def _bare_stream(self, model_response: Any, messages: Any, initial_kwargs: Any) -> Any:
        """Leave the streams of a capability's attempts as they are, for ``check_finish`` to see."""
        if fallbacks_disabled_for_request(initial_kwargs):
            return model_response
        return self._sync_stream(model_response, messages, initial_kwargs)

    def _request(self, kwargs: dict[str, Any]) -> CompletionRequest | None:
        """Return what a call asks for; None if its model name is no capability."""
        name = str(kwargs.get("model"))
        if name in self._foreign:
            return None
        try:
            self._router.tree.resolve(name)
        except AmbiguousCapabilityError:
            raise
        except UnknownCapabilityError:
            return None
        return CompletionRequest(
            name,
            requires=requirements_of(kwargs),
            timeout_s=_seconds(kwargs.get("timeout")),
            input_tokens=input_tokens_of(kwargs),
            output_tokens=kwargs.get("max_tokens") or kwargs.get("max_completion_tokens") or 0,
            session=kwargs.get("litellm_session_id") or kwargs.get("prompt_cache_key"),
        )

    def _arguments(self, step: Try, kwargs: dict[str, Any]) -> dict[str, Any]:
        """Return the arguments of one attempt: this deployment, once, within its time."""
        # LiteLLM writes the deployment into the metadata: each attempt gets a copy.
        copies = {
            name: dict(kwargs[name])
            for name in ("metadata", "litellm_metadata")
            if isinstance(kwargs.get(name), dict)
        }
        return {
            **kwargs,
            **copies,
            **for_tools(kwargs),
            "model": self._deployment(step.model),
            "timeout": self._timeout(step, kwargs),
            "num_retries": 0,
            "max_retries": NO_RETRIES,
            "disable_fallbacks": True,
        }

    def _timeout(self, step: Try, kwargs: dict[str, Any]) -> Any:
        """Return the shortest of the limits: the call's, the deployment's and the Router's."""
        own = kwargs.get("timeout")
        if own is not None and _seconds(own) is None:
            # An object with limits for connecting, reading and so on: it is not ours to merge.
            return own
        deployment = self._host.get_deployment(model_id=step.model.id)
        stated = (deployment.litellm_params.timeout if deployment else None, self._host.timeout)
        return min([step.timeout_s, *(limit for each in stated if (limit := _seconds(each)))])

    def _deployment(self, model: Model) -> str:
        """Return the id of a model's deployment, adding it where there is none."""
        wanted = deployment_of(self._router, model)
        if self._added.get(model.id, wanted) != wanted:
            # Registered anew with other facts: what was added for it before is out of date.
            self._host.delete_deployment(id=model.id)
        if not self._host.has_model_id(model.id):
            self._host.add_deployment(Deployment(**wanted))
            self._added[model.id] = wanted
        return model.id

    def _foreign_groups(self) -> set[str]:
        """Return the names of the groups that hold none of the capability router's models."""
        host: Any = self._host
        known = {model.id for model in self._router.models}
        ours = {d["model_name"] for d in host.model_list if d["model_info"].get("id") in known}
        named = {str(d["model_name"]) for d in host.model_list} | set(host.model_group_alias or {})
        return named - ours

    def _register_declared(self) -> None:
        known = {model.id for model in self._router.models}
        host: Any = self._host
        for deployment in host.model_list:
            model = declared_model(deployment)
            if model is not None and model.id not in known:
                self._router.register(model)


def _seconds(limit: object) -> float | None:
    return float(limit) if isinstance(limit, int | float) else None


def _signed(answer: Any, plan: Call) -> Any:
    """Write who served, and what was tried before, where LiteLLM keeps such facts."""
    hidden = getattr(answer, "_hidden_params", None)
    if isinstance(hidden, dict):
        # A stream is signed with its first chunk, while the attempt that serves is in progress.
        hidden["capability_router"] = {
            "capability": plan.request.capability,
            "served_by": plan.lease.model.id if plan.lease else plan.attempts[-1].model,
            "attempts": [attempt.as_dict() for attempt in plan.attempts],
        }
    return answer
