"""Strategies that draw by chance: what they cost does not grow with the number of members.

Knows what is in flight, how long answers took and what is left of limits, and no reason why a
member might be better than that.
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Callable, Collection, Mapping
from itertools import accumulate
from math import inf
from operator import mul
from random import Random

from capability_router.engine.member import Member
from capability_router.engine.request import CompletionRequest
from capability_router.engine.urn import FEW, MANY_DRAWS, Urn, untried

__all__ = ["LatencyFirst", "LeastInFlight", "LoadBalanced", "Weighted"]

_FEW_WITH_LIMITS = 4
"""As ``FEW``, where each has several meters to be read, which takes longer than all the rest."""
_PENALTY_S = 1e12
"""Longer than any answer takes."""


class _Drawing:
    """What the strategies have in common that draw from all members alike.

    Args:
        rng: Source of chance.
    """

    def __init__(self, rng: Random) -> None:
        self._urn = Urn(rng)

    def admit(self, member: Member) -> None:
        """Take in a member that became active."""
        self._urn.admit(member)

    def withdraw(self, member: Member) -> None:
        """Drop a member that is active no more."""
        self._urn.withdraw(member)

    def chosen(self, member: Member, tried: Collection[str], now: float) -> None:
        """Nothing to note: what is in flight and what is left is known of the member itself."""

    def _rivals(self, tried: Collection[str], few: int) -> list[Member]:
        """All that one that was drawn is compared with: one other where there are more than few."""
        members = self._urn.members
        if len(members) <= few:
            return untried(members, tried)
        rival = self._urn.draw(tried)
        return [] if rival is None else [rival]


class Weighted:
    """At random, in proportion to weights.

    A member that came back from standby gets little at first, so that what has just recovered is
    not hit by its whole share at once: the greater of ``slow_start_from`` and
    ``seconds since / slow_start_s`` of its weight, as in Envoy's slow start with its default
    aggression of 1.

    Args:
        rng: Source of chance.
        weights: By id of a model, or of a provider for each of its models that has none of its
            own; >= 0, and 1 for all others. A weight of 0 serves only if nothing else is left.
        slow_start_s: Seconds until a member that came back has its full weight, >= 0; 0 for at
            once. Default 30, the shortest that AWS's load balancers offer.
        slow_start_from: Share of its weight that it begins with, above 0 and at most 1. Default
            0.1, Envoy's ``min_weight_percent`` of 10.

    Raises:
        ValueError: If a number is out of range.
    """

    def __init__(
        self,
        rng: Random,
        *,
        weights: Mapping[str, float] | None = None,
        slow_start_s: float = 30.0,
        slow_start_from: float = 0.1,
    ) -> None:
        self._weights = dict(weights or {})
        for key, weight in self._weights.items():
            if not 0 <= weight < inf:
                raise ValueError(f"weights of {key!r} {weight} must be at least 0 and finite")
        if not 0 <= slow_start_s < inf:
            raise ValueError(f"slow_start_s {slow_start_s} must be at least 0 and finite")
        if not 0 < slow_start_from <= 1:
            raise ValueError(f"slow_start_from {slow_start_from} must be above 0 and at most 1")
        self._rng, self._random = rng, rng.random
        self._slow_start_s, self._slow_start_from = slow_start_s, slow_start_from
        # Members of equal weight stand together: there are few weights, so it is quick to find
        # the one that a draw falls on, and to sum them up anew when a member has come or gone.
        self._urns: dict[float, Urn] = {}
        self._groups: list[list[Member]] = []
        self._sums: list[float] = []
        self._stale = False

    def admit(self, member: Member) -> None:
        """Take in a member that became active."""
        weight = self._weight(member)
        if weight not in self._urns:
            self._urns[weight] = Urn(self._rng)
        self._urns[weight].admit(member)
        self._stale = True

    def withdraw(self, member: Member) -> None:
        """Drop a member that is active no more."""
        weight = self._weight(member)
        urn = self._urns[weight]
        urn.withdraw(member)
        if not urn.members:
            del self._urns[weight]
        self._stale = True

    def choose(
        self, request: CompletionRequest, tried: Collection[str], now: float
    ) -> Member | None:
        """Return a member that is not tried, drawn by its weight."""
        if self._stale:
            self._sum_up()
        found = self._draw(tried, now) if self._sums else None
        if found is None and tried:
            found = self._draw_fromuntried(tried)
        if found is None and 0.0 in self._urns:
            found = self._urns[0.0].draw(tried)
        return found

    def chosen(self, member: Member, tried: Collection[str], now: float) -> None:
        """Nothing to note: each draw is on its own."""

    def score(self, member: Member, request: CompletionRequest, now: float) -> float | None:
        """Return what a member is compared by: its weight, as far as it has it already."""
        age_s = now - member.recovered_at
        share = 1.0 if age_s >= self._slow_start_s else self._share(age_s)
        return self._weight(member) * share

    def _draw(self, tried: Collection[str], now: float) -> Member | None:
        """Draw until one is not tried and not held back; the last untried one if none is."""
        random, sums, found = self._random, self._sums, None
        last = len(sums) - 1
        for _ in range(MANY_DRAWS):
            group = self._groups[bisect(sums, random() * sums[-1], 0, last)]
            drawn = group[int(random() * len(group))]
            if tried and drawn.model.id in tried:
                continue
            found, age_s = drawn, now - drawn.recovered_at
            # Half a weight is as good as half of the draws, and leaves the sums as they are.
            if age_s >= self._slow_start_s or random() < self._share(age_s):
                break
        return found

    def _share(self, age_s: float) -> float:
        return max(self._slow_start_from, age_s / self._slow_start_s)

    def _draw_fromuntried(self, tried: Collection[str]) -> Member | None:
        """The slow way, where the tried ones have nearly all of the weight."""
        left = [m for group in self._groups for m in untried(group, tried)]
        return self._rng.choices(left, [*map(self._weight, left)])[0] if left else None

    def _sum_up(self) -> None:
        urns = {weight: urn for weight, urn in self._urns.items() if weight > 0}
        self._groups = [urn.members for urn in urns.values()]
        self._sums = list(accumulate(map(mul, urns, map(len, self._groups))))
        self._stale = False

    def _weight(self, member: Member) -> float:
        weights, model = self._weights, member.model
        return weights.get(model.id, weights.get(model.provider, 1.0))


class LatencyFirst(_Drawing):
    """The quickest, as far as is known: the best of the last one chosen and two drawn at random.

    Compared are the seconds an answer takes, as they have faded since it was measured, times the
    requests that are in flight with the new one (Finagle's peak EWMA). Two draws find out who has
    become quicker (Mitzenmacher, "The Power of Two Choices in Randomized Load Balancing", 2001);
    the memory of one keeps the quickest once it is found, out of however many (Mitzenmacher,
    Prabhakar and Shah, "Load Balancing with Memory", 2002).

    A model whose latency is not known goes first while it is idle, because it has to be measured,
    and last while it has a request in flight (Finagle's penalty).

    Args:
        rng: Source of chance.
        first_token: True to compare the seconds to the first token, for pools that stream; a model
            that has never streamed counts with those to its whole answer.
    """

    def __init__(self, rng: Random, *, first_token: bool = False) -> None:
        super().__init__(rng)
        self._cost = _cost_by_first_token if first_token else _cost_by_answer
        self._last: Member | None = None

    def withdraw(self, member: Member) -> None:
        """Drop a member that is active no more."""
        super().withdraw(member)
        if self._last is not None and self._last.model.id == member.model.id:
            self._last = None

    def choose(
        self, request: CompletionRequest, tried: Collection[str], now: float
    ) -> Member | None:
        """Return the quickest of the last one and two others that are not tried."""
        pair = self._urn.draw_two(tried)
        if pair is None:
            return None
        cost_of, (best, other), last = self._cost, pair, self._last
        cost, other_cost = cost_of(best, now), cost_of(other, now)
        if other_cost < cost or (other_cost == cost and other.rank < best.rank):
            best, cost = other, other_cost
        if last is None or last is best or last.model.id in tried:
            return best
        last_cost = cost_of(last, now)
        if last_cost < cost or (last_cost == cost and last.rank < best.rank):
            return last
        return best

    def chosen(self, member: Member, tried: Collection[str], now: float) -> None:
        """Remember the member: it is compared with those that are drawn next."""
        self._last = member

    def score(self, member: Member, request: CompletionRequest, now: float) -> float | None:
        """Return what a member is compared by: seconds times requests in flight with this one."""
        return self._cost(member, now)


class LeastInFlight(_Drawing):
    """The member with the fewest requests in flight, whatever its rank; any of several.

    Up to 12 members all are compared. Beyond that it is the better of two drawn at random, as
    Envoy's ``LEAST_REQUEST`` with its default ``choice_count`` of 2: nearly as even, and not
    slower with ten thousand.

    Args:
        rng: Source of chance.
    """

    def choose(
        self, request: CompletionRequest, tried: Collection[str], now: float
    ) -> Member | None:
        """Return the member with the fewest requests in flight of those that are not tried."""
        best = self._urn.draw(tried)
        if best is None or not best.state.in_flight:
            return best
        fewest = best.state.in_flight
        for member in self._rivals(tried, FEW):
            if member.state.in_flight < fewest:
                best, fewest = member, member.state.in_flight
        return best

    def score(self, member: Member, request: CompletionRequest, now: float) -> float | None:
        """Return what a member is compared by: requests in flight, the fewest first."""
        return member.state.in_flight


class LoadBalanced(_Drawing):
    """The member with the most left of its limits; of equals the one with the fewest in flight.

    Up to 4 members all are compared, beyond that two drawn at random. Members without limits
    have everything left. What is taken counts as it is known without the calendar: a calendar
    window that should be over counts as empty, and the pool finds out when it reserves.

    Args:
        rng: Source of chance.
        by: ``relative`` compares the smallest share that is left of any limit; ``absolute`` the
            requests that the limits on requests leave, and takes no note of others. Of 10
            requests left out of 20 and 50 out of 1000, the first is more by share, the second by
            number.

    Raises:
        ValueError: If ``by`` is neither.
    """

    def __init__(self, rng: Random, *, by: str = "relative") -> None:
        super().__init__(rng)
        if by not in _LOADS:
            raise ValueError(f"by {by!r} must be one of {', '.join(_LOADS)}")
        self._load, self._unlimited = _LOADS[by]

    def choose(
        self, request: CompletionRequest, tried: Collection[str], now: float
    ) -> Member | None:
        """Return the member with the most left of those that are not tried."""
        best = self._urn.draw(tried)
        if best is None or not (best.meters or best.state.in_flight):
            # Nobody can have more left than everything.
            return best
        load_of, unlimited, least = self._load, self._unlimited, self._load(best, now)
        for member in self._rivals(tried, _FEW_WITH_LIMITS):
            load = load_of(member, now) if member.meters else unlimited
            if load < least or (load == least and member.state.in_flight < best.state.in_flight):
                best, least = member, load
        return best

    def score(self, member: Member, request: CompletionRequest, now: float) -> float | None:
        """Return what a member is compared by: its load, the least first."""
        return self._load(member, now) if member.meters else self._unlimited


def _requests_lacking(member: Member, now: float) -> float:
    return -member.requests_left(now)


# How to tell the load of a member, and that of one without limits.
_LOADS: dict[str, tuple[Callable[[Member, float], float], float]] = {
    "relative": (Member.used, 0.0),
    "absolute": (_requests_lacking, -inf),
}


def _cost_by_answer(member: Member, now: float) -> float:
    state = member.state
    return _cost(state.latency_now(now), state.in_flight)


def _cost_by_first_token(member: Member, now: float) -> float:
    state = member.state
    return _cost(state.first_token_now(now) or state.latency_now(now), state.in_flight)


def _cost(seconds: float, in_flight: int) -> float:
    if seconds:
        return seconds * (in_flight + 1)
    return _PENALTY_S + in_flight if in_flight else 0.0
