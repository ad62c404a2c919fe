"""What the store does with records: damaged, over, of somebody else, of another version."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from capability_router.storage import redis_store
from capability_router.storage.redis_store import RedisStore
from capability_router.storage.store import (
    SCHEMA_VERSION,
    Claim,
    Draw,
    Exchange,
    StoreError,
    StoreFault,
    Write,
)

Open = Callable[..., RedisStore]

PACK = "return redis.call('HSET', KEYS[1], ARGV[1], cmsgpack.pack(cjson.decode(ARGV[2])))"


@pytest.mark.parametrize(
    "text", [b"", b"1 2", b"1 x inf 1", b"1 0.0 inf {broken", b"\xff\xfe", b"one 0.0 inf 1"]
)
def test_entry_that_cannot_be_read_is_named_and_dropped(
    open_store: Open, raw: Any, key: str, text: bytes
) -> None:
    store = open_store()
    store.exchange(Exchange("a", writes=[Write("sound", "1")]))
    raw.hset(key, "entry:x", text)
    answer = store.exchange(Exchange("a", snapshot=True))
    assert answer.corrupt == ("entry:x",)
    assert [entry.key for entry in answer.entries or ()] == ["sound"]
    assert store.exchange(Exchange("a", snapshot=True)).corrupt == ()
    raw.hset(key, "entry:x", text)
    answer = store.exchange(Exchange("a", writes=[Write("x", "2", base=77)]))
    assert (answer.corrupt, answer.written[0].value) == (("entry:x",), "2")


@pytest.mark.parametrize(
    "packed",
    [
        str([0] * 9001),
        "[]",
        "[1,2,3]",
        '[0,0,0,0,0,1,"x"]',
        "{}",
        "7",
        "[0,0,0,0,0,1]",
        "[[],0,0,0,0]",
    ],
)
def test_limit_that_cannot_be_read_is_counted_anew_from_what_is_held(
    open_store: Open, raw: Any, key: str, packed: str
) -> None:
    store, other = open_store(), open_store()
    store.exchange(Exchange("a", draws=[Draw("m", 100, want=60)]))
    raw.eval(PACK, 1, key, "meter:0 0 m", packed)
    answer = other.exchange(Exchange("b", draws=[Draw("m", 100, want=60)]))
    assert answer.corrupt == ("meter:0 0 m",)
    assert (answer.shares[0].reserved, answer.shares[0].held) == (60, 40)


@pytest.mark.parametrize("packed", ["[]", "7", '[{"0 0 m": 1}, {}]', '[{"0 0 m": "x"}, 1]'])
def test_holds_that_cannot_be_read_are_named_and_count_until_they_would_expire(
    open_store: Open, raw: Any, key: str, packed: str
) -> None:
    store, other = open_store(), open_store()
    store.exchange(Exchange("a", draws=[Draw("m", 100, want=60)]))
    raw.eval(PACK, 1, key, "holds:a", packed)
    answer = store.exchange(Exchange("a", draws=[Draw("m", 100, want=60)]))
    assert answer.corrupt == ("holds:a",)
    assert answer.shares[0].held == 40
    answer = other.exchange(Exchange("b", draws=[Draw("m", 100, want=60)]))
    assert answer.shares[0].held == 0


def test_claim_that_cannot_be_read_is_named_and_free(open_store: Open, raw: Any, key: str) -> None:
    store = open_store()
    store.exchange(Exchange("a"))
    raw.hset(key, "claim:c", "soon")
    answer = store.exchange(Exchange("a", claims=[Claim("c")]))
    assert (answer.corrupt, answer.claimed) == (("claim:c",), frozenset("c"))


def test_limit_that_was_lost_is_counted_anew_from_what_is_held(
    open_store: Open, raw: Any, key: str
) -> None:
    store, other = open_store(), open_store()
    store.exchange(Exchange("a", draws=[Draw("m", 100, 1.0, want=60)]))
    raw.hdel(key, "meter:1.0 0 m")
    (share,) = other.exchange(Exchange("b", draws=[Draw("m", 100, 1.0, want=60)])).shares
    assert (share.used, share.reserved, share.held, share.holders) == (0, 60, 40, 2)


def test_records_that_nobody_needs_any_more_vanish(open_store: Open, raw: Any, key: str) -> None:
    store = open_store()
    now = store.exchange(Exchange("a")).now
    for name, packed in {
        "meter:1.0 0 long over": f"[0,0,{now + 9},{now - 9000},3,{int(now) - 9000},3]",
        "meter:0 777 long over": f"[0,0,{now + 9},{now - 9000},3,777,3]",
        "meter:of nobody": "[0,0,0,0,0]",
        "meter:1.0 or another": "[0,0,0,0,0]",
        "meter:1.0 0 young": f"[0,0,{now + 9},{now},0]",
        "meter:1.0 0 held": f"[5,1,{now + 9},{now - 9000},0]",
        "meter:0 0 endless": "[0,0,0,0,3,0,3]",
        "meter:0 0 lost": "[0,0,0,0,0]",
        "holds:gone": f'[{{"1.0 0 x": 5, "0 7 y": 5}}, {{"1.0 0 x": {now - 9000}, "0 7 y": 9}}]',
        "holds:here": f'[{{"1.0 0 held": 5}}, {{"1.0 0 held": {now + 9}}}]',
        "holds:lost": '[{"0 0 lost": 5}, {"0 0 lost": 1}]',
    }.items():
        raw.eval(PACK, 1, key, name, packed)
    raw.hset(key, "claim:over", "9.0 0 b")
    raw.hset(key, "entry:over", "1 0.0 9.0 1")
    store.exchange(Exchange("a", snapshot=True))
    assert {name.decode() for name in raw.hgetall(key)} == {
        "meta",
        "meter:1.0 0 young",
        "meter:1.0 0 held",
        "meter:0 0 endless",
        "meter:0 0 lost",
        "holds:here",
        "holds:lost",
    }


@pytest.mark.parametrize(
    "kept", [{"x": "1"}, {"meta": "mine"}, {"meta": "capability-routers 1 2 x"}]
)
def test_hash_of_somebody_else_is_foreign_and_not_touched(
    open_store: Open, raw: Any, key: str, kept: dict[str, str]
) -> None:
    raw.hset(key, mapping=kept)
    found = fault_of(open_store())
    assert found.fault is StoreFault.FOREIGN
    assert "choose another namespace" in str(found)
    assert raw.hgetall(key) == {k.encode(): v.encode() for k, v in kept.items()}


def test_key_of_another_type_is_foreign_and_not_touched(
    open_store: Open, raw: Any, key: str
) -> None:
    raw.set(key, "mine")
    assert fault_of(open_store()).fault is StoreFault.FOREIGN
    assert raw.get(key) == b"mine"


@pytest.mark.parametrize(
    ("meta", "fault"),
    [
        (f"capability-router {SCHEMA_VERSION + 1} 7 name", StoreFault.NEWER),
        (f"capability-router {SCHEMA_VERSION + 1}\n{{other form}}", StoreFault.NEWER),
        ("capability-router 0 7 name", StoreFault.CORRUPT),
        (f"capability-router {SCHEMA_VERSION} many name", StoreFault.CORRUPT),
    ],
)
def test_state_of_another_version_is_not_touched(
    open_store: Open, raw: Any, key: str, meta: str, fault: StoreFault
) -> None:
    raw.hset(key, "meta", meta)
    raw.hset(key, "entry:x", "9 0.0 inf 1")
    assert fault_of(open_store()).fault is fault
    assert raw.hgetall(key) == {b"meta": meta.encode(), b"entry:x": b"9 0.0 inf 1"}


def test_state_of_an_older_version_is_migrated_once(
    open_store: Open, raw: Any, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    older = """
    local number = string.match(redis.call('HGET', KEYS[1], 'meta'), '^capability%-router 0 (%d+)$')
    if not number then return end
    local value = redis.call('HGET', KEYS[1], 'fact x')
    redis.call('HDEL', KEYS[1], 'fact x')
    redis.call('HINCRBY', KEYS[1], 'migrations', 1)
    redis.call('HSET', KEYS[1], 'entry:x', number .. ' 0.0 inf ' .. value)
    redis.call('HSET', KEYS[1], 'meta', 'capability-router 1 ' .. number .. ' old')
    """
    monkeypatch.setattr(redis_store, "MIGRATIONS", {0: older})
    raw.hset(key, mapping={"meta": "capability-router 0 7", "fact x": '"kept"'})
    for _ in range(2):
        answer = open_store().exchange(Exchange("a", snapshot=True))
        assert (answer.store, answer.sequence) == ("old", 7)
        assert [entry.value for entry in answer.entries or ()] == ['"kept"']
    assert raw.hget(key, "migrations") == b"1"


def fault_of(store: RedisStore) -> StoreError:
    with pytest.raises(StoreError) as raised:
        store.exchange(Exchange("a", writes=[Write("x", "1")], draws=[Draw("m", 1, want=1)]))
    return raised.value
