"""State that the processes of one host share, and find again after a restart, in one file."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from capability_router.storage.sqlite_file import SqliteFile, Step, transaction
from capability_router.storage.sqlite_line import Line
from capability_router.storage.sqlite_tables import (
    BEGINNING,
    STEPS,
    answered,
    news_since,
    purge,
    standing,
)
from capability_router.storage.store import Answer, Exchange, News

__all__ = ["SqliteStore"]

_POLL_S = 0.02
"""How often it is looked whether another process has changed the file: a fraction of the time in
which people notice anything, at next to no cost."""

_PURGE_S = 60.0


class SqliteStore:
    """A store in a file of SQLite, for the processes of one host; see ``StateStore``.

    Its clock is the host's. A damaged file is kept under another name, which ``Answer.corrupt``
    of the next exchange and a warning tell, and a new one is begun. Every file is a store of its
    own; it must not be on a network drive, where SQLite's locks do not hold.

    Args:
        path: The file; it is made if there is none. Its folder must exist. A relative one is that
            of the folder in which the process is now.
        timeout_s: Seconds to wait for other processes in one call, >= 0.
        wall: Seconds since 1970 UTC.
        wait: Waits for some seconds.
        steps: What makes the tables, and migrates them from each version to the next.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        timeout_s: float = 1.0,
        wall: Callable[[], float] = time.time,
        wait: Callable[[float], object] = time.sleep,
        steps: Sequence[Step] = STEPS,
    ) -> None:
        self._wall = wall
        self._wait = wait
        self._closed = False
        file = SqliteFile(path, timeout_s, wall, steps)
        self._exchanging, self._listening = Line(file), Line(file)
        self._moved = file.moved
        self._purged_at: float | None = None
        self._seen: tuple[sqlite3.Connection, int] | None = None
        self._store = ""
        self._known = BEGINNING

    def exchange(self, exchange: Exchange) -> Answer:
        """Tell and ask, in one step.

        Raises:
            StoreError: If the file cannot be used now. The next call tries again.
        """
        answer = self._exchanging.run(lambda connection: self._answered(connection, exchange))
        moved = [self._moved.popleft() for _ in range(len(self._moved))]
        return replace(answer, corrupt=(*moved, *answer.corrupt)) if moved else answer

    def listen(self, timeout_s: float) -> Sequence[News]:
        """Wait for changes; see ``StateStore.listen``.

        Raises:
            StoreError: If the file cannot be read now. The next call tries again.
        """
        while not (news := self._listening.run(self._news)) and timeout_s > 0:
            pause = min(timeout_s, _POLL_S)
            timeout_s -= pause
            self._wait(pause)
            if self._closed:
                return []
        return news

    def close(self) -> None:
        """Close the file; may be called twice, and while another call waits."""
        self._closed = True
        self._exchanging.close()
        self._listening.close()

    def _answered(self, connection: sqlite3.Connection, exchange: Exchange) -> Answer:
        with transaction(connection):
            now = self._wall()
            if self._purged_at is None or abs(now - self._purged_at) >= _PURGE_S:
                purge(connection, now)
                self._purged_at = now
            return answered(connection, exchange, now)

    def _news(self, connection: sqlite3.Connection) -> list[News]:
        (version,) = connection.execute("PRAGMA data_version").fetchone()
        if self._seen == (connection, version):
            return []
        connection.execute("BEGIN")
        at = standing(connection)
        if at.name != self._store or at.sequence < self._known:
            # The first call begins here. Of another file all is new to who has listened so far.
            self._known = BEGINNING if self._store else at.sequence
            self._store = at.name
        news = news_since(connection, self._known)
        connection.execute("COMMIT")
        self._known, self._seen = at.sequence, (connection, version)
        return news
