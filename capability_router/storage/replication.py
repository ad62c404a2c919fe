"""What holds models in this process and in the store, kept equal.

An order is written once it holds here, and dropped once it has ended here. One that another process
has written or dropped is followed, unless what is known here is newer: that is written then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from math import inf

from capability_router.engine.member import Order
from capability_router.engine.replica import Replica
from capability_router.storage import facts
from capability_router.storage.store import Entry, Write
from capability_router.storage.store_clock import StoreClock

__all__ = ["Replication"]

_REMEMBERED_S = 86_400.0
"""Seconds for which an order that is over is kept if no process is there to find out."""


class Replication:
    """The orders of one router against those of the store.

    Args:
        clock: Compares the clocks.

    Attributes:
        unreadable: What was wrong with entries that could not be read, since it was last emptied.
    """

    def __init__(self, clock: StoreClock) -> None:
        self._clock = clock
        self._known: dict[str, Entry] = {}
        # The order that holds here and is what the entry says.
        self._same: dict[str, Order] = {}
        self._sent: dict[str, Order] = {}
        self._in_flight: dict[str, str | None] = {}
        self._read_at = 0
        self.unreadable: list[str] = []

    def gather(self, replica: Replica) -> list[Write]:
        """Return what has to be written, so that the store says what holds here."""
        orders = {facts.order_key(held): held for held in replica.orders()}
        by_hand = {facts.by_hand_key(scope): o for scope, o in replica.by_hand().items()}
        self._sent = {key: held.order for key, held in orders.items()} | by_hand
        changed = [key for key, order in self._sent.items() if self._same.get(key) is not order]
        writes = [
            self._write(key, facts.packed_order(orders[key], self._clock))
            if key in orders
            else self._write(key, facts.packed_by_hand(by_hand[key], self._clock))
            for key in changed
        ]
        ended = [key for key in self._same if key not in self._sent]
        writes += [Write(key, None, base=self._version(key)) for key in ended]
        self._in_flight = {write.key: write.value for write in writes}
        return writes

    def answered(self, replica: Replica, writes: Sequence[Write], entries: Sequence[Entry]) -> None:
        """Take in what became of the writes."""
        for write, entry in zip(writes, entries, strict=True):
            if entry.value == write.value:
                self._known[entry.key] = entry
                self._agree(entry.key, None if write.value is None else self._sent[entry.key])
            else:
                self._follow(replica, entry)
        self._in_flight.clear()

    def hear(self, replica: Replica, entries: Iterable[Entry]) -> None:
        """Follow what others have changed; what is older than what is known says nothing."""
        for entry in entries:
            if entry.version <= max(self._version(entry.key), self._read_at):
                continue
            if self._in_flight.get(entry.key, entry) == entry.value:
                # Our own, heard of before the answer to it.
                self._known[entry.key] = entry
                self._agree(entry.key, self._sent.get(entry.key))
            else:
                self._follow(replica, entry)

    def read(self, replica: Replica, entries: Iterable[Entry], sequence: int) -> None:
        """Follow a snapshot: what it does not have was dropped.

        Args:
            replica: The router.
            entries: Every entry.
            sequence: Number of the last change that it knows.
        """
        found = {entry.key: entry for entry in entries}
        known = self._known
        gone = [key for key in known if key not in found and known[key].version <= sequence]
        self.hear(replica, found.values())
        for key in gone:
            if known[key].value is not None:
                self._follow(replica, Entry(key, None, version=sequence))
        # News may have been quicker than the snapshot.
        newer = {key: entry for key, entry in known.items() if entry.version > sequence}
        self._known = found | newer
        self._read_at = sequence

    def begin_anew(self) -> None:
        """Forget what the store said, because it was emptied: what holds here is written again."""
        self._known.clear()
        self._same.clear()
        self._read_at = 0

    def look_again(self, replica: Replica) -> None:
        """Follow what concerned nobody before: there may be other models and pools now."""
        for key, entry in list(self._known.items()):
            if key not in self._same and entry.value is not None:
                self._follow(replica, entry)

    def _write(self, key: str, value: str) -> Write:
        until = self._sent[key].until
        weight = inf if until == inf else self._clock.to_store(until)
        return Write(key, value, weight, weight + _REMEMBERED_S, self._version(key))

    def _version(self, key: str) -> int:
        known = self._known.get(key)
        return known.version if known else 0

    def _agree(self, key: str, order: Order | None) -> None:
        """Note which order holds here as the entry says; None if none does."""
        if order is None:
            self._same.pop(key, None)
        else:
            self._same[key] = order

    def _follow(self, replica: Replica, entry: Entry) -> None:
        self._known[entry.key] = entry
        try:
            follow = self._follower(facts.kind_of(entry.key))
            if follow is not None:
                follow(replica, entry)
        except facts.UnreadableError as error:
            self.unreadable.append(str(error))

    def _follower(self, kind: str) -> Callable[[Replica, Entry], None] | None:
        return {"order": self._follow_order, "by_hand": self._follow_by_hand}.get(kind)

    def _follow_order(self, replica: Replica, entry: Entry) -> None:
        before = self._same.pop(entry.key, None)
        if entry.value is None:
            if before is not None:
                replica.hear_end(facts.held_by(entry.key, before))
            return
        held = facts.held_order(entry, self._clock)
        if held.order.until <= replica.now() and not held.order.probe:
            return
        if before is not None and before.until > held.order.until:
            replica.hear_end(facts.held_by(entry.key, before))
        now_held = replica.hear_of(held)
        if now_held is not None and now_held.until <= held.order.until:
            self._agree(entry.key, now_held)

    def _follow_by_hand(self, replica: Replica, entry: Entry) -> None:
        scope = facts.scope_of(entry.key)
        before = self._same.pop(entry.key, None)
        if entry.value is None:
            if before is not None and replica.by_hand().get(scope) is before:
                replica.hear_by_hand(scope, None)
            return
        order = facts.order_by_hand(entry, self._clock)
        if order.until > replica.now():
            replica.hear_by_hand(scope, order)
            self._agree(entry.key, replica.by_hand().get(scope))
