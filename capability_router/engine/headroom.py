"""A strategy that moves on before limits are used up, and back when there is room again.

Knows what is taken of limits and when it is forgotten, and neither latency nor what is in flight.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import OrderedDict
from collections.abc import Collection
from math import inf
from random import Random

from capability_router.engine.member import Member, Rank
from capability_router.engine.request import CompletionRequest
from capability_router.engine.sampling import LoadBalanced
from capability_router.engine.selection import Ranking

__all__ = ["RateLimitAware"]

_LOOKS = 4
"""Members that are looked at again for one request when their time has come: few, so that a
thousand that share a limit do not hold up the first request after its reset, and more than one,
so that they return faster than others leave."""

_Due = tuple[float, Rank, str]
"""When to look at a member again, in monotonic seconds; of those that are due together, as the
models of one provider are, the best-ranked is first."""


class RateLimitAware:
    """The best-ranked member of whose limits none is nearly used up.

    A member is set aside when what is taken of any of its limits, its model's or its provider's,
    reaches ``switch_at``; the next one below it serves then. While all are set aside, the one with
    the most left serves, as ``LoadBalanced`` finds it.

    A member is back as soon as enough has left the windows of its limits. The end of a calendar
    window is foretold in monotonic seconds: a wall clock that was set since is noticed when next
    something is reserved from that limit. What is given back, because less was used than had been
    reserved, is noticed by looking at one member that is set aside with each request: after as
    many requests as there are of them, at the latest.

    What a request costs does not grow with the number of members, set aside or not. One that
    reaches the threshold of a limit that thousands share sets all of them aside, and takes that
    much longer.

    Args:
        rng: Source of chance for choosing among many that are set aside.
        switch_at: Used share of a limit, above 0 and at most 1, at which a member is set aside; 1
            waits until nothing is left. Default 0.8: room for answers that turn out longer than
            they were estimated, and for what others use of the same account.

    Raises:
        ValueError: If ``switch_at`` is out of range.
    """

    def __init__(self, rng: Random, *, switch_at: float = 0.8) -> None:
        if not 0 < switch_at <= 1:
            raise ValueError(f"switch_at {switch_at} must be above 0 and at most 1")
        self._switch_at = switch_at
        self._fresh = Ranking()
        self._aside = _Aside(rng)

    def admit(self, member: Member) -> None:
        """Take in a member that became active."""
        self._fresh.admit(member)

    def withdraw(self, member: Member) -> None:
        """Drop a member that is active no more."""
        aside = self._fresh.get(member.model.id) is None
        (self._aside if aside else self._fresh).withdraw(member)

    def choose(
        self, request: CompletionRequest, tried: Collection[str], now: float
    ) -> Member | None:
        """Return the best-ranked member below the threshold, else the one with the most left."""
        found = self._fresh.first(tried)
        above: list[Member] = []
        if found is not None and self._is_above(found, now):
            found, above = self._look(tried, now)
        if now >= self._aside.next_at:
            back = self._aside.first()
            better = found is None or back.rank < found.rank
            if better and back.model.id not in tried and not self._is_above(back, now):
                return back
        if found is not None:
            return found
        most_left = self._aside.by_left.choose(request, tried, now)
        for member in above:
            if most_left is None or member.used(now) < most_left.used(now):
                most_left = member
        return most_left

    def chosen(self, member: Member, tried: Collection[str], now: float) -> None:
        """Set aside who has reached the threshold, and take back who is below it again."""
        first = self._fresh.first(tried)
        if first is not None and self._is_above(first, now):
            for each in self._look(tried, now)[1]:
                self._fresh.withdraw(each)
                self._aside.admit(each, self._due_at(each, now))
        if self._aside.members:
            self._take_back(now)

    def score(self, member: Member, request: CompletionRequest, now: float) -> float | None:
        """Return what a member is compared by: the used share of its limits."""
        return member.used(now)

    def _take_back(self, now: float) -> None:
        """Look again at those whose time has come, and at another one in its turn."""
        aside = self._aside
        for _ in range(_LOOKS):
            if now < aside.next_at:
                break
            first = aside.first()
            aside.withdraw(first)
            if self._is_above(first, now):
                aside.admit(first, self._due_at(first, now))
            else:
                self._fresh.admit(first)
        if aside.members and not self._is_above(in_turn := aside.in_turn(), now):
            aside.withdraw(in_turn)
            self._fresh.admit(in_turn)

    def _look(self, tried: Collection[str], now: float) -> tuple[Member | None, list[Member]]:
        """Find the first untried member below the threshold, and those before it that are above."""
        above: list[Member] = []
        for member in self._fresh:
            if member.model.id in tried:
                continue
            if not self._is_above(member, now):
                return member, above
            above.append(member)
        return None, above

    def _is_above(self, member: Member, now: float) -> bool:
        return bool(member.meters) and member.used(now) >= self._switch_at

    def _due_at(self, member: Member, now: float) -> float:
        """When all limits will be below the threshold, if nothing more is taken of them."""
        latest = now
        for meter in member.meters:
            threshold = self._switch_at * meter.capacity
            if meter.taken_at(now) >= threshold:
                latest = max(latest, meter.falls_below(threshold))
        return latest


class _Aside:
    """Members that are set aside, with the moment to look at each again.

    Args:
        rng: Source of chance.

    Attributes:
        members: Who is set aside, the one whose turn is next first, and when each is due.
        by_left: Finds the one with the most left.
        next_at: Monotonic seconds when the first is to be looked at; ``inf`` if there is none.
    """

    def __init__(self, rng: Random) -> None:
        self.by_left = LoadBalanced(rng)
        self.next_at = inf
        self.members: OrderedDict[str, tuple[Member, _Due]] = OrderedDict()
        self._due: list[_Due] = []

    def admit(self, member: Member, at: float) -> None:
        """Take in a member to look at again at a moment."""
        due = (at, member.rank, member.model.id)
        self.members[member.model.id] = member, due
        insort(self._due, due)
        self.next_at = self._due[0][0]
        self.by_left.admit(member)

    def withdraw(self, member: Member) -> None:
        """Drop a member."""
        _, due = self.members.pop(member.model.id)
        del self._due[bisect_left(self._due, due)]
        self.next_at = self._due[0][0] if self._due else inf
        self.by_left.withdraw(member)

    def first(self) -> Member:
        """Return the one that is to be looked at first."""
        return self.members[self._due[0][-1]][0]

    def in_turn(self) -> Member:
        """Return each one in its turn."""
        model_id, (member, _) = next(iter(self.members.items()))
        self.members.move_to_end(model_id)
        return member
