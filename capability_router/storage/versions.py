"""Which configuration the processes that share a store go by."""

from __future__ import annotations

from collections.abc import Iterable
from math import inf

from capability_router.storage import facts
from capability_router.storage.store import Entry, Write

__all__ = ["Versions"]


class Versions:
    """The configuration of this process against the one that was read last by any.

    Args:
        fingerprint: What distinguishes that of this process; empty if it has no file.

    Attributes:
        newest: Fingerprint of the one that was read last; empty if none is known.
    """

    def __init__(self, fingerprint: str) -> None:
        self._own = fingerprint
        self._is_told = not fingerprint
        self._said = ""
        self.newest = fingerprint

    def change(self, fingerprint: str) -> None:
        """Note that this process has read another one."""
        self._is_told = fingerprint == self._own or not fingerprint
        self._own = fingerprint

    def gather(self, store_now: float) -> list[Write]:
        """Return what to write: that this process has read its configuration just now.

        Args:
            store_now: Store seconds.
        """
        if self._is_told:
            return []
        self._is_told, self.newest = True, self._own
        value = facts.pack(fingerprint=self._own, at=round(store_now, 3))
        # A base that nobody has: so the heavier one stays, which is the one read last.
        return [Write(facts.CONFIGURATION, value, store_now, inf, base=-1)]

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
