"""What becomes of a file that is missing, foreign, old, damaged, full or taken away."""

import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from capability_router.storage.sqlite_file import APPLICATION_ID
from capability_router.storage.sqlite_store import SqliteStore
from capability_router.storage.sqlite_tables import STEPS
from capability_router.storage.store import SCHEMA_VERSION, Exchange, StoreError, StoreFault, Write
from tests.storage.sqlite_folder import (
    change,
    contents,
    fault,
    filled,
    keys,
    readable_folder,
    tell,
    without_rights,
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state.db"


# What cannot be used


def test_a_missing_folder_is_named_and_used_once_it_is_there(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "none" / "state.db")
    with pytest.raises(StoreError, match="make it") as caught:
        tell(store, "k")
    assert caught.value.fault is StoreFault.UNREACHABLE
    assert repr(str(tmp_path / "none")) in str(caught.value)
    with pytest.raises(StoreError, match="make it"):
        store.listen(0)
    (tmp_path / "none").mkdir()
    with closing(store):
        assert keys(tell(store, "k")) == ["k"]


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    error = fault(SqliteStore(tmp_path))
    assert (error.fault, "folder" in str(error)) == (StoreFault.UNREACHABLE, True)


def test_a_file_that_is_locked_for_too_long_is_slow_and_used_again_afterwards(path: Path) -> None:
    with (
        closing(filled(path)) as store,
        closing(SqliteStore(path, timeout_s=0.0)) as other,
        closing(sqlite3.connect(path, isolation_level=None)) as hanging,
    ):
        tell(other, "first")
        hanging.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match=r"state\.db") as caught:
            tell(other, "second")
        assert caught.value.fault is StoreFault.SLOW
        # Reading needs no lock.
        assert other.listen(0) == []
        hanging.execute("ROLLBACK")
        assert keys(tell(other, "third")) == ["before", "first", "third"]
        assert keys(tell(store)) == ["before", "first", "third"]


def test_a_full_disk_is_told_and_nothing_of_the_exchange_is_kept(path: Path) -> None:
    def cramped(connection: sqlite3.Connection) -> None:
        STEPS[0](connection)
        connection.execute("PRAGMA max_page_count = 20")

    with closing(SqliteStore(path, steps=[cramped])) as store:
        tell(store, "small")
        large = Write("large", f'"{"x" * 100_000}"')
        with pytest.raises(StoreError, match="room") as caught:
            store.exchange(Exchange("a", [Write("beside", "1"), large]))
        assert caught.value.fault is StoreFault.FULL
        assert keys(tell(store)) == ["small"]


@pytest.mark.skipif(sys.platform == "win32", reason="folders have no such rights there")
def test_a_file_that_may_only_be_read_is_told() -> None:
    with readable_folder() as folder:
        path = folder / "state.db"
        filled(path).close()
        path.chmod(0o444)
        assert without_rights(lambda: fault(SqliteStore(path)).fault) == StoreFault.READ_ONLY


@pytest.mark.skipif(sys.platform == "win32", reason="folders have no such rights there")
def test_a_folder_that_may_only_be_read_is_told() -> None:
    with readable_folder() as folder:
        path = folder / "state.db"
        folder.chmod(0o555)
        assert without_rights(lambda: fault(SqliteStore(path)).fault) == StoreFault.READ_ONLY
        folder.chmod(0o755)
        filled(path).close()
        path.chmod(0o666)
        folder.chmod(0o555)
        assert without_rights(lambda: fault(SqliteStore(path)).fault) == StoreFault.READ_ONLY
        folder.chmod(0o755)


# Whose it is


def test_a_file_says_whose_it_is_and_of_which_version(path: Path) -> None:
    filled(path).close()
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA application_id").fetchone() == (APPLICATION_ID,)
        assert connection.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)
    assert len(STEPS) == SCHEMA_VERSION


@pytest.mark.parametrize(
    "statements",
    [
        ["CREATE TABLE theirs (x)"],
        ["CREATE TABLE theirs (x)", "PRAGMA journal_mode = WAL"],
        ["PRAGMA application_id = 7", "PRAGMA journal_mode = WAL"],
        ["PRAGMA user_version = 1"],
    ],
)
def test_a_database_of_another_application_is_left_alone(path: Path, statements: list[str]) -> None:
    change(path, *statements)
    before = contents(path.parent)
    error = fault(SqliteStore(path))
    assert (error.fault, "another" in str(error)) == (StoreFault.FOREIGN, True)
    assert contents(path.parent) == before


