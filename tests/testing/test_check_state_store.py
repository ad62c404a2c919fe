"""The conformance suite for stores: it lets a sound one pass, and finds each broken rule."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from math import inf
from typing import TypeVar

import pytest

from capability_router.storage.store import Answer, Draw, Entry, Exchange, News, Share, Write
from capability_router.testing import check_state_store
from tests.storage.model import ModelStore, Shared

S = TypeVar("S", bound=type)

BROKEN: list[tuple[type[ModelStore], str]] = []


def breaks(sentence: str) -> Callable[[S], S]:
    """Add a broken store to the table, with a part of what is said of it."""

    def add(store: S) -> S:
        BROKEN.append((store, sentence))
        return store

    return add


class PassingTime:
    """Seconds that pass only where somebody waits for them."""

    def __init__(self) -> None:
        self.now = 1_750_000_000.25

    def __call__(self) -> float:
        return self.now


class Sound(ModelStore):
    """Waits in no time."""

    def __init__(self, shared: Shared, time: PassingTime) -> None:
        super().__init__(shared)
        self.time = time

    def listen(self, timeout_s: float) -> Sequence[News]:
        heard = super().listen(0)
        if not heard:
            self.time.now += timeout_s
        return heard

    def exchange(self, exchange: Exchange) -> Answer:
        with self.shared.lock:
            return self.altered(super().exchange(exchange))

    def altered(self, answer: Answer) -> Answer:
        return answer


@breaks("the name that two clients get for one store")
class NamesItselfAnew(Sound):
    def altered(self, answer: Answer) -> Answer:
        return replace(answer, store=f"{id(self)}")


@breaks("clock went backwards")
class TellsMonotonicTime(Sound):
    def altered(self, answer: Answer) -> Answer:
        return replace(answer, now=-answer.now)


@breaks("entries of an answer to an exchange without snapshot")
class AlwaysTellsAll(Sound):
    def exchange(self, exchange: Exchange) -> Answer:
        return super().exchange(replace(exchange, snapshot=True))


@breaks("an entry that was written")
class RoundsWeights(Sound):
    def altered(self, answer: Answer) -> Answer:
        written = [replace(entry, weight=round(entry.weight, 6)) for entry in answer.written]
        return replace(answer, written=tuple(written))


@breaks("has version 0")
class CountsFromZero(Sound):
    def altered(self, answer: Answer) -> Answer:
        written = [replace(entry, version=0) for entry in answer.written]
        return replace(answer, written=tuple(written))


@breaks("how many of 5,000 entries")
class KeepsAThousand(Sound):
    def exchange(self, exchange: Exchange) -> Answer:
        return super().exchange(replace(exchange, writes=exchange.writes[:1000]))


@breaks("equally heavy write")
class LastWriteStays(Sound):
    def exchange(self, exchange: Exchange) -> Answer:
        known = self.shared.entries
        writes = [replace(w, base=known[w.key].version) for w in exchange.writes if w.key in known]
        return super().exchange(replace(exchange, writes=writes or exchange.writes))


@breaks("a lighter write that knew of it")
class HeavierStays(Sound):
    def exchange(self, exchange: Exchange) -> Answer:
        writes = [replace(write, base=0) for write in exchange.writes]
        return super().exchange(replace(exchange, writes=writes))


@breaks("an entry that has expired is among the entries")
class NeverForgets(Sound):
    def exchange(self, exchange: Exchange) -> Answer:
        soon = self.time.now + 1
        writes = [replace(w, expires_at=inf) if w.expires_at < soon else w for w in exchange.writes]
        return super().exchange(replace(exchange, writes=writes))


@breaks("changes before the first listening")
class TellsTheOldest(Sound):
    def listen(self, timeout_s: float) -> Sequence[News]:
        self.heard = self.heard or 0
        return super().listen(timeout_s)


@breaks("what each client hears of three changes")
class HearsOnlyOthers(Sound):
    def exchange(self, exchange: Exchange) -> Answer:
        with self.shared.lock:
            answer = super().exchange(exchange)
            if self.heard is not None:
                self.heard = len(self.shared.told)
            return answer


@breaks("news do not begin with the sequence number")
class NumbersFromZero(Sound):
    def listen(self, timeout_s: float) -> Sequence[News]:
        return [replace(news, before=0) for news in super().listen(timeout_s)]


@breaks("the sequence number after a quiet write")
class NothingIsQuiet(Sound):
    def exchange(self, exchange: Exchange) -> Answer:
        with self.shared.lock:
            if exchange.writes and exchange.writes[0].quiet and exchange.writes[0].base:
                self.shared.sequence += 1
            return super().exchange(exchange)


class Drawing(Sound):
    """Sees each limit otherwise."""

    def exchange(self, exchange: Exchange) -> Answer:
        draws = [self.seen(draw) for draw in exchange.draws]
        return super().exchange(replace(exchange, draws=draws))

    def seen(self, draw: Draw) -> Draw:
        return draw

    def altered(self, answer: Answer) -> Answer:
        return replace(answer, shares=tuple(map(self.share, answer.shares)))

    def share(self, share: Share) -> Share:
        return share


@breaks("a draw of 60 where 60 are")
class GivesWhatIsWanted(Drawing):
    def seen(self, draw: Draw) -> Draw:
        return replace(draw, capacity=10**18)


@breaks("when what was used in a bucket is forgotten")
class FreesTooSoon(Drawing):
    def share(self, share: Share) -> Share:
        return replace(share, frees_at=share.frees_at - 1)


@breaks("20 of 50 were given back")
class KeepsWhatItGot(Drawing):
    def seen(self, draw: Draw) -> Draw:
        return replace(draw, used={b: max(0, amount) for b, amount in draw.used.items()})


@breaks("a draw of 2\\*\\*53 - 1")
class CountsInDoubles(Drawing):
    def share(self, share: Share) -> Share:
        return replace(share, held=int(float(f"{share.held:.13e}")))


@breaks("calendar window that is over")
class HoldsThePast(Drawing):
    def seen(self, draw: Draw) -> Draw:
        over = 0 < draw.window < self.shared.clock()
        return replace(draw, window=draw.window + 10**6) if over else draw


@breaks("in which something was used never frees it")
class KeepsTheWindow(Drawing):
    def seen(self, draw: Draw) -> Draw:
        return replace(draw, width_s=None) if draw.width_s == 0.02 else draw


@breaks("a window after its end")
class ShrinksTheWindow(Drawing):
    def share(self, share: Share) -> Share:
        soon = self.shared.clock() + 0.01
        return replace(share, frees_at=soon) if share.frees_at < soon + 2 else share


@breaks("a hold of 60 has expired")
class HoldsForEver(Sound):
    def exchange(self, exchange: Exchange) -> Answer:
        return super().exchange(replace(exchange, hold_s=1e9))


@breaks("he who lost 60 has used 65")
class CountsTwice(Drawing):
    def seen(self, draw: Draw) -> Draw:
        return replace(draw, grant=0)


@breaks("two hold one claim")
class ClaimsFreely(Sound):
    def exchange(self, exchange: Exchange) -> Answer:
        answer = super().exchange(exchange)
        return replace(answer, claimed=frozenset(claim.key for claim in exchange.claims))


@breaks("a busy holder lost his claim")
class NobodyIsBusy(Sound):
    def exchange(self, exchange: Exchange) -> Answer:
        claims = [replace(claim, busy=False) for claim in exchange.claims]
        return super().exchange(replace(exchange, claims=claims))


@breaks("a holder kept a claim that a rival asked for")
class EverybodyIsBusy(Sound):
    def exchange(self, exchange: Exchange) -> Answer:
        claims = [replace(claim, busy=True) for claim in exchange.claims]
        return super().exchange(replace(exchange, claims=claims))


@breaks("a claim that has expired is not free")
class ClaimsForEver(Sound):
    def exchange(self, exchange: Exchange) -> Answer:
        return super().exchange(replace(exchange, claim_s=1e9))


@breaks("hints that a limit is full")
class TellsNoHints(Sound):
    def listen(self, timeout_s: float) -> Sequence[News]:
        return [replace(news, full=()) for news in super().listen(timeout_s)]


@breaks("processes at once could use of 1000")
class ForgetsInACrowd(Drawing):
    def seen(self, draw: Draw) -> Draw:
        forgets = draw.capacity == 1000
        return replace(draw, used={b: n // 2 for b, n in draw.used.items()}) if forgets else draw


def maker(kind: type[Sound]) -> Callable[[], Sound]:
    time = PassingTime()
    shared = Shared(time)
    return lambda: kind(shared, time)


def test_sound_store_passes() -> None:
    check_state_store(maker(Sound))


@pytest.mark.parametrize(
    ("kind", "sentence"), BROKEN, ids=lambda value: getattr(value, "__name__", None)
)
def test_broken_rule_is_found(kind: type[Sound], sentence: str) -> None:
    with pytest.raises(AssertionError, match=sentence):
        check_state_store(maker(kind))


def test_every_client_is_closed_twice_even_where_a_rule_is_broken() -> None:
    time, closed = PassingTime(), list[Sound]()
    shared = Shared(time)

    class Told(NamesItselfAnew):
        def close(self) -> None:
            closed.append(self)
            super().close()

    with pytest.raises(AssertionError):
        check_state_store(lambda: Told(shared, time))
    assert len(closed) == 4
    assert len(set(closed)) == 2


def test_what_is_written_by_others_meanwhile_does_no_harm() -> None:
    make = maker(Sound)
    make().exchange(Exchange("other", writes=[Write("x", "1")]))
    check_state_store(make)
    entries = make().exchange(Exchange("other", snapshot=True)).entries
    assert entries is not None
    assert Entry("x", "1", version=2) in entries
