"""Pumps a source into a view, and hands out what is new to any number of readers.

Readers have no queues: each says how far it has come and gets what the view has since, so that a
slow one costs nobody anything and a gap heals by itself.
"""

from __future__ import annotations

import json
import secrets
import threading
from collections.abc import Generator
from contextlib import contextmanager

from capability_router.clock import SystemClock
from capability_router.engine.timing import Clock
from capability_router.watching.sources import Source
from capability_router.watching.view import View

__all__ = ["Feed"]

_INTERVAL_S = 0.25
"""Seconds between two looks at the source: more often than that nobody can read."""


class Feed:
    """The view of one source, kept up to date by a thread of its own.

    Args:
        source: Where the records come from.
        clock: Source of the wall time that readers compare with; None for the system's.
    """

    def __init__(self, source: Source, clock: Clock | None = None) -> None:
        self._source = source
        self._clock = clock or SystemClock()
        self._view = View()
        self._changed = threading.Condition()
        self._over = threading.Event()
        self._trouble = ""
        # A reader of an earlier feed at the same address must not go on with its numbers.
        self._epoch = secrets.token_hex(4)
        self._version = 0
        self._thread = threading.Thread(target=self._run, name="watching", daemon=True)

    @property
    def is_over(self) -> bool:
        """Whether it was closed."""
        return self._over.is_set()

    @contextmanager
    def running(self) -> Generator[Feed]:
        """Pump as long as the block runs; what is there already is read before it begins."""
        self.pump()
        self._thread.start()
        try:
            yield self
        finally:
            self._over.set()
            with self._changed:
                self._changed.notify_all()
            self._thread.join()
            self._source.close()

    def pump(self) -> None:
        """Take what is new, and wake the readers if there is any."""
        trouble = ""
        try:
            records = self._source.poll()
        except OSError as error:
            records, trouble = [], str(error)
        with self._changed:
            for record in records:
                self._view.take(record)
            if records or trouble != self._trouble:
                self._trouble = trouble
                self._version += 1
                self._changed.notify_all()

    def update(self, since: str, timeout_s: float) -> tuple[str, str] | None:
        """Wait for something new and return it.

        Args:
            since: The position that the reader got last; empty, or any other text, for all that
                is known, at once.
            timeout_s: Seconds to wait at most, >= 0.

        Returns:
            The new position and a JSON object; None if nothing is new, or the feed is closed.
        """
        version, revision = self._read_position(since)
        with self._changed:
            self._changed.wait_for(
                lambda: self._version != version or self._over.is_set(), timeout_s
            )
            if self._version == version or self._over.is_set():
                return None
            position = f"{self._epoch}.{self._version}.{self._view.revision}"
            update = {
                "title": self._source.title,
                "now": self._clock.wall(),
                "trouble": self._trouble,
                "is_whole": version < 0,
                "state": self._view.state(),
                "rows": self._view.whole_rows_after(revision),
            }
        return position, json.dumps(update, separators=(",", ":"))

    def _read_position(self, since: str) -> tuple[int, int]:
        epoch, _, numbers = since.partition(".")
        version, _, revision = numbers.partition(".")
        # Not isdigit, for which digits of every script are digits.
        if epoch != self._epoch or not (version.isdecimal() and revision.isdecimal()):
            return -1, -1
        return int(version[:18]), int(revision[:18])

    def _run(self) -> None:
        while not self._over.wait(_INTERVAL_S):
            self.pump()
