"""The conformance suite for strategies: it lets a sound one pass, and finds each broken rule."""

from collections.abc import Callable, Collection
from functools import partial
from random import Random
from typing import TypeVar

import pytest

from capability_router.engine.member import Member
from capability_router.engine.request import CompletionRequest
from capability_router.engine.selection import (
    Priority,
    RoundRobin,
    StickUntilFailure,
    StrategyFactory,
)
from capability_router.testing import check_strategy

S = TypeVar("S", bound=type)

BROKEN: list[tuple[type, str]] = []
ELSEWHERE = Random(5)


def breaks(sentence: str) -> Callable[[S], S]:
    """Add a broken strategy to the table, with a part of what is said of it."""

    def add(strategy: S) -> S:
        BROKEN.append((strategy, sentence))
        return strategy

    return add


class Sound:
    """The first member that is not tried, in the order they came."""

    def __init__(self, rng: Random) -> None:
        self.rng = rng
        self.held: dict[str, Member] = {}
        self.served = 0

    def admit(self, member: Member) -> None:
        self.held[member.model.id] = member

    def withdraw(self, member: Member) -> None:
        del self.held[member.model.id]

    def choose(
        self, request: CompletionRequest, tried: Collection[str], now: float
    ) -> Member | None:
        return next((m for m in self.held.values() if m.model.id not in tried), None)

    def chosen(self, member: Member, tried: Collection[str], now: float) -> None:
        self.served += 1

    def any_of(self, rng: Random, tried: Collection[str]) -> Member | None:
        left = [m for m in self.held.values() if m.model.id not in tried]
        return rng.choice(left) if left else None


@breaks("choose raised .*ValueError.* while it held 0 members")
class NeedsAMember(Sound):
    def choose(
        self, request: CompletionRequest, tried: Collection[str], now: float
    ) -> Member | None:
        first = self.held[min(self.held)]
        return super().choose(request, tried, now) if tried else first


@breaks("among the tried")
class TriesAgain(Sound):
    def choose(
        self, request: CompletionRequest, tried: Collection[str], now: float
    ) -> Member | None:
        return next(iter(self.held.values()), None)


@breaks("choose returned None, but .* is not tried")
class GivesUpEarly(Sound):
    def choose(
        self, request: CompletionRequest, tried: Collection[str], now: float
    ) -> Member | None:
        return super().choose(request, tried, now) if len(tried) <= 3 else None


@breaks("choose returned None, but .* is not tried")
class ForgetsThatItCameBack(Sound):
    def __init__(self, rng: Random) -> None:
        super().__init__(rng)
        self.known: set[str] = set()

    def admit(self, member: Member) -> None:
        if member.model.id not in self.known:
            super().admit(member)
        self.known.add(member.model.id)

    def withdraw(self, member: Member) -> None:
        self.held.pop(member.model.id, None)


@breaks("was withdrawn")
class KeepsTheLast(Sound):
    last: Member | None = None

    def choose(
        self, request: CompletionRequest, tried: Collection[str], now: float
    ) -> Member | None:
        if self.last is not None and self.last.model.id not in tried:
            return self.last
        return super().choose(request, tried, now)

    def chosen(self, member: Member, tried: Collection[str], now: float) -> None:
        self.last = member


@breaks("another object")
class KeepsTheFirstObject(Sound):
    def __init__(self, rng: Random) -> None:
        super().__init__(rng)
        self.objects: dict[str, Member] = {}

    def admit(self, member: Member) -> None:
        super().admit(self.objects.setdefault(member.model.id, member))


@breaks("withdraw raised")
class RemembersByRank(Sound):
    def __init__(self, rng: Random) -> None:
        super().__init__(rng)
        self.ranks: dict[str, tuple[int, int, int]] = {}

    def admit(self, member: Member) -> None:
        super().admit(member)
        self.ranks.setdefault(member.model.id, member.rank)

    def withdraw(self, member: Member) -> None:
        super().withdraw(member)
        if self.ranks[member.model.id] != member.rank:
            raise KeyError(member.rank)


@breaks("asked again with the same draws")
class TurnsWhenAsked(Sound):
    def choose(
        self, request: CompletionRequest, tried: Collection[str], now: float
    ) -> Member | None:
        found = super().choose(request, tried, now)
        if found is not None:
            self.held[found.model.id] = self.held.pop(found.model.id)
        return found


@breaks("asked more often the strategy served otherwise")
class CountsWhenAsked(Sound):
    asked = 0

    def choose(
        self, request: CompletionRequest, tried: Collection[str], now: float
    ) -> Member | None:
        self.asked += 1
        return super().choose(request, tried, now)

    def chosen(self, member: Member, tried: Collection[str], now: float) -> None:
        if self.asked % 3 == 0:
            self.held[member.model.id] = self.held.pop(member.model.id)


@breaks("may draw only from the Random|asked again with the same draws")
class DrawsElsewhere(Sound):
    def choose(
        self, request: CompletionRequest, tried: Collection[str], now: float
    ) -> Member | None:
        return self.any_of(ELSEWHERE, tried)


@breaks("may draw only from the Random")
class DrawsElsewhereLater(Sound):
    def chosen(self, member: Member, tried: Collection[str], now: float) -> None:
        if ELSEWHERE.random() < 0.5:
            self.held[member.model.id] = self.held.pop(member.model.id)


@breaks("changed the ids")
class ChangesWhatWasTried(Sound):
    def chosen(self, member: Member, tried: Collection[str], now: float) -> None:
        if isinstance(tried, list):
            tried.append(member.model.id)


@breaks("chosen raised .*OverflowError")
class FailsAfterwards(Sound):
    def chosen(self, member: Member, tried: Collection[str], now: float) -> None:
        self.served += 1
        if self.served == 100:
            raise OverflowError(self.served)


@breaks("choose returned None, but .* is not tried")
class HoldsAHundred(Sound):
    def choose(
        self, request: CompletionRequest, tried: Collection[str], now: float
    ) -> Member | None:
        first = list(self.held.values())[:100]
        return next((m for m in first if m.model.id not in tried), None)


@pytest.mark.parametrize(
    ("strategy", "sentence"), BROKEN, ids=[strategy.__name__ for strategy, _ in BROKEN]
)
def test_broken_strategy_is_found(strategy: type[Sound], sentence: str) -> None:
    with pytest.raises(AssertionError, match=sentence):
        check_strategy(strategy)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    "strategy",
    [Sound, Priority, partial(Priority, fallback=RoundRobin), StickUntilFailure, RoundRobin],
)
def test_sound_strategy_passes(strategy: StrategyFactory, seed: int) -> None:
    check_strategy(strategy, seed=seed)


def test_strategy_that_cannot_be_made_is_found() -> None:
    def make(rng: Random) -> Sound:
        raise LookupError(rng)

    with pytest.raises(AssertionError, match=r"making it raised LookupError") as found:
        check_strategy(make)
    assert isinstance(found.value.__cause__, LookupError)
