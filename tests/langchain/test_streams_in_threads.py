"""Sync streams that are read in threads: who leaves them has them closed, by no collector."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from pydantic import PrivateAttr

from langchain_capability_router import ChatCapabilityRouter
from langchain_capability_router.loops import in_threads
from tests.connections import run


class Told:
    """A stream that says where it was read and closed, and that waits when it is told to."""

    def __init__(self) -> None:
        self.threads: list[int] = []
        self.closed = threading.Event()
        self.asked, self.go_on = threading.Event(), threading.Event()

    def items(self) -> Iterator[str]:
        try:
            for item in ("one", "two"):
                self.threads.append(threading.get_ident())
                yield item
            self.asked.set()
            self.go_on.wait(10)
            yield "three"
        finally:
            self.closed.set()


async def first(items: AsyncIterator[Any], count: int = 1) -> list[Any]:
    return [await anext(items) for _ in range(count)]


async def test_items_come_in_their_order_from_other_threads() -> None:
    told = Told()
    told.go_on.set()
    assert [item async for item in in_threads(told.items)] == ["one", "two", "three"]
    assert told.closed.is_set()
    assert threading.get_ident() not in told.threads


async def test_stream_that_is_left_is_closed_at_once() -> None:
    told = Told()
    # Held on to, so that nothing but closing closes it.
    held = told.items()
    stream = in_threads(lambda: held)
    assert await first(stream) == ["one"]
    await stream.aclose()
    assert told.closed.is_set()


async def test_stream_whose_reader_is_cancelled_is_closed_once_it_can_be() -> None:
    told = Told()
    held = told.items()
    stream = in_threads(lambda: held)
    await first(stream, 2)
    reading = asyncio.create_task(anext(stream))
    assert await asyncio.to_thread(told.asked.wait, 10)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert not told.closed.is_set()
    told.go_on.set()
    assert await asyncio.to_thread(told.closed.wait, 10)


async def test_stream_that_never_begins_is_never_opened() -> None:
    opened: list[Told] = []

    def open_it() -> Iterator[str]:
        opened.append(told := Told())
        return told.items()

    stream = in_threads(open_it)
    await stream.aclose()
    assert opened == []


async def test_error_of_a_stream_is_its_readers() -> None:
    def broken() -> Iterator[str]:
        raise ConnectionResetError("gone")

    with pytest.raises(ConnectionResetError):
        await first(in_threads(broken))


class SyncOnly(BaseChatModel):
    """A chat model that has nothing but a sync stream."""

    _held: list[Any] = PrivateAttr(default_factory=list)
    _closed: threading.Event = PrivateAttr(default_factory=threading.Event)

    @property
    def _llm_type(self) -> str:
        return "sync-only"

    def _generate(self, *_: Any, **__: Any) -> ChatResult:
        raise AssertionError("only streams are asked for")

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        self._held.append(chunks := self._chunks())
        return chunks

    def _chunks(self) -> Iterator[ChatGenerationChunk]:
        try:
            while True:
                yield ChatGenerationChunk(message=AIMessageChunk(content="word "))
        finally:
            self._closed.set()


def test_chat_model_with_a_sync_stream_has_it_closed_when_its_caller_leaves() -> None:
    model = SyncOnly()
    chat = ChatCapabilityRouter.from_models({"alpha/tiny": model})

    async def glance() -> None:
        chunks: Any = chat.astream("good day")
        await anext(chunks)
        await chunks.aclose()

    run(glance())
    assert model._closed.is_set()
    assert chat.router.state("alpha/tiny").in_flight == 0
