"""What SQLite's errors mean for whoever keeps state in one of its files."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

from capability_router.storage.store import StoreError, StoreFault

__all__ = ["damage", "is_damage", "store_error"]

_FAULTS = {
    sqlite3.SQLITE_BUSY: StoreFault.SLOW,
    sqlite3.SQLITE_LOCKED: StoreFault.SLOW,
    sqlite3.SQLITE_PROTOCOL: StoreFault.SLOW,
    sqlite3.SQLITE_READONLY: StoreFault.READ_ONLY,
    sqlite3.SQLITE_FULL: StoreFault.FULL,
    sqlite3.SQLITE_NOMEM: StoreFault.FULL,
    sqlite3.SQLITE_CORRUPT: StoreFault.CORRUPT,
    sqlite3.SQLITE_NOTADB: StoreFault.CORRUPT,
    # The smaller files beside the large one could not grow.
    sqlite3.SQLITE_IOERR_SHMSIZE: StoreFault.FULL,
    # All statements are our own: it is the tables that are not as they were made.
    sqlite3.SQLITE_ERROR: StoreFault.CORRUPT,
}
_REMEDIES = {
    StoreFault.SLOW: "another process holds its lock for longer than {timeout_s:g} s;"
    " look for one that hangs or was stopped",
    StoreFault.READ_ONLY: "let this user write the file and its folder",
    StoreFault.FULL: "make room on its disk",
    StoreFault.CORRUPT: "move it away",
    StoreFault.UNREACHABLE: "see whether its disk works",
}


def damage(what: str) -> sqlite3.DatabaseError:
    """Return the error of a damage that SQLite itself does not see."""
    error = sqlite3.DatabaseError(what)
    error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
    return error


def is_damage(error: sqlite3.Error) -> bool:
    """Return whether an error says that the file is no database, or a damaged one."""
    return _code(error) & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def store_error(error: sqlite3.Error, path: Path, timeout_s: float) -> StoreError:
    """Return what an error of SQLite comes to.

    Args:
        error: The error.
        path: The file, absolute.
        timeout_s: For how long a lock was waited for.
    """
    fault, remedy = _fault(error), ""
    if _code(error) & 0xFF == sqlite3.SQLITE_CANTOPEN:
        fault, remedy = _why_not_opened(path)
    remedy = remedy or _REMEDIES[fault].format(timeout_s=timeout_s)
    return StoreError(fault, f"state cannot be kept in {str(path)!r} ({error}): {remedy}")


def _fault(error: sqlite3.Error) -> StoreFault:
    code = _code(error)
    return _FAULTS.get(code) or _FAULTS.get(code & 0xFF, StoreFault.UNREACHABLE)


def _code(error: sqlite3.Error) -> int:
    # An error of Python's own module has no code.
    return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_IOERR)


def _why_not_opened(path: Path) -> tuple[StoreFault, str]:
    folder = str(path.parent)
    if not path.parent.is_dir():
        return StoreFault.UNREACHABLE, f"there is no folder {folder!r}; make it"
    if path.is_dir():
        return StoreFault.UNREACHABLE, "this is a folder; name a file in it"
    if not os.access(folder, os.W_OK) or (path.exists() and not os.access(path, os.W_OK)):
        return StoreFault.READ_ONLY, ""
    return StoreFault.UNREACHABLE, ""
