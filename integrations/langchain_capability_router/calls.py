"""One request on its way through a pool, and what its answer tells about that way."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Generator, Mapping
from contextlib import aclosing, closing, suppress
from copy import copy
from functools import cached_property
from typing import Any, TypeVar

from langchain_core.messages import AIMessageChunk
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from pydantic import BaseModel

from capability_router.driving import drivers
from capability_router.engine.call import Call
from capability_router.engine.model import Model
from capability_router.engine.request import CompletionRequest
from capability_router.engine.steps import Try
from capability_router.router import CapabilityRouter
from langchain_capability_router.backends import ChatBackend, Prompt
from langchain_capability_router.continuing import ChatSplice, begun
from langchain_capability_router.errors import as_model_errors
from langchain_capability_router.judges import AnswerJudge, ChunkWatch
from langchain_capability_router.litellm_backend import LiteLLMBackend
from langchain_capability_router.standing import Standing
from langchain_capability_router.tools import has_provider_tools
from litellm_capability_router.host import aload_litellm, load_litellm

__all__ = ["ChatCall"]

Told = TypeVar("Told", bound=BaseModel)

# What a tracer of LangChain takes from here to the metadata of the run: it replaces the names that
# the run began with by those of who really served. It never shows in a message.
_FOR_TRACERS = "lc_gateway_metadata"


class ChatCall:
    """Asks one model after another until one answers; for one use.

    Args:
        router: Chooses the models.
        request: What is asked for.
        prompt: What each model is asked.
        standing: Who is called by a chat model of its own; any other goes through LiteLLM.
    """

    def __init__(
        self,
        router: CapabilityRouter,
        request: CompletionRequest,
        prompt: Prompt,
        standing: Standing,
    ) -> None:
        self._router = router
        self._request = request
        self._prompt = prompt
        self._standing = standing
        self._provider_tools = has_provider_tools(prompt.options)
        self._asked: dict[str, Model] = {}

    def generate(self) -> ChatResult:
        """Return the answer of the first model that gives one."""
        self._prepare()
        with as_model_errors():
            judge = AnswerJudge(self._provider_tools)
            result = drivers.call(self._plan, self._ask, judge, self._router.clock)
        return self._labelled(result)

    async def agenerate(self) -> ChatResult:
        """Return the answer of the first model that gives one."""
        await self._aprepare()
        with as_model_errors():
            judge = AnswerJudge(self._provider_tools)
            result = await drivers.acall(self._plan, self._aask, judge, self._router.clock)
        return self._labelled(result)

    def stream(self) -> Generator[ChatGenerationChunk, None, None]:
        """Yield the answer of the first model that begins one, and a last chunk about the way."""
        self._prepare()
        named = False
        splice = ChatSplice()
        chunks = drivers.stream(self._plan, self._open, self._watch, self._router.clock, splice)
        with as_model_errors(), closing(chunks):
            for chunk in chunks:
                named = named or _is_named(chunk)
                yield _inner(chunk)
        yield self._last(named)

    async def astream(self) -> AsyncGenerator[ChatGenerationChunk, None]:
        """Yield the answer of the first model that begins one, and a last chunk about the way."""
        await self._aprepare()
        named = False
        splice = ChatSplice()
        chunks = drivers.astream(self._plan, self._aopen, self._watch, self._router.clock, splice)
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

    def _prepare(self) -> None:
        """Import what models are called through, which is neither their latency nor a deadline's.

        Where it is missing, the model that needs it says so when its turn comes.
        """
        if not self._standing.all_own:
            with suppress(ImportError):
                load_litellm()

    async def _aprepare(self) -> None:
        if not self._standing.all_own:
            with suppress(ImportError):
                await aload_litellm()

    def _ask(self, step: Try) -> ChatResult:
        return self._backend(step).generate(self._prompt, step.timeout_s)

    def _aask(self, step: Try) -> Awaitable[ChatResult]:
        return self._backend(step).agenerate(self._prompt, step.timeout_s)

    def _open(self, step: Try) -> Generator[ChatGenerationChunk, None, None]:
        return self._backend(step).stream(self._begun(step), step.silence_s)

    def _aopen(self, step: Try) -> AsyncGenerator[ChatGenerationChunk, None]:
        return self._backend(step).astream(self._begun(step), step.silence_s)

    def _begun(self, step: Try) -> Prompt:
        """Return the prompt, with what the caller has of the answer already as its beginning."""
        return begun(self._prompt, step.prefill) if step.prefill else self._prompt

    def _watch(self, step: Try) -> ChunkWatch:
        del step
        return ChunkWatch(self._provider_tools)

    def _backend(self, step: Try) -> ChatBackend:
        self._asked[step.model.id] = step.model
        own = self._standing.own.get(step.model.id)
        if own is not None:
            own.check(step.model, self._plan.request)
            return own
        return LiteLLMBackend(step.model, self._router.provider(step.model.provider))

    def _labelled(self, result: ChatResult) -> ChatResult:
        """Return an answer that names its model and the way to it."""
        way = self._way()
        label = {**self._name(result.llm_output or {}), "capability_router": way}
        traced = self._traced(way)
        labelled = [_with_label(each, label, traced) for each in result.generations]
        return _changed(result, generations=labelled)

    def _last(self, named: bool) -> ChatGenerationChunk:
        """Return the chunk that ends a stream; it alone tells the way, as chunks are summed up."""
        way = self._way()
        metadata = {**({} if named else self._name({})), "capability_router": way}
        message = AIMessageChunk(content="", response_metadata=metadata, chunk_position="last")
        return ChatGenerationChunk(message=message, generation_info=self._traced(way))

    def _name(self, known: Mapping[str, Any]) -> dict[str, Any]:
        """Return the name of the model that served, unless it is known."""
        return {} if known.get("model_name") else {"model_name": self._served.name}

    @property
    def _served(self) -> Model:
        return self._asked[self._plan.attempts[-1].model]

    def _way(self) -> dict[str, Any]:
        attempts = self._plan.attempts
        return {
            "capability": self._request.capability,
            "served_by": attempts[-1].model,
            "attempts": [attempt.as_dict() for attempt in attempts],
        }

    def _traced(self, way: Mapping[str, Any]) -> dict[str, Any]:
        """Return who served and what was tried, for the metadata of the run."""
        model = self._served
        vendor = self._router.provider(model.provider).vendor
        return {_FOR_TRACERS: {"provider": vendor, "model": model.name, **way}}


def _metadata(generation: ChatGeneration) -> dict[str, Any]:
    return {**(generation.generation_info or {}), **generation.message.response_metadata}


def _is_named(chunk: ChatGenerationChunk) -> bool:
    return bool(_metadata(chunk).get("model_name"))


def _inner(chunk: ChatGenerationChunk) -> ChatGenerationChunk:
    """Return a chunk that is not the last one, and tells no way: the last one here does."""
    message, info = chunk.message, chunk.generation_info
    if isinstance(message, AIMessageChunk) and message.chunk_position is not None:
        message = chunk.message = message.model_copy(update={"chunk_position": None})
    if "capability_router" in message.response_metadata:
        # Of a pool within this pool.
        told = dict(message.response_metadata)
        del told["capability_router"]
        chunk.message = message.model_copy(update={"response_metadata": told})
        chunk.generation_info = {k: v for k, v in (info or {}).items() if k != _FOR_TRACERS}
    return chunk


def _with_label(
    generation: ChatGeneration, label: Mapping[str, Any], traced: Mapping[str, Any]
) -> ChatGeneration:
    """Return a copy: the answer may belong to whoever made the chat model."""
    metadata = {**generation.message.response_metadata, **label}
    name = _metadata(generation).get("model_name")
    if name:
        metadata["model_name"] = name
    message = _changed(generation.message, response_metadata=metadata)
    info = {**(generation.generation_info or {}), **traced}
    return _changed(generation, message=message, generation_info=info)


def _changed(model: Told, **values: object) -> Told:
    """Return a shallow copy with other values; ``model_copy`` takes twice as long for it."""
    changed = copy(model)
    vars(changed).update(values)
    return changed
