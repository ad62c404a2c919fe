"""Which event loop the async clients of chat models live in.

An async client keeps connections that only one event loop can read: used from a second one at the
same time it waits for ever, and libraries share one client among all chat models of a process.
Knows no chat model.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from threading import Lock
from weakref import ReferenceType, ref

from capability_router.failures import causes

__all__ = ["STALE_CONNECTIONS", "is_of_a_closed_loop", "is_the_clients_loop"]

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
