"""A store in memory, written as plainly as its contract reads: what tests hold others against.

All clients of one shelf share it. Its clock is a manual one, and each client can be cut off.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from math import inf

from capability_router.storage.store import (
    Answer,
    Claim,
    Draw,
    Entry,
    Exchange,
    News,
    Share,
    StoreError,
    StoreFault,
    Write,
)
from capability_router.testing import ManualClock

BUCKETS = 60


@dataclass
class Hold:
    amount: int
    window: int
    expires_at: float


@dataclass
class Record:
    used: dict[int, int] = field(default_factory=dict[int, int])
    holds: dict[str, Hold] = field(default_factory=dict[str, Hold])


@dataclass
class Held:
    process: str
    expires_at: float
    rival: bool = False


class Shelf:
    """What the clients share."""

    def __init__(self, clock: ManualClock, ahead_s: float = 0.0) -> None:
        self.clock = clock
        self.ahead_s = ahead_s
        self.clients: list[Client] = []
        self.empty("first")

    def empty(self, name: str) -> None:
        self.name = name
        self.sequence = 0
        self.entries: dict[str, Entry] = {}
        self.records: dict[str, Record] = {}
        self.claims: dict[str, Held] = {}

    def now(self) -> float:
        return self.clock.wall() + self.ahead_s

    def exchange(self, asked: Exchange) -> Answer:
        before, changed, full = self.sequence, list[Entry](), list[str]()
        after = before + any(self._would_change(write) for write in asked.writes)
        written = [self._write(write, after, changed) for write in asked.writes]
        self.sequence = after if changed else before
        shares = [self._draw(draw, asked, full) for draw in asked.draws]
        for key in asked.releases:
            if key in self.claims and self.claims[key].process == asked.process:
                del self.claims[key]
        claimed = [claim.key for claim in asked.claims if self._claim(claim, asked)]
        if changed or full:
            news = News(before, self.sequence, tuple(changed), tuple(full))
            for client in self.clients:
                client.waiting.append(news)
        entries = [e for e in self.entries.values() if e.expires_at > self.now()]
        return Answer(
            self.now(),
            self.name,
            self.sequence,
            tuple(written),
            tuple(shares),
            frozenset(claimed),
            tuple(entries) if asked.snapshot else None,
        )

    def _known(self, key: str) -> Entry | None:
        found = self.entries.get(key)
        return found if found and found.expires_at > self.now() else None

    def _takes(self, write: Write) -> bool:
        found = self._known(write.key)
        if found is None:
            return write.value is not None
        if found.version == write.base:
            return True
        return write.value is not None and write.weight > found.weight

    def _would_change(self, write: Write) -> bool:
        return not write.quiet and self._takes(write)

    def _write(self, write: Write, after: int, changed: list[Entry]) -> Entry:
        if not self._takes(write):
            return self._known(write.key) or Entry(write.key, None, version=self.sequence)
        version = max(1, self.sequence) if write.quiet else after
        entry = Entry(write.key, write.value, write.weight, write.expires_at, version)
        if write.value is None:
            self.entries.pop(write.key, None)
        else:
            self.entries[write.key] = entry
        if not write.quiet:
            changed.append(entry)
        return entry

    def _draw(self, draw: Draw, asked: Exchange, full: list[str]) -> Share:
        now, record = self.now(), self.records.setdefault(draw.meter, Record())
        self._age(record, draw, now)
        was_full = self._standing(record, draw, now) >= draw.capacity
        own = record.holds.get(asked.process)
        total = sum(draw.used.values())
        extra = total if own is not None else max(0, total - draw.grant)
        for bucket, change in draw.used.items():
            # What was written off counts already: only what goes beyond it is new.
            part = change if own is not None or not draw.grant else min(change, extra)
            record.used[bucket] = record.used.get(bucket, 0) + part
            extra -= part
        held = max(0, own.amount - total) if own is not None else 0
        others = sum(
            hold.amount
            for process, hold in record.holds.items()
            if process != asked.process and hold.window == draw.window
        )
        used = self._used(record, draw, now)
        over = draw.window != 0 and draw.window <= now
        held = 0 if over else min(draw.want, held + max(0, draw.capacity - used - others - held))
        record.holds.pop(asked.process, None)
        if held:
            record.holds[asked.process] = Hold(held, draw.window, now + asked.hold_s)
        holders = sum(hold.window == draw.window for hold in record.holds.values())
        if not was_full and used + others + held >= draw.capacity:
            full.append(draw.meter)
        return Share(used, others, held, holders, self._frees_at(record, draw, now))

    def _age(self, record: Record, draw: Draw, now: float) -> None:
        for process, hold in list(record.holds.items()):
            if hold.expires_at <= now:
                width = draw.width_s
                bucket = int(hold.expires_at / width) if width else hold.window
                record.used[bucket] = record.used.get(bucket, 0) + hold.amount
                del record.holds[process]
        if draw.width_s:
            first = int(now / draw.width_s) - BUCKETS
            record.used = {b: n for b, n in record.used.items() if b >= first}

    def _used(self, record: Record, draw: Draw, now: float) -> int:
        if draw.width_s:
            return sum(record.used.values())
        return record.used.get(draw.window, 0)

    def _standing(self, record: Record, draw: Draw, now: float) -> int:
        holds = sum(h.amount for h in record.holds.values() if h.window == draw.window)
        return self._used(record, draw, now) + holds

    def _frees_at(self, record: Record, draw: Draw, now: float) -> float:
        if not draw.width_s:
            return draw.window or inf
        first = min((b for b, n in record.used.items() if n), default=None)
        return inf if first is None else (first + BUCKETS + 1) * draw.width_s

    def _claim(self, claim: Claim, asked: Exchange) -> bool:
        now, held = self.now(), self.claims.get(claim.key)
        if held is None or held.expires_at <= now:
            self.claims[claim.key] = Held(asked.process, now + asked.claim_s)
            return True
        if held.process != asked.process:
            held.rival = True
            return False
        if held.rival and not claim.busy:
            del self.claims[claim.key]
            return False
        self.claims[claim.key] = replace(held, expires_at=now + asked.claim_s)
        return True


class Client:
    """A process's way to the shelf; ``meanwhile`` is called while the next answer is on its way."""

    def __init__(self, shelf: Shelf) -> None:
        self.shelf = shelf
        self.cut: StoreFault | None = None
        self.deaf = False
        self.waiting: list[News] = []
        self.asked: list[Exchange] = []
        self.closed = False
        self.meanwhile: Callable[[], object] | None = None
        shelf.clients.append(self)

    def exchange(self, exchange: Exchange) -> Answer:
        if self.cut is not None:
            raise StoreError(self.cut, "cut off by the test")
        self.asked.append(exchange)
        answer = self.shelf.exchange(exchange)
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile is not None:
            meanwhile()
        return answer

    def listen(self, timeout_s: float) -> Sequence[News]:
        news, self.waiting = self.waiting, []
        if self.cut is not None or self.deaf:
            raise StoreError(self.cut or StoreFault.UNREACHABLE, "cut off by the test")
        return news

    def close(self) -> None:
        self.closed = True
