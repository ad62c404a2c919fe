"""What a store is to answer, kept as plainly as can be: all that ever happened, looked up anew."""

from dataclasses import dataclass, field
from math import floor, inf

from capability_router.storage.store import Claim, Draw, Entry, Exchange, News, Share, Write

NEWS_S = 60.0


@dataclass
class Use:
    """Something that was used of a limit, or given back."""

    bucket: int
    amount: int


@dataclass
class Held:
    """What is reserved for a process, and until when."""

    amount: int
    until: float


@dataclass
class Limit:
    """One limit in one window."""

    uses: list[Use] = field(default_factory=list[Use])
    held: dict[str, Held] = field(default_factory=dict[str, Held])
    lost: dict[str, int] = field(default_factory=dict[str, int])


@dataclass
class Claimed:
    """Whose a claim is, until when, and whether somebody else wants it."""

    process: str
    until: float
    wanted: bool


@dataclass
class Told:
    """What a store is to answer to an exchange, but for names."""

    sequence: int
    written: tuple[Entry, ...]
    shares: tuple[Share, ...]
    claimed: frozenset[str]
    entries: tuple[Entry, ...]


class Model:
    """A store without a file."""

    def __init__(self) -> None:
        self.now = 0.0
        self.sequence = 1
        self.entries: dict[str, Entry] = {}
        self.limits: dict[tuple[str, float | None, int], Limit] = {}
        self.claims: dict[str, Claimed] = {}
        self.log: list[News] = []
        # When each news was told, by its number.
        self.told_at: dict[int, float] = {}

    def exchange(self, exchange: Exchange, now: float) -> Told:
        """Do what a store does."""
        self.now = now
        news: list[Entry] = []
        full: list[str] = []
        written = tuple(self._write(write, news) for write in exchange.writes)
        shares = tuple(self._draw(draw, exchange, full) for draw in exchange.draws)
        for key in exchange.releases:
            if key in self.claims and self.claims[key].process == exchange.process:
                del self.claims[key]
        claimed = [claim.key for claim in exchange.claims if self._claim(claim, exchange)]
        if news or full:
            self.sequence += 1
            self.told_at[self.sequence] = now
            self.log.append(News(self.sequence - 1, self.sequence, tuple(news), tuple(full)))
        return Told(self.sequence, written, shares, frozenset(claimed), self.alive())

    def alive(self) -> tuple[Entry, ...]:
        """Every entry there is."""
        return tuple(self.entries[key] for key in sorted(self.entries) if self._there(key))

    def since(self, known: int) -> list[News]:
        """All news after one."""
        return [news for news in self.log if news.after > known]

    def _there(self, key: str) -> Entry | None:
        entry = self.entries.get(key)
        return entry if entry and entry.value is not None and entry.expires_at > self.now else None

    def _write(self, write: Write, news: list[Entry]) -> Entry:
        there = self._there(write.key)
        unknown = there is not None and there.version != write.base
        if there and unknown and (write.value is None or not write.weight > there.weight):
            return there
        if write.value is None and not there:
            return Entry(write.key, None)
        version = self.sequence if write.quiet else self.sequence + 1
        entry = Entry(write.key, write.value, write.weight, write.expires_at, version)
        if write.value is None:
            entry = Entry(write.key, None, version=version)
        self.entries[write.key] = entry
        if not write.quiet:
            news.append(entry)
        return entry

    def _draw(self, draw: Draw, exchange: Exchange, full: list[str]) -> Share:
        limit = self.limits.setdefault((draw.meter, draw.width_s, draw.window), Limit())
        rolling = draw.width_s is not None
        oldest = floor(self.now / draw.width_s) - 60 if draw.width_s is not None else draw.window
        self._write_off(limit, draw.width_s, draw.window)
        limit.uses = [use for use in limit.uses if use.bucket >= oldest]

        def used() -> int:
            return sum(use.amount for use in limit.uses)

        def reserved() -> int:
            return sum(held.amount for held in limit.held.values())

        before = used() + reserved()
        mine = limit.held.pop(exchange.process, Held(0, 0.0)).amount
        lost = limit.lost.pop(exchange.process, -inf)
        spare = draw.grant if lost >= oldest else 0
        for bucket, amount in sorted(draw.used.items()):
            counted = amount
            if amount > 0:
                counted -= min(spare, amount)
                spare -= amount - counted
            counts = bucket >= oldest if rolling else bucket == draw.window
            if not counts:
                mine -= max(counted, 0)
                continue
            there = sum(use.amount for use in limit.uses if use.bucket == bucket)
            counted = max(counted, -there)
            limit.uses.append(Use(bucket, counted))
            mine -= counted
        mine = max(0, mine)
        others = reserved()
        mine = min(draw.want, mine + max(0, draw.capacity - used() - others - mine))
        over = bool(draw.window) and draw.window <= self.now
        if over:
            mine = 0
        if mine:
            limit.held[exchange.process] = Held(mine, self.now + exchange.hold_s)
        if before < draw.capacity <= used() + reserved() and not over:
            full.append(draw.meter)
        return Share(used(), others, mine, len(limit.held), self._frees_at(draw, limit))

    def _write_off(self, limit: Limit, width_s: float | None, window: int) -> None:
        for process, held in list(limit.held.items()):
            if held.until <= self.now:
                del limit.held[process]
                at = floor(held.until / width_s) if width_s is not None else window
                limit.uses.append(Use(at, held.amount))
                limit.lost[process] = at

    def _frees_at(self, draw: Draw, limit: Limit) -> float:
        buckets = {use.bucket for use in limit.uses}
        counting = [
            bucket
            for bucket in buckets
            if sum(use.amount for use in limit.uses if use.bucket == bucket)
        ]
        if not counting:
            return inf
        if draw.width_s is None:
            return float(draw.window) if draw.window else inf
        return (min(counting) + 61) * draw.width_s

    def _claim(self, claim: Claim, exchange: Exchange) -> bool:
        there = self.claims.get(claim.key)
        if there and there.until <= self.now:
            there = None
        if there and there.process != exchange.process:
            there.wanted = True
            return False
        if there and there.wanted and not claim.busy:
            del self.claims[claim.key]
            return False
        wanted = there.wanted if there else False
        self.claims[claim.key] = Claimed(exchange.process, self.now + exchange.claim_s, wanted)
        return True
