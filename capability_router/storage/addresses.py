"""Addresses of stores: which kinds there are, and what each has to look like.

Opens nothing. An address may hold a password, so no message shows more of one than its scheme.
"""

from __future__ import annotations

__all__ = ["IN_MEMORY", "ON_SERVERS", "SCHEMES", "check_address", "scheme_of", "sqlite_path"]

IN_MEMORY = "memory"
"""Scheme of the address under which nothing is shared."""

_SQLITE = "sqlite"
ON_SERVERS = (
    *("redis", "rediss", "valkey", "valkeys", "unix"),
    *("redis+cluster", "rediss+cluster", "valkey+cluster", "valkeys+cluster"),
    *("redis+sentinel", "rediss+sentinel", "valkey+sentinel", "valkeys+sentinel"),
)
"""Schemes of servers, which many may use under different names of a namespace."""

SCHEMES = (IN_MEMORY, _SQLITE, *ON_SERVERS)
"""Every scheme."""


def scheme_of(address: str) -> str:
    """Return what stands before ``://``; nothing if that is missing."""
    scheme, found, _ = address.partition("://")
    return scheme if found else ""


def check_address(address: str) -> None:
    """Check an address as far as that can be done without opening anything.

    Args:
        address: An address with one of ``SCHEMES``.

    Raises:
        ValueError: If it cannot be one, with a message that shows no part of it.
    """
    scheme = scheme_of(address)
    if not address.isprintable() or (scheme != _SQLITE and " " in address):
        raise ValueError("the address has a blank, a line break or another character of no use")
    if scheme == IN_MEMORY and address != f"{IN_MEMORY}://":
        raise ValueError("nothing follows memory://")
    if scheme == _SQLITE:
        sqlite_path(address)
    if scheme in ON_SERVERS and address == f"{scheme}://":
        raise ValueError(f"name a server, or a socket, after {scheme}://")


def sqlite_path(address: str) -> str | None:
    """Return the path of a file: relative after three slashes, absolute after four.

    Args:
        address: ``sqlite:///state.db``, ``sqlite:////var/lib/app/state.db``.

    Returns:
        The path; None if the address is another store's.

    Raises:
        ValueError: If no file is named, with a message that shows no part of the address.
    """
    if scheme_of(address) != _SQLITE:
        return None
    path = address.removeprefix("sqlite:///")
    if path == address:
        raise ValueError(
            "three slashes stand before a relative path, as in sqlite:///state.db, and four before"
            " an absolute one, as in sqlite:////var/lib/app/state.db"
        )
    if path in ("", ":memory:"):
        raise ValueError("no file is named; to share nothing, write memory://")
    if "?" in path:
        raise ValueError("a file takes no parameters; leave out what follows the question mark")
    return path
