"""Third seam of a rotation policy: which of the active models serves?

A strategy keeps its own ordering of the members it is told of and changes it when they come and
go, so that choosing need not look at all of them. What a request requires is settled before: a
strategy is only told of members that meet it.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from random import Random
from typing import Protocol

from capability_router.engine.member import Member
from capability_router.engine.outcome import Outcome
from capability_router.engine.request import CompletionRequest

__all__ = [
    "InOrder",
    "Priority",
    "Ranking",
    "RoundRobin",
    "SelectionStrategy",
    "StickUntilFailure",
    "StrategyFactory",
    "WithParameters",
]


class SelectionStrategy(Protocol):
    """The order in which active members serve one kind of request; used by one thread at a time.

    A pool makes one for each combination of node, features and context window that it is asked
    for, and tells it of the active members that can serve it. One that compares members by a
    number may tell it by ``score(member, request, now)``, and one that learns may have ``learn``.
    """

    def admit(self, member: Member) -> None:
        """Take in a member that became active, or is full no more."""
        ...

    def withdraw(self, member: Member) -> None:
        """Drop a member that is active no more, or full."""
        ...

    def choose(
        self, request: CompletionRequest, tried: Collection[str], now: float
    ) -> Member | None:
        """Return the member to serve, or None if all are tried; changes nothing.

        Args:
            request: What is asked for.
            tried: Ids of models that must not serve.
            now: Monotonic seconds.
        """
        ...

    def chosen(self, member: Member, tried: Collection[str], now: float) -> None:
        """Note that a member was handed out.

        Args:
            member: The one that ``choose`` returned.
            tried: As given to ``choose``, without those whose limits have too little left and
                those that are throttled.
            now: Monotonic seconds.
        """
        ...


StrategyFactory = Callable[[Random], SelectionStrategy]
"""Makes a strategy that draws from a source of chance; a class with such a constructor is one."""


@dataclass(frozen=True)
class WithParameters:
    """A strategy with parameters; equal to another with the same, so that nothing has changed.

    Attributes:
        make: The strategy.
        parameters: Its keyword arguments.
    """

    make: Callable[..., SelectionStrategy]
    parameters: Mapping[str, object]

    def __call__(self, rng: Random) -> SelectionStrategy:
        """Make a strategy that draws from a source of chance."""
        return self.make(rng, **self.parameters)


class Ranking:
    """Members in order of rank; each change costs one binary search and one shift of pointers."""

    __slots__ = ("_members", "_order")

    def __init__(self) -> None:
        self._order: list[tuple[tuple[int, int, int], str]] = []
        self._members: dict[str, Member] = {}

    def admit(self, member: Member) -> None:
        """Take in a member."""
        self._members[member.model.id] = member
        insort(self._order, (member.rank, member.model.id))

    def withdraw(self, member: Member) -> None:
        """Drop a member."""
        del self._members[member.model.id]
        del self._order[bisect_left(self._order, (member.rank, member.model.id))]

    def get(self, model_id: str | None) -> Member | None:
        """Return a member by the id of its model."""
        return self._members.get(model_id or "")

    def first(self, tried: Collection[str]) -> Member | None:
        """Return the best-ranked that is not tried."""
        for _, model_id in self._order:
            if model_id not in tried:
                return self._members[model_id]
        return None

    def __iter__(self) -> Iterator[Member]:
        return (self._members[model_id] for _, model_id in self._order)

    def __len__(self) -> int:
        return len(self._order)


class InOrder:
    """The best-ranked member; what ``priority`` is where nothing else is said.

    Args:
        rng: Not used.
    """

    def __init__(self, rng: Random) -> None:
        del rng
        self._ranking = Ranking()

    def admit(self, member: Member) -> None:
        """Take in a member that became active."""
        self._ranking.admit(member)

    def withdraw(self, member: Member) -> None:
        """Drop a member that is active no more."""
        self._ranking.withdraw(member)

    def choose(
        self, request: CompletionRequest, tried: Collection[str], now: float
    ) -> Member | None:
        """Return the best-ranked member that is not tried."""
        return self._ranking.first(tried)

    def chosen(self, member: Member, tried: Collection[str], now: float) -> None:
        """Nothing to note: the order does not depend on use."""


class Priority:
    """The best-ranked member: the pool's model list first, then its provider list.

    Args:
        rng: Source of chance for the fallback.
        fallback: Strategy among members that both lists leave equal, for instance those of one
            provider; by default the order in which they joined.
    """

    def __init__(self, rng: Random, *, fallback: StrategyFactory | None = None) -> None:
        self._rng = rng
        self._fallback = fallback
        self._ranks: list[tuple[int, ...]] = []
        self._equals: dict[tuple[int, ...], tuple[SelectionStrategy, set[str]]] = {}

    def admit(self, member: Member) -> None:
        """Take in a member that became active."""
        rank = self._rank(member)
        if rank not in self._equals:
            make: StrategyFactory = self._fallback or InOrder
            self._equals[rank] = make(self._rng), set()
            insort(self._ranks, rank)
        strategy, members = self._equals[rank]
        strategy.admit(member)
        members.add(member.model.id)

    def withdraw(self, member: Member) -> None:
        """Drop a member that is active no more."""
        rank = self._rank(member)
        strategy, members = self._equals[rank]
        strategy.withdraw(member)
        members.discard(member.model.id)
        if not members:
            # Else a long list whose first models are all away would be walked for each request.
            del self._equals[rank]
            del self._ranks[bisect_left(self._ranks, rank)]

    def choose(
        self, request: CompletionRequest, tried: Collection[str], now: float
    ) -> Member | None:
        """Return the best-ranked member that is not tried."""
        for rank in self._ranks:
            found = self._equals[rank][0].choose(request, tried, now)
            if found is not None:
                return found
        return None

    def chosen(self, member: Member, tried: Collection[str], now: float) -> None:
        """Tell the fallback."""
        self._equals[self._rank(member)][0].chosen(member, tried, now)

    def learn(self, member: Member, node: str, outcome: Outcome, latency_s: float) -> None:
        """Tell the fallback, if it learns from outcomes."""
        equals = self._equals.get(self._rank(member))
        learn = getattr(equals[0], "learn", None) if equals else None
        if learn is not None:
            learn(member, node, outcome, latency_s)

    def score(self, member: Member, request: CompletionRequest, now: float) -> float | None:
        """Return what a member is compared by: what the fallback compares."""
        equals = self._equals.get(self._rank(member))
        score = getattr(equals[0], "score", None) if equals else None
        return score(member, request, now) if score else None

    def _rank(self, member: Member) -> tuple[int, ...]:
        """Without a fallback all are of one group, which keeps the whole order by itself."""
        return member.rank[:2] if self._fallback else ()


class StickUntilFailure(InOrder):
    """The same member until it fails, then the best-ranked other; a return changes nothing.

    Args:
        rng: Not used.
    """

    def __init__(self, rng: Random) -> None:
        super().__init__(rng)
        self._current: str | None = None
        self._member: Member | None = None

    def choose(
        self, request: CompletionRequest, tried: Collection[str], now: float
    ) -> Member | None:
        """Return the current member if it is not tried, else the best-ranked other."""
        current = self._ranking.get(self._current)
        if current is not None and self._current not in tried:
            return current
        return self._ranking.first(tried)

    def chosen(self, member: Member, tried: Collection[str], now: float) -> None:
        """Move on only where the current member has failed or left.

        A request that was too much for what is left of its limits, or came while it was full, is
        served by another without moving everyone else.
        """
        left = self._ranking.get(self._current) is None and not self._is_merely_full()
        if left or self._current in tried:
            self._current, self._member = member.model.id, member

    def _is_merely_full(self) -> bool:
        current = self._member
        return current is not None and current.standby is None and current.state.is_full


class RoundRobin:
    """Each member in turn, whatever its rank.

    Args:
        rng: Not used.
    """

    def __init__(self, rng: Random) -> None:
        del rng
        # The first key is next. A plain dict would do, but finding its first key slows down with
        # every key that was taken from its front.
        self._queue: OrderedDict[str, Member] = OrderedDict()

    def admit(self, member: Member) -> None:
        """Take in a member that became active, at the end of the queue."""
        self._queue[member.model.id] = member

    def withdraw(self, member: Member) -> None:
        """Drop a member that is active no more."""
        del self._queue[member.model.id]

    def choose(
        self, request: CompletionRequest, tried: Collection[str], now: float
    ) -> Member | None:
        """Return the member that has waited longest of those that are not tried."""
        for model_id in self._queue:
            if model_id not in tried:
                return self._queue[model_id]
        return None

    def chosen(self, member: Member, tried: Collection[str], now: float) -> None:
        """Send the member to the end of the queue."""
        self._queue.move_to_end(member.model.id)
