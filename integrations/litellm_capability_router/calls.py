"""Performs a call for a capability through LiteLLM's own functions, one model after another.

Each attempt is a plain call of ``litellm.completion`` and so on with the deployment of one model,
without retries and fallbacks of LiteLLM's. So exceptions are seen as they are, before anything
else happens, every attempt is reported once, and nothing of LiteLLM's routing is paid for.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Generator, Mapping
from typing import Any, Protocol
from uuid import uuid4

import litellm
from litellm.exceptions import BadRequestError
from litellm.types.router import RetryPolicy

from capability_router import CapabilityRouter, CompletionRequest, Model, Try
from capability_router.driving import drivers
from capability_router.driving.drivers import Watch
from capability_router.engine.call import Call
from capability_router.engine.errors import IncompleteAnswerError, nearest
from capability_router.engine.lease import Lease
from litellm_capability_router.answers import (
    aclosed,
    check_finish,
    closed,
    finishes,
    source_of,
)
from litellm_capability_router.contents import holds_enough
from litellm_capability_router.continuing import continued
from litellm_capability_router.costs import PriceList, PricingJudge, priced
from litellm_capability_router.deployments import NO_RETRIES, for_tools, may_ask_for_usage
from litellm_capability_router.endings import Original, with_end_noted
from litellm_capability_router.endpoints import Endpoint
from litellm_capability_router.errors import as_litellm_errors
from litellm_capability_router.listing import Deployed
from litellm_capability_router.requests import Arguments, request_of, to_pass_on
from litellm_capability_router.streams import AsyncCapabilityStream, CapabilityStream
from litellm_capability_router.timeouts import client_timeout_s

__all__ = ["CapabilityCalls", "Reach"]


class Reach(Protocol):
    """How a model is reached, and within which limits."""

    def deployed(self, model: Model) -> Deployed:
        """Return the deployment of a model."""
        ...

    @property
    def defaults(self) -> Mapping[str, Any]:
        """Arguments that neither the caller nor the deployment has given."""
        ...

    @property
    def timeout(self) -> Any:
        """Seconds that each attempt may take at most; anything but a number says nothing."""
        ...


class CapabilityCalls:
    """Calls LiteLLM for a capability.

    Args:
        router: The models and pools.
        reach: How a model is reached.
    """

    def __init__(self, router: CapabilityRouter, reach: Reach) -> None:
        self._router = router
        self._reach = reach
        self._prices = PriceList(reach.deployed)
        self._judge = PricingJudge(self._prices)
        # Failing is nothing special here: LiteLLM would print an advertisement for each failure.
        litellm.suppress_debug_info = True

    def call(self, endpoint: Endpoint, capability: str, arguments: Arguments) -> Any:
        """Return an answer, or a stream whose first chunk has come.

        Raises:
            CapabilityUnavailableError: If no model answered.
            litellm.BadRequestError: If the arguments of the routing cannot be used.
            Exception: LiteLLM's own error, where the caller is at fault.
        """
        with as_litellm_errors():
            plan, prepare = self._begin(endpoint, capability, arguments)
            if arguments.get("stream"):
                return self._stream(endpoint, plan, prepare, _wants_usage(arguments))

            def attempt(step: Try) -> Any:
                original, request = _watched(endpoint, prepare(step))
                return _whole(endpoint.call(**request), endpoint, arguments, original)

            answer = drivers.call(plan, attempt, self._judge, self._router.clock)
            return _signed(answer, plan)

    async def acall(self, endpoint: Endpoint, capability: str, arguments: Arguments) -> Any:
        """Return an answer, or a stream; as ``call``, awaiting each attempt."""
        with as_litellm_errors():
            plan, prepare = self._begin(endpoint, capability, arguments)
            if arguments.get("stream"):
                return await self._astream(endpoint, plan, prepare, _wants_usage(arguments))

            async def attempt(step: Try) -> Any:
                original, request = _watched(endpoint, prepare(step))
                return _whole(await endpoint.call(**request), endpoint, arguments, original)

            answer = await drivers.acall(plan, attempt, self._judge, self._router.clock)
            return _signed(answer, plan)

    def _stream(self, endpoint: Endpoint, plan: Call, prepare: _Prepare, tells_usage: bool) -> Any:
        opened: dict[Lease | None, Any] = {}

        def attempt(step: Try) -> Generator[Any, None, None]:
            opened[step.lease] = with_end_noted(endpoint.call(**prepare(step)))
            with closed(opened[step.lease]) as chunks:
                for chunk in chunks:
                    if finishes(chunk):
                        check_finish(source_of(chunks))
                    yield chunk

        chunks = drivers.stream(
            plan, attempt, self._watcher(endpoint), self._router.clock, endpoint.splice()
        )
        return _signed(
            CapabilityStream.primed(chunks, lambda: opened[plan.lease], tells_usage), plan
        )

    async def _astream(
        self, endpoint: Endpoint, plan: Call, prepare: _Prepare, tells_usage: bool
    ) -> Any:
        opened: dict[Lease | None, Any] = {}

        async def attempt(step: Try) -> AsyncGenerator[Any, None]:
            opened[step.lease] = with_end_noted(await endpoint.call(**prepare(step)))
            async with aclosed(opened[step.lease]) as chunks:
                async for chunk in chunks:
                    if finishes(chunk):
                        check_finish(source_of(chunks))
                    yield chunk

        chunks = drivers.astream(
            plan, attempt, self._watcher(endpoint), self._router.clock, endpoint.splice()
        )
        return _signed(
            await AsyncCapabilityStream.primed(chunks, lambda: opened[plan.lease], tells_usage),
            plan,
        )

    def _watcher(self, endpoint: Endpoint) -> Callable[[Try], Watch[Any]]:
        return lambda step: priced(endpoint.watch(), step.model, self._prices)

    def _begin(
        self, endpoint: Endpoint, capability: str, arguments: Arguments
    ) -> tuple[Call, _Prepare]:
        request = request_of(capability, arguments)
        self._check(endpoint, request)
        plan = self._router.plan(request)
        asked = to_pass_on(arguments)
        # What LiteLLM logs of all attempts is found under one name.
        asked.setdefault("litellm_trace_id", str(uuid4()))

        def prepare(step: Try) -> Arguments:
            return self._prepared(endpoint, plan, step, asked)

        return plan, prepare

    def _check(self, endpoint: Endpoint, request: CompletionRequest) -> None:
        """Refuse what no model could answer, before any model is blamed for it."""
        name, only = request.capability, request.model
        if not endpoint.can_ask(self._router.tree.resolve(name).path):
            message = f"{name!r} cannot be asked for by {endpoint.name}(): its models are no such"
            raise BadRequestError(message, model=name, llm_provider="capability")
        if only is None:
            return
        models = self._router.models
        if not any(only in (model.id, model.name) for model in models):
            told = nearest(only, [model.id for model in models])
            message = f"there is no model {only!r}; nearest: {', '.join(told) or 'none'}"
            raise BadRequestError(message, model=name, llm_provider="capability")

    def _prepared(self, endpoint: Endpoint, plan: Call, step: Try, asked: Arguments) -> Arguments:
        """Return the arguments of one attempt: this deployment, once, within its time."""
        deployed = self._reach.deployed(step.model)
        params: Mapping[str, Any] = deployed["litellm_params"]
        facts = _facts(deployed, plan.request.capability)
        prepared: Arguments = {
            **self._reach.defaults,
            **params,
            **asked,
            **for_tools(asked),
            "model": params["model"],
            "model_info": facts["model_info"],
            "timeout": self._timeout(step, params, asked),
            "num_retries": 0,
            # Without a policy the number that LiteLLM has for the whole process takes the place
            # of that 0; one that names no error repeats nothing.
            "retry_policy": RetryPolicy(),
            "max_retries": NO_RETRIES,
            # The pools say who rests; what LiteLLM's own Router thinks of it stays as it is.
            "cooldown_time": 0.0,
            # LiteLLM writes into what it is given: each attempt gets a copy.
            endpoint.metadata: {**(asked.get(endpoint.metadata) or {}), **facts},
        }
        if endpoint.is_completion and asked.get("stream") and may_ask_for_usage(params):
            # The pools count tokens; a caller who did not ask for them is not told.
            prepared["stream_options"] = {
                "include_usage": True,
                **(asked.get("stream_options") or {}),
            }
        if step.prefill:
            prepared |= continued(asked, step.prefill, str(params.get("custom_llm_provider")))
        if plan.attempts:
            # It has told of the attempt before; LiteLLM would tell nothing of this one.
            prepared.pop("litellm_logging_obj", None)
        return prepared

    def _timeout(self, step: Try, params: Mapping[str, Any], asked: Arguments) -> Any:
        """Return the shortest of the limits: the call's, the deployment's and the host's."""
        own = asked.get("timeout")
        if own is not None and not isinstance(own, int | float):
            # An object with limits for connecting, reading and so on: it is not ours to merge.
            return own
        stated = [params.get("timeout"), self._reach.timeout]
        if asked.get("stream"):
            stated.append(params.get("stream_timeout"))
        own_s = step.silence_s if asked.get("stream") else step.timeout_s
        return min(
            [client_timeout_s(own_s), *(each for each in stated if isinstance(each, int | float))]
        )


def _wants_usage(arguments: Arguments) -> bool:
    options: Mapping[str, Any] = arguments.get("stream_options") or {}
    return bool(options.get("include_usage"))


_Prepare = Callable[[Try], Arguments]


def _watched(endpoint: Endpoint, prepared: Arguments) -> tuple[Original, Arguments]:
    """Let LiteLLM tell what the provider sends, where it makes up ends; other forms stay."""
    original = Original(prepared.get("logger_fn"))
    return original, {**prepared, "logger_fn": original} if endpoint.is_completion else prepared


def _whole(answer: Any, endpoint: Endpoint, asked: Arguments, original: Original) -> Any:
    """Return an answer that holds all that was asked for, with an end that was sent."""
    original.check(answer)
    if not holds_enough(endpoint.kind, answer, asked):
        raise IncompleteAnswerError
    return answer


def _facts(deployed: Deployed, capability: str) -> dict[str, Any]:
    """Return what LiteLLM's own routing writes down for its callbacks."""
    params = deployed["litellm_params"]
    return {
        "model_group": capability,
        "deployment": params["model"],
        "deployment_model_name": deployed["model_name"],
        "api_base": params.get("api_base"),
        "model_info": deployed["model_info"],
    }


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
