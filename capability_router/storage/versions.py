"""Which configuration the processes that share a store go by."""

from __future__ import annotations

from collections.abc import Iterable
from math import inf

from capability_router.storage import facts
from capability_router.storage.store import Entry, Write
from capability_router.storage.store_clock import StoreClock

__all__ = ["Versions"]


class Versions:
    """The configuration of this process against the one that was read last by any.

    Args:
        fingerprint: What distinguishes that of this process; empty if it has no file.
        now: Monotonic seconds at which that was read.

    Attributes:
        newest: Fingerprint of the one that was read last; empty if none is known.
    """

    def __init__(self, fingerprint: str, now: float) -> None:
        self._own, self._read_at = fingerprint, now
        self._is_told = not fingerprint
        self._said = ""
        self.newest = fingerprint

    def change(self, fingerprint: str, now: float) -> None:
        """Note that this process has read its configuration again.

        Args:
            fingerprint: What distinguishes it; empty for none.
            now: Monotonic seconds.
        """
        self._own, self._read_at = fingerprint, now
        self._is_told = not fingerprint

    def begin_anew(self) -> None:
        """Note that the store was emptied, and knows of none."""
        self._is_told = not self._own

    def gather(self, clock: StoreClock) -> list[Write]:
        """Return what to write: when this process has read its configuration.

        Args:
            clock: Compares the clocks.
        """
        if self._is_told:
            return []
        at = round(clock.to_store(self._read_at), 3)
        # A base that nobody has: so the heavier one stays, which is the one read last.
        return [Write(facts.CONFIGURATION, facts.pack(fingerprint=self._own), at, inf, base=-1)]

    def answered(self, entries: Iterable[Entry]) -> None:
        """Take in what became of writes, ours among them.

        Raises:
            UnreadableError: If the entry is something else.
        """
        for entry in entries:
            if entry.key == facts.CONFIGURATION:
                self._is_told = True
                self.hear([entry])

    def hear(self, entries: Iterable[Entry]) -> None:
        """Take in which one was read last.

        Raises:
            UnreadableError: If the entry is something else.
        """
        for entry in entries:
            if entry.key == facts.CONFIGURATION and entry.value is not None:
                self.newest = str(facts.unpack(entry).get("fingerprint", ""))

    def news(self) -> str | None:
        """Return the fingerprint of one that was read since and is not ours; once for each."""
        if not self._is_told or not self._own or self.newest in {self._own, self._said, ""}:
            return None
        self._said = self.newest
        return self.newest
