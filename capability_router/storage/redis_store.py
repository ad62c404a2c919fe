"""Shared state on a Redis or Valkey server: one script a step, and one channel of news.

Knows the form in which the script beside it takes an exchange and answers it. How entries, limits
and claims change is said there.
"""

from __future__ import annotations

import json
import os
import secrets
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.resources import files
from itertools import chain
from threading import Event, Lock
from typing import Any

from capability_router.storage.redis_address import RedisAddress
from capability_router.storage.redis_client import RedisClient, Script, Subscription
from capability_router.storage.redis_faults import ERRORS, store_error
from capability_router.storage.store import (
    SCHEMA_VERSION,
    Answer,
    Draw,
    Entry,
    Exchange,
    News,
    Share,
    StoreError,
    StoreFault,
    Write,
)

__all__ = ["MIGRATIONS", "RedisStore"]

MIGRATIONS: Mapping[int, str] = {}
"""By schema version, the script that makes of the hash ``KEYS[1]`` one of the next version.

Whoever finds an older one runs them, perhaps several at once: a script leaves alone what is of
another version.
"""

_EXCHANGE = Script(
    "\n".join(
        files("capability_router.storage").joinpath(f"{part}.lua").read_text(encoding="utf-8")
        for part in ("fields", "limits", "exchange")
    )
)
_BREATH_S = 0.1
"""Seconds after which one who listens looks whether there is still something to listen to."""
_NEWS_AT_ONCE = 1000
_OF_THE_CONNECTION = frozenset({StoreFault.UNREACHABLE, StoreFault.SLOW, StoreFault.READ_ONLY})


@dataclass(slots=True)
class _Side:
    """What one of the two threads that use a store has open; another process opens its own."""

    process: int = field(default_factory=os.getpid)
    lock: Lock = field(default_factory=Lock)
    client: RedisClient | None = None
    ear: Subscription | None = None

    def hang_up(self) -> None:
        if self.ear is not None:
            self.ear.close()
        if self.client is not None:
            self.client.close()
        self.client = self.ear = None


class RedisStore:
    """What processes on many hosts share, on a Redis or Valkey server.

    All of one namespace is one hash, ``capability-router:NAMESPACE``: it is on one node of a
    cluster, and evicted as a whole. Each exchange is one script of about five commands, however
    many limits it is about. News come by publish/subscribe, on a connection of their own. Moments
    are those of the server's clock. Needs Redis 5 or newer, or Valkey.

    Nothing is connected until the first call, and nothing is tried twice in one call.

    Args:
        url: See ``RedisAddress.parse``.
        namespace: What separates this from others on the same server.
        timeout_s: Seconds to wait for a connection, and for an answer, > 0.

    Raises:
        ValueError: If the address cannot be read; what it says names no password.
    """

    def __init__(self, url: str, *, namespace: str = "default", timeout_s: float = 1.0) -> None:
        self._address = RedisAddress.parse(url, timeout_s)
        self._key = f"capability-router:{namespace}"
        # A channel is one of the whole server, whatever the database.
        self._channel = f"{self._key}:{self._address.database}"
        self._closed = Event()
        self._cut = Event()
        self._speaker, self._listener = _Side(), _Side()

    def __repr__(self) -> str:
        return f"RedisStore({self._address.shown!r}, key={self._key!r})"

    def exchange(self, exchange: Exchange) -> Answer:
        """Tell and ask, in one step of the server. See ``StateStore``."""
        if self._speaker.process != os.getpid():
            self._speaker = _Side()
        with self._used(self._speaker) as client:
            return _answer(self._asked(client, exchange), exchange)

    def listen(self, timeout_s: float) -> Sequence[News]:
        """Wait for changes. See ``StateStore``."""
        if self._listener.process != os.getpid():
            self._listener = _Side()
        with self._used(self._listener) as client:
            if self._listener.ear is None:
                self._cut.clear()
                self._listener.ear = client.subscribed(self._channel)
            return self._heard(self._listener.ear, timeout_s)

    def close(self) -> None:
        """Let go of the connections; waits for an exchange under way. See ``StateStore``."""
        self._closed.set()
        for side in (self._speaker, self._listener):
            if side.process == os.getpid():
                with side.lock:
                    side.hang_up()

    @contextmanager
    def _used(self, side: _Side) -> Generator[RedisClient]:
        with side.lock:
            if self._closed.is_set():
                raise StoreError(
                    StoreFault.UNREACHABLE, f"{self._address.shown}: was closed: make another store"
                )
            try:
                side.client = side.client or RedisClient(self._address)
                yield side.client
            except ERRORS as error:
                found = store_error(self._address.shown, error)
                if found.fault in _OF_THE_CONNECTION:
                    # By name the server may be another one by now.
                    side.hang_up()
                    # A server that is gone without a word leaves a listener in silence for hours.
                    if side is self._speaker:
                        self._cut.set()
                raise found from error

    def _asked(self, client: RedisClient, exchange: Exchange) -> list[Any]:
        reply = self._run(client, exchange)
        if reply[0] == "schema" and int(reply[1]) < SCHEMA_VERSION:
            for version in range(int(reply[1]), SCHEMA_VERSION):
                if version in MIGRATIONS:
                    client.run(Script(MIGRATIONS[version]), self._key)
            reply = self._run(client, exchange)
        if reply[0] != "ok":
            raise self._refused(*reply)
        return reply

    def _run(self, client: RedisClient, exchange: Exchange) -> list[Any]:
        reply: list[Any] = client.run(
            _EXCHANGE,
            self._key,
            self._channel,
            str(SCHEMA_VERSION),
            secrets.token_hex(8),
            _encoded(_request(exchange)),
            _encoded(exchange.process),
        )
        return reply

    def _refused(self, why: str, found: str = "") -> StoreError:
        place = f"{self._address.shown}: the key {self._key!r}"
        if why == "foreign":
            return StoreError(
                StoreFault.FOREIGN, f"{place} is in use by something else: choose another namespace"
            )
        if why == "unheard":
            return StoreError(
                StoreFault.UNREACHABLE,
                f"{self._address.shown}: the user may not publish to {self._channel!r}: "
                "give it the channels &capability-router:*",
            )
        if why == "schema" and int(found) > SCHEMA_VERSION:
            return StoreError(
                StoreFault.NEWER,
                f"{place} was written by a newer version (schema {found}, known is "
                f"{SCHEMA_VERSION}): install that version here, or choose another namespace",
            )
        return StoreError(
            StoreFault.CORRUPT,
            f"{place} cannot be read (schema {found or 'unknown'}): delete the key, and all "
            "processes start anew with what they know",
        )

    def _heard(self, ear: Subscription, timeout_s: float) -> Sequence[News]:
        until = time.monotonic() + timeout_s
        while not self._closed.is_set():
            if self._cut.is_set():
                raise ConnectionResetError("another connection to the same server has failed")
            rest_s = max(0.0, until - time.monotonic())
            if ear.waits(min(rest_s, _BREATH_S)):
                return self._read(ear)
            if rest_s == 0.0:
                break
        return ()

    def _read(self, ear: Subscription) -> Sequence[News]:
        heard: list[News] = []
        while len(heard) < _NEWS_AT_ONCE:
            text = ear.read()
            try:
                heard.append(_news(json.loads(text)))
            except (ValueError, LookupError, TypeError) as error:
                raise StoreError(
                    StoreFault.CORRUPT,
                    f"{self._address.shown}: something else is told on the channel "
                    f"{self._channel!r}: choose another namespace",
                ) from error
            if not ear.waits(0):
                break
        return heard


