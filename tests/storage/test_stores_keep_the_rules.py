"""Every store that is shipped does what is asked of a store."""

from __future__ import annotations

from collections.abc import Callable

from capability_router.storage.redis_store import RedisStore
from capability_router.testing import check_state_store


def test_store_on_a_server_keeps_the_rules(open_store: Callable[[], RedisStore]) -> None:
    check_state_store(open_store)
