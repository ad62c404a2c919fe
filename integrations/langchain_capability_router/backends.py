"""How one model is called: the protocol, and chat models that are given as LangChain objects.

Knows no router and no other model: what a failure means and who is next is decided elsewhere.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGenerationChunk, ChatResult

from capability_router.engine.errors import IncompleteAnswerError
from capability_router.engine.model import Model
from capability_router.engine.request import CompletionRequest
from langchain_capability_router.endings import always_tells, check_ending, is_last
from langchain_capability_router.errors import UnsupportedByModelError
from langchain_capability_router.histories import acceptable, maker_of
from langchain_capability_router.loops import (
    STALE_CONNECTIONS,
    in_threads,
    is_of_a_closed_loop,
    is_the_clients_loop,
)
from langchain_capability_router.profiles import known_by_profile
from langchain_capability_router.tools import native_options

__all__ = ["OWN_NAME", "ChatBackend", "LangChainBackend", "Prompt", "whole"]

OWN_NAME = "capability_router"
"""What a chat model that is a pool calls its provider."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """What one model is asked, the same for each model that is tried.

    Attributes:
        messages: The conversation.
        stop: Texts at which the answer ends; None for none.
        options: Further parameters by OpenAI's names; tools in OpenAI's format.
    """

    messages: list[BaseMessage]
    stop: list[str] | None
    options: Mapping[str, Any]


class ChatBackend(Protocol):
    """Calls one model.

    Each method raises what its client library raises; an answer that broke off is an
    ``IncompleteAnswerError`` and never returned as if it were one.
    """

    def generate(self, prompt: Prompt, timeout_s: float) -> ChatResult:
        """Return a complete answer.

        Args:
            prompt: What is asked.
            timeout_s: Seconds it may take, for a client that has to be told; whoever calls this
                holds them.
        """
        ...

    async def agenerate(self, prompt: Prompt, timeout_s: float) -> ChatResult:
        """Return a complete answer; as ``generate``, awaiting it."""
        ...

    def stream(
        self, prompt: Prompt, timeout_s: float
    ) -> Generator[ChatGenerationChunk, None, None]:
        """Yield an answer; ``timeout_s`` is the longest time that it may bring nothing."""
        ...

    def astream(
        self, prompt: Prompt, timeout_s: float
    ) -> AsyncGenerator[ChatGenerationChunk, None]:
        """Yield an answer; as ``stream``, awaiting each chunk."""
        ...


class LangChainBackend:
    """Calls a LangChain chat model below its public methods.

    ``invoke`` would count tokens and report runs a second time. The model's own rate limiter is
    honoured; its callbacks, its cache and its ``output_version`` are not, the router has those. A
    call in a second event loop lasts as long as the model's own timeout lets it, for a thread makes
    a sync call then, see ``loops``.

    A stream that ends without saying why was cut, unless nothing is known of such a reason: models
    of the usual providers always give one, any other model is held to it once it has given one.

    Args:
        inner: The chat model. Retries of its own delay the failover; ``max_retries=0`` is best.
        model_id: Id of the model that it calls.
    """

    def __init__(self, inner: BaseChatModel, model_id: str) -> None:
        self.inner = inner
        self._model_id = model_id
        self._maker = maker_of(inner)
        self._known: tuple[Model, Model] | None = None
        self._tells_ending = False

    def check(self, model: Model, request: CompletionRequest) -> None:
        """Refuse a request that the chat model cannot serve by its profile, before it is sent.

        Of what is declared of a model the router has seen to that; the profile tells the rest.

        Raises:
            UnsupportedByModelError: If it lacks a feature, or its context window is too small.
        """
        if self._known is None or self._known[0] is not model:
            self._known = model, known_by_profile(model, self.inner)
        why = self._known[1].lacks(request)
        if why is not None:
            raise UnsupportedByModelError(f"{type(self.inner).__name__} {why}, by its profile")

    def generate(self, prompt: Prompt, timeout_s: float) -> ChatResult:
        """Return a complete answer; the chat model has limits of its own."""
        del timeout_s
        options = native_options(self.inner, prompt.options)
        if self.inner.rate_limiter is not None:
            self.inner.rate_limiter.acquire(blocking=True)
        answer = self.inner._generate(  # pyright: ignore[reportPrivateUsage]  # see the class
            self._messages(prompt), prompt.stop, **options
        )
        check_ending(answer)
        return answer

    async def agenerate(self, prompt: Prompt, timeout_s: float) -> ChatResult:
        """Return a complete answer; its rate limiter may take half of ``timeout_s`` seconds."""
        options = native_options(self.inner, prompt.options)
        await self._awaited_turn(timeout_s)
        call = type(self.inner) if is_the_clients_loop() else BaseChatModel
        for left in reversed(range(STALE_CONNECTIONS)):
            try:
                answer = await call._agenerate(  # pyright: ignore[reportPrivateUsage]  # see the class
                    self.inner, self._messages(prompt), prompt.stop, **options
                )
            except NotImplementedError:
                if call is not BaseChatModel:
                    raise
                # It has no sync call that a thread could make: nothing is shared with other loops.
                call = type(self.inner)
            except Exception as error:
                if not left or not is_of_a_closed_loop(error):
                    raise
            else:
                check_ending(answer)
                return answer
        raise AssertionError("the last round returns or raises")

    def stream(
        self, prompt: Prompt, timeout_s: float
    ) -> Generator[ChatGenerationChunk, None, None]:
        """Yield an answer; the chat model has limits of its own."""
        if not self._streams(prompt, sync=True):
            yield whole(self.generate(prompt, timeout_s))
            return
        options = native_options(self.inner, prompt.options)
        if self.inner.rate_limiter is not None:
            self.inner.rate_limiter.acquire(blocking=True)
        ending = _Ending(self._tells_ending)
        chunks = self.inner._stream(  # pyright: ignore[reportPrivateUsage]  # see the class
            self._messages(prompt), prompt.stop, **options
        )
        try:
            for chunk in chunks:
                ending.take(chunk)
                yield chunk
        finally:
            if isinstance(chunks, Generator):
                chunks.close()
        self._check(ending)

    async def astream(
        self, prompt: Prompt, timeout_s: float
    ) -> AsyncGenerator[ChatGenerationChunk, None]:
        """Yield an answer; its rate limiter may take half of ``timeout_s`` seconds."""
        if not self._streams(prompt, sync=False):
            yield whole(await self.agenerate(prompt, timeout_s))
            return
        options = native_options(self.inner, prompt.options)
        await self._awaited_turn(timeout_s)
        ending = _Ending(self._tells_ending)
        call = type(self.inner) if is_the_clients_loop() else BaseChatModel
        for left in reversed(range(STALE_CONNECTIONS)):
            chunks = self._opened(call, self._messages(prompt), prompt.stop, options)
            begun = False
            try:
                async for chunk in chunks:
                    begun = True
                    ending.take(chunk)
                    yield chunk
                break
            except NotImplementedError:
                if begun or call is not BaseChatModel:
                    raise
                call = type(self.inner)
            except Exception as error:
                if begun or not left or not is_of_a_closed_loop(error):
                    raise
            finally:
                if isinstance(chunks, AsyncGenerator):
                    await chunks.aclose()
        self._check(ending)

    def _opened(
        self,
        cls: type[BaseChatModel],
        messages: list[BaseMessage],
        stop: list[str] | None,
        options: dict[str, Any],
    ) -> AsyncIterator[ChatGenerationChunk]:
        """Open a stream as a class does it: by its own async way, or in threads."""
        if cls._astream is not BaseChatModel._astream:  # pyright: ignore[reportPrivateUsage]  # see the class
            return cls._astream(self.inner, messages, stop, **options)  # pyright: ignore[reportPrivateUsage]  # as above
        return in_threads(
            lambda: self.inner._stream(messages, stop, **options)  # pyright: ignore[reportPrivateUsage]  # as above
        )

    async def _awaited_turn(self, timeout_s: float) -> None:
        """Wait for the model's own rate limiter, whose patience is nobody's fault.

        It gets half of the time: an answer that began later would not be there in time.
        """
        if self.inner.rate_limiter is None:
            return
        timeout_s /= 2
        try:
            async with asyncio.timeout(timeout_s):
                await self.inner.rate_limiter.aacquire(blocking=True)
        except TimeoutError as error:
            told = f"the rate limiter of {type(self.inner).__name__} let nothing pass"
            raise UnsupportedByModelError(f"{told} within {timeout_s:.1f} s") from error

    def _messages(self, prompt: Prompt) -> list[BaseMessage]:
        if self._maker == OWN_NAME:
            # Another pool: it knows better who said what.
            return list(prompt.messages)
        return acceptable(prompt.messages, maker=self._maker, model_id=self._model_id)

    def _streams(self, prompt: Prompt, *, sync: bool) -> bool:
        """Whether the model has a stream of its own for this kind of call, and may use it."""
        cls, base = type(self.inner), BaseChatModel
        off = self.inner.disable_streaming
        if off is True or (off == "tool_calling" and prompt.options.get("tools")):
            return False
        if "streaming" in self.inner.model_fields_set and not getattr(self.inner, "streaming", 1):
            return False
        has_sync = cls._stream is not base._stream  # pyright: ignore[reportPrivateUsage]  # as core
        if sync or has_sync:
            return has_sync
        return cls._astream is not base._astream  # pyright: ignore[reportPrivateUsage]  # as core

    def _check(self, ending: _Ending) -> None:
        if ending.expected and not ending.told:
            raise IncompleteAnswerError
        self._tells_ending = ending.expected or ending.told


class _Ending:
    """Follows one stream to see whether it says why it ended, and whether it has to."""

    def __init__(self, expected: bool) -> None:
        self.expected = expected
        self.told = False

    def take(self, chunk: ChatGenerationChunk) -> None:
        if self.expected and self.told:
            return
        self.expected = self.expected or always_tells(chunk)
        self.told = self.told or is_last(chunk)


def whole(result: ChatResult) -> ChatGenerationChunk:
    """Return an answer as the one chunk of a stream."""
    if not result.generations:
        raise IncompleteAnswerError
    generation = result.generations[0]
    message = generation.message
    metadata = {**(result.llm_output or {}), **message.response_metadata}
    answered = message if isinstance(message, AIMessage) else AIMessage(message.content)
    chunk = AIMessageChunk(
        content=answered.content,
        additional_kwargs=message.additional_kwargs,
        response_metadata=metadata,
        id=message.id,
        tool_calls=answered.tool_calls,
        invalid_tool_calls=answered.invalid_tool_calls,
        usage_metadata=answered.usage_metadata,
    )
    return ChatGenerationChunk(message=chunk, generation_info=generation.generation_info)
