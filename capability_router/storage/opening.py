"""From what a configuration says of shared state to the store itself."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import cast

from capability_router.engine.blueprint import StateSpec
from capability_router.storage.addresses import IN_MEMORY, scheme_of, sqlite_path
from capability_router.storage.store import StateStore

__all__ = ["open_store"]


def open_store(state: StateSpec | None) -> StateStore | None:
    """Make the store that a configuration names; what it needs is imported now.

    Nothing is asked of a server or a file yet: whether that works shows with the first exchange.

    Args:
        state: Which one; None for none.

    Returns:
        The store; None if nothing is shared.

    Raises:
        ImportError: If it belongs to an extra that is not installed; the message names it.
        ValueError: If the address cannot be one of a store.
    """
    address = "" if state is None else state.url.reveal()
    if state is None or scheme_of(address) == IN_MEMORY:
        return None
    path = sqlite_path(address)
    if path is not None:
        return _found("sqlite_store", "SqliteStore")(path)
    try:
        make = _found("redis_store", "RedisStore")
    except ImportError as error:
        raise ImportError(
            "shared state on a server needs an optional package:"
            " pip install 'capability-router[redis]'",
            name=error.name,
        ) from error
    return make(address, namespace=state.namespace)


def _found(module: str, name: str) -> Callable[..., StateStore]:
    found = import_module(f"capability_router.storage.{module}")
    return cast("Callable[..., StateStore]", getattr(found, name))
