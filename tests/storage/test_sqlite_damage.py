"""A damaged file of state is set aside, never deleted, and another one is begun."""

import logging
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from capability_router.storage.sqlite_file import SqliteFile
from capability_router.storage.sqlite_store import SqliteStore
from capability_router.storage.sqlite_tables import STEPS
from capability_router.storage.store import Draw, Exchange, News, StoreError, StoreFault, Write
from capability_router.testing import ManualClock
from tests.storage.sqlite_folder import (
    LOCK,
    change,
    contents,
    fault,
    filled,
    garble,
    keys,
    readable_folder,
    tell,
    without_rights,
)

JUNK = b"this is no database\n" * 500
AT = "20260101T000000Z"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state.db"


def test_a_file_that_is_no_database_is_kept_under_another_name_and_said_aloud(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path.write_bytes(JUNK)
    aside = f"{path}.corrupt-{AT}"
    with (
        closing(SqliteStore(path, wall=ManualClock().wall)) as store,
        caplog.at_level(logging.WARNING),
    ):
        first = tell(store, "k")
        assert (keys(first), first.corrupt) == (["k"], (aside,))
        assert tell(store).corrupt == ()
    assert [record.getMessage() for record in caplog.records if aside in record.getMessage()]
    assert contents(path.parent).keys() == {path.name, LOCK, Path(aside).name}
    assert Path(aside).read_bytes() == JUNK


def test_what_was_set_aside_before_is_never_overwritten(path: Path) -> None:
    for number in range(3):
        path.write_bytes(JUNK + bytes([number]))
        with closing(SqliteStore(path, wall=ManualClock().wall)) as store:
            assert len(tell(store).corrupt) == 1
    asides = [path.with_name(f"{path.name}.corrupt-{AT}{end}") for end in ("", "-1", "-2")]
    assert [aside.read_bytes()[-1] for aside in asides] == [0, 1, 2]


def test_a_damaged_page_is_found_when_the_file_is_opened(path: Path) -> None:
    filled(path).close()
    garble(path)
    damaged = path.read_bytes()
    with closing(SqliteStore(path, wall=ManualClock().wall)) as store:
        answer = tell(store, "after")
    assert (keys(answer), len(answer.corrupt)) == (["after"], 1)
    assert Path(answer.corrupt[0]).read_bytes() == damaged


def test_what_is_beside_a_damaged_file_is_set_aside_with_it(path: Path) -> None:
    # So many that what is beside the file holds only the last pages of them.
    filled(path, *(f"k{number}" for number in range(1000))).close()
    program = f"""
import os, signal
from tests.storage.test_sqlite_damage import SqliteStore, tell

tell(SqliteStore({str(path)!r}), "k")
os.kill(os.getpid(), signal.SIGKILL)
"""
    subprocess.run([sys.executable, "-c", program], check=False)
    garble(path)
    before = contents(path.parent)
    assert before.keys() == {"state.db", "state.db-wal", "state.db-shm", LOCK}
    with closing(SqliteStore(path, wall=ManualClock().wall)) as store:
        assert keys(tell(store, "after")) == ["after"]
    after = contents(path.parent)
    for name in ("state.db", "state.db-wal"):
        assert after[name.replace("state.db", f"state.db.corrupt-{AT}")] == before[name]
    assert f"state.db.corrupt-{AT}-shm" in after


@pytest.mark.parametrize("finder", ["exchange", "listen"])
def test_damage_to_a_file_in_use_is_found_by_whoever_reads_it(path: Path, finder: str) -> None:
    with closing(filled(path)) as store, closing(filled(path)) as other:
        name = tell(store).store
        assert (store.listen(0), other.listen(0)) == ([], [])
        # Changed by another program, so that neither knows the pages.
        change(path, "DELETE FROM entries")
        garble(path)
        if finder == "listen":
            store.listen(0)
        answer = tell(store, "after")
        assert (keys(answer), len(answer.corrupt)) == (["after"], 1)
        assert answer.store != name
        # Another process goes over to the new file.
        assert tell(other).store == answer.store
        assert [entry.key for news in other.listen(0) for entry in news.entries] == ["after"]


@pytest.mark.parametrize(
    "value", ["{", "", "\\xff", "nonsense", f"{'[' * 100_000}"], ids=lambda value: value[:8]
)
def test_a_value_that_cannot_be_read_counts_as_absent_and_is_dropped(
    path: Path, value: str
) -> None:
    store = filled(path, "bad", "worse")
    change(path, f"UPDATE entries SET value = CAST('{value}' AS TEXT) WHERE key != 'before'")
    with closing(store):
        # One is written anew by who knew it, without a question.
        written = store.exchange(Exchange("a", [Write("worse", "1", base=7)]))
        assert (written.written[0].value, written.corrupt) == ("1", ("worse",))
        assert store.listen(0) == []
        first = tell(store)
        assert (keys(first), first.corrupt) == (["before", "worse"], ("bad",))
        assert tell(store).corrupt == ()


def test_a_limit_that_cannot_be_read_counts_as_unused(path: Path) -> None:
    with closing(filled(path)) as store:
        draws = [Draw("good", 10, used={0: 7}), Draw("bad", 10, used={0: 7})]
        store.exchange(Exchange("a", draws=draws))
        change(path, "UPDATE limits SET record = '{}' WHERE meter = 'bad'")
        looks = Exchange("a", draws=[Draw("good", 10), Draw("bad", 10)])
        answer = store.exchange(looks)
        assert ([share.used for share in answer.shares], answer.corrupt) == ([7, 0], ("bad",))
        assert store.exchange(looks).corrupt == ()


def test_only_the_file_that_was_found_damaged_is_set_aside(path: Path) -> None:
    filled(path).close()
    file = SqliteFile(path, 1.0, ManualClock().wall, STEPS)
    damaged = file.identity()
    file.set_aside(damaged)
    file.set_aside(damaged)
    with closing(filled(path)) as store:
        file.set_aside(damaged)
        assert keys(tell(store)) == ["before"]
    assert list(file.moved) == [f"{path}.corrupt-{AT}"]


def test_news_that_cannot_be_read_were_missed(path: Path) -> None:
    with closing(filled(path)) as store:
        store.listen(0)
        bad, good = tell(store, "k").sequence, tell(store, "k2").sequence
        change(path, f"UPDATE news SET told = '[]' WHERE version = {bad}")
        assert [(news.before, news.after) for news in store.listen(0)] == [(bad, good)]
        last = tell(store, "k3").sequence
        change(path, f"UPDATE news SET told = '{{' WHERE version = {last}")
        assert store.listen(0) == [News(last, last)]


def test_a_value_that_is_no_text_any_more_counts_as_absent(path: Path) -> None:
    store = filled(path, "bad")
    change(path, "UPDATE entries SET value = CAST(x'7bff' AS TEXT) WHERE key = 'bad'")
    with closing(store):
        first = tell(store)
        assert (keys(first), first.corrupt) == (["before"], ("bad",))


def test_a_store_without_its_name_is_damaged(path: Path) -> None:
    store = filled(path)
    change(path, "DELETE FROM store")
    with closing(store):
        answer = tell(store, "after")
        assert (keys(answer), len(answer.corrupt)) == (["after"], 1)


def test_a_cell_of_another_type_is_damage(path: Path) -> None:
    filled(path).close()
    change(path, "PRAGMA ignore_check_constraints = 1", "UPDATE entries SET version = 'x'")
    with closing(SqliteStore(path)) as store:
        answer = tell(store, "after")
        assert (keys(answer), len(answer.corrupt)) == (["after"], 1)


def test_a_file_without_a_table_is_told_and_left_where_it_is(path: Path) -> None:
    store = filled(path)
    change(path, "DROP TABLE claims")
    with closing(store), pytest.raises(StoreError, match="no such table") as caught:
        tell(store, "k")
    assert caught.value.fault is StoreFault.CORRUPT
    assert contents(path.parent).keys() == {"state.db", LOCK}


@pytest.mark.skipif(sys.platform == "win32", reason="folders have no such rights there")
def test_a_damaged_file_that_cannot_be_moved_aside_is_told() -> None:
    with readable_folder() as folder:
        path = folder / "state.db"
        path.write_bytes(JUNK)
        path.chmod(0o666)
        # Everybody may make files there, and nobody may move those of others.
        folder.chmod(0o1777)
        told = without_rights(lambda: str(fault(SqliteStore(path))))
        assert ("cannot be moved aside" in told, path.read_bytes()) == (True, JUNK)
