"""What is kept in a file of SQLite, and what one exchange changes of it.

Each entry, claim and limit is a row; what becomes of a limit is worked out by ``draws``.
"""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass
from secrets import token_hex

from capability_router.storage.draws import Record, drawn, forgotten_at, record_of, written
from capability_router.storage.sqlite_faults import damage
from capability_router.storage.store import Answer, Claim, Draw, Entry, Exchange, News, Share, Write

__all__ = ["BEGINNING", "STEPS", "Standing", "answered", "news_since", "purge", "standing"]

BEGINNING = 1
"""The sequence number before all news: a version is never 0, not even that of a quiet write."""

_NEWS_S = 60.0
"""How long news are kept for those who listen: far longer than it takes them to look again."""

# The checks find a cell of another type when the file is opened, so that nobody has to later.
_TABLES = (
    """CREATE TABLE store (
        name TEXT NOT NULL CHECK (typeof(name) = 'text'),
        sequence INTEGER NOT NULL CHECK (typeof(sequence) = 'integer')
    )""",
    """CREATE TABLE news (
        version INTEGER PRIMARY KEY NOT NULL CHECK (typeof(version) = 'integer'),
        told TEXT NOT NULL CHECK (typeof(told) = 'text'),
        told_at REAL NOT NULL CHECK (typeof(told_at) = 'real')
    )""",
    """CREATE TABLE entries (
        key TEXT PRIMARY KEY NOT NULL CHECK (typeof(key) = 'text'),
        value TEXT NOT NULL CHECK (typeof(value) = 'text'),
        weight REAL NOT NULL CHECK (typeof(weight) = 'real'),
        expires_at REAL NOT NULL CHECK (typeof(expires_at) = 'real'),
        version INTEGER NOT NULL CHECK (typeof(version) = 'integer')
    )""",
    """CREATE TABLE limits (
        meter TEXT NOT NULL CHECK (typeof(meter) = 'text'),
        width_s REAL NOT NULL CHECK (typeof(width_s) = 'real'),
        window INTEGER NOT NULL CHECK (typeof(window) = 'integer'),
        record TEXT NOT NULL CHECK (typeof(record) = 'text'),
        forgotten_at REAL NOT NULL CHECK (typeof(forgotten_at) = 'real'),
        PRIMARY KEY (meter, width_s, window)
    )""",
    """CREATE TABLE claims (
        key TEXT PRIMARY KEY NOT NULL CHECK (typeof(key) = 'text'),
        process TEXT NOT NULL CHECK (typeof(process) = 'text'),
        since REAL NOT NULL CHECK (typeof(since) = 'real'),
        lasts_s REAL NOT NULL CHECK (typeof(lasts_s) = 'real'),
        rival INTEGER NOT NULL CHECK (rival IN (0, 1))
    )""",
)


def _make(connection: sqlite3.Connection) -> None:
    for table in _TABLES:
        connection.execute(table)
    connection.execute("INSERT INTO store VALUES (?, ?)", (token_hex(8), BEGINNING))


STEPS = (_make,)
"""What brings the tables from each version to the next; see ``SqliteFile``."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How far a store has come.

    Attributes:
        name: See ``Answer.store``.
        sequence: See ``Answer.sequence``.
    """

    name: str
    sequence: int


def standing(connection: sqlite3.Connection) -> Standing:
    """Return how far the store has come.

    Raises:
        sqlite3.Error: If it cannot be read.
    """
    row = connection.execute("SELECT name, sequence FROM store").fetchone()
    if row is None:
        raise damage("the store has no name")
    return Standing(*row)


def answered(connection: sqlite3.Connection, exchange: Exchange, now: float) -> Answer:
    """Carry out an exchange, within a transaction.

    Args:
        connection: To the file.
        exchange: What is told and asked.
        now: Store seconds.

    Raises:
        sqlite3.Error: If it cannot be carried out; nothing of it may be kept then.
    """
    work = _Work(connection, exchange, now)
    told = tuple(work.write(write) for write in exchange.writes)
    shares = tuple(work.draw(draw) for draw in exchange.draws)
    for key in exchange.releases:
        work.release(key)
    claimed = frozenset(claim.key for claim in exchange.claims if work.claim(claim))
    entries = work.snapshot() if exchange.snapshot else None
    return Answer(now, work.name, work.end(), told, shares, claimed, entries, tuple(work.corrupt))


def news_since(connection: sqlite3.Connection, known: int) -> list[News]:
    """Return what has changed, within a transaction.

    Args:
        connection: To the file.
        known: Sequence number after which it is told.

    Raises:
        sqlite3.Error: If it cannot be read.
    """
    sequence = standing(connection).sequence
    rows = connection.execute(
        "SELECT version, told FROM news WHERE version > ? ORDER BY 1", (known,)
    )
    read = (_news(version, told) for version, told in rows)
    found = [news for news in read if news is not None]
    if sequence > (found[-1].after if found else known):
        # It is not remembered, or cannot be read: that there was something is all that is known.
        found.append(News(sequence, sequence))
    return found


def purge(connection: sqlite3.Connection, now: float) -> None:
    """Delete what has expired, within a transaction.

    Args:
        connection: To the file.
        now: Store seconds.

    Raises:
        sqlite3.Error: If it cannot be done.
    """
    connection.execute("DELETE FROM news WHERE told_at <= ?", (now - _NEWS_S,))
    connection.execute("DELETE FROM entries WHERE expires_at <= ?", (now,))
    connection.execute("DELETE FROM limits WHERE forgotten_at <= ?", (now,))
    connection.execute("DELETE FROM claims WHERE since + lasts_s <= ?", (now,))


