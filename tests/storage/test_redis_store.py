"""What the store on Redis or Valkey does beyond what every store does."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from math import inf
from pathlib import Path
from typing import Any

import pytest

from capability_router.storage.redis_store import RedisStore
from capability_router.storage.store import (
    Claim,
    Draw,
    Exchange,
    StoreError,
    StoreFault,
    Write,
)
from tests.storage.servers import Server

Open = Callable[..., RedisStore]


def test_weight_and_expiry_come_back_to_the_last_digit(open_store: Open) -> None:
    here, there = open_store(), open_store()
    there.listen(0)
    expires_at = here.exchange(Exchange("a")).now + 1e5 / 3
    write = Write("x", '"y"', weight=1 / 3, expires_at=expires_at)
    written = here.exchange(Exchange("a", writes=[write, Write("z", "{}", weight=inf)])).written
    assert (written[0].weight, written[0].expires_at) == (1 / 3, expires_at)
    (news,) = there.listen(30)
    assert news.entries == written


@pytest.mark.parametrize(
    "value",
    [
        '"\\ud83d"',
        '"\\udc00 x \\\\ud83d"',
        "Infinity",
        "NaN",
        "1e400",
        '"\x7f\u2028"',
        "[[[]]]",
        '""',
    ],
)
def test_what_python_writes_as_json_is_no_corrupt_entry(open_store: Open, value: str) -> None:
    store = open_store()
    store.exchange(Exchange("a", writes=[Write("x", value)]))
    answer = store.exchange(Exchange("a", snapshot=True))
    assert answer.corrupt == ()
    assert [entry.value for entry in answer.entries or ()] == [value]


def test_text_that_is_none_breaks_no_exchange(open_store: Open) -> None:
    store = open_store()
    store.exchange(Exchange("\ud83d", writes=[Write("x\ud83d", '"\ud83d"')]))
    entries = store.exchange(Exchange("a", snapshot=True)).entries or ()
    assert [(entry.key, entry.value) for entry in entries] == [("x?", '"?"')]


def test_entry_that_one_exchange_changes_twice_is_told_once(open_store: Open) -> None:
    store = open_store()
    store.listen(0)
    writes = [Write("x", "1"), Write("x", "2", weight=1.0), Write("x", "3", weight=0.5)]
    written = store.exchange(Exchange("a", writes=writes)).written
    assert [entry.value for entry in written] == ["1", "2", "2"]
    (news,) = store.listen(30)
    assert [entry.value for entry in news.entries] == ["2"]


def test_exchange_is_few_commands_however_many_limits_it_is_about(
    start: Callable[..., Server], open_store: Open
) -> None:
    server = start()
    store = open_store(server.url)
    exchange_of(store, 80)

    def commands(limits: int) -> int:
        with server.client() as raw:
            raw.ping()
            before = raw.info("stats")
            exchange_of(store, limits)
            after = raw.info("stats")
        return int(after["total_commands_processed"]) - int(before["total_commands_processed"]) - 1

    # The script, and in it the time, one command that reads and one that writes.
    assert (commands(1), commands(80)) == (4, 4)


def exchange_of(store: RedisStore, limits: int) -> None:
    draws = [Draw(f"limit-{i}", 100, 1.0, want=1) for i in range(limits)]
    store.exchange(Exchange("a", draws=draws, claims=[Claim("x")]))


def test_everything_of_a_namespace_is_one_key(open_store: Open, raw: Any, key: str) -> None:
    everything = Exchange(
        "a", [Write("x", "1")], [Draw("m", 1, want=1)], [Claim("c")], ["d"], snapshot=True
    )
    open_store().exchange(everything)
    assert raw.keys(f"{key}*") == [key.encode()]
    assert set(raw.hgetall(key)) == {
        *(b"meta", b"entry:x", b"meter:0 0 m", b"holds:a", b"claim:c"),
    }


def test_namespaces_do_not_hear_or_see_each_other(valkey_url: str, open_store: Open) -> None:
    here = open_store()
    here.listen(0)
    there = RedisStore(valkey_url, namespace="another", timeout_s=30)
    there.exchange(Exchange("a", writes=[Write("x", "1", expires_at=1.0)]))
    there.close()
    assert list(here.listen(0)) == []
    assert here.exchange(Exchange("b", snapshot=True)).entries == ()


def test_databases_do_not_hear_each_other(valkey_url: str, open_store: Open) -> None:
    first, second = open_store(f"{valkey_url}/0"), open_store(f"{valkey_url}/1")
    first.listen(0)
    second.exchange(Exchange("a", writes=[Write("x", "1", expires_at=1.0)]))
    assert list(first.listen(0)) == []


def test_emptied_store_has_another_name(open_store: Open, raw: Any, key: str) -> None:
    store = open_store()
    before = store.exchange(Exchange("a", writes=[Write("x", "1")]))
    raw.delete(key)
    after = store.exchange(Exchange("a", snapshot=True))
    assert after.store != before.store
    assert after.entries == ()


def test_script_that_the_server_forgot_is_sent_again(open_store: Open, raw: Any) -> None:
    store = open_store()
    store.exchange(Exchange("a", writes=[Write("x", "1")]))
    raw.script_flush()
    assert store.exchange(Exchange("a", snapshot=True)).entries != ()


def test_what_is_used_by_a_clock_ahead_counts_in_the_bucket_of_now(open_store: Open) -> None:
    store = open_store()
    now = int(store.exchange(Exchange("a")).now)
    (share,) = store.exchange(Exchange("a", draws=[Draw("m", 9, 1.0, used={now + 900: 5})])).shares
    assert share.used == 5
    assert share.frees_at < now + 900


def test_what_has_left_the_window_cannot_be_given_back(open_store: Open) -> None:
    store, other = open_store(), open_store()
    now = int(store.exchange(Exchange("a")).now)
    store.exchange(Exchange("a", draws=[Draw("m", 100, 1.0, want=100)]))
    back = Draw("m", 100, 1.0, used={now - 600: -40, now - 5: -30}, want=100)
    (share,) = other.exchange(Exchange("b", draws=[back])).shares
    assert (share.used, share.reserved, share.held) == (0, 100, 0)


def test_limits_that_are_seldom_used_do_not_make_each_exchange_read_everything(
    start: Callable[..., Server], open_store: Open
) -> None:
    server = start()
    one, other = open_store(server.url), open_store(server.url)
    for _ in range(10):
        one.exchange(Exchange("a", draws=[Draw("m", 9, 1.0)]))
        other.exchange(Exchange("b", draws=[Draw("n", 9, 1.0)]))
    with server.client() as raw:
        calls = raw.info("commandstats")
    assert calls["cmdstat_hgetall"]["calls"] == 2


def test_something_else_on_the_channel_is_told(open_store: Open, raw: Any, key: str) -> None:
    store = open_store()
    store.listen(0)
    for text in ("hello", "[]", '["1","2","x"]', "7"):
        raw.publish(f"{key}:0", text)
        with pytest.raises(StoreError, match="something else is told") as raised:
            store.listen(30)
        assert raised.value.fault is StoreFault.CORRUPT
    store.exchange(Exchange("a", writes=[Write("x", "1")]))
    assert len(store.listen(30)) == 1


def test_store_that_was_closed_says_so(open_store: Open) -> None:
    store = open_store()
    store.exchange(Exchange("a"))
    store.close()
    for use in (lambda: store.exchange(Exchange("a")), lambda: store.listen(0)):
        with pytest.raises(StoreError, match="was closed: make another store"):
            use()


def test_child_of_a_fork_has_connections_of_its_own(
    valkey_url: str, namespace: str, tmp_path: Path
) -> None:
    script = tmp_path / "forks.py"
    script.write_text(
        f"""
import os
from capability_router.storage.redis_store import RedisStore
from capability_router.storage.store import Exchange, Write

store = RedisStore({valkey_url!r}, namespace={namespace!r}, timeout_s=30)
store.exchange(Exchange("parent"))
store.listen(0)
if child := os.fork():
    assert os.waitpid(child, 0)[1] == 0
    store.exchange(Exchange("parent", writes=[Write("y", "2", base=1)]))
    heard = []
    while len(heard) < 2:
        heard += [entry.key for news in store.listen(30) for entry in news.entries]
    assert heard == ["x", "y"], heard
else:
    assert list(store.listen(0)) == []
    store.exchange(Exchange("child", writes=[Write("x", "1")]))
    assert [entry.key for news in store.listen(30) for entry in news.entries] == ["x"]
    os._exit(0)
""",
        encoding="utf-8",
    )
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, str(script)],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": str(root)},
    )
    assert done.returncode == 0, done.stderr
