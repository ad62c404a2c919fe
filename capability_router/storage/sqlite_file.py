"""A file of SQLite in which processes of one host share state: opened, migrated, moved aside.

Knows whose file it is and of which version, not what is in its tables.
"""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Callable, Generator, Sequence
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from capability_router.storage.sqlite_faults import damage
from capability_router.storage.store import StoreError, StoreFault

__all__ = ["APPLICATION_ID", "Identity", "SqliteFile", "Step", "transaction"]

APPLICATION_ID = 0x43617052
"""By which a file says that it is one of ours: ``CapR``."""

Identity = tuple[int, int]
"""What tells a file from another one that has taken its name."""

Step = Callable[[sqlite3.Connection], None]
"""Brings the tables from one version to the next, within a transaction."""

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
        wall: As given.
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
        self.wall = wall
        self._steps = steps

    def identity(self) -> Identity | None:
        """Return which file has the name now; None if there is none."""
        try:
            found = self.path.stat()
        except OSError:
            return None
        return found.st_dev, found.st_ino

    def connect(self) -> sqlite3.Connection:
        """Open the file, which need not be ours.

        Raises:
            StoreError: If it is somebody else's; it has not been touched.
            sqlite3.Error: If it cannot be opened.
        """
        self._look()
        connection = sqlite3.connect(
            self.path, timeout=self.timeout_s, isolation_level=None, check_same_thread=False
        )
        connection.text_factory = _text
        return connection

    def prepare(self, connection: sqlite3.Connection) -> None:
        """Make the tables of a file that has just been opened, or migrate them.

        Raises:
            StoreError: If it is not ours, or of a newer version.
            sqlite3.Error: If it is damaged or cannot be written.
        """
        connection.execute("PRAGMA synchronous = NORMAL")
        if connection.execute("PRAGMA journal_mode").fetchone() != ("wal",):
            self._check(connection)
            # Two processes that change it at once would fail without waiting for each other.
            with self._alone():
                connection.execute("PRAGMA journal_mode = WAL")
        (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        if verdict != "ok":
            raise damage(str(verdict))
        if self._check(connection) < len(self._steps):
            with transaction(connection):
                # Another process may have done it meanwhile.
                for step in self._steps[self._check(connection) :]:
                    step(connection)
                connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
                connection.execute(f"PRAGMA user_version = {len(self._steps)}")

    def set_aside(self, damaged: Identity | None) -> Path | None:
        """Give a damaged file another name, unless somebody else has.

        It must still be open: its last connection would otherwise delete what is beside it.

        Args:
            damaged: Which file.

        Returns:
            Its new name; None if it has been moved already.

        Raises:
            StoreError: If it cannot be moved.
        """
        try:
            with self._alone():
                return self._moved() if self.identity() == damaged else None
        except (OSError, sqlite3.Error) as error:
            raise StoreError(
                StoreFault.CORRUPT,
                f"{str(self.path)!r} is damaged and cannot be moved aside ({error}): move it away",
            ) from error

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
        (owner,) = connection.execute("PRAGMA application_id").fetchone()
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        (things,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
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
        """Keep other processes, and threads, from making or moving the file meanwhile."""
        lock = self._beside(".lock")
        try:
            with closing(sqlite3.connect(lock, timeout=self.timeout_s)) as connection:
                connection.execute("BEGIN EXCLUSIVE")
                yield
        finally:
            # Whoever waits for it goes on waiting for the same; a third one would not see it, which
            # is why what is done here is checked and can be repeated.
            with suppress(OSError):
                lock.unlink()

    def _moved(self) -> Path:
        at = datetime.fromtimestamp(self.wall(), UTC).strftime("%Y%m%dT%H%M%SZ")
        aside, number = self._beside(f".corrupt-{at}"), 0
        while any(os.path.lexists(f"{aside}{end}") for end in ("", *_BESIDE)):
            number += 1
            aside = self._beside(f".corrupt-{at}-{number}")
        # The file itself goes last: without it, what is beside it would be taken for another's.
        for end in (*_BESIDE, ""):
            with suppress(FileNotFoundError):
                self._beside(end).rename(f"{aside}{end}")
        _LOG.warning(
            "%s is damaged and was moved to %s; what processes share begins anew", self.path, aside
        )
        return aside

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