_ENCODE = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode
_ENTRIES = "SELECT key, value, weight, expires_at, version FROM entries"


class _Work:
    """One exchange that is being carried out."""

    def __init__(self, connection: sqlite3.Connection, exchange: Exchange, now: float) -> None:
        self._run = connection.execute
        self._exchange = exchange
        self._now = now
        before = standing(connection)
        self.name = before.name
        self.corrupt: list[str] = []
        self._sequence = before.sequence
        self._changed: list[Entry] = []
        self._full: list[str] = []

    def end(self) -> int:
        """Write down what is news of it; return the number of the last change that was."""
        if self._changed or self._full:
            self._sequence += 1
            self._run("UPDATE store SET sequence = ?", (self._sequence,))
            told = _ENCODE(
                {"entries": [_row(entry) for entry in self._changed], "full": self._full}
            )
            self._run("INSERT INTO news VALUES (?, ?, ?)", (self._sequence, told, self._now))
        return self._sequence

    def write(self, write: Write) -> Entry:
        """Change an entry, if nothing is lost by it; return it as it is now."""
        there = self._there(write.key)
        if there is None:
            if write.value is None:
                return Entry(write.key, None)
        elif there.version != write.base and (write.value is None or write.weight <= there.weight):
            return there
        version = self._sequence if write.quiet else self._sequence + 1
        if write.value is None:
            entry = Entry(write.key, None, version=version)
            self._run("DELETE FROM entries WHERE key = ?", (write.key,))
        else:
            entry = Entry(write.key, write.value, write.weight, write.expires_at, version)
            self._run("REPLACE INTO entries VALUES (?, ?, ?, ?, ?)", (*_row(entry), version))
        if not write.quiet:
            self._changed.append(entry)
        return entry

    def draw(self, draw: Draw) -> Share:
        """Draw on a limit."""
        at = (draw.meter, draw.width_s or 0.0, draw.window)
        find = "SELECT record FROM limits WHERE (meter, width_s, window) = (?, ?, ?)"
        (text,) = self._run(find, at).fetchone() or ("",)
        record = self._record(draw.meter, text)
        after = drawn(record, draw, self._exchange.process, self._now, self._exchange.hold_s)
        if after.full:
            self._full.append(draw.meter)
        told = _ENCODE(written(after.record))
        if told != text:
            ends = forgotten_at(after.record, draw.width_s, draw.window)
            self._run("REPLACE INTO limits VALUES (?, ?, ?, ?, ?)", (*at, told, ends))
        return after.share

    def release(self, key: str) -> None:
        """Give up a claim."""
        self._run("DELETE FROM claims WHERE key = ? AND process = ?", (key, self._exchange.process))

    def claim(self, claim: Claim) -> bool:
        """Ask for a claim, or prolong it; return whether it is this process's now."""
        process, rival = self._holder(claim.key)
        if process not in (None, self._exchange.process):
            # The clock may have been set back: nobody was heard of in the future.
            self._run(
                "UPDATE claims SET rival = 1, since = min(since, ?) WHERE key = ?"
                " AND (rival = 0 OR since > ?)",
                (self._now, claim.key, self._now),
            )
            return False
        if rival and not claim.busy:
            self.release(claim.key)
            return False
        row = (claim.key, self._exchange.process, self._now, self._exchange.claim_s, rival)
        self._run("REPLACE INTO claims VALUES (?, ?, ?, ?, ?)", row)
        return True

    def snapshot(self) -> tuple[Entry, ...]:
        """Return every entry; drop those that cannot be read."""
        rows = self._run(f"{_ENTRIES} WHERE expires_at > ? ORDER BY key", (self._now,)).fetchall()
        entries = [self._readable(*row) for row in rows]
        return tuple(entry for entry in entries if entry is not None)

    def _there(self, key: str) -> Entry | None:
        find = f"{_ENTRIES} WHERE key = ? AND expires_at > ?"
        row = self._run(find, (key, self._now)).fetchone()
        return None if row is None else self._readable(*row)

    def _readable(
        self, key: str, value: str, weight: float, expires_at: float, version: int
    ) -> Entry | None:
        entry = _entry(key, value, weight, expires_at, version)
        if entry is None:
            self.corrupt.append(key)
            self._run("DELETE FROM entries WHERE key = ?", (key,))
        return entry

    def _record(self, meter: str, text: str) -> Record:
        if not text:
            return Record()
        try:
            return record_of(json.loads(text))
        except ValueError:
            self.corrupt.append(meter)
            return Record()

    def _holder(self, key: str) -> tuple[str | None, bool]:
        """Whose a claim is, and whether somebody else wants it."""
        row = self._run(
            "SELECT process, rival FROM claims WHERE key = ? AND since + lasts_s > ?",
            (key, self._now),
        ).fetchone()
        return (None, False) if row is None else (row[0], bool(row[1]))


def _entry(key: str, value: str, weight: float, expires_at: float, version: int) -> Entry | None:
    """The entry of a row; None if its value cannot be read."""
    try:
        json.loads(value)
    except (ValueError, RecursionError):
        return None
    return Entry(key, value, weight, expires_at, version)


def _row(entry: Entry) -> tuple[str, str | None, float, float]:
    return entry.key, entry.value, entry.weight, entry.expires_at


def _news(version: int, told: str) -> News | None:
    """The news of a row; None if they cannot be read."""
    try:
        found = json.loads(told)
        entries = tuple(
            Entry(key, value, weight, expires_at, version)
            for key, value, weight, expires_at in found["entries"]
        )
        return News(version - 1, version, entries, tuple(found["full"]))
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
