"""Where a Redis or Valkey server is, or a cluster, or the Sentinels that know the primary.

Knows addresses and what the client takes, and calls nobody. Passwords stay in the options: what
is shown of an address has none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import SplitResult, urlsplit

from redis import connection
from redis.connection import Connection

__all__ = ["RedisAddress"]

_PARSED: Callable[[str], dict[str, Any]] = connection.parse_url  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]  # the client has no types here
_ALIASES = {"valkey": "redis", "valkeys": "rediss"}
_KINDS = ("cluster", "sentinel")
_SCHEMES = ("redis", "rediss", "unix", "valkey", "valkeys")
_PORTS = {"sentinel": 26379}
_PORT = 6379


@dataclass(frozen=True, slots=True)
class RedisAddress:
    """Where to find the data.

    Attributes:
        shown: The address without user, password and options.
        kind: ``"server"``, ``"cluster"`` or ``"sentinel"``.
        hosts: Names and ports: of the server, of some nodes, or of the Sentinels.
        master: Name of the primary that the Sentinels know; else empty.
        options: What the client takes for a connection, passwords among them.
        sentinel_options: The same for connections to the Sentinels.
    """

    shown: str
    kind: str
    hosts: tuple[tuple[str, int], ...]
    master: str
    options: Mapping[str, Any] = field(repr=False)
    sentinel_options: Mapping[str, Any] = field(repr=False)

    @property
    def database(self) -> int:
        """The number of the database."""
        return int(self.options.get("db") or 0)

    @classmethod
    def parse(cls, url: str, timeout_s: float) -> RedisAddress:
        """Read an address.

        Args:
            url: ``redis://``, ``rediss://`` (TLS) or ``unix://`` as the client takes them, with
                ``valkey://`` and ``valkeys://`` as other names;
                ``redis+cluster://HOST:PORT,HOST:PORT``; or
                ``redis+sentinel://HOST:PORT,HOST:PORT/MASTER/DATABASE``, where user and password
                are those of the data, and those of the Sentinels are ``sentinel_username`` and
                ``sentinel_password`` in the query. ``rediss+`` means TLS everywhere.
            timeout_s: Seconds for a connection, and for an answer, > 0.

        Raises:
            ValueError: If the address cannot be read; what it says names no password.
        """
        parts, kind = _split(url)
        user, at, listed = parts.netloc.rpartition("@")
        hosts = tuple(_host(item, _PORTS.get(kind, _PORT)) for item in listed.split(","))
        master, database = _inside(parts, kind, hosts)
        # The client reads one host, and takes a database that is no number for none.
        place = parts.netloc if kind == "server" else f"{user}{at}"
        options = _read(f"{parts.scheme}://{place}{database}?{parts.query}")
        sentinel = {
            name: options.pop(f"sentinel_{name}")
            for name in ("username", "password")
            if f"sentinel_{name}" in options
        }
        options |= _once(timeout_s)
        _check(options)
        tls = {
            name: value
            for name, value in options.items()
            if name.startswith("ssl_") or name == "connection_class"
        }
        return cls(
            _shown(parts, kind, hosts, master),
            kind,
            hosts,
            master,
            options,
            {**tls, **sentinel, **_once(timeout_s)},
        )


def _split(url: str) -> tuple[SplitResult, str]:
    parts = urlsplit(url)
    scheme, _, kind = parts.scheme.partition("+")
    if scheme not in _SCHEMES or (kind and (kind not in _KINDS or scheme == "unix")):
        raise ValueError(
            f"the scheme {parts.scheme!r} is unknown: redis, rediss, unix, valkey or valkeys, "
            "or redis+cluster, redis+sentinel"
        )
    if parts.fragment or "@" in parts.path + parts.query:
        raise ValueError(
            "the address has a '#' or an '@' behind the host: write those of a password as "
            "%23 and %40, and its '/' as %2F"
        )
    return parts._replace(scheme=_ALIASES.get(scheme, scheme)), kind or "server"


def _inside(parts: SplitResult, kind: str, hosts: tuple[tuple[str, int], ...]) -> tuple[str, str]:
    """Return the name of the primary, and the path without it."""
    if parts.scheme == "unix":
        return "", parts.path
    master, database = "", parts.path.strip("/")
    if kind == "sentinel":
        master, _, database = database.partition("/")
        if not master:
            raise ValueError(
                "the address of Sentinels lacks the name of the primary: "
                "redis+sentinel://HOST:PORT,HOST:PORT/MASTER"
            )
    if database and (kind == "cluster" or not database.isdecimal()):
        raise ValueError(
            f"the address has {database!r} where a number of a database may be, and for a cluster "
            "nothing: leave it out"
        )
    if kind == "server" and len(hosts) > 1:
        raise ValueError(
            "the address names several hosts: say redis+cluster:// or redis+sentinel://"
        )
    return master, f"/{database}"


def _host(text: str, port: int) -> tuple[str, int]:
    try:
        parts = urlsplit(f"//{text}")
        return parts.hostname or "localhost", parts.port or port
    except ValueError:
        # What the standard library says repeats what may be a part of a password.
        raise ValueError(
            "a port in the address is no number from 1 to 65535: write special characters of a "
            "password percent-encoded"
        ) from None


def _read(url: str) -> dict[str, Any]:
    try:
        return _PARSED(url)
    except ValueError as error:
        # Without the error before it, which repeats the value.
        raise ValueError(str(error)) from None


def _once(timeout_s: float) -> dict[str, Any]:
    """What holds for every connection, whatever the address says."""
    return {
        "socket_timeout": timeout_s,
        "socket_connect_timeout": timeout_s,
        "health_check_interval": 0,
        # The newer one would add greetings and pushed messages.
        "protocol": 2,
        "decode_responses": True,
        "encoding": "utf-8",
        "encoding_errors": "replace",
    }


def _check(options: Mapping[str, Any]) -> None:
    """Find an option that no connection knows, before there is one."""
    kind = options.get("connection_class", Connection)
    try:
        kind(**{name: value for name, value in options.items() if name != "connection_class"})
    except TypeError as error:
        raise ValueError(f"an option in the query of the address is unknown: {error}") from None


def _shown(parts: SplitResult, kind: str, hosts: tuple[tuple[str, int], ...], master: str) -> str:
    if parts.scheme == "unix":
        return f"unix://{parts.path}"
    scheme = parts.scheme if kind == "server" else f"{parts.scheme}+{kind}"
    listed = ",".join(
        f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in hosts
    )
    return f"{scheme}://{listed}/{master}" if master else f"{scheme}://{listed}"
