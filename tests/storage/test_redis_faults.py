"""What a store says when its Redis or Valkey server cannot be used, and what has happened then."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from redis import exceptions

from capability_router.storage.redis_faults import store_error
from capability_router.storage.redis_store import RedisStore
from capability_router.storage.store import (
    Draw,
    Exchange,
    StoreError,
    StoreFault,
    Write,
)
from tests.storage.proxy import Proxy
from tests.storage.servers import Server, client_of, free_port

Open = Callable[..., RedisStore]
Start = Callable[..., Server]

SHORT_S = 0.2
WRITE = Exchange("a", writes=[Write("x", "1")], draws=[Draw("m", 10, want=3)])


def fault_of(store: RedisStore, exchange: Exchange = WRITE) -> StoreError:
    with pytest.raises(StoreError) as raised:
        store.exchange(exchange)
    return raised.value


def settled(store: RedisStore) -> RedisStore:
    """Return a store whose connections are there, however long that took on a busy machine."""
    while True:
        try:
            store.listen(0)
            store.exchange(Exchange("a"))
        except StoreError:
            continue
        return store


def kept(server: Server) -> list[bytes]:
    with server.client() as raw:
        keys: list[bytes] = raw.keys()
        return keys


def keys_of(store: RedisStore) -> list[str]:
    entries = store.exchange(Exchange("reader", snapshot=True)).entries
    return [entry.key for entry in entries or ()]


def test_server_that_is_not_there_is_unreachable(open_store: Open) -> None:
    store = open_store(f"redis://127.0.0.1:{free_port()}")
    for use in (lambda: store.exchange(WRITE), lambda: store.listen(0)):
        with pytest.raises(StoreError, match="start the server, or correct the address") as raised:
            use()
        assert raised.value.fault is StoreFault.UNREACHABLE


def test_name_that_is_no_host_is_unreachable(open_store: Open) -> None:
    assert fault_of(open_store("redis://no.such.host.invalid")).fault is StoreFault.UNREACHABLE


def test_server_that_was_killed_is_unreachable_and_then_another_store(
    start: Start, open_store: Open
) -> None:
    server = start()
    store = open_store(server.url)
    store.listen(0)
    before = store.exchange(WRITE)
    server.kill()
    assert fault_of(store).fault is StoreFault.UNREACHABLE
    with pytest.raises(StoreError):
        store.listen(30)
    server.start()
    assert list(store.listen(0)) == []
    after = store.exchange(Exchange("a", snapshot=True))
    assert (after.store != before.store, after.entries) == (True, ())


def test_way_that_leads_nowhere_is_slow_and_heals(valkey_url: str, open_store: Open) -> None:
    with Proxy(port_of(valkey_url)) as proxy:
        store = open_store(f"redis://127.0.0.1:{proxy.port}", timeout_s=SHORT_S)
        before = open_store().exchange(WRITE)
        proxy.swallow()
        assert fault_of(store).fault is StoreFault.SLOW
        assert fault_of(store).fault is StoreFault.SLOW
        proxy.heal()
        patient = open_store(f"redis://127.0.0.1:{proxy.port}")
        assert patient.exchange(Exchange("b")).store == before.store


def test_way_that_is_closed_is_unreachable_and_heals(valkey_url: str, open_store: Open) -> None:
    with Proxy(port_of(valkey_url)) as proxy:
        store = open_store(f"redis://127.0.0.1:{proxy.port}")
        before = store.exchange(WRITE)
        proxy.refuse()
        for _ in range(2):
            assert fault_of(store).fault is StoreFault.UNREACHABLE
        proxy.heal()
        assert store.exchange(Exchange("a")).store == before.store


def test_answer_that_is_lost_on_its_way_leaves_all_of_the_exchange_done(
    valkey_url: str, open_store: Open
) -> None:
    with Proxy(port_of(valkey_url)) as proxy:
        store = open_store(f"redis://127.0.0.1:{proxy.port}")
        store.exchange(Exchange("a"))
        proxy.drop_next_answer()
        assert fault_of(store).fault is StoreFault.UNREACHABLE
        answer = open_store().exchange(Exchange("b", draws=[Draw("m", 10)], snapshot=True))
        assert [entry.key for entry in answer.entries or ()] == ["x"]
        assert answer.shares[0].reserved == 3
        # The next call connects anew, and tries once.
        assert store.exchange(Exchange("a")).store == answer.store
        assert proxy.connections == 2


def test_listener_whose_connection_is_cut_says_so_once_and_hears_again(
    valkey_url: str, open_store: Open
) -> None:
    with Proxy(port_of(valkey_url)) as proxy:
        listener, writer = open_store(f"redis://127.0.0.1:{proxy.port}"), open_store()
        listener.listen(0)
        proxy.cut()
        with pytest.raises(StoreError) as raised:
            listener.listen(30)
        assert raised.value.fault is StoreFault.UNREACHABLE
        assert list(listener.listen(0)) == []
        writer.exchange(WRITE)
        assert [news.entries[0].key for news in listener.listen(30)] == ["x"]


def test_listener_does_not_stay_deaf_where_the_exchange_of_the_same_store_failed(
    valkey_url: str, open_store: Open
) -> None:
    with Proxy(port_of(valkey_url)) as proxy:
        store = settled(open_store(f"redis://127.0.0.1:{proxy.port}", timeout_s=SHORT_S))
        proxy.swallow()
        fault_of(store)
        with pytest.raises(StoreError, match="another connection"):
            store.listen(30)


def test_news_that_come_in_pieces_are_heard_whole(valkey_url: str, open_store: Open) -> None:
    with Proxy(port_of(valkey_url), delay_s=0.01) as proxy:
        listener, writer = open_store(f"redis://127.0.0.1:{proxy.port}"), open_store()
        listener.listen(0)
        many = [Write(f"x{i}", f'"{"y" * 1000}"') for i in range(1000)]
        writer.exchange(Exchange("a", writes=many))
        writer.exchange(Exchange("a", writes=[Write("last", "1")]))
        heard = list(listener.listen(30))
        while sum(len(news.entries) for news in heard) < 1001:
            heard += listener.listen(30)
        assert [len(news.entries) for news in heard] == [1000, 1]


def test_server_that_pauses_is_slow(start: Start, open_store: Open) -> None:
    server = start()
    store = settled(open_store(server.url, timeout_s=SHORT_S))
    with server.client() as raw:
        raw.client_pause(600_000, all=False)
        assert fault_of(store).fault is StoreFault.SLOW
        raw.client_unpause()
    assert keys_of(open_store(server.url)) is not None


def test_server_that_is_busy_with_another_script_is_slow(start: Start, open_store: Open) -> None:
    server = start("busy-reply-threshold 1")
    store = open_store(server.url)
    with server.client() as raw, ThreadPoolExecutor(1) as threads:
        endless = threads.submit(server.client().eval, "while true do end", 0)
        while True:
            try:
                raw.ping()
            except exceptions.ResponseError:
                break
        found = fault_of(store)
        raw.script_kill()
        with pytest.raises(exceptions.ResponseError):
            endless.result()
    assert found.fault is StoreFault.SLOW
    assert "SCRIPT KILL" in str(found)
    assert keys_of(store) == []


def test_full_server_refuses_and_keeps_what_it_has(start: Start, open_store: Open) -> None:
    server = start("maxmemory-policy noeviction")
    store = open_store(server.url)
    store.listen(0)
    store.exchange(Exchange("a", writes=[Write("before", "1")]))
    with server.client() as raw:
        raw.config_set("maxmemory", 1)
        found = fault_of(store)
        assert found.fault is StoreFault.FULL
        assert "maxmemory" in str(found)
        raw.config_set("maxmemory", 0)
    assert keys_of(store) == ["before"]
    assert [news.entries[0].key for news in store.listen(30)] == ["before"]


def test_replica_is_read_only(start: Start, open_store: Open) -> None:
    server = start()
    store = open_store(server.url)
    store.exchange(WRITE)
    with server.client() as raw:
        raw.execute_command("REPLICAOF", "127.0.0.1", free_port())
        found = fault_of(store)
        assert found.fault is StoreFault.READ_ONLY
        assert "primary" in str(found)
        raw.config_set("replica-serve-stale-data", "no")
        assert fault_of(store).fault is StoreFault.READ_ONLY
        raw.execute_command("REPLICAOF", "NO", "ONE")
    assert keys_of(store) == ["x"]


def test_server_without_enough_replicas_is_read_only(start: Start, open_store: Open) -> None:
    server = start("min-replicas-to-write 1")
    assert fault_of(open_store(server.url)).fault is StoreFault.READ_ONLY
    assert kept(server) == []


def test_password_that_is_wrong_or_missing_is_told_without_it(
    start: Start, open_store: Open
) -> None:
    server = start("requirepass s3cr3t-of-the-server")
    place = f"127.0.0.1:{server.port}"
    for user in ("", ":wr0ng-pass@", "somebody:wr0ng-pass@"):
        store = open_store(f"redis://{user}{place}")
        found = fault_of(store)
        assert found.fault is StoreFault.UNREACHABLE
        assert "password" in str(found)
        assert place in str(found)
        for text in (str(found), repr(found), repr(store), repr(found.__cause__)):
            assert "wr0ng-pass" not in text
    right = open_store(f"redis://:s3cr3t-of-the-server@{place}")
    assert right.exchange(WRITE).written[0].value == "1"
    assert "s3cr3t" not in repr(right)


@pytest.mark.parametrize(
    ("rules", "remedy"),
    [
        (("+@all", "~*", "resetchannels"), "&capability-router:*"),
        (("+@all", "-@scripting", "~*", "&*"), "~capability-router:*"),
        (("+@all", "-hset", "~*", "&*"), "~capability-router:*"),
        (("+@all", "~other:*", "&*"), "~capability-router:*"),
    ],
)
def test_user_who_may_not_do_what_is_needed_changes_nothing(
    start: Start, open_store: Open, rules: tuple[str, ...], remedy: str
) -> None:
    server = start()
    with server.client() as raw:
        raw.execute_command("ACL", "SETUSER", "app", "on", ">word", *rules)
    found = fault_of(open_store(f"redis://app:word@127.0.0.1:{server.port}"))
    assert found.fault is StoreFault.UNREACHABLE
    assert remedy in str(found)
    assert kept(server) == []


@pytest.mark.parametrize("command", ["EVALSHA", "HMGET", "HSET"])
def test_server_that_lacks_a_command_is_outdated(
    start: Start, open_store: Open, command: str
) -> None:
    server = start(f'rename-command {command} ""')
    found = fault_of(open_store(server.url))
    assert found.fault is StoreFault.OUTDATED
    assert "Redis 5 or newer" in str(found)
    assert kept(server) == []


@pytest.mark.parametrize(
    ("error", "fault"),
    [
        (exceptions.BusyLoadingError("Redis is loading the dataset"), StoreFault.UNREACHABLE),
        (exceptions.ResponseError("MISCONF Redis is configured to save"), StoreFault.READ_ONLY),
        (exceptions.ResponseError("UNKILLABLE Sorry"), StoreFault.SLOW),
        (exceptions.ClusterDownError("Hash slot not served"), StoreFault.UNREACHABLE),
        (exceptions.TryAgainError("Multiple keys"), StoreFault.UNREACHABLE),
        # As servers before Redis 7 wrap what happens in a script.
        (
            exceptions.ResponseError(
                "Error running script (call to f_1): @user_script:1: -OOM command not allowed"
            ),
            StoreFault.FULL,
        ),
        (
            exceptions.ResponseError(
                "Error running script (call to f_1): @user_script: 1: "
                "Write commands not allowed after non deterministic commands"
            ),
            StoreFault.OUTDATED,
        ),
        (OSError("no route to host"), StoreFault.UNREACHABLE),
        (exceptions.ConnectionError(), StoreFault.UNREACHABLE),
    ],
)
def test_what_no_server_here_can_be_made_to_say_is_understood(
    error: Exception, fault: StoreFault
) -> None:
    found = store_error("redis://host:1", error)
    assert found.fault is fault
    assert str(found).startswith("redis://host:1: ")


def test_little_is_repeated_of_what_a_server_says() -> None:
    found = store_error("redis://host:1", exceptions.ResponseError("unknown " + "x" * 10_000))
    assert len(str(found)) < 400


def test_closing_waits_for_an_exchange_under_way(valkey_url: str, open_store: Open) -> None:
    with Proxy(port_of(valkey_url)) as proxy, ThreadPoolExecutor(2) as threads:
        store = open_store(f"redis://127.0.0.1:{proxy.port}")
        store.exchange(Exchange("a"))
        proxy.swallow()
        asked = threads.submit(store.exchange, WRITE)
        proxy.swallowed.wait()
        closed = threads.submit(store.close)
        proxy.heal()
        assert asked.result().written[0].value == "1"
        assert closed.result() is None


def port_of(url: str) -> int:
    with client_of(url) as raw:
        port: int = raw.connection_pool.connection_kwargs.get("port", 6379)
    return port
