"""Follows a log of JSON lines that another process writes and rotates.

Nothing is held open between two looks: on Windows an open file could not be renamed, and who looks
on must not disturb who writes.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from capability_router.watching.fields import Record

__all__ = ["LogFollower"]

_LONGEST_LINE = 1_000_000
_AT_ONCE = 4_000_000
_MOST_BACKUPS = 99


@dataclass(slots=True)
class _Place:
    """How far one file has been read: which it is, where its next line begins."""

    file: tuple[int, int]
    offset: int = 0
    is_at_end: bool = False


class LogFollower:
    """The records of a log, from its oldest backup on, as they are written.

    When the log is renamed to ``NAME.1`` and begun anew, reading goes on behind what was read, in
    whichever backup that is by now. A line without its end is read once it has one. One that is no
    JSON object, or longer than 1 MB, becomes an empty record, which is none that anybody knows.

    Args:
        path: The log; it may come into being later.
        before: Records that stand before those of the log.
    """

    def __init__(self, path: Path, before: Sequence[Record] = ()) -> None:
        self._path = path
        self._place: _Place | None = None
        self._before = before

    @property
    def title(self) -> str:
        """The path of the log."""
        return str(self._path)

    def poll(self) -> list[Record]:
        """Return the records of lines that are new, oldest first; none if all have been read.

        Raises:
            OSError: If a file is there and cannot be read.
        """
        records, self._before = list(self._before), ()
        places = self._to_read()
        for path, place in places:
            self._place = place
            records += self._read(path, place, is_complete=place is not places[-1][1])
            if not place.is_at_end:
                break
        return records

    def close(self) -> None:
        """Do nothing: no file is open."""

    def _to_read(self) -> list[tuple[Path, _Place]]:
        """Return the file that was read last and those begun since, oldest first."""
        # Newest first: a rotation meanwhile shows a file twice, and never hides one.
        found: dict[tuple[int, int], Path] = {}
        for path in self._files():
            try:
                stat = path.stat()
            except FileNotFoundError:
                if path != self._path:
                    break
                continue
            found[stat.st_dev, stat.st_ino] = path
        files = list(found.items())[::-1]
        known = [file for file, _ in files]
        place = self._place
        if place is not None and place.file in known:
            later = files[known.index(place.file) + 1 :]
            return [(found[place.file], place), *((path, _Place(file)) for file, path in later)]
        return [(path, _Place(file)) for file, path in files]

    def _files(self) -> list[Path]:
        backups = (Path(f"{self._path}.{number}") for number in range(1, _MOST_BACKUPS + 1))
        return [self._path, *backups]

    def _read(self, path: Path, place: _Place, *, is_complete: bool) -> list[Record]:
        place.is_at_end = False
        try:
            file = path.open("rb")
        except FileNotFoundError:
            return []
        with file:
            stat = os.fstat(file.fileno())
            if (stat.st_dev, stat.st_ino) != place.file:
                # Rotated since it was looked for: what stands here now is another file.
                return []
            if stat.st_size < place.offset:
                # Cut short and begun anew under the same name.
                place.offset = 0
            file.seek(place.offset)
            text = file.read(_AT_ONCE)
        place.is_at_end = len(text) < _AT_ONCE
        whole, _, rest = text.rpartition(b"\n")
        if len(rest) > _LONGEST_LINE or (is_complete and place.is_at_end):
            # No end of a line will come any more, or none that is worth waiting for.
            whole, rest = text, b""
        place.offset += len(text) - len(rest)
        return [record for line in whole.splitlines() if (record := _parsed(line)) is not None]


def _parsed(line: bytes) -> Record | None:
    if not line.strip():
        return None
    try:
        value: object = json.loads(line) if len(line) <= _LONGEST_LINE else None
    except (ValueError, RecursionError):
        value = None
    return cast("Record", value) if isinstance(value, dict) else {}
