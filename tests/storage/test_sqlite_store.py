"""What a store in a file answers, one rule at a time; a machine tries all of them together."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from threading import Event, Thread

import pytest

from capability_router.storage.sqlite_store import SqliteStore
from capability_router.storage.store import (
    Claim,
    Draw,
    Entry,
    Exchange,
    News,
    StoreError,
    StoreFault,
    Write,
)
from capability_router.testing import ManualClock
from tests.storage.sqlite_folder import keys, tell

Pair = tuple[SqliteStore, SqliteStore]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def pair(tmp_path: Path, clock: ManualClock) -> Iterator[Pair]:
    path = tmp_path / "state.db"
    with (
        closing(SqliteStore(path, wall=clock.wall, wait=clock.sleep)) as first,
        closing(SqliteStore(path, wall=clock.wall, wait=clock.sleep)) as second,
    ):
        yield first, second


def write(store: SqliteStore, key: str, value: str | None, **more: float) -> Entry:
    given = Write(key, value, more.get("weight", 0.0), base=int(more.get("base", 0)))
    return store.exchange(Exchange("a", [given])).written[0]


def claimed(store: SqliteStore, process: str, *, busy: bool = False) -> bool:
    return bool(store.exchange(Exchange(process, claims=[Claim("c", busy=busy)])).claimed)


def test_what_one_process_writes_another_reads(pair: Pair) -> None:
    first, second = pair
    entry = write(first, "k", '{"x":1}')
    answer = second.exchange(Exchange("b", snapshot=True))
    assert answer.entries == (entry,)
    assert answer.store == first.exchange(Exchange("a")).store


def test_of_two_writes_that_did_not_know_of_each_other_the_heavier_one_stays(pair: Pair) -> None:
    first, second = pair
    known = write(first, "k", "1", weight=2.0)
    assert write(second, "k", "2", weight=2.0) == known
    assert write(second, "k", "3", weight=2.5).value == "3"
    assert write(first, "k", None, base=known.version).value == "3"


def test_who_knows_an_entry_may_change_it_in_any_way(pair: Pair) -> None:
    first, second = pair
    version = write(first, "k", "1", weight=2.0).version
    lighter = write(second, "k", "2", weight=1.0, base=version)
    assert (lighter.value, lighter.version > version) == ("2", True)
    assert write(first, "k", None, base=lighter.version).value is None
    assert second.exchange(Exchange("b", snapshot=True)).entries == ()


def test_news_come_to_who_waits_for_them(pair: Pair, clock: ManualClock) -> None:
    first, second = pair
    assert second.listen(0) == []
    entry = write(first, "k", "1")
    assert second.listen(1.0) == [News(entry.version - 1, entry.version, (entry,))]
    assert clock.slept == []
    assert second.listen(0.5) == []
    assert sum(clock.slept) == pytest.approx(0.5)
    dropped = write(first, "k", None, base=entry.version)
    assert second.listen(0) == [News(entry.version, dropped.version, (dropped,))]


def test_news_that_come_while_somebody_waits_end_the_waiting(tmp_path: Path) -> None:
    path, waits = tmp_path / "state.db", list[float]()
    with closing(SqliteStore(path)) as first:

        def write_at_last(seconds: float) -> None:
            waits.append(seconds)
            if len(waits) == 10:
                write(first, "k", "1")

        with closing(SqliteStore(path, wait=write_at_last)) as second:
            assert [entry.key for news in second.listen(5.0) for entry in news.entries] == ["k"]
    assert len(waits) == 10


def test_a_quiet_write_makes_no_news(pair: Pair) -> None:
    first, second = pair
    second.listen(0)
    before = first.exchange(Exchange("a")).sequence
    answer = first.exchange(Exchange("a", [Write("k", "1", quiet=True)], snapshot=True))
    assert (answer.sequence, answer.written[0].version, keys(answer)) == (before, before, ["k"])
    assert second.listen(0) == []


def test_that_a_limit_is_used_up_is_news(pair: Pair) -> None:
    first, second = pair
    second.listen(0)
    first.exchange(Exchange("a", draws=[Draw("m", 10, want=9), Draw("other", 10, want=1)]))
    assert second.listen(0) == []
    first.exchange(Exchange("b", draws=[Draw("m", 10, want=9)]))
    assert [news.full for news in second.listen(0)] == [("m",)]


def test_an_entry_that_has_expired_is_absent(pair: Pair, clock: ManualClock) -> None:
    first, second = pair
    first.exchange(Exchange("a", [Write("k", "1", 9.0, clock.wall() + 5)]))
    clock.advance(5)
    assert second.exchange(Exchange("b", snapshot=True)).entries == ()
    assert write(second, "k", "2").value == "2"


def test_who_has_not_listened_for_longer_than_news_are_kept_is_told_so(
    pair: Pair, clock: ManualClock
) -> None:
    first, second = pair
    second.listen(0)
    missed = write(first, "missed", "1")
    clock.advance(60)
    heard = write(first, "heard", "1")
    assert second.listen(0) == [News(missed.version, heard.version, (heard,))]


def test_that_something_was_missed_is_news_by_itself(pair: Pair, clock: ManualClock) -> None:
    first, second = pair
    second.listen(0)
    missed = write(first, "missed", "1")
    clock.advance(60)
    first.exchange(Exchange("a"))
    assert second.listen(0) == [News(missed.version, missed.version)]


def test_each_of_several_changes_of_an_entry_is_news(pair: Pair) -> None:
    first, second = pair
    second.listen(0)
    one = write(first, "k", "1")
    other = write(second, "k", "2", base=one.version)
    gone = write(first, "k", None, base=other.version)
    assert [news.entries for news in second.listen(0)] == [(one,), (other,), (gone,)]


def test_a_claim_is_one_process_s_until_it_is_released(pair: Pair) -> None:
    first, second = pair
    assert [claimed(first, "a"), claimed(second, "b")] == [True, False]
    second.exchange(Exchange("b", releases=["c"]))
    assert claimed(second, "b") is False
    first.exchange(Exchange("a", releases=["c"]))
    assert claimed(second, "b") is True


def test_a_claim_that_a_rival_wants_is_kept_only_while_it_is_busy(pair: Pair) -> None:
    first, second = pair
    assert claimed(first, "a", busy=True)
    assert not claimed(second, "b")
    assert claimed(first, "a", busy=True)
    assert not claimed(first, "a")
    assert claimed(second, "b")


def test_the_claim_of_a_process_that_is_gone_is_free_after_its_time(
    pair: Pair, clock: ManualClock
) -> None:
    first, second = pair
    assert claimed(first, "a")
    clock.advance(9.9)
    assert claimed(first, "a")
    clock.advance(9.9)
    assert not claimed(second, "b")
    clock.advance(0.1)
    assert claimed(second, "b")
    assert not claimed(first, "a")


def test_a_clock_that_was_set_back_prolongs_no_claim(pair: Pair, clock: ManualClock) -> None:
    first, second = pair
    assert claimed(first, "a")
    clock.set_wall(clock.wall() - 86_400)
    assert not claimed(second, "b")
    clock.advance(10)
    assert claimed(second, "b")


def test_what_is_long_over_leaves_nothing_behind(tmp_path: Path, clock: ManualClock) -> None:
    path = tmp_path / "state.db"
    now = clock.wall()
    draws = [Draw("day", 10, None, int(now) + 60, want=5), Draw("minute", 10, 1.0, want=5)]
    with closing(SqliteStore(path, wall=clock.wall)) as store:
        store.exchange(Exchange("a", [Write("k", "1", 0.0, now + 1)], draws, [Claim("c")]))
        assert [count(path, table) for table in ("entries", "limits", "claims", "news")] == [
            *(1, 2, 1, 1)
        ]
        clock.advance(60 + 3600)
        store.exchange(Exchange("a"))
    assert [count(path, table) for table in ("entries", "limits", "claims", "news")] == [0] * 4


def count(path: Path, table: str) -> int:
    with closing(sqlite3.connect(path)) as connection:
        return int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])


def test_an_exchange_is_as_a_whole_at_one_moment(pair: Pair) -> None:
    first, second = pair
    second.listen(0)
    answer = first.exchange(
        Exchange("a", [Write("j", "1"), Write("k", "2")], [Draw("m", 1, want=1)])
    )
    assert second.listen(0) == [News(answer.sequence - 1, answer.sequence, answer.written, ("m",))]


def test_a_store_that_was_closed_is_used_no_more(pair: Pair) -> None:
    first, _ = pair
    tell(first, "k")
    first.close()
    first.close()
    with pytest.raises(StoreError, match="closed") as caught:
        tell(first, "k")
    assert caught.value.fault is StoreFault.UNREACHABLE
    with pytest.raises(StoreError, match="closed"):
        first.listen(0)


def test_closing_ends_the_waiting_of_another_thread(tmp_path: Path) -> None:
    waits, closed = Event(), Event()

    def wait(_: float) -> None:
        waits.set()
        closed.wait()

    store, heard = SqliteStore(tmp_path / "state.db", wait=wait), list[object]()
    listener = Thread(target=lambda: heard.append(store.listen(1000.0)))
    listener.start()
    waits.wait()
    store.close()
    closed.set()
    listener.join()
    assert heard == [[]]
