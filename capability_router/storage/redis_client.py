"""A client of a Redis or Valkey server that tries everything once and says at once what failed.

Knows how scripts are run and channels are heard on a server, a cluster and by Sentinels, and not
what for. Here the types of the client end, which says of much that it may be anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha1
from typing import Any

from redis import Redis, RedisCluster, Sentinel
from redis.backoff import NoBackoff
from redis.cluster import ClusterNode
from redis.connection import ConnectionPool, SSLConnection
from redis.exceptions import NoScriptError, RedisClusterException
from redis.retry import Retry

from capability_router.storage.redis_address import RedisAddress

__all__ = ["RedisClient", "Script", "Subscription"]


class Script:
    """A Lua script, which a server keeps by its digest."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.digest = sha1(text.encode(), usedforsecurity=False).hexdigest()


class RedisClient:
    """Calls what an address names. Every method raises what ``redis_faults.ERRORS`` lists.

    A cluster is asked at once what it consists of; else nothing is connected until the first call.
    """

    def __init__(self, address: RedisAddress) -> None:
        self._asked: tuple[Any, ...] = ()
        self._client: Any
        if address.kind == "sentinel":
            self._client, self._asked = _primary(address)
        else:
            self._client = (_cluster if address.kind == "cluster" else _server)(address)

    def run(self, script: Script, key: str, *arguments: str | bytes) -> Any:
        """Run a script on the server of a key; it is sent only if the server does not know it."""
        try:
            return self._client.evalsha(script.digest, 1, key, *arguments)
        except NoScriptError:
            return self._client.eval(script.text, 1, key, *arguments)

    def subscribed(self, channel: str) -> Subscription:
        """Hear a channel from now on, on a new connection."""
        client = self._client
        if isinstance(client, RedisCluster):
            # Any node of a cluster hears all of them.
            client = client.get_redis_connection(client.get_random_node())  # type: ignore[no-untyped-call]  # the client has no types here
        return Subscription(client.connection_pool.make_connection(), channel)

    def close(self) -> None:
        """Let go of every connection but those of subscriptions."""
        if isinstance(self._client, RedisCluster):
            self._client.disconnect_connection_pools()  # type: ignore[no-untyped-call]  # the client has no types here
        for client in (self._client, *self._asked):
            client.close()


class Subscription:
    """What is told on one channel, heard on a connection of its own.

    The client's own subscription subscribes anew in silence after the connection was lost, and
    breaks off long messages that come in pieces; nobody would know that something was missed.
    """

    def __init__(self, connection: Any, channel: str) -> None:
        self._connection = connection
        try:
            connection.connect()
            connection.send_command("SUBSCRIBE", channel)
            connection.read_response()
        except BaseException:
            connection.disconnect()
            raise

    def waits(self, timeout_s: float) -> bool:
        """Return whether something was told, after waiting for it if it was not."""
        return bool(self._connection.can_read(timeout_s))

    def read(self) -> str:
        """Return what was told next."""
        return str(self._connection.read_response()[2])

    def close(self) -> None:
        """Hear no more."""
        self._connection.disconnect()


def _server(address: RedisAddress) -> Redis:
    return Redis.from_pool(ConnectionPool(retry=_once(), **address.options))


def _cluster(address: RedisAddress) -> RedisCluster:
    nodes = [ClusterNode(host, port) for host, port in address.hosts]  # type: ignore[no-untyped-call]  # the client has no types here
    options = _without_place(address.options)
    options.pop("db", None)
    try:
        return RedisCluster(startup_nodes=nodes, retry=_once(), **options)
    except IndexError as error:
        # Clients before version 6 do not expect that.
        raise RedisClusterException("no node of the cluster serves any slot") from error


def _primary(address: RedisAddress) -> tuple[Any, tuple[Any, ...]]:
    """Return a client of the primary, and those of the Sentinels, which it does not close."""
    sentinels: Any = Sentinel(  # type: ignore[no-untyped-call]  # the client has no types here
        address.hosts,
        sentinel_kwargs={**_without_place(address.sentinel_options), "retry": _once()},
    )
    primary = sentinels.master_for(address.master, retry=_once(), **_without_place(address.options))
    return primary, tuple(sentinels.sentinels)


def _once() -> Retry:
    # Whoever calls tries again when it is time; a retry here would multiply the time to wait.
    return Retry(NoBackoff(), 0)


def _without_place(options: Mapping[str, Any]) -> dict[str, Any]:
    """Say by a flag, not by a class, that connections are encrypted, and not where to."""
    kept = {name: value for name, value in options.items() if name not in {"host", "port"}}
    if kept.pop("connection_class", None) is SSLConnection:
        kept["ssl"] = True
    return kept
