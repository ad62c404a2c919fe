"""A stream of a capability, in the class that LiteLLM's callers and its proxy expect."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator
from contextlib import aclosing, closing
from itertools import chain
from typing import Any

from litellm import CustomStreamWrapper

from litellm_capability_router.answers import tells_usage_only
from litellm_capability_router.errors import as_litellm_errors

__all__ = ["AsyncCapabilityStream", "CapabilityStream"]


class _Stream(CustomStreamWrapper):
    """LiteLLM's stream around chunks that are finished already.

    Args:
        first: The first chunk, fetched already.
        rest: The other chunks of the call, whichever model they come from.
        served: LiteLLM's own stream of the attempt that is being served.
    """

    def __init__(self, first: Any, rest: Any, served: Any) -> None:
        super().__init__(  # pyright: ignore[reportUnknownMemberType] - LiteLLM leaves its parameters untyped
            completion_stream=rest,
            model=served.model,
            custom_llm_provider=served.custom_llm_provider,
            logging_obj=served.logging_obj,
            _response_headers=getattr(served, "_response_headers", None),
        )
        self._hidden_params = dict(getattr(served, "_hidden_params", None) or {})
        self.chunks = served.chunks
        self._first = iter((first,))
        self._rest = rest


class CapabilityStream(_Stream):
    """The chunks of a sync call."""

    @classmethod
    def primed(
        cls, chunks: Generator[Any, None, None], served: Callable[[], Any], tells_usage: bool
    ) -> Any:
        """Fetch the first chunk, so that what fails before it is replaced, or raised, here.

        Args:
            chunks: The chunks of the call.
            served: Tells, once the first chunk has come, which stream of LiteLLM's it is from.
            tells_usage: Whether the caller wants the chunk with the usage.
        """
        ours = _translated(chunks, tells_usage)
        first = next(ours)
        return _kind_of(served(), cls)(first, ours, served())

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        for chunk in self._first:
            return chunk
        return next(self._rest)

    def close(self) -> None:
        """Leave the stream; the model's connection is closed and nobody is blamed."""
        self._rest.close()


class AsyncCapabilityStream(_Stream):
    """The chunks of an async call."""

    @classmethod
    async def primed(
        cls, chunks: AsyncGenerator[Any, None], served: Callable[[], Any], tells_usage: bool
    ) -> Any:
        """Fetch the first chunk, so that what fails before it is replaced, or raised, here."""
        ours = _atranslated(chunks, tells_usage)
        first = await anext(ours)
        return _kind_of(served(), cls)(first, ours, served())

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        for chunk in self._first:
            return chunk
        return await anext(self._rest)

    async def aclose(self) -> None:
        """Leave the stream; the model's connection is closed and nobody is blamed."""
        await self._rest.aclose()


class _OtherStream:
    """The events of another endpoint; for all else it is LiteLLM's own stream."""

    def __init__(self, first: Any, rest: Any, served: Any) -> None:
        self._first = iter((first,))
        self._rest = rest
        self._served = served

    def __getattr__(self, name: str) -> Any:
        return getattr(self._served, name)

    def __iter__(self) -> Iterator[Any]:
        return chain(self._first, self._rest)

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        # LiteLLM's proxy takes for a stream only what has this method.
        for event in self._first:
            return event
        return await anext(self._rest)

    def close(self) -> None:
        """Leave the stream."""
        self._rest.close()

    async def aclose(self) -> None:
        """Leave the stream."""
        await self._rest.aclose()


def _kind_of(served: Any, chat: type[_Stream]) -> type[_Stream | _OtherStream]:
    return chat if isinstance(served, CustomStreamWrapper) else _OtherStream


def _translated(
    chunks: Generator[Any, None, None], tells_usage: bool
) -> Generator[Any, None, None]:
    with as_litellm_errors(), closing(chunks):
        for chunk in chunks:
            if tells_usage or not tells_usage_only(chunk):
                yield chunk


async def _atranslated(
    chunks: AsyncGenerator[Any, None], tells_usage: bool
) -> AsyncGenerator[Any, None]:
    with as_litellm_errors():
        async with aclosing(chunks):
            async for chunk in chunks:
                if tells_usage or not tells_usage_only(chunk):
                    yield chunk
