"""A log of events and decisions in a file, one JSON object a line."""

from __future__ import annotations

import json
from os import PathLike, fspath
from pathlib import Path
from threading import Lock

from capability_router.clock import SystemClock
from capability_router.engine.decision import Decision
from capability_router.engine.events import RoutingEvent
from capability_router.engine.timing import Clock
from capability_router.observability.records import as_record

__all__ = ["JsonLines"]


class JsonLines:
    """Appends each record to a file, which is renamed and begun anew when it has grown full.

    A line holds no text of a request or an answer, and no key. ``capability-router watch`` follows
    the file. For one process: several that write to one file would rename it under each other.

    Args:
        path: The file; its folder must exist.
        max_bytes: Size that a file does not exceed unless by one line, > 0; None for no limit.
        backups: Older files that are kept, as ``path.1``, ``path.2`` and so on, >= 0.
        clock: The router's; it dates the records.

    Raises:
        OSError: If the file cannot be opened for writing.
        ValueError: If a number is out of range.
    """

    def __init__(
        self,
        path: str | PathLike[str],
        *,
        max_bytes: int | None = 50_000_000,
        backups: int = 3,
        clock: Clock | None = None,
    ) -> None:
        if max_bytes is not None and max_bytes <= 0:
            raise ValueError(f"max_bytes {max_bytes} must be above 0, or None for no limit")
        if backups < 0:
            raise ValueError(f"backups {backups} must not be below 0")
        self.path = Path(fspath(path))
        self._max_bytes = max_bytes
        self._backups = backups
        self._clock = clock or SystemClock()
        self._guard = Lock()
        self._file = self.path.open("ab", buffering=0)
        self._size = self.path.stat().st_size
        # A process that was killed may have left half a line: what follows is not to be part of it.
        if self._size and not self._ends_with_a_line():
            self._size += self._file.write(b"\n")

    def record(self, item: RoutingEvent | Decision) -> None:
        """Write one record.

        Raises:
            OSError: If it cannot be written, for instance because the disk is full.
            ValueError: If the log is closed.
        """
        told = as_record(item, self._clock)
        line = json.dumps(told, separators=(",", ":"), default=str).encode() + b"\n"
        with self._guard:
            if self._max_bytes is not None and self._size + len(line) > self._max_bytes:
                self._rotate()
            # Whole or not at all for whoever reads: one write for one line.
            self._file.write(line)
            self._size += len(line)

    def close(self) -> None:
        """Close the file; records that come later are refused."""
        with self._guard:
            self._file.close()

    def __enter__(self) -> JsonLines:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _rotate(self) -> None:
        if not self._size:
            return
        self._file.close()
        for number in range(self._backups, 0, -1):
            older = self._backup(number - 1)
            if older.exists():
                older.replace(self._backup(number))
        if not self._backups:
            self.path.unlink(missing_ok=True)
        self._file = self.path.open("ab", buffering=0)
        self._size = 0

    def _backup(self, number: int) -> Path:
        return self.path.with_name(f"{self.path.name}.{number}") if number else self.path

    def _ends_with_a_line(self) -> bool:
        with self.path.open("rb") as file:
            file.seek(-1, 2)
            return file.read(1) == b"\n"
