"""What a pool relies on in a strategy, checked for one of your own."""

from __future__ import annotations

from collections.abc import Callable, Collection
from itertools import cycle
from random import Random
from typing import TypeVar

from capability_router.engine.limits import Limit, Scope, Unit
from capability_router.engine.member import Member
from capability_router.engine.meter import Meter
from capability_router.engine.model import Model, Price
from capability_router.engine.outcome import Usage
from capability_router.engine.request import CompletionRequest
from capability_router.engine.selection import StrategyFactory
from capability_router.engine.state import ModelState

__all__ = ["check_strategy"]

T = TypeVar("T")

_REQUESTS = [CompletionRequest("chat-completion", session=each) for each in (None, "one", "two")]
_FEW, _SEVERAL, _MANY, _STEPS = 5, 50, 1000, 1500
_KINDS: tuple[Callable[[list[str]], Collection[str]], ...] = (
    tuple,
    frozenset,
    list,
    dict.fromkeys,
)
"""What the ids of tried models may come in."""
_ELSEWHERE = "elsewhere/x"
"""A model of another pool, that a call has tried before it came here."""


def check_strategy(make: StrategyFactory, *, seed: int = 0) -> None:
    """Drive a strategy as a pool does, and check that it keeps what ``SelectionStrategy`` says.

    That it returns only members that it holds and that are not tried, and None only where there is
    none; that members may come, go and come again, with another rank or as another object; that
    ``choose`` changes nothing; and that it draws from the ``Random`` it was made with and from
    nothing else. With no member, one, five, fifty and a thousand, by thousands of random steps.

    Args:
        make: Makes the strategy, as ``selection`` of a rotation policy does.
        seed: Seed of the steps and of the strategy; the same one gives the same steps.

    Raises:
        AssertionError: If the strategy breaks a rule, with a sentence that says which.
    """
    _check_none_and_one(make, seed)
    for count in (_FEW, _SEVERAL):
        _check_steps(make, seed, count)
    _check_many(make, seed)


def _check_steps(make: StrategyFactory, seed: int, count: int) -> None:
    served = _served(make, seed, count)
    if _served(make, seed, count) != served:
        raise AssertionError(
            "the same seed and the same steps led to other choices: the strategy may draw only"
            " from the Random that it was made with"
        )
    if _served(make, seed, count, curious=True) != served:
        raise AssertionError(
            "choose must change nothing, but asked more often the strategy served otherwise"
        )


def _check_none_and_one(make: StrategyFactory, seed: int) -> None:
    driven, (member,) = _Driven(make, seed), _members(1)
    driven.serve()
    for _ in range(2):
        driven.admit(member)
        driven.serve()
        driven.serve(member.model.id)
        driven.withdraw(member)
        driven.serve()


def _check_many(make: StrategyFactory, seed: int) -> None:
    driven, members = _Driven(make, seed), _members(_MANY)
    for member in members:
        driven.admit(member)
    ids = [member.model.id for member in members]
    for _ in range(_FEW):
        driven.serve()
    driven.serve(*ids[1:])
    driven.serve(*ids[:-1])
    driven.serve(*ids)
    for member in members:
        driven.withdraw(member)
    driven.serve()


def _served(
    make: StrategyFactory, seed: int, count: int, *, curious: bool = False
) -> list[str | None]:
    """Take many steps at random; return who was served.

    Args:
        make: Makes the strategy.
        seed: Seed of the steps and of the strategy.
        count: Members that come and go.
        curious: Whether it is asked again up to three times for each choice.
    """
    driven, members, hand = _Driven(make, seed, curious=curious), _members(count), Random(seed)
    served: list[str | None] = []
    for _ in range(_STEPS):
        driven.now += hand.random()
        place, step = hand.randrange(count), hand.random()
        if step < 0.2:
            members[place] = driven.turn(members[place], hand)
        elif step < 0.5:
            driven.land(members[place], hand.random())
        else:
            # Mostly nothing has been tried yet; sometimes everything has.
            tried = hand.sample(members, hand.randrange(count + 1)) if step > 0.8 else []
            served.append(driven.serve(*[member.model.id for member in tried]))
    return served


