"""What routers rely on in a store of shared state, checked for one of your own."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from math import inf
from secrets import token_hex
from threading import Barrier

from capability_router.storage.store import (
    Answer,
    Claim,
    Draw,
    Entry,
    Exchange,
    News,
    Share,
    StateStore,
    StoreError,
    Write,
)

__all__ = ["check_state_store"]

_THREADS, _UNITS = 8, 1000
_MOST = 2**53
_SOON_S = 0.05
_WAIT_S = 30.0


def check_state_store(make: Callable[[], StateStore]) -> None:
    """Share state between several clients of one store, and check what ``StateStore`` asks for.

    That entries, their weights and moments come back as they were written, that of two writes
    that did not know of each other the heavier one stays, that all clients hear of changes in
    their order, that what is used of a limit and held of it never exceeds it, that what is held
    by nobody who is heard of counts as used, that only one holds a claim, and that a store can be
    closed twice and while somebody listens. It waits, by the store's clock, some two seconds.

    Args:
        make: Makes one more client of always the same store, whose clock goes on by itself. What
            the store holds already does no harm. Each client is closed.

    Raises:
        AssertionError: If the store breaks a rule, with a sentence that says which.
    """
    for check in _CHECKS:
        with _clients(make) as client:
            check(client)


class _Process:
    """A client that says who it is, and counts what it is told."""

    def __init__(self, store: StateStore) -> None:
        self.store = store
        self.name = token_hex(8)

    def exchange(self, exchange: Exchange | None = None) -> Answer:
        return self.store.exchange(replace(exchange or Exchange(""), process=self.name))

    def write(self, *writes: Write) -> tuple[Entry, ...]:
        return self.exchange(Exchange("", writes=writes)).written

    def draw(self, draw: Draw, hold_s: float = _WAIT_S) -> Share:
        return self.exchange(Exchange("", draws=[draw], hold_s=hold_s)).shares[0]

    def claim(self, key: str, *, busy: bool = False, claim_s: float = _WAIT_S) -> bool:
        claims = [Claim(key, busy)]
        return key in self.exchange(Exchange("", claims=claims, claim_s=claim_s)).claimed

    def snapshot(self) -> dict[str, Entry]:
        entries = self.exchange(Exchange("", snapshot=True)).entries
        _demand(entries is not None, "an answer to an exchange with snapshot has no entries")
        return {entry.key: entry for entry in entries or ()}

    def wait_until(self, moment: float) -> None:
        while self.exchange().now <= moment:
            self.store.listen(_SOON_S / 5)

    def hear(self, count: int) -> list[News]:
        heard: list[News] = []
        until = self.exchange().now + _WAIT_S
        while len(heard) < count and self.exchange().now < until:
            heard += self.store.listen(_SOON_S)
        return heard


_Clients = Callable[[], _Process]


@contextmanager
def _clients(make: Callable[[], StateStore]) -> Generator[_Clients]:
    made: list[_Process] = []

    def client() -> _Process:
        made.append(_Process(make()))
        return made[-1]

    try:
        yield client
    finally:
        for process in made:
            process.store.close()
            process.store.close()


def _demand(condition: bool, rule: str) -> None:
    if not condition:
        raise AssertionError(rule)


def _equal(found: object, expected: object, what: str) -> None:
    _demand(found == expected, f"{what}: {expected!r} was expected, not {found!r}")


def _check_identity(client: _Clients) -> None:
    one, other = client(), client()
    first, second = one.exchange(), other.exchange()
    _equal(second.store, first.store, "the name that two clients get for one store")
    _demand(second.now >= first.now > 0, "the store's clock went backwards, or begins at 0")
    _equal(second.entries, None, "the entries of an answer to an exchange without snapshot")
    _equal(other.exchange().sequence, second.sequence, "the sequence number after no change")


def _check_entries(client: _Clients) -> None:
    one, other = client(), client()
    later = one.exchange().now + 1e6 / 7
    keys = [f"{token_hex(4)} {odd}" for odd in ("plain", "a:b/c {d} \n", "größe-\U0001f680", "")]
    values = (
        "1",
        '{"a": [1.5, null, "\\u00e9\\n"]}',
        '"größe \U0001f680"',
        '["\\ud83d", "\\\\ud8"]',
    )
    writes = [
        Write(key, value, weight, expires_at)
        for key, value, weight, expires_at in zip(
            keys, values, (0.0, 1 / 3, inf, -2.5), (inf, later, later, inf), strict=True
        )
    ]
    written = one.write(*writes)
    for write, entry in zip(writes, written, strict=True):
        expected = (write.key, write.value, write.weight, write.expires_at)
        found = (entry.key, entry.value, entry.weight, entry.expires_at)
        _equal(found, expected, "an entry that was written")
        _demand(entry.version >= 1, f"an entry that was written has version {entry.version}")
    kept = other.snapshot()
    _equal([kept.get(key) for key in keys], list(written), "the entries another client gets")


def _check_many_entries(client: _Clients) -> None:
    one, other, prefix = client(), client(), token_hex(4)
    one.write(*(Write(f"{prefix}-{i}", str(i)) for i in range(5000)))
    kept = other.snapshot()
    found = {kept[f"{prefix}-{i}"].value for i in range(5000) if f"{prefix}-{i}" in kept}
    _equal(len(found), 5000, "how many of 5,000 entries of one exchange are kept")


def _check_conflicts(client: _Clients) -> None:
    one, other, key = client(), client(), token_hex(8)
    (first,) = one.write(Write(key, '"first"', weight=2.0))
    (lighter,) = other.write(Write(key, '"lighter"', weight=2.0))
    _equal(lighter, first, "an entry after an equally heavy write that did not know of it")
    (dropped,) = other.write(Write(key, None))
    _equal(dropped, first, "an entry after somebody dropped another that he had known")
    (heavier,) = other.write(Write(key, '"heavier"', weight=3.0))
    _equal(heavier.value, '"heavier"', "an entry after a heavier write that did not know of it")
    _demand(heavier.version > first.version, "an entry changed, and its version did not grow")
    (known,) = one.write(Write(key, '"known"', weight=0.0, base=heavier.version))
    _equal(known.value, '"known"', "an entry after a lighter write that knew of it")
    (gone,) = other.write(Write(key, None, base=known.version))
    _equal(gone.value, None, "the value of an entry that was dropped")
    _demand(key not in one.snapshot(), "an entry that was dropped is among the entries")
    (again,) = one.write(Write(key, '"again"', base=first.version))
    _equal(again.value, '"again"', "an entry that was written where there was none")


def _check_expiry(client: _Clients) -> None:
    one, other, key = client(), client(), token_hex(8)
    expires_at = one.exchange().now + _SOON_S
    (entry,) = one.write(Write(key, "1", weight=inf, expires_at=expires_at))
    other.wait_until(expires_at)
    _demand(key not in other.snapshot(), "an entry that has expired is among the entries")
    (new,) = other.write(Write(key, "2"))
    _equal(new.value, "2", f"an entry written where {entry.value!r} has expired")


def _check_news(client: _Clients) -> None:
    one, other, key = client(), client(), token_hex(8)
    one.write(Write(f"{key}-before", "0"))
    _equal(list(other.store.listen(0)), [], "what is heard of changes before the first listening")
    one.store.listen(0)
    (first,) = one.write(Write(key, "1"))
    (second,) = other.write(Write(key, "2", base=first.version))
    one.write(Write(f"{key}-quiet", "3", quiet=True))
    (third,) = one.write(Write(key, None, base=second.version))
    for listener in (one, other):
        heard = listener.hear(3)
        entries = [entry for news in heard for entry in news.entries]
        _equal(entries, [first, second, third], "what each client hears of three changes")
        _equal([len(news.entries) for news in heard], [1, 1, 1], "entries of three news")
        _demand(
            heard[0].before < heard[0].after == heard[1].before < heard[1].after,
            "news do not begin with the sequence number with which those before end",
        )
        _equal(heard[-1].after, one.exchange().sequence, "the sequence number after the last news")
    _equal(list(one.store.listen(0)), [], "what is heard a second time")


def _check_quiet(client: _Clients) -> None:
    one, key = client(), token_hex(8)
    (loud,) = one.write(Write(key, "1"))
    before = one.exchange().sequence
    answer = one.exchange(Exchange("", writes=[Write(key, "2", base=loud.version, quiet=True)]))
    _equal(answer.sequence, before, "the sequence number after a quiet write")
    _equal(answer.written[0].version, before, "the version of an entry that was written quietly")
    _equal(one.snapshot()[key].value, "2", "an entry that was written quietly")


def _check_shares(client: _Clients) -> None:
    one, other, third = client(), client(), client()
    bucket = int(one.exchange().now)
    draw = Draw(token_hex(8), 100, 1.0)
    _equal(_told(one.draw(draw)), (0, 0, 0, 0), "a limit of which nothing is used")
    _equal(one.draw(draw).frees_at, inf, "when a limit of which nothing is used frees something")
    _equal(_told(one.draw(replace(draw, want=60))), (0, 0, 60, 1), "a first draw of 60")
    _equal(_told(other.draw(replace(draw, want=60))), (0, 60, 40, 2), "a draw of 60 where 60 are")
    _equal(_told(third.draw(replace(draw, want=1))), (0, 100, 0, 2), "a draw where all is held")
    share = one.draw(replace(draw, used={bucket: 50}, want=10))
    _equal(_told(share), (50, 40, 10, 2), "a limit after 50 of 60 were used")
    _equal(share.frees_at, bucket + 61.0, "when what was used in a bucket is forgotten")
    share = one.draw(replace(draw, used={bucket: -20}, want=10))
    _equal(_told(share), (30, 40, 10, 2), "a limit after 20 of 50 were given back")
    share = other.draw(replace(draw, used={bucket: 70}, want=60))
    _equal(_told(share), (100, 10, 0, 1), "a limit after more was used than was held")
    _equal(_told(one.draw(draw)), (100, 0, 0, 0), "a limit after the last hold was let go")
    lowered = one.draw(replace(draw, capacity=40, want=10))
    _equal(_told(lowered), (100, 0, 0, 0), "a limit that was lowered below what is used")


def _told(share: Share) -> tuple[int, int, int, int]:
    return share.used, share.reserved, share.held, share.holders


def _check_amounts(client: _Clients) -> None:
    one, other = client(), client()
    draw = Draw(token_hex(8), _MOST, None)
    _equal(one.draw(replace(draw, want=_MOST - 1)).held, _MOST - 1, "a draw of 2**53 - 1")
    _equal(other.draw(replace(draw, want=_MOST)).held, 1, "what is left of 2**53 then")
    share = one.draw(replace(draw, used={0: _MOST - 3}, want=_MOST))
    _equal(_told(share), (_MOST - 3, 1, 2, 2), "a limit after 2**53 - 3 were used")


def _check_calendar(client: _Clients) -> None:
    one, other = client(), client()
    now = one.exchange().now
    window, past = int(now) + 1000, int(now) - 1000
    draw = Draw(token_hex(8), 10, None, window)
    share = one.draw(replace(draw, used={window: 4}, want=5))
    _equal(_told(share), (4, 0, 5, 1), "a calendar window after a draw")
    _equal(share.frees_at, float(window), "when a calendar window frees what was used")
    share = other.draw(replace(draw, want=5))
    _equal(_told(share), (4, 5, 1, 2), "a calendar window of which little is left")
    share = other.draw(replace(draw, window=window + 60, want=5))
    _equal(_told(share), (0, 0, 5, 1), "the calendar window after it")
    share = other.draw(replace(draw, window=past, want=5))
    _equal(share.held, 0, "what is held of a calendar window that is over")
    endless = Draw(token_hex(8), 10, None, 0, {0: 3}, want=2)
    share = one.draw(endless)
    _equal((*_told(share), share.frees_at), (3, 0, 2, 1, inf), "a window that never ends")


def _check_forgetting(client: _Clients) -> None:
    one, width_s = client(), 0.02
    draw = Draw(token_hex(8), 100, width_s)
    share = Share(0, 0, 0, 0, inf)
    # A machine that stands still may let the window pass between the two exchanges.
    while share.used == 0:
        share = one.draw(replace(draw, used={int(one.exchange().now / width_s): 7}))
    _demand(share.frees_at < inf, "a rolling window in which something was used never frees it")
    one.wait_until(share.frees_at)
    _equal(_told(one.draw(replace(draw, want=100))), (0, 0, 100, 1), "a window after its end")


def _check_lost_holds(client: _Clients) -> None:
    one, other = client(), client()
    rolling, endless = Draw(token_hex(8), 100, 1.0), Draw(token_hex(8), 100)
    for draw, bucket in ((rolling, int(one.exchange().now)), (endless, 0)):
        one.draw(replace(draw, want=60), hold_s=_SOON_S)
        one.wait_until(one.exchange().now + _SOON_S)
        share = other.draw(replace(draw, want=100))
        _equal(_told(share), (60, 0, 40, 1), "a limit after a hold of 60 has expired")
        share = one.draw(replace(draw, used={bucket: 65}, grant=60))
        _equal(_told(share), (65, 40, 0, 1), "a limit after he who lost 60 has used 65")
    third, draw = client(), Draw(token_hex(8), 100)
    sooner = one.exchange().now + _SOON_S
    one.draw(replace(draw, want=10), hold_s=_SOON_S)
    other.draw(replace(draw, want=20), hold_s=4 * _SOON_S)
    third.wait_until(sooner + _SOON_S)
    third.draw(draw)
    third.wait_until(sooner + 4 * _SOON_S)
    share = third.draw(draw)
    _equal(_told(share), (30, 0, 0, 0), "a limit after two holds have expired, one by one")


def _check_claims(client: _Clients) -> None:
    one, other, key = client(), client(), token_hex(8)
    _demand(one.claim(key), "a claim that nobody has was refused")
    _demand(one.claim(key), "a holder lost a claim that nobody else asked for")
    _demand(not other.claim(key), "two hold one claim")
    _demand(one.claim(key, busy=True), "a busy holder lost his claim to a rival")
    _demand(not one.claim(key), "a holder kept a claim that a rival asked for")
    _demand(other.claim(key), "a claim that its holder lost is not free")
    one.exchange(Exchange("", releases=[key]))
    _demand(not one.claim(key), "a claim was released by one who does not hold it")
    other.exchange(Exchange("", releases=[key]))
    _demand(one.claim(key, claim_s=_SOON_S), "a claim that was released is not free")
    one.wait_until(one.exchange().now + _SOON_S)
    _demand(other.claim(key, busy=True), "a claim that has expired is not free")


def _check_hints(client: _Clients) -> None:
    one, other = client(), client()
    draw = Draw(token_hex(8), 10, 1.0)
    other.store.listen(0)
    one.draw(replace(draw, want=9))
    one.draw(replace(draw, want=10))
    one.draw(replace(draw, want=10))
    one.write(Write(draw.meter, "1"))
    heard = other.hear(2)
    _equal([news.full for news in heard], [(draw.meter,), ()], "hints that a limit is full")


def _check_crowd(client: _Clients) -> None:
    draw, starts = Draw(token_hex(8), _UNITS), Barrier(_THREADS)

    def use(process: _Process) -> int:
        starts.wait()
        used = held = process.draw(replace(draw, want=7)).held
        # A store that forgets what was used would go on giving.
        while held and used <= _UNITS:
            held = process.draw(replace(draw, used={0: held}, want=7)).held
            used += held
        return used

    with ThreadPoolExecutor(_THREADS) as threads:
        total = sum(threads.map(use, [client() for _ in range(_THREADS)]))
    _equal(total, _UNITS, f"what {_THREADS} processes at once could use of {_UNITS}")
    _equal(_told(client().draw(draw)), (_UNITS, 0, 0, 0), "the limit after that")


def _check_closing(client: _Clients) -> None:
    one, other = client(), client()
    _equal(list(other.store.listen(0)), [], "what is heard when nothing has changed")
    with ThreadPoolExecutor(1) as threads:
        # So long that whoever is not woken runs into the limit of the test.
        listening = threads.submit(_listen, other.store, 1e6)
        one.store.close()
        other.store.close()
        _equal(list(listening.result()), [], "what a listener heard whose store was closed")


def _listen(store: StateStore, timeout_s: float) -> Sequence[News]:
    try:
        return store.listen(timeout_s)
    except StoreError:
        return ()


_CHECKS: tuple[Callable[[_Clients], None], ...] = (
    _check_identity,
    _check_entries,
    _check_many_entries,
    _check_conflicts,
    _check_expiry,
    _check_news,
    _check_quiet,
    _check_shares,
    _check_amounts,
    _check_calendar,
    _check_forgetting,
    _check_lost_holds,
    _check_claims,
    _check_hints,
    _check_crowd,
    _check_closing,
)
