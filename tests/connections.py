"""One event loop per test, and no connection that outlives it.

Client libraries cache clients for the whole process; what is left of them would be found by some
later test as a leak.
"""

import asyncio
import gc
import sys
import warnings
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import Any, TypeVar

T = TypeVar("T")

_runner: ContextVar[asyncio.Runner] = ContextVar("runner")
_clients: ContextVar[list[Any]] = ContextVar("clients")


@contextmanager
def connections() -> Iterator[None]:
    """Run coroutines of one test in one event loop, and close every connection in the end."""
    with asyncio.Runner() as runner:
        loop, clients = _runner.set(runner), _clients.set([])
        try:
            yield
        finally:
            runner.run(_close([*_clients.get(), *_litellm_clients()]))
            _clients.reset(clients)
            _runner.reset(loop)


async def _close(clients: list[Any]) -> None:
    for client in clients:
        if hasattr(client, "aclose"):
            # Connections of an event loop that is over cannot be closed any more.
            with suppress(RuntimeError):
                await client.aclose()
        else:
            client.close()


def _litellm_clients() -> list[Any]:
    """Empty LiteLLM's cache of clients; they would live on, with connections to labs that ended."""
    if "litellm" not in sys.modules:
        return []
    cache = sys.modules["litellm"].in_memory_llm_clients_cache
    cached = [client._client for client in cache.cache_dict.values() if hasattr(client, "_client")]
    cache.flush_cache()
    return cached


async def close_now() -> None:
    """Close every connection while the event loop that they were used in still runs."""
    opened = _clients.get()
    await _close([*opened, *_litellm_clients()])
    opened.clear()


def forget_lost_clients() -> None:
    """Collect what LiteLLM loses where several threads ask first: all but one of their clients.

    To be called by whoever asks in threads, or a later test is blamed for the open connections.
    """
    with warnings.catch_warnings(action="ignore", category=ResourceWarning):
        gc.collect()


def close_later(*clients: Any) -> None:
    """Close these clients, of httpx or of httpx2, when the test ends."""
    _clients.get().extend(clients)


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine in the event loop of this test."""
    return _runner.get().run(coroutine)