def _request(exchange: Exchange) -> str:
    return json.dumps(
        {
            "writes": [_write(write) for write in exchange.writes],
            "draws": [_draw(draw) for draw in exchange.draws],
            "claims": [(claim.key, claim.busy) for claim in exchange.claims],
            "releases": list(exchange.releases),
            "snapshot": exchange.snapshot,
            "hold_s": exchange.hold_s,
            "claim_s": exchange.claim_s,
        },
        ensure_ascii=False,
    )


def _encoded(text: str) -> bytes:
    # Half of a pair of surrogates is no text for a server; it is in nobody's name on purpose.
    return text.encode("utf-8", "replace")


def _write(write: Write) -> tuple[object, ...]:
    # As text, which stays what it is; and JSON has no infinity.
    weight, expires_at = repr(float(write.weight)), repr(float(write.expires_at))
    return write.key, write.value, weight, expires_at, write.base, write.quiet


def _draw(draw: Draw) -> tuple[object, ...]:
    width_s = draw.width_s or 0
    name = f"{width_s} {draw.window} {draw.meter}"
    used = list(chain.from_iterable(sorted(draw.used.items())))
    return draw.meter, name, draw.capacity, width_s, draw.window, used, draw.grant, draw.want


def _answer(reply: list[Any], exchange: Exchange) -> Answer:
    _, now, store, sequence, written, shares, claimed, entries, corrupt = reply
    keys = [write.key for write in exchange.writes]
    return Answer(
        float(now),
        store,
        sequence,
        tuple(map(_entry, keys, written)),
        tuple(_share(*share) for share in shares),
        frozenset(claimed),
        None if entries is None else _entries(entries),
        tuple(corrupt),
    )


def _share(used: int, reserved: int, held: int, holders: int, frees_at: str) -> Share:
    return Share(used, reserved, held, holders, float(frees_at))


def _news(told: list[str]) -> News:
    before, after, count, *rest = told
    end = 2 * int(count)
    return News(int(before), int(after), _entries(rest[:end]), tuple(rest[end:]))


def _entries(flat: Sequence[str]) -> tuple[Entry, ...]:
    return tuple(map(_entry, flat[::2], flat[1::2]))


def _entry(key: str, text: str) -> Entry:
    version, *there = text.split(" ", 3)
    if not there:
        return Entry(key, None, version=int(version))
    weight, expires_at, value = there
    return Entry(key, value, float(weight), float(expires_at), int(version))
