"""A folder with a file of state, looked at from outside."""

import os
import sqlite3
from collections.abc import Callable, Generator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from capability_router.storage.sqlite_store import SqliteStore
from capability_router.storage.store import Answer, Entry, Exchange, StateStore, StoreError, Write
from capability_router.testing import ManualClock

NOBODY = 65_534
LOCK = "state.db.lock"


def filled(path: Path, *more: str) -> SqliteStore:
    """A store with an entry, all of it in the file."""
    with closing(SqliteStore(path, wall=ManualClock().wall)) as store:
        tell(store, "before", *more)
    return SqliteStore(path, wall=ManualClock().wall)


def tell(store: StateStore, *keys: str, process: str = "a") -> Answer:
    """Write an entry for each key, and ask for all there are."""
    return store.exchange(Exchange(process, [Write(key, '"x"') for key in keys], snapshot=True))


def keys(answer: Answer) -> list[str]:
    """The keys of a snapshot."""
    entries: tuple[Entry, ...] = answer.entries or ()
    return [entry.key for entry in entries]


def change(path: Path, *statements: str) -> None:
    """Do something to a database as another program would, and put all of it into the file."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def garble(path: Path) -> None:
    """Overwrite all of a database but its first page."""
    with path.open("r+b") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(4096)
        file.write(b"\xa5" * (size - 4096))


def contents(folder: Path) -> dict[str, bytes]:
    """Every file of a folder with its bytes."""
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@contextmanager
def readable_folder() -> Generator[Path]:
    """A folder that everybody may read, which pytest's own may not be."""
    with TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


def fault(store: SqliteStore) -> StoreError:
    """What an exchange fails with."""
    try:
        tell(store, "k")
    except StoreError as error:
        return error
    finally:
        store.close()
    raise AssertionError("the exchange succeeded")


def without_rights(act: Callable[[], str]) -> str:
    """Return what is said by somebody who may not write what is not his own."""
    if os.geteuid() != 0:
        return act()
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setuid(NOBODY)
            os.write(writer, act().encode())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as file:
        said = file.read()
    os.waitpid(child, 0)
    return said
