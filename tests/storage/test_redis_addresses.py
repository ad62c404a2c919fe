"""Where a store can be: every form of address, and what of it is shown."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from capability_router.storage.redis_address import RedisAddress
from capability_router.storage.redis_store import RedisStore
from capability_router.storage.store import Draw, Exchange, StoreError, StoreFault, Write
from tests.storage.certificates import server_context
from tests.storage.proxy import Proxy
from tests.storage.servers import Server, free_port

Open = Callable[..., RedisStore]
Start = Callable[..., Server]

EXCHANGE = Exchange("a", writes=[Write("x", "1")], draws=[Draw("m", 10, 1.0, want=4)])


@pytest.mark.parametrize(
    ("url", "shown", "options"),
    [
        ("redis://h", "redis://h:6379", {"host": "h"}),
        ("valkey://u:p%2F%40@h:1/3", "redis://h:1", {"username": "u", "password": "p/@", "db": 3}),
        ("redis://[::1]:3", "redis://[::1]:3", {"host": "::1", "port": 3}),
        ("redis://:p@h?db=2", "redis://h:6379", {"password": "p", "db": 2}),
        ("valkeys://h?ssl_ca_certs=/a.pem", "rediss://h:6379", {"ssl_ca_certs": "/a.pem"}),
        ("unix://u:p@/run/x.sock?db=1", "unix:///run/x.sock", {"path": "/run/x.sock", "db": 1}),
        ("redis://h?socket_timeout=60&retry_on_timeout=1", "redis://h:6379", {"socket_timeout": 1}),
        (
            "redis+cluster://u:p@a:1,b,[::1]:3",
            "redis+cluster://a:1,b:6379,[::1]:3",
            {"password": "p"},
        ),
        ("valkeys+cluster://a:1", "rediss+cluster://a:1", {}),
        (
            "redis+sentinel://:p@a:1,b/main/4?sentinel_password=q",
            "redis+sentinel://a:1,b:26379/main",
            {"password": "p", "db": 4},
        ),
    ],
)
def test_address_is_read_and_shown_without_a_secret(
    url: str, shown: str, options: dict[str, object]
) -> None:
    address = RedisAddress.parse(url, 1.0)
    assert address.shown == shown
    assert {name: address.options.get(name) for name in options} == options
    assert "password" not in repr(address)


def test_sentinels_have_a_password_of_their_own() -> None:
    address = RedisAddress.parse("rediss+sentinel://u:p@a/main?sentinel_password=q", 1.0)
    assert address.sentinel_options["password"] == "q"
    assert "username" not in address.sentinel_options
    assert "sentinel_password" not in address.options


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("http://s3cr3t@h", "scheme 'http' is unknown"),
        ("redis+sharded://h", "scheme 'redis.sharded' is unknown"),
        ("unix+cluster://h", "is unknown"),
        ("redis+sentinel://h", "lacks the name of the primary"),
        ("redis://:s3cr3t/more@h:1/0", "'@' behind the host"),
        ("redis://u:s3cr3t#more@h", "'#' or an '@'"),
        ("redis://:@h:s3cr3t", "a port in the address is no number"),
        ("redis+cluster://a:1,b:s3cr3t", "a port in the address is no number"),
        ("redis://h:99999", "a port in the address is no number"),
        ("redis://h?colour=s3cr3t", "option in the query of the address is unknown.*'colour'"),
        ("redis://h?db=s3cr3t", "'db'"),
        ("redis+cluster://h/2", "database"),
        ("redis://h/first", "'first' where a number of a database"),
        ("redis://a:1,b:2", "several hosts"),
    ],
)
def test_address_that_cannot_be_read_is_refused_without_a_secret(url: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence) as raised:
        RedisStore(url)
    assert "s3cr3t" not in str(raised.value)
    assert raised.value.__suppress_context__ or raised.value.__context__ is None


def test_nothing_is_connected_before_the_first_call() -> None:
    place = f"127.0.0.1:{free_port()}"
    for url in (f"redis://{place}", f"redis+cluster://{place}", f"redis+sentinel://{place}/main"):
        RedisStore(url).close()


def test_socket_of_this_machine_is_a_way(start: Start, open_store: Open, tmp_path: Path) -> None:
    path = tmp_path / "s"
    start(f"unixsocket {path}")
    store = open_store(f"unix://{path}")
    store.listen(0)
    assert store.exchange(EXCHANGE).shares[0].held == 4
    assert len(store.listen(30)) == 1


def test_encrypted_way_is_held_against_the_authority_that_is_named(
    start: Start, open_store: Open, tmp_path: Path
) -> None:
    context, authority = server_context(tmp_path)
    with Proxy(start().port, tls=context) as proxy:
        place = f"rediss://127.0.0.1:{proxy.port}"
        store = open_store(f"{place}?ssl_ca_certs={authority}")
        store.listen(0)
        assert store.exchange(EXCHANGE).shares[0].held == 4
        assert len(store.listen(30)) == 1
        with pytest.raises(StoreError, match="CERTIFICATE_VERIFY_FAILED") as raised:
            open_store(place).exchange(EXCHANGE)
        assert raised.value.fault is StoreFault.UNREACHABLE


def test_cluster_serves_as_one_server_does(start: Start, open_store: Open) -> None:
    server = cluster(start)
    url = f"redis+cluster://127.0.0.1:{free_port()},127.0.0.1:{server.port}"
    one, other = open_store(url), open_store(url)
    other.listen(0)
    assert one.exchange(EXCHANGE).shares[0].held == 4
    assert [news.entries[0].key for news in other.listen(30)] == ["x"]
    (share,) = other.exchange(Exchange("b", draws=[Draw("m", 10, 1.0, want=10)])).shares
    assert (share.reserved, share.held) == (4, 6)


def test_cluster_whose_node_was_killed_is_unreachable(start: Start, open_store: Open) -> None:
    server = cluster(start)
    store = open_store(f"redis+cluster://127.0.0.1:{server.port}")
    store.listen(0)
    store.exchange(EXCHANGE)
    server.kill()
    for use in (lambda: store.exchange(EXCHANGE), lambda: store.listen(30)):
        with pytest.raises(StoreError) as raised:
            use()
        assert raised.value.fault is StoreFault.UNREACHABLE


def test_cluster_that_does_not_serve_all_slots_is_unreachable(
    start: Start, open_store: Open
) -> None:
    server = start("cluster-enabled yes", f"cluster-port {free_port()}")
    for scheme in ("redis+cluster", "redis"):
        with pytest.raises(StoreError) as raised:
            open_store(f"{scheme}://127.0.0.1:{server.port}").exchange(EXCHANGE)
        assert raised.value.fault is StoreFault.UNREACHABLE


def test_single_server_is_no_cluster(start: Start, open_store: Open) -> None:
    store = open_store(f"redis+cluster://127.0.0.1:{start().port}")
    with pytest.raises(StoreError, match="say redis:// for a single server"):
        store.exchange(EXCHANGE)


def test_sentinels_are_asked_for_the_primary(start: Start, open_store: Open) -> None:
    server = start("requirepass word")
    watch = (f"sentinel monitor main 127.0.0.1 {server.port} 1", "sentinel auth-pass main word")
    sentinel = start(sentinel=watch)
    sentinels = f"127.0.0.1:{free_port()},127.0.0.1:{sentinel.port}"
    store = open_store(f"redis+sentinel://:word@{sentinels}/main/1")
    store.listen(0)
    assert store.exchange(EXCHANGE).shares[0].held == 4
    assert [news.entries[0].key for news in store.listen(30)] == ["x"]
    with pytest.raises(StoreError) as raised:
        open_store(f"redis+sentinel://:word@{sentinels}/other").exchange(EXCHANGE)
    assert raised.value.fault is StoreFault.UNREACHABLE


def cluster(start: Start) -> Server:
    """Start a cluster of one node that serves all slots."""
    server = start("cluster-enabled yes", f"cluster-port {free_port()}")
    with server.client() as raw:
        raw.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
        while raw.execute_command("CLUSTER INFO")["cluster_state"] != "ok":
            pass
    return server
