"""What a store does, as plainly as it can be said: one process, no server, no sparing of work."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from math import floor, inf
from threading import Condition, RLock

from capability_router.storage.store import (
    Answer,
    Claim,
    Draw,
    Entry,
    Exchange,
    News,
    Share,
    Write,
)

BUCKETS = 60


@dataclass
class Hold:
    amount: int
    expires_at: float


@dataclass
class Limit:
    used: dict[int, int] = field(default_factory=dict[int, int])
    holds: dict[str, Hold] = field(default_factory=dict[str, Hold])

    @property
    def taken(self) -> int:
        return sum(self.used.values()) + sum(hold.amount for hold in self.holds.values())


def bucket_of(draw: Draw, moment: float) -> int:
    return floor(moment / draw.width_s) if draw.width_s else draw.window


def frees_at(draw: Draw, limit: Limit) -> float:
    first = min((bucket for bucket, amount in limit.used.items() if amount > 0), default=None)
    if first is None or not (draw.width_s or draw.window):
        return inf
    return (first + BUCKETS + 1) * draw.width_s if draw.width_s else float(draw.window)


@dataclass
class Held:
    process: str
    expires_at: float
    wanted: bool = False


class Shared:
    """What the clients of one store share.

    Args:
        clock: Returns the store's seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.lock = Condition(RLock())
        self.told: list[News] = []
        self.empty("model")

    def empty(self, name: str) -> None:
        """Forget everything, and be another store."""
        self.name = name
        self.sequence = 1
        self.entries: dict[str, Entry] = {}
        self.limits: dict[tuple[str, float, int], Limit] = {}
        self.claims: dict[str, Held] = {}

    def exchange(self, exchange: Exchange) -> Answer:
        with self.lock:
            return self._exchange(exchange, self.clock())

    def _exchange(self, exchange: Exchange, now: float) -> Answer:
        before = self.sequence
        changed: dict[str, Entry] = {}
        full: list[str] = []
        written = tuple(self.write(write, before, now, changed) for write in exchange.writes)
        self.entries = {k: entry for k, entry in self.entries.items() if entry.expires_at > now}
        shares = tuple(self.draw(draw, exchange, now, full) for draw in exchange.draws)
        for key in exchange.releases:
            if key in self.claims and self.claims[key].process == exchange.process:
                del self.claims[key]
        claimed = frozenset(
            claim.key for claim in exchange.claims if self.claim(claim, exchange, now)
        )
        if changed or full:
            news = News(before, self.sequence, tuple(changed.values()), tuple(full))
            self.told.append(news)
            self.lock.notify_all()
        entries = tuple(self.entries.values()) if exchange.snapshot else None
        return Answer(now, self.name, self.sequence, written, shares, claimed, entries)

    def write(self, write: Write, before: int, now: float, changed: dict[str, Entry]) -> Entry:
        there = self.entries.get(write.key)
        if there is not None and there.expires_at <= now:
            del self.entries[write.key]
            there = None
        knows = there is None or there.version == write.base
        if not knows and there and (write.value is None or write.weight <= there.weight):
            return there
        if there is None and write.value is None:
            return Entry(write.key, None, version=self.sequence)
        if not write.quiet:
            self.sequence = before + 1
        entry = Entry(write.key, write.value, write.weight, write.expires_at, self.sequence)
        if write.value is None:
            entry = Entry(write.key, None, version=self.sequence)
            del self.entries[write.key]
        else:
            self.entries[write.key] = entry
        if not write.quiet:
            changed[write.key] = entry
        return entry

    def draw(self, draw: Draw, exchange: Exchange, now: float, full: list[str]) -> Share:
        limit = self.limit(draw, now)
        was_full = limit.taken >= draw.capacity
        rest = max(0, self.apply(draw, exchange.process, limit, now))
        used, reserved = sum(limit.used.values()), limit.taken - sum(limit.used.values())
        held = min(draw.want, rest + max(0, draw.capacity - used - reserved - rest))
        if 0 < draw.window <= now:
            held = 0
        if held:
            limit.holds[exchange.process] = Hold(held, now + exchange.hold_s)
        if not was_full and limit.taken >= draw.capacity:
            full.append(draw.meter)
        return Share(used, reserved, held, len(limit.holds), frees_at(draw, limit))

    def limit(self, draw: Draw, now: float) -> Limit:
        limit = self.limits.setdefault((draw.meter, draw.width_s or 0, draw.window), Limit())
        for process, hold in list(limit.holds.items()):
            if hold.expires_at <= now:
                bucket = bucket_of(draw, hold.expires_at)
                limit.used[bucket] = limit.used.get(bucket, 0) + hold.amount
                del limit.holds[process]
        first = bucket_of(draw, now) - BUCKETS if draw.width_s else -inf
        limit.used = {bucket: amount for bucket, amount in limit.used.items() if bucket >= first}
        return limit

    def apply(self, draw: Draw, process: str, limit: Limit, now: float) -> int:
        """Count what was used, let go of what the process held, and return what is left of that."""
        own = limit.holds.pop(process, None)
        spared, rest = (0, own.amount) if own else (draw.grant, 0)
        newest = bucket_of(draw, now)
        for told, amount in sorted(draw.used.items()):
            known = max(0, min(spared, amount))
            spared -= known
            bucket = min(told, newest)
            # What is over is no part of the window any more, and cannot be given back.
            is_over = draw.width_s is not None and bucket < newest - BUCKETS
            there = 0 if is_over else limit.used.get(bucket, 0)
            change = max(amount - known, -there)
            rest -= change
            if not is_over:
                limit.used[bucket] = there + change
        return rest

    def claim(self, claim: Claim, exchange: Exchange, now: float) -> bool:
        held = self.claims.get(claim.key)
        if held is not None and held.expires_at <= now:
            held = None
        if held is not None and held.process != exchange.process:
            held.wanted = True
            return False
        if held is not None and held.wanted and not claim.busy:
            del self.claims[claim.key]
            return False
        held = held or Held(exchange.process, now)
        self.claims[claim.key] = replace(held, expires_at=now + exchange.claim_s)
        return True


class ModelStore:
    """One client of what is shared."""

    def __init__(self, shared: Shared) -> None:
        self.shared = shared
        self.heard: int | None = None
        self.closed = False

    def exchange(self, exchange: Exchange) -> Answer:
        return self.shared.exchange(exchange)

    def listen(self, timeout_s: float) -> Sequence[News]:
        shared = self.shared
        with shared.lock:
            if self.heard is None:
                self.heard = len(shared.told)
            start = self.heard
            shared.lock.wait_for(lambda: self.closed or len(shared.told) > start, timeout_s)
            self.heard = len(shared.told)
            return shared.told[start:]

    def close(self) -> None:
        with self.shared.lock:
            self.closed = True
            self.shared.lock.notify_all()
