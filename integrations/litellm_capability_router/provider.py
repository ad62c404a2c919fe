"""Makes ``capability/...`` a model name for LiteLLM's functions, as if it were a vendor.

LiteLLM knows custom providers for chat, embeddings and images. Each call runs through the same
engine and the same calls as an attached Router's.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator, Generator, Iterator, Mapping
from contextlib import closing
from functools import cached_property
from sys import _getframe  # pyright: ignore[reportPrivateUsage] - public in all but name
from types import FrameType
from typing import Any

import litellm
from litellm import CustomStreamWrapper
from litellm.llms.custom_llm import CustomLLM
from litellm.utils import custom_llm_setup

from capability_router import CapabilityRouter
from litellm_capability_router.answers import aclosed, finishes
from litellm_capability_router.calls import CapabilityCalls
from litellm_capability_router.deployments import ProviderReach
from litellm_capability_router.endpoints import ENDPOINTS
from litellm_capability_router.requests import Arguments

__all__ = ["PROVIDER", "CapabilityLLM", "handler", "register_provider"]

PROVIDER = "capability"

_BY_NAME = {endpoint.name: endpoint for endpoint in ENDPOINTS}

_UNTOLD = (
    "background",
    "dimensions",
    "encoding_format",
    "input_fidelity",
    "mask",
    "n",
    "quality",
    "response_format",
    "size",
    "style",
)

_LITELLMS = frozenset(
    {"litellm_call_id", "litellm_logging_obj", "max_retries", "stream", "stream_options"}
)
"""What LiteLLM writes for itself among the parameters of a provider."""

_STREAMED = {"stream": True, "stream_options": {"include_usage": True}}


def register_provider(router: CapabilityRouter) -> CapabilityLLM:
    """Let ``litellm.completion(model="capability/chat-completion")`` and so on use a router.

    It holds for the whole process, as all of LiteLLM's providers do; the router that was
    registered last is used.

    Args:
        router: The models and pools.

    Returns:
        The provider, as it stands in ``litellm.custom_provider_map``.
    """
    provider = CapabilityLLM(router)
    others = [each for each in litellm.custom_provider_map if each["provider"] != PROVIDER]
    litellm.custom_provider_map = [*others, {"provider": PROVIDER, "custom_handler": provider}]
    custom_llm_setup()  # type: ignore[no-untyped-call]  # LiteLLM's
    return provider


class CapabilityLLM(CustomLLM):
    """LiteLLM's custom provider for capabilities.

    Args:
        router: The models and pools; None for those of the file that the environment variable
            ``CAPABILITY_ROUTER_CONFIG`` names, which is read with the first call.
    """

    def __init__(self, router: CapabilityRouter | None = None) -> None:
        super().__init__()
        self._router = router

    @cached_property
    def _calls(self) -> CapabilityCalls:
        router = self._router or CapabilityRouter.shared()
        return CapabilityCalls(router, ProviderReach(router))

    def completion(self, *_: Any, **given: Any) -> Any:
        """Return a chat completion."""
        return self._call("completion", given, messages=given["messages"])

    async def acompletion(self, *_: Any, **given: Any) -> Any:
        """Return a chat completion."""
        return await self._acall("acompletion", given, messages=given["messages"])

    def streaming(self, *_: Any, **given: Any) -> Iterator[Any]:
        """Return the chunks of a chat completion, of which the first has come."""
        chunks = self._call("completion", given, messages=given["messages"], **_STREAMED)
        return _in_order(chunks)

    def astreaming(self, *_: Any, **given: Any) -> Any:
        """Return the chunks of a chat completion, to be iterated over."""
        return self._astreamed(given)

    async def _astreamed(self, given: Mapping[str, Any]) -> AsyncGenerator[Any, None]:
        end = _End()
        chunks = await self._acall("acompletion", given, messages=given["messages"], **_STREAMED)
        async with aclosed(chunks):
            async for chunk in chunks:
                _call_it(chunk.model, _getframe(1))
                for ready in end.in_order(chunk):
                    yield ready
        for chunk in end.chunks:
            yield chunk

    def embedding(self, *_: Any, **given: Any) -> Any:
        """Return vectors."""
        return self._call("embedding", given, input=given["input"], **_kept_back(_getframe(1)))

    def aembedding(self, *_: Any, **given: Any) -> Any:
        """Return vectors, to be awaited."""
        return self._acall("aembedding", given, input=given["input"], **_kept_back(_getframe(1)))

    def image_generation(self, *_: Any, **given: Any) -> Any:
        """Return images."""
        asked = _kept_back(_getframe(1)) | {"prompt": given["prompt"]}
        return self._call("image_generation", given, **asked)

    def aimage_generation(self, *_: Any, **given: Any) -> Any:
        """Return images, to be awaited."""
        asked = _kept_back(_getframe(1)) | {"prompt": given["prompt"]}
        return self._acall("aimage_generation", given, **asked)

    def image_edit(self, *_: Any, **given: Any) -> Any:
        """Return edited images."""
        asked = _kept_back(_getframe(1)) | {"image": given["image"], "prompt": given["prompt"]}
        return self._call("image_edit", given, **asked)

    def aimage_edit(self, *_: Any, **given: Any) -> Any:
        """Return edited images, to be awaited."""
        asked = _kept_back(_getframe(1)) | {"image": given["image"], "prompt": given["prompt"]}
        return self._acall("aimage_edit", given, **asked)

    def _call(self, name: str, given: Mapping[str, Any], **content: Any) -> Any:
        return self._calls.call(_BY_NAME[name], given["model"], _arguments(given) | content)

    async def _acall(self, name: str, given: Mapping[str, Any], **content: Any) -> Any:
        return await self._calls.acall(_BY_NAME[name], given["model"], _arguments(given) | content)


def _in_order(chunks: Any) -> Generator[Any, None, None]:
    end = _End()
    with closing(chunks):
        for chunk in chunks:
            _call_it(chunk.model, _getframe(1))
            yield from end.in_order(chunk)
    yield from end.chunks


class _End:
    """The end of a stream in the order in which LiteLLM reads it.

    After a finish reason it reads nothing of a custom provider any more, not even the usage, for
    which it then counts the tokens by itself: so the usage goes before.
    """

    def __init__(self) -> None:
        self.chunks: list[Any] = []

    def in_order(self, chunk: Any) -> Iterator[Any]:
        """Return what can be handed out now that this chunk has come."""
        if finishes(chunk):
            self.chunks.append(chunk)
        else:
            yield chunk


def _arguments(given: Mapping[str, Any]) -> Arguments:
    """Return what the caller has said, as LiteLLM tells it to a provider."""
    told: Mapping[str, Any] = given["optional_params"]
    user = given["logging_obj"].model_call_details.get("user")
    return {
        **{name: value for name, value in told.items() if name not in _LITELLMS},
        **({"user": user} if user else {}),
        "timeout": given.get("timeout"),
        # What a call inside of a call has done is told to LiteLLM's callbacks by the outer one.
        "no-log": True,
    }


def _kept_back(caller: FrameType) -> Arguments:
    """Return what was asked for and LiteLLM does not tell a custom provider.

    Of calls for images and vectors it drops what OpenAI's own have beyond their content, how many
    and how large, without a word. The function of LiteLLM that calls the provider still has it.
    """
    asked = {name: caller.f_locals.get(name) for name in _UNTOLD}
    return {name: value for name, value in asked.items() if value is not None}


def _call_it(model: str, caller: FrameType) -> None:
    """Give the chunks that LiteLLM adds to a stream the name of the model that serves.

    They would bear the name that was asked for, and whoever puts the chunks together would take
    it, and no price, for that of the answer.
    """
    stream = caller.f_locals.get("self")
    if isinstance(stream, CustomStreamWrapper):
        # Written so for type checkers: LiteLLM has no other place to tell it.
        vars(stream)["_cached_model_name"] = model


handler: CapabilityLLM
"""For the proxy's ``custom_provider_map``, where a provider is named by its import path. Made when
the proxy first asks for it, so that a mistake in the configuration stops the proxy."""


def __getattr__(name: str) -> object:
    if name != "handler":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    proxy = sys.modules.get("litellm_capability_router.proxy")
    installed = vars(proxy).get("plugin") if proxy else None
    # Two routers of one process would each have to find out anew who is down.
    made = CapabilityLLM(installed.router if installed else CapabilityRouter.shared())
    globals()["handler"] = made
    return made
