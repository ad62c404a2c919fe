"""A file of SQLite in which processes of one host share state: opened, migrated, moved aside.

Knows whose file it is and of which version, not what is in its tables.
"""

from __future__ import annotations

import logging
import os
import sqlite3
from collections import deque
from collections.abc import Callable, Generator, Sequence
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from capability_router.storage.sqlite_faults import damage, is_damage
from capability_router.storage.store import StoreError, StoreFault

__all__ = ["APPLICATION_ID", "Identity", "SqliteFile", "Step", "transaction"]

APPLICATION_ID = 0x43617052
"""By which a file says that it is one of ours: ``CapR``."""

Identity = tuple[int, int]
"""What tells a file from another one that has taken its name."""

Step = Callable[[sqlite3.Connection], None]
"""Brings the tables from one version to the next, within a transaction."""

_WHOSE = """SELECT application_id, user_version, (SELECT count(*) FROM sqlite_master)
    FROM pragma_application_id, pragma_user_version"""
_BESIDE = ("-wal", "-shm")
_LOG = logging.getLogger(__name__)


class SqliteFile:
    """One file, by its name.

    Args:
        path: The file; it is made if there is none. Its folder must exist.
        timeout_s: Seconds to wait for other processes, >= 0.
        wall: Seconds since 1970 UTC.
        steps: What brings the tables from each version to the next, from 0, which is an empty
            file; their number is the version of this package.

    Attributes:
        path: The file, absolute: a process that goes to another folder keeps to it.
        timeout_s: As given.
        moved: The names under which damaged files are kept, since somebody has asked for them.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        timeout_s: float,
        wall: Callable[[], float],
        steps: Sequence[Step],
    ) -> None:
        self.path = Path(os.path.abspath(path))  # noqa: PTH100 - Path.absolute keeps ".."
        self.timeout_s = timeout_s
        self.moved: deque[str] = deque()
        self._wall = wall
        self._steps = steps

    def identity(self) -> Identity | None:
        """Return which file has the name now; None if there is none."""
        try:
            found = self.path.stat()
        except OSError:
            return None
        return found.st_dev, found.st_ino

    def open(self) -> tuple[sqlite3.Connection, Identity | None]:
        """Open the file, with its tables made or brought forward; a damaged one is moved aside.

        Returns:
            The connection, and which file it is to.

        Raises:
            StoreError: If it is somebody else's or of a newer version: it has not been touched.
            sqlite3.Error: If it cannot be opened.
        """
        self._look()
        with self._alone():
            try:
                return self._opened()
            except sqlite3.Error as error:
                if not is_damage(error):
                    raise
            return self._opened()

    def set_aside(self, damaged: Identity | None) -> None:
        """Give a damaged file another name, unless somebody else has.

        It must still be open: its last connection would otherwise delete what is beside it.

        Args:
            damaged: Which file.

        Raises:
            StoreError: If it cannot be moved.
            sqlite3.Error: If somebody else is opening it for too long.
        """
        with self._alone():
            if damaged is not None and self.identity() == damaged:
                self._move()

    def _opened(self) -> tuple[sqlite3.Connection, Identity | None]:
        # If the file is replaced in between, it will be opened anew with the next use.
        before = self.identity()
        connection = sqlite3.connect(
            self.path, timeout=self.timeout_s, isolation_level=None, check_same_thread=False
        )
        try:
            connection.text_factory = _text
            self._prepare(connection)
        except BaseException as error:
            with closing(connection):
                if isinstance(error, sqlite3.Error) and is_damage(error):
                    self._move()
            raise
        return connection, before or self.identity()

    def _prepare(self, connection: sqlite3.Connection) -> None:
        connection.execute("PRAGMA synchronous = NORMAL")
        if connection.execute("PRAGMA journal_mode").fetchone() != ("wal",):
            self._check(connection)
            connection.execute("PRAGMA journal_mode = WAL")
        (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        if verdict != "ok":
            raise damage(str(verdict))
        if self._check(connection) < len(self._steps):
            with transaction(connection):
                for step in self._steps[self._check(connection) :]:
                    step(connection)
                connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
                connection.execute(f"PRAGMA user_version = {len(self._steps)}")

    def _look(self) -> None:
        """Look whose file it is without leaving a trace, not even a lock."""
        if not self.identity():
            return
        with suppress(sqlite3.Error):
            uri = f"{self.path.as_uri()}?immutable=1"
            with closing(sqlite3.connect(uri, uri=True)) as connection:
                self._check(connection)

    def _check(self, connection: sqlite3.Connection) -> int:
        """The version of a file; refuses those that are not ours."""
        # In one statement: in between, another process might make the tables.
        owner, version, things = connection.execute(_WHOSE).fetchone()
        if owner != APPLICATION_ID and (owner or version or things):
            raise StoreError(
                StoreFault.FOREIGN,
                f"{str(self.path)!r} is a database of another application: name another file",
            )
        if version > len(self._steps):
            raise StoreError(
                StoreFault.NEWER,
                f"{str(self.path)!r} has version {version} of what is kept, and this package"
                f" knows {len(self._steps)}: update it, or name another file",
            )
        return int(version)

    @contextmanager
    def _alone(self) -> Generator[None]:
        """Keep others from opening or moving the file meanwhile.

        While it is opened, SQLite knows what is beside it by name only: what belongs to a file that
        was moved it would take for another's.
        """
        # An empty file that stays: were it deleted, some would wait for it and others for its heir.
        with closing(sqlite3.connect(self._beside(".lock"), timeout=self.timeout_s)) as lock:
            # Nothing is written, so that a disk that is full does not keep anybody from reading.
            lock.execute("PRAGMA journal_mode = MEMORY")
            lock.execute("BEGIN EXCLUSIVE")
            yield

    def _move(self) -> None:
        at = datetime.fromtimestamp(self._wall(), UTC).strftime("%Y%m%dT%H%M%SZ")
        aside, number = self._beside(f".corrupt-{at}"), 0
        while any(os.path.lexists(f"{aside}{end}") for end in ("", *_BESIDE)):
            number += 1
            aside = self._beside(f".corrupt-{at}-{number}")
        try:
            # The file itself goes last: without it, what is beside it would be taken for another's.
            for end in (*_BESIDE, ""):
                with suppress(FileNotFoundError):
                    self._beside(end).rename(f"{aside}{end}")
        except OSError as error:
            raise StoreError(
                StoreFault.CORRUPT,
                f"{str(self.path)!r} is damaged and cannot be moved aside ({error}): move it away",
            ) from error
        self.moved.append(str(aside))
        _LOG.warning(
            "%s is damaged and was moved to %s; what processes share begins anew", self.path, aside
        )

    def _beside(self, end: str) -> Path:
        return self.path.with_name(self.path.name + end)


@contextmanager
def transaction(connection: sqlite3.Connection) -> Generator[None]:
    """Do all of something or nothing, after what other processes do.

    A connection on which it has failed is to be closed.

    Raises:
        sqlite3.Error: If it cannot begin or end.
    """
    connection.execute("BEGIN IMMEDIATE")
    yield
    connection.execute("COMMIT")


def _text(told: bytes) -> str:
    """What is no text any more is to be found by whoever reads it, not to fail as a whole."""
    return told.decode(errors="replace")
