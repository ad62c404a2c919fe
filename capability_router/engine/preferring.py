"""Selection by preference for providers: those that a request names go first, in its order.

Knows who provides a model, and leaves the choice among the models of one provider to a strategy.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from random import Random

from capability_router.engine.member import Member
from capability_router.engine.outcome import Outcome
from capability_router.engine.request import CompletionRequest
from capability_router.engine.selection import SelectionStrategy, StrategyFactory

__all__ = ["Preferring", "preferred"]


class Preferring:
    """The members of each preferred provider in turn, then all others.

    Each of these groups has a strategy of its own: what one learns or counts, for instance whose
    turn it is, is of its own members only.

    Args:
        make: Makes the strategy of one group.
        rng: Source of chance for the strategies.
        providers: Ids of the preferred providers, best first.
    """

    def __init__(self, make: StrategyFactory, rng: Random, providers: Iterable[str]) -> None:
        self._preferred = {provider: make(rng) for provider in providers}
        self._others = make(rng)
        self._in_order = (*self._preferred.values(), self._others)

    def admit(self, member: Member) -> None:
        """Take in a member that became active."""
        self._strategy_of(member).admit(member)

    def withdraw(self, member: Member) -> None:
        """Drop a member that is active no more."""
        self._strategy_of(member).withdraw(member)

    def choose(
        self, request: CompletionRequest, tried: Collection[str], now: float
    ) -> Member | None:
        """Return whom the first strategy chooses that has a member to choose."""
        for strategy in self._in_order:
            found = strategy.choose(request, tried, now)
            if found is not None:
                return found
        return None

    def chosen(self, member: Member, tried: Collection[str], now: float) -> None:
        """Tell the strategy of the member's provider."""
        self._strategy_of(member).chosen(member, tried, now)

    def learn(self, member: Member, node: str, outcome: Outcome, latency_s: float) -> None:
        """Tell the strategy of the member's provider, if it learns from outcomes."""
        learn = getattr(self._strategy_of(member), "learn", None)
        if learn is not None:
            learn(member, node, outcome, latency_s)

    def score(self, member: Member, request: CompletionRequest, now: float) -> float | None:
        """Return what a member is compared by: what the strategy of its provider compares."""
        score = getattr(self._strategy_of(member), "score", None)
        return score(member, request, now) if score else None

    def _strategy_of(self, member: Member) -> SelectionStrategy:
        return self._preferred.get(member.model.provider, self._others)


def preferred(
    waiting: Iterable[Member], providers: Sequence[str], serving: Member | None = None
) -> Iterable[Member]:
    """Order members that wait for their trial as a request prefers their providers.

    Args:
        waiting: The members, in the order that holds where preference tells nothing.
        providers: Ids of the preferred providers, best first.
        serving: Who would serve if none of them did; who is preferred less than that is left out,
            because a trial is no reason to pass over a better one.
    """
    if not providers:
        return waiting
    places = {provider: place for place, provider in enumerate(providers)}

    def place(member: Member) -> int:
        return places.get(member.model.provider, len(places))

    last = len(places) if serving is None else place(serving)
    return sorted((member for member in waiting if place(member) <= last), key=place)
