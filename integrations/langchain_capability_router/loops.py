"""Which event loop the async clients of chat models live in.

An async client keeps connections that only one event loop can read: used from a second one at the
same time it waits for ever, and libraries share one client among all chat models of a process.
Knows no chat model.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator
from contextvars import copy_context
from threading import Lock
from typing import Generic, TypeVar
from weakref import ReferenceType, ref

from capability_router.driving.reading import END, End
from capability_router.failures import causes

__all__ = ["STALE_CONNECTIONS", "in_threads", "is_of_a_closed_loop", "is_the_clients_loop"]

T = TypeVar("T")

STALE_CONNECTIONS = 20
"""Connections that a closed event loop left behind are met one by one, up to this many."""

_guard = Lock()
_home: ReferenceType[asyncio.AbstractEventLoop] | None = None


def is_the_clients_loop() -> bool:
    """Return whether async clients may be used from here; the first loop has them until it closes.

    From any other loop, a thread with the sync client does the same work, no more calls at once
    than the loop's default executor has threads.
    """
    global _home
    here = asyncio.get_running_loop()
    with _guard:
        home = _home() if _home is not None else None
        if home is None or home.is_closed():
            _home, home = ref(here), here
        return home is here


def is_of_a_closed_loop(error: Exception) -> bool:
    """Whether an answer cannot be read because its connection belongs to another event loop.

    Clients that are cached for the whole process keep connections of an ``asyncio.run`` that is
    over; the provider has nothing to do with it. Each such error drops one of them.
    """
    return any("event loop" in str(cause).lower() for cause in _runtime_errors(error))


def _runtime_errors(error: Exception) -> Iterator[BaseException]:
    return (cause for cause in causes(error) if isinstance(cause, RuntimeError))


async def in_threads(open_stream: Callable[[], Iterator[T]]) -> AsyncGenerator[T, None]:
    """Read a sync stream in threads, and close it however it is left.

    LangChain's own way leaves that to the garbage collector, which works in any thread, also in
    one that holds the lock of the client's connections: that thread would wait for itself.

    Args:
        open_stream: Returns the stream; called in a thread as well.
    """
    stream = _Stream(open_stream)
    loop, context = asyncio.get_running_loop(), copy_context()

    async def read() -> T | End:
        return await loop.run_in_executor(None, context.run, stream.read)

    try:
        while not isinstance(item := await read(), End):
            yield item
    finally:
        stream.leave()


class _Stream(Generic[T]):
    """A sync stream that one thread reads at a time, and that any may leave."""

    def __init__(self, open_stream: Callable[[], Iterator[T]]) -> None:
        self._open = open_stream
        self._items: Iterator[T] | None = None
        self._guard = Lock()
        self._is_read = self._is_left = False

    def read(self) -> T | End:
        """Return the next item; one that comes when all have left closes the stream."""
        if self._note(is_read=True):
            return END
        try:
            if self._items is None:
                self._items = self._open()
            return next(self._items, END)
        finally:
            if self._note(is_read=False):
                self._close()

    def leave(self) -> None:
        """Close the stream, or let the thread do so that reads it now."""
        with self._guard:
            self._is_left = True
            is_read = self._is_read
        if not is_read:
            self._close()

    def _note(self, *, is_read: bool) -> bool:
        """Note whether a thread reads; return whether all have left, upon which none begins to."""
        with self._guard:
            self._is_read = is_read and not self._is_left
            return self._is_left

    def _close(self) -> None:
        close = getattr(self._items, "close", None)
        if close is not None:
            close()
