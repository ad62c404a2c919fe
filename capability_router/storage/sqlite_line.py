"""The connection of one thread to a file: opened when it is needed, and again when it has to be.

A file may be deleted, replaced or damaged while it is in use, and a process may be forked.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from threading import Lock
from typing import TypeVar
from weakref import WeakSet

from capability_router.storage.sqlite_faults import is_damage, store_error
from capability_router.storage.sqlite_file import Identity, SqliteFile
from capability_router.storage.store import StoreError, StoreFault

__all__ = ["Line"]

T = TypeVar("T")


class Line:
    """A connection to a file, used by one thread at a time.

    Args:
        file: The file.
    """

    def __init__(self, file: SqliteFile) -> None:
        self._file = file
        self._connection: sqlite3.Connection | None = None
        self._identity: Identity | None = None
        self._closed = False
        self.guard = Lock()
        _lines.add(self)

    def run(self, act: Callable[[sqlite3.Connection], T]) -> T:
        """Do something with the connection.

        Args:
            act: What to do, in a transaction; it is done once more, on a new file, if the file
                is found to be damaged.

        Raises:
            StoreError: If it cannot be done now.
        """
        with self.guard:
            if self._closed:
                message = f"the store in {str(self._file.path)!r} was closed: open another"
                raise StoreError(StoreFault.UNREACHABLE, message)
            try:
                try:
                    return act(self._usable())
                except sqlite3.Error as error:
                    if self._connection is None or not is_damage(error):
                        raise
                self._file.set_aside(self._identity)
                self.drop()
                return act(self._usable())
            except sqlite3.Error as error:
                self.drop()
                raise store_error(error, self._file.path, self._file.timeout_s) from error
            except BaseException:
                # A transaction that was begun ends with its connection.
                self.drop()
                raise

    def drop(self) -> None:
        """Close the connection; whoever calls has the guard."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def close(self) -> None:
        """Close the connection for good, after what is being done."""
        with self.guard:
            self._closed = True
            self.drop()

    def _usable(self) -> sqlite3.Connection:
        if self._connection is not None and self._file.identity() != self._identity:
            self.drop()
        if self._connection is None:
            self._connection, self._identity = self._file.open()
        return self._connection


_lines: WeakSet[Line] = WeakSet()
_forking = Lock()
_held: list[Line] = []


def _before_fork() -> None:
    """Close all connections, so that the child has none.

    SQLite allows neither to use nor to close them there, nor even to open others beside them: it
    would take the locks of its parent for its own.
    """
    _forking.acquire()
    for line in list(_lines):
        line.guard.acquire()
        line.drop()
        _held.append(line)


def _after_fork() -> None:
    while _held:
        _held.pop().guard.release()
    _forking.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork
    )