def test_a_database_of_another_application_in_use_is_left_alone(path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as theirs:
        theirs.execute("PRAGMA journal_mode = WAL")
        theirs.execute("CREATE TABLE theirs (x)")
        before = contents(path.parent)
        assert fault(SqliteStore(path)).fault is StoreFault.FOREIGN
        after = contents(path.parent)
    assert [after[name] == before[name] for name in ("state.db", "state.db-wal")] == [True, True]


def test_a_file_of_a_newer_version_is_left_alone(path: Path) -> None:
    filled(path).close()
    change(path, f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    before = contents(path.parent)
    error = fault(SqliteStore(path))
    assert (error.fault, "update it" in str(error)) == (StoreFault.NEWER, True)
    assert contents(path.parent) == before


def test_a_newer_version_that_comes_while_the_file_is_open_is_found(path: Path) -> None:
    filled(path).close()
    first, second = SqliteStore(path), SqliteStore(path, steps=[*STEPS, note])
    with closing(first), closing(second):
        tell(first, "k")
        assert keys(tell(second)) == ["before", "k", "noted"]


def note(connection: sqlite3.Connection) -> None:
    connection.execute("INSERT INTO entries VALUES ('noted', '1', 0.0, 9e999, 1)")


def test_an_older_file_is_brought_forward_once(path: Path) -> None:
    filled(path).close()
    for _ in range(2):
        with closing(SqliteStore(path, steps=[*STEPS, note])) as store:
            assert keys(tell(store)) == ["before", "noted"]
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION + 1,)


def test_who_is_killed_while_a_file_is_brought_forward_leaves_the_older_one(path: Path) -> None:
    filled(path).close()
    program = f"""
import os, signal
from tests.storage.test_sqlite_files import STEPS, SqliteStore, note, tell

def die(connection):
    note(connection)
    connection.execute("DELETE FROM entries WHERE key = 'before'")
    connection.execute("PRAGMA user_version = 9")
    os.kill(os.getpid(), signal.SIGKILL)

tell(SqliteStore({str(path)!r}, steps=[*STEPS, die]), "k")
"""
    ended = subprocess.run([sys.executable, "-c", program], check=False)
    assert ended.returncode == -signal.SIGKILL
    with closing(SqliteStore(path)) as store:
        assert keys(tell(store)) == ["before"]
    with closing(SqliteStore(path, steps=[*STEPS, note])) as store:
        assert keys(tell(store)) == ["before", "noted"]


def test_a_migration_that_fails_changes_nothing(path: Path) -> None:
    filled(path).close()

    def fail(connection: sqlite3.Connection) -> None:
        note(connection)
        raise ZeroDivisionError

    store = SqliteStore(path, steps=[*STEPS, fail])
    with closing(store), pytest.raises(ZeroDivisionError):
        tell(store, "k")
    with closing(SqliteStore(path)) as store:
        assert keys(tell(store)) == ["before"]


# A file that goes


def test_a_file_that_was_deleted_is_begun_anew(path: Path) -> None:
    with closing(filled(path)) as store, closing(SqliteStore(path)) as other:
        name = tell(store, "k").store
        assert (tell(other).store, other.listen(0)) == (name, [])
        path.unlink()
        answer = tell(store, "after")
        assert (keys(answer), answer.corrupt) == (["after"], ())
        assert answer.store != name
        # The other one closes the deleted file, and does no harm to what is beside the new.
        assert tell(other, "more").store == answer.store
        assert [entry.key for news in other.listen(0) for entry in news.entries] == [
            "after",
            "more",
        ]
        assert keys(tell(store)) == ["after", "more"]


def test_a_file_that_was_replaced_by_an_older_one_is_read_from_its_beginning(path: Path) -> None:
    with closing(filled(path)) as store:
        assert store.listen(0) == []
    older = path.with_name("older.db")
    older.write_bytes(path.read_bytes())
    with closing(SqliteStore(path)) as store:
        assert store.listen(0) == []
        tell(store, "new")
        store.listen(0)
        for end in ("-wal", "-shm"):
            path.with_name(f"state.db{end}").unlink()
        older.replace(path)
        assert [entry.key for news in store.listen(0) for entry in news.entries] == ["before"]
        assert keys(tell(store)) == ["before"]


def test_a_relative_path_is_that_of_where_the_process_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    with closing(SqliteStore("state.db")) as store:
        monkeypatch.chdir(tmp_path / "elsewhere")
        tell(store, "k")
        assert [each.name for each in tmp_path.glob("*.db")] == ["state.db"]
