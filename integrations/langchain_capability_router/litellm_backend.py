"""Calls a model through LiteLLM, which is imported with the first call."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator
from contextlib import aclosing
from typing import Any, Protocol, cast

from langchain_core.outputs import ChatGenerationChunk, ChatResult

from capability_router.engine.feature import Feature
from capability_router.engine.model import Model, Provider
from langchain_capability_router.backends import Prompt, whole
from langchain_capability_router.litellm_messages import (
    chunk_of,
    openai_messages,
    openai_tool_choice,
    result_of,
)
from litellm_capability_router.answers import check_answer, check_finish, closed
from litellm_capability_router.deployments import completion_params, for_tools
from litellm_capability_router.endings import Original, with_end_noted
from litellm_capability_router.host import aload_litellm, load_litellm
from litellm_capability_router.timeouts import client_timeout_s

__all__ = ["LiteLLMBackend"]


class _Stream(Protocol):
    """What is used of LiteLLM's streams; their chunks are read in ``litellm_messages``.

    Attributes:
        received_finish_reason: Why the provider says the answer ended. LiteLLM itself ends every
            stream with a chunk that says ``stop``, also one that was cut.
        intermittent_finish_reason: The reason that the last chunk bore. LiteLLM writes ``stop`` on
            every chunk of Gemini, and receives none there.
    """

    received_finish_reason: str | None
    intermittent_finish_reason: str | None
    completion_stream: object

    def __iter__(self) -> Iterator[Any]: ...

    def __aiter__(self) -> AsyncIterator[Any]: ...

    async def aclose(self) -> None: ...


class LiteLLMBackend:
    """Calls one model of one provider through LiteLLM, without any retry of its own.

    Args:
        model: The model; its ``name`` is what the provider calls it.
        provider: Whose API it speaks, where, and with which credential; what is None there is
            left to LiteLLM, which reads the vendor's environment variables.
    """

    def __init__(self, model: Model, provider: Provider) -> None:
        self._model = model
        self._provider = provider
        features = model.features
        self._comes_whole = features is not None and Feature.STREAMING not in features

    def generate(self, prompt: Prompt, timeout_s: float) -> ChatResult:
        """Return a complete answer; ``timeout_s`` is held by whoever calls this."""
        original = Original()
        request = self._request(prompt, timeout_s, logger_fn=original)
        return _result(load_litellm().completion(**request), original)

    async def agenerate(self, prompt: Prompt, timeout_s: float) -> ChatResult:
        """Return a complete answer; ``timeout_s`` is held by whoever calls this."""
        litellm = await aload_litellm()
        original = Original()
        request = self._request(prompt, timeout_s, logger_fn=original)
        return _result(await litellm.acompletion(**request), original)

    def stream(
        self, prompt: Prompt, timeout_s: float
    ) -> Generator[ChatGenerationChunk, None, None]:
        """Yield an answer; ``timeout_s`` is held by whoever calls this."""
        if self._comes_whole:
            yield whole(self.generate(prompt, timeout_s))
            return
        request = self._request(prompt, timeout_s, **_STREAMED)
        with closed(with_end_noted(load_litellm().completion(**request))) as stream:
            for chunk in stream:
                yield _checked(stream, chunk_of(chunk))
            check_finish(stream)

    async def astream(
        self, prompt: Prompt, timeout_s: float
    ) -> AsyncGenerator[ChatGenerationChunk, None]:
        """Yield an answer; ``timeout_s`` is held by whoever calls this."""
        if self._comes_whole:
            yield whole(await self.agenerate(prompt, timeout_s))
            return
        request = self._request(prompt, timeout_s, **_STREAMED)
        litellm = await aload_litellm()
        stream: _Stream = with_end_noted(await litellm.acompletion(**request))
        async with aclosing(stream):
            async for chunk in stream:
                yield _checked(stream, chunk_of(chunk))
            check_finish(stream)

    def _request(self, prompt: Prompt, timeout_s: float, **more: object) -> dict[str, Any]:
        astray = _WHERE_TO & prompt.options.keys()
        if astray:
            # The provider's key would go wherever the caller says.
            raise ValueError(f"{min(astray)} is the provider's, and cannot be given to a call")
        request: dict[str, Any] = {
            **prompt.options,
            **completion_params(self._provider, self._model),
            **for_tools(prompt.options),
            "messages": openai_messages(
                prompt.messages, vendor=self._provider.vendor, model_id=self._model.id
            ),
            "timeout": client_timeout_s(timeout_s),
            "num_retries": 0,
            **more,
            # LiteLLM leaves the retries to whoever routes, and takes that to be who names a group;
            # else the number that it has for the whole process takes the place of that 0.
            "metadata": {**(prompt.options.get("metadata") or {}), "model_group": self._model.id},
        }
        if prompt.stop:
            request["stop"] = prompt.stop
        if request.get("tool_choice") is not None:
            request["tool_choice"] = openai_tool_choice(request["tool_choice"])
        if _is_json_mode(request.get("response_format")):
            # The schema beside it is for chat models that have no JSON mode but by one.
            request["response_format"] = {"type": "json_object"}
        return request


def _result(answer: Any, original: Original) -> ChatResult:
    """Read an answer, unless it is none: in the messages of LangChain that would not be seen."""
    original.check(answer)
    check_answer(answer)
    return result_of(answer)


def _is_json_mode(response_format: object) -> bool:
    told = cast("dict[str, Any]", response_format) if isinstance(response_format, dict) else {}
    return told.get("type") == "json_object"


_WHERE_TO = frozenset(
    {"api_base", "api_key", "api_version", "base_url", "custom_llm_provider", "extra_headers"}
)

_STREAMED = {"stream": True, "stream_options": {"include_usage": True}}


def _checked(stream: _Stream, chunk: ChatGenerationChunk) -> ChatGenerationChunk:
    """Pass a chunk on, unless it ends the answer without the provider having said so."""
    if (chunk.generation_info or {}).get("finish_reason"):
        check_finish(stream)
    return chunk
