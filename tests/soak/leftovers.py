"""What is still there when it should be over: tasks, threads, sockets."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import litellm

__all__ = ["close_clients", "close_clients_of_loop", "sockets", "tasks_left", "threads"]

_DESCRIPTORS = Path("/proc/self/fd")
# One thread that looks after all limits, and the pool in which LiteLLM logs.
_STAY = ("capability-router-hang-up", "litellm-logging")
_SETTLES_S = 30.0


async def tasks_left() -> list[str]:
    """Return the tasks of this loop that do not end, in words; LiteLLM's logger lives as long."""
    end = time.monotonic() + _SETTLES_S
    # Generators that are collected meanwhile are closed in tasks of their own.
    while (others := _tasks()) and time.monotonic() < end:
        await asyncio.wait(others, timeout=_SETTLES_S)
    return [_described(task) for task in others]


def _described(task: asyncio.Task[Any]) -> str:
    """Tell what a task is and where it waits; one that closes a generator only has hold of that."""
    held = [each for each in gc.get_referents(task.get_coro()) if hasattr(each, "ag_frame")]
    return f"{task!r} {held!r} {[each.ag_frame for each in held]!r}"[:600]


def _tasks() -> set[asyncio.Task[Any]]:
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    return {task for task in tasks if "LoggingWorker" not in str(task.get_coro())}


def threads() -> list[str]:
    """Return the names of the threads that run, but for those that are meant to stay."""
    names = (thread.name for thread in threading.enumerate())
    return sorted(name for name in names if not name.startswith(_STAY))


def sockets() -> int:
    """Count the open sockets of this process; 0 where the system does not tell."""
    return sum(target.startswith("socket:") for target in _targets())


def _targets() -> Iterator[str]:
    for descriptor in _DESCRIPTORS.iterdir() if _DESCRIPTORS.exists() else ():
        # The folder that is being read is in it, and gone by now.
        with suppress(FileNotFoundError):
            yield str(descriptor.readlink())


async def close_clients_of_loop() -> None:
    """Close the clients that LiteLLM keeps for this event loop."""
    ending = f"-{id(asyncio.get_running_loop())}"
    for client in _taken_out(lambda name: name.endswith(ending)):
        await client.aclose()


def close_clients() -> None:
    """Close the clients that LiteLLM keeps for threads."""
    for client in _taken_out(lambda name: "is_async=False" in name):
        client.close()


def _taken_out(which: Callable[[str], bool]) -> list[Any]:
    cache: Any = litellm.in_memory_llm_clients_cache
    taken = [cache.cache_dict.pop(name) for name in filter(which, list(cache.cache_dict))]
    return [client._client for client in taken if hasattr(client, "_client")]
