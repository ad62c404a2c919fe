"""Why a Redis or Valkey server did not do what it was asked, and what to do about it.

Knows the errors of the client and the codes that a server's errors begin with, no exchange.
"""

from __future__ import annotations

import re

from redis import exceptions

from capability_router.storage.store import StoreError, StoreFault

__all__ = ["ERRORS", "store_error"]

ERRORS = (exceptions.RedisError, exceptions.RedisClusterException, OSError)
"""What the client raises."""

_LONGEST = 200
"""Characters that are told of what a server says: it may repeat what it was sent."""

_BY_CLASS: tuple[tuple[type[Exception], StoreFault, str], ...] = (
    (
        exceptions.AuthenticationError,
        StoreFault.UNREACHABLE,
        "give the user and the password that the server knows, percent-encoded, in the address",
    ),
    (
        exceptions.AuthorizationError,
        StoreFault.UNREACHABLE,
        "give a user that may use the server",
    ),
    (
        exceptions.BusyLoadingError,
        StoreFault.UNREACHABLE,
        "the server is loading its data: wait until it has",
    ),
    (
        exceptions.TimeoutError,
        StoreFault.SLOW,
        "look at the load of the server and the way to it, or allow more time",
    ),
    (
        exceptions.ConnectionError,
        StoreFault.UNREACHABLE,
        "start the server, or correct the address",
    ),
    (
        exceptions.RedisClusterException,
        StoreFault.UNREACHABLE,
        "name nodes of a cluster that serves all slots, or say redis:// for a single server",
    ),
    (OSError, StoreFault.UNREACHABLE, "start the server, or correct the address"),
)

_READ_ONLY = "write to the primary: correct the address, or wait for the failover"

_PERMISSIONS = (
    "give the user ~capability-router:* &capability-router:* and scripts, hashes, pub/sub"
)

_BY_CODE: dict[str, tuple[StoreFault, str]] = {
    "OOM": (StoreFault.FULL, "give the server more memory (maxmemory)"),
    "READONLY": (StoreFault.READ_ONLY, _READ_ONLY),
    "MASTERDOWN": (StoreFault.READ_ONLY, _READ_ONLY),
    "NOREPLICAS": (StoreFault.READ_ONLY, "the server wants more replicas before it writes"),
    "MISCONF": (StoreFault.READ_ONLY, "the server cannot save its data: read its log"),
    "BUSY": (StoreFault.SLOW, "another script keeps the server busy: SCRIPT KILL ends it"),
    "UNKILLABLE": (StoreFault.SLOW, "another script keeps the server busy"),
    "LOADING": (StoreFault.UNREACHABLE, "the server is loading its data: wait until it has"),
    "NOAUTH": (StoreFault.UNREACHABLE, "give user and password in the address"),
    "WRONGPASS": (StoreFault.UNREACHABLE, "correct user and password in the address"),
    "NOPERM": (StoreFault.UNREACHABLE, _PERMISSIONS),
    "ACL failure in script": (StoreFault.UNREACHABLE, _PERMISSIONS),
    "CLUSTERDOWN": (StoreFault.UNREACHABLE, "not all slots of the cluster are served"),
    "TRYAGAIN": (StoreFault.UNREACHABLE, "the cluster is moving slots: wait until it has"),
    "WRONGTYPE": (
        StoreFault.FOREIGN,
        "the key is in use by something else: choose another namespace",
    ),
}

_CODE = re.compile(rf"(?:^|[\s-])({'|'.join(_BY_CODE)})\b")

# The client cuts off the codes of these.
_CODE_BY_CLASS: tuple[tuple[type[Exception], str], ...] = (
    (exceptions.OutOfMemoryError, "OOM"),
    (exceptions.ReadOnlyError, "READONLY"),
    (exceptions.NoPermissionError, "NOPERM"),
    (exceptions.MasterDownError, "MASTERDOWN"),
    (exceptions.ClusterDownError, "CLUSTERDOWN"),
    (exceptions.TryAgainError, "TRYAGAIN"),
)

_OUTDATED = "Redis 5 or newer, or any Valkey, with Lua scripts is needed"


def store_error(place: str, error: Exception) -> StoreError:
    """Say what an error of the client means.

    Args:
        place: Address of the server, without a password.
        error: What the client raised.

    Returns:
        The error to raise, ``from`` that one.
    """
    fault, remedy = _meaning(error)
    said = str(error) or type(error).__name__
    if len(said) > _LONGEST:
        said = said[:_LONGEST] + "..."
    return StoreError(fault, f"{place}: {said.rstrip('.')}: {remedy}")


def _meaning(error: Exception) -> tuple[StoreFault, str]:
    for kind, code in _CODE_BY_CLASS:
        if isinstance(error, kind):
            return _BY_CODE[code]
    for kind, fault, remedy in _BY_CLASS:
        if isinstance(error, kind):
            return fault, remedy
    found = _CODE.search(str(error))
    if found is not None:
        return _BY_CODE[found[1]]
    return StoreFault.OUTDATED, _OUTDATED
