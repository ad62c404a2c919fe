"""One real server for each worker, and a namespace of its own for each test."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from uuid import uuid4

import pytest

from capability_router.storage.redis_store import RedisStore
from tests.storage.servers import Server


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
def open_store(valkey_url: str, namespace: str) -> Iterator[Callable[[], RedisStore]]:
    """Make clients of one store that is this test's own, and close them after it."""
    stores: list[RedisStore] = []

    def opened() -> RedisStore:
        # Much longer than any answer takes, so that a busy machine breaks no test.
        stores.append(RedisStore(valkey_url, namespace=namespace, timeout_s=30.0))
        return stores[-1]

    yield opened
    for store in stores:
        store.close()