class _Driven:
    """A strategy in use, with a record of who is in it; each step checks what must hold.

    Args:
        make: Makes the strategy.
        seed: Seed of its source of chance.
        curious: Whether it is asked again up to three times for each choice.

    Attributes:
        now: Monotonic seconds.
    """

    def __init__(self, make: StrategyFactory, seed: int, *, curious: bool = False) -> None:
        self.now = 0.0
        self._rng = Random(seed)
        self._curiosity = Random(seed) if curious else None
        self._held: dict[str, Member] = {}
        self._strategy = self._told("making it", lambda: make(self._rng))
        self._kinds = cycle(_KINDS)
        self._requests = cycle(_REQUESTS)

    def admit(self, member: Member) -> None:
        """Let it take in a member."""
        self._told("admit", lambda: self._strategy.admit(member))
        self._held[member.model.id] = member

    def withdraw(self, member: Member) -> None:
        """Let it drop a member."""
        self._told("withdraw", lambda: self._strategy.withdraw(member))
        del self._held[member.model.id]

    def turn(self, member: Member, hand: Random) -> Member:
        """Withdraw a member, or admit it with another rank; as another object now and then."""
        if member.model.id in self._held:
            self.withdraw(member)
            return member
        if hand.random() < 0.5:
            member = _member(member.model.id)
        member.rank = (hand.randrange(3), hand.randrange(3), hand.randrange(1000))
        member.recovered_at = self.now
        self.admit(member)
        return member

    def land(self, member: Member, seconds: float) -> None:
        """Let an answer of a member come in, if one is in flight."""
        if member.state.in_flight:
            member.state.succeed(Usage(10, 10), seconds, seconds / 10, self.now)

    def serve(self, *tried: str) -> str | None:
        """Let a request be served, and check by whom.

        Args:
            tried: Ids of models that must not serve.
        """
        known = {*tried, _ELSEWHERE} if tried else set[str]()
        gone = next(self._kinds)(sorted(known))
        before, request = self._rng.getstate(), next(self._requests)
        found = self._choose(request, gone)
        for _ in range(self._curiosity.randint(1, 3) if self._curiosity else 1):
            self._rng.setstate(before)
            again = self._choose(request, gone)
            if again is not found:
                raise AssertionError(
                    "choose must change nothing, but asked again with the same draws it returned"
                    f" {_shown(again)} in place of {_shown(found)}"
                )
        self._check(found, gone)
        if found is not None:
            self._take(found, gone)
        if set(gone) != known:
            raise AssertionError("the strategy changed the ids of tried models that it was given")
        return None if found is None else found.model.id

    def _take(self, found: Member, tried: Collection[str]) -> None:
        """Do what a pool does with its choice, in the same order."""
        for meter in found.meters:
            meter.advance(self.now, self.now)
            if not meter.spent:
                meter.take(1, self.now)
        self._told("chosen", lambda: self._strategy.chosen(found, tried, self.now))
        found.state.in_flight += 1

    def _choose(self, request: CompletionRequest, tried: Collection[str]) -> Member | None:
        return self._told("choose", lambda: self._strategy.choose(request, tried, self.now))

    def _check(self, found: Member | None, tried: Collection[str]) -> None:
        left = [model_id for model_id in self._held if model_id not in tried]
        if found is None:
            if left:
                raise AssertionError(f"choose returned None, but {left[0]!r} is not tried")
        elif found not in self._held.values():
            raise AssertionError(
                f"choose returned {_shown(found)}, which was withdrawn, or is another object than"
                " the one that was admitted"
            )
        elif found.model.id in tried:
            raise AssertionError(f"choose returned {_shown(found)}, which is among the tried")

    def _told(self, what: str, act: Callable[[], T]) -> T:
        try:
            return act()
        # Foreign code: whatever it raises is told with what it was asked to do.
        except Exception as error:
            held = len(self._held)
            raise AssertionError(f"{what} raised {error!r} while it held {held} members") from error


def _members(count: int) -> list[Member]:
    return [_member(f"p{number % 3}/{number}", number) for number in range(count)]


def _member(model_id: str, place: int = 0) -> Member:
    """Make a member; those with an even number have a limit and a price."""
    limit = Limit(Unit.REQUESTS, 20, window_s=60.0)
    odd = int(model_id.partition("/")[2]) % 2
    meters = () if odd else (Meter(limit, Scope("model", model_id)),)
    model = Model(model_id, ("chat-completion",), price=None if odd else Price(1.0 + place, 2.0))
    return Member(model, ModelState(), (0, 0, place), frozenset(), 0.0, meters)


def _shown(member: Member | None) -> str:
    return "None" if member is None else repr(member.model.id)
