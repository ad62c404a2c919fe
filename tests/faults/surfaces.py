"""Every way to ask: the place, whole or streamed, sync or async.

A surface yields what comes as pieces, and closes what it has opened when it is closed itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Generator, Iterator
from contextlib import aclosing, closing, contextmanager
from dataclasses import dataclass
from typing import Any

from langchain_core.messages import AIMessage

from langchain_capability_router import ChatCapabilityRouter
from tests.connections import run
from tests.faults.hearing import Piece, Seen, bare, of_chunk, of_completion, of_message
from tests.faults.stage import Stage

__all__ = ["SURFACES", "Surface"]

Pieces = Generator[Piece, None, None]
AsyncPieces = AsyncGenerator[Piece, None]
Leaves = Callable[[Seen], bool]


@dataclass(frozen=True)
class Surface:
    """One way to ask.

    Attributes:
        place: Where one asks.
        streamed: Whether the answer comes in chunks.
        open: Opens the answer, sync or async.
        is_async: Which of both.
    """

    place: str
    streamed: bool
    open: Callable[[Stage], Pieces | AsyncPieces]
    is_async: bool

    def __str__(self) -> str:
        how = "stream" if self.streamed else "whole"
        return f"{self.place} {'a' if self.is_async else ''}{how}"

    def ask(self, stage: Stage, leaves: Leaves = lambda _: False) -> Seen:
        """Ask, and see what comes.

        Args:
            stage: Who is asked, and what.
            leaves: Whether the caller closes the answer after what has come so far.
        """
        seen, opened = Seen(), self.open(stage)
        try:
            if isinstance(opened, Generator):
                _hear(opened, seen, leaves)
            else:
                run(_ahear(opened, seen, leaves))
        except Exception as error:  # noqa: BLE001 - whatever comes is what is looked at
            seen.error = bare(error)
        return seen

    def cancel(self, stage: Stage, leaves: Leaves) -> Seen:
        """Ask in a task, which is cancelled while it waits, once ``leaves`` says so."""
        return run(_cancelled(self.open(stage), stage, leaves))


def _hear(pieces: Pieces, seen: Seen, leaves: Leaves) -> None:
    with closing(pieces):
        for piece in pieces:
            seen.take(piece)
            if leaves(seen):
                seen.has_left = True
                return


async def _ahear(pieces: AsyncPieces, seen: Seen, leaves: Leaves) -> None:
    async with aclosing(pieces):
        async for piece in pieces:
            seen.take(piece)
            if leaves(seen):
                seen.has_left = True
                return


async def _cancelled(opened: Pieces | AsyncPieces, stage: Stage, leaves: Leaves) -> Seen:
    assert isinstance(opened, AsyncGenerator)
    seen, enough = Seen(), asyncio.Event()

    def listens(so_far: Seen) -> bool:
        if leaves(so_far):
            enough.set()
        return False

    task = asyncio.create_task(_ahear(opened, seen, listens))
    await asyncio.to_thread(stage.lab["alpha"].wait_for_requests, 1)
    if not leaves(seen):
        await enough.wait()
    task.cancel()
    await asyncio.wait([task])
    seen.has_left = task.cancelled()
    return seen


@contextmanager
def _closed(stream: Any) -> Iterator[Any]:
    """Close a stream; of LiteLLM's own, which has no method for it, what it reads from."""
    try:
        yield stream
    finally:
        (getattr(stream, "close", None) or stream.completion_stream.close)()


def _chat(place: str, chat_of: Callable[[Stage], ChatCapabilityRouter]) -> Iterator[Surface]:
    def invoke(stage: Stage) -> Pieces:
        yield of_message(chat_of(stage).invoke(stage.asked.question, **stage.asked.options))

    async def ainvoke(stage: Stage) -> AsyncPieces:
        asked = stage.asked
        yield of_message(await chat_of(stage).ainvoke(asked.question, **asked.options))

    def stream(stage: Stage) -> Pieces:
        chunks: Any = chat_of(stage).stream(stage.asked.question, **stage.asked.options)
        with closing(chunks):
            for chunk in chunks:
                assert isinstance(chunk, AIMessage)
                yield of_message(chunk)

    async def astream(stage: Stage) -> AsyncPieces:
        chunks: Any = chat_of(stage).astream(stage.asked.question, **stage.asked.options)
        async with aclosing(chunks):
            async for chunk in chunks:
                yield of_message(chunk)

    yield Surface(place, False, invoke, False)
    yield Surface(place, False, ainvoke, True)
    yield Surface(place, True, stream, False)
    yield Surface(place, True, astream, True)


_STREAMED = {"stream": True, "stream_options": {"include_usage": True}}


def _litellm(place: str, host_of: Callable[[Stage], Any], name: str) -> Iterator[Surface]:
    def given(stage: Stage) -> dict[str, Any]:
        return {"model": name, "messages": stage.asked.messages, **stage.asked.options}

    def completion(stage: Stage) -> Pieces:
        yield of_completion(host_of(stage).completion(**given(stage)))

    async def acompletion(stage: Stage) -> AsyncPieces:
        yield of_completion(await host_of(stage).acompletion(**given(stage)))

    def stream(stage: Stage) -> Pieces:
        with _closed(host_of(stage).completion(**given(stage), **_STREAMED)) as chunks:
            for chunk in chunks:
                yield of_chunk(chunk)

    async def astream(stage: Stage) -> AsyncPieces:
        answer = await host_of(stage).acompletion(**given(stage), **_STREAMED)
        async with aclosing(answer):
            async for chunk in answer:
                yield of_chunk(chunk)

    yield Surface(place, False, completion, False)
    yield Surface(place, False, acompletion, True)
    yield Surface(place, True, stream, False)
    yield Surface(place, True, astream, True)


SURFACES = (
    *_chat("LangChain", lambda stage: stage.chat),
    *_chat("LangChain, own models", lambda stage: stage.own_chat),
    *_litellm("LiteLLM Router", lambda stage: stage.attached, "chat-completion"),
    *_litellm("LiteLLM provider", lambda stage: stage.functions, "capability/chat-completion"),
)
