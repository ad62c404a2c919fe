"""One request on its way through a pool, and what its answer tells about that way."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Generator, Mapping
from contextlib import aclosing, closing
from functools import cached_property
from typing import Any

from langchain_core.messages import AIMessageChunk
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult

from capability_router import drivers
from capability_router.engine.call import Call, Try
from capability_router.engine.model import Model
from capability_router.engine.request import CompletionRequest
from capability_router.router import CapabilityRouter
from langchain_capability_router.backends import ChatBackend, LangChainBackend, Prompt
from langchain_capability_router.errors import as_model_errors
from langchain_capability_router.judges import AnswerJudge, ChunkWatch
from langchain_capability_router.litellm_backend import LiteLLMBackend
from litellm_capability_router.host import aload_litellm, load_litellm

__all__ = ["ChatCall"]

# What a tracer of LangChain takes from here to the metadata of the run: it replaces the names that
# the run began with by those of who really served. It never shows in a message.
_FOR_TRACERS = "lc_gateway_metadata"


class ChatCall:
    """Asks one model after another until one answers; for one use.

    Args:
        router: Chooses the models.
        request: What is asked for.
        prompt: What each model is asked.
        own: Backends by model id; any other model is called through LiteLLM.
    """

    def __init__(
        self,
        router: CapabilityRouter,
        request: CompletionRequest,
        prompt: Prompt,
        own: Mapping[str, LangChainBackend],
    ) -> None:
        self._router = router
        self._request = request
        self._prompt = prompt
        self._own = own
        self._model: Model | None = None

    def generate(self) -> ChatResult:
        """Return the answer of the first model that gives one."""
        if not self._own:
            # Importing it takes seconds, which are neither a model's latency nor the deadline's.
            load_litellm()
        with as_model_errors():
            result = drivers.call(self._plan, self._ask, AnswerJudge(), self._router.clock)
        return self._labelled(result)

    async def agenerate(self) -> ChatResult:
        """Return the answer of the first model that gives one."""
        if not self._own:
            await aload_litellm()
        with as_model_errors():
            result = await drivers.acall(self._plan, self._aask, AnswerJudge(), self._router.clock)
        return self._labelled(result)

    def stream(self) -> Generator[ChatGenerationChunk, None, None]:
        """Yield the answer of the first model that begins one, and a last chunk about the way."""
        if not self._own:
            load_litellm()
        named = False
        chunks = drivers.stream(self._plan, self._open, ChunkWatch, self._router.clock)
        with as_model_errors(), closing(chunks):
            for chunk in chunks:
                named = named or _is_named(chunk)
                yield _inner(chunk)
        yield self._last(named)

    async def astream(self) -> AsyncGenerator[ChatGenerationChunk, None]:
        """Yield the answer of the first model that begins one, and a last chunk about the way."""
        if not self._own:
            await aload_litellm()
        named = False
        chunks = drivers.astream(self._plan, self._aopen, ChunkWatch, self._router.clock)
        with as_model_errors():
            async with aclosing(chunks):
                async for chunk in chunks:
                    named = named or _is_named(chunk)
                    yield _inner(chunk)
        yield self._last(named)

    @cached_property
    def _plan(self) -> Call:
        """The call, begun with its first use: its deadline runs from then on."""
        return self._router.plan(self._request)

    def _ask(self, step: Try) -> ChatResult:
        return self._backend(step).generate(self._prompt, step.timeout_s)

    def _aask(self, step: Try) -> Awaitable[ChatResult]:
        return self._backend(step).agenerate(self._prompt, step.timeout_s)

    def _open(self, step: Try) -> Generator[ChatGenerationChunk, None, None]:
        return self._backend(step).stream(self._prompt, step.timeout_s)

    def _aopen(self, step: Try) -> AsyncGenerator[ChatGenerationChunk, None]:
        return self._backend(step).astream(self._prompt, step.timeout_s)

    def _backend(self, step: Try) -> ChatBackend:
        self._model = step.model
        own = self._own.get(step.model.id)
        if own is not None:
            own.check(step.model, self._plan.request)
            return own
        return LiteLLMBackend(step.model, self._router.provider(step.model.provider))

    def _labelled(self, result: ChatResult) -> ChatResult:
        """Return an answer that names its model and the way to it."""
        way = self._way()
        label = {**self._name(result.llm_output or {}), "capability_router": way}
        traced = self._traced(way)
        for generation in result.generations:
            _put_label(generation, label, traced)
        return result

    def _last(self, named: bool) -> ChatGenerationChunk:
        """Return the chunk that ends a stream; it alone tells the way, as chunks are summed up."""
        way = self._way()
        metadata = {**({} if named else self._name({})), "capability_router": way}
        message = AIMessageChunk(content="", response_metadata=metadata, chunk_position="last")
        return ChatGenerationChunk(message=message, generation_info=self._traced(way))

    def _name(self, known: Mapping[str, Any]) -> dict[str, Any]:
        """Return the name of the model that served, unless it is known."""
        if self._model is None or known.get("model_name"):
            return {}
        return {"model_name": self._model.name}

    def _way(self) -> dict[str, Any]:
        attempts = self._plan.attempts
        return {
            "capability": self._request.capability,
            "served_by": attempts[-1].model,
            "attempts": [attempt.as_dict() for attempt in attempts],
        }

    def _traced(self, way: Mapping[str, Any]) -> dict[str, Any]:
        """Return who served and what was tried, for the metadata of the run."""
        model = self._model
        if model is None:
            return {}
        vendor = self._router.provider(model.provider).vendor
        return {_FOR_TRACERS: {"provider": vendor, "model": model.name, **way}}


def _metadata(generation: ChatGeneration) -> dict[str, Any]:
    return {**(generation.generation_info or {}), **generation.message.response_metadata}


def _is_named(chunk: ChatGenerationChunk) -> bool:
    return bool(_metadata(chunk).get("model_name"))


def _inner(chunk: ChatGenerationChunk) -> ChatGenerationChunk:
    """Return a chunk that is not the last one: another follows it here."""
    message = chunk.message
    if isinstance(message, AIMessageChunk) and message.chunk_position is not None:
        chunk.message = message.model_copy(update={"chunk_position": None})
    return chunk


def _put_label(
    generation: ChatGeneration, label: Mapping[str, Any], traced: Mapping[str, Any]
) -> None:
    """Label a copy of the message: it may belong to whoever made the chat model."""
    told = generation.message.response_metadata
    metadata = {**told, **label}
    name = _metadata(generation).get("model_name")
    if name:
        metadata["model_name"] = name
    generation.message = generation.message.model_copy(update={"response_metadata": metadata})
    generation.generation_info = {**(generation.generation_info or {}), **traced}
