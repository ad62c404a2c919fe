"""One real server for each worker, and a namespace of its own for each test."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from capability_router.storage.redis_store import RedisStore
from tests.storage.servers import Server, client_of

Open = Callable[..., RedisStore]
Start = Callable[..., Server]

# Much longer than any answer takes, so that a busy machine breaks no test.
PATIENT_S = 30.0


@pytest.fixture(scope="session")
def valkey_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where a server is: the one that ``REDIS_URL`` names, or one of this worker's own."""
    url = os.environ.get("REDIS_URL")
    if url:
        yield url
        return
    server = Server(tmp_path_factory.mktemp("server"))
    yield server.url
    server.kill()


@pytest.fixture
def namespace() -> str:
    return uuid4().hex


@pytest.fixture
def open_store(valkey_url: str, namespace: str) -> Iterator[Open]:
    """Make clients of a store that is this test's own, on any server, and close them after it."""
    stores: list[RedisStore] = []

    def opened(url: str = valkey_url, timeout_s: float = PATIENT_S) -> RedisStore:
        stores.append(RedisStore(url, namespace=namespace, timeout_s=timeout_s))
        return stores[-1]

    yield opened
    for store in stores:
        store.close()


@pytest.fixture
def key(namespace: str) -> str:
    return f"capability-router:{namespace}"


@pytest.fixture
def raw(valkey_url: str) -> Iterator[Any]:
    """A client that sees what the store keeps."""
    with client_of(valkey_url) as client:
        yield client


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start servers of this test's own, with lines of their configuration."""
    servers: list[Server] = []

    def started(*options: str, sentinel: tuple[str, ...] = ()) -> Server:
        servers.append(Server(tmp_path, *options, sentinel=sentinel))
        return servers[-1]

    yield started
    for server in servers:
        server.kill()
