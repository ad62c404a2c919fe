"""Why a model was chosen: who was there, in which state, and by what they were compared.

A selection notes only what it would take to tell later: to spell it out for every request would
cost more than to choose. What never changes, such as what a model lacks, is worked out when
somebody asks.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from itertools import islice
from typing import TypeAlias

from capability_router.engine.choice import MOST_CANDIDATES, Candidate, Choice, Standing, Why
from capability_router.engine.concurrency import fullness
from capability_router.engine.fingerprint import fingerprint, short_name
from capability_router.engine.member import Member, Order, Rank, held
from capability_router.engine.membership import PoolPreferences
from capability_router.engine.model import Model
from capability_router.engine.request import CompletionRequest
from capability_router.engine.rotation import RotationPolicy
from capability_router.engine.selection import SelectionStrategy

__all__ = ["Evidence", "Terms", "sights"]

Sight: TypeAlias = tuple[
    Model, Rank, Order | None, bool, int, int | None, float, float, float | None
]
"""A member as a selection found it: model, rank, order that holds it, whether it is on trial, how
many requests are in flight and may be, its latency in seconds, the used share of its limits, and
its score."""


class Terms:
    """The rules of a pool, from one change to the next.

    Args:
        policy: Its rotation.
        preferences: Its filters and orders.
    """

    __slots__ = ("_fingerprint", "policy", "preferences", "strategy")

    def __init__(self, policy: RotationPolicy, preferences: PoolPreferences) -> None:
        self.policy = policy
        self.preferences = preferences
        self.strategy = short_name(policy.selection)
        self._fingerprint = ""

    @property
    def fingerprint(self) -> str:
        """A short name of the rules."""
        if not self._fingerprint:
            self._fingerprint = fingerprint(self.policy, self.preferences)
        return self._fingerprint


def sights(
    members: Mapping[str, Member],
    node: str,
    chosen: Member | None,
    strategy: SelectionStrategy | None,
    request: CompletionRequest,
    now: float,
) -> tuple[Sight, ...]:
    """Return members of a pool as they are now: of the first 32 those at a node, and the chosen.

    Args:
        members: The members by id, in the order they joined.
        node: Full path of the node.
        chosen: Who was chosen, if anybody was.
        strategy: Compares them; None where nothing was compared.
        request: What is asked for.
        now: Monotonic seconds.
    """
    score = getattr(strategy, "score", None)
    looked_at = list(islice(members.values(), MOST_CANDIDATES))
    if chosen is not None and len(members) > MOST_CANDIDATES and chosen not in looked_at:
        looked_at[-1] = chosen
    return tuple(
        [
            _sight(member, score(member, request, now) if score else None, now)
            for member in looked_at
            if node in member.places
        ]
    )


def _sight(member: Member, score: float | None, now: float) -> Sight:
    state, standby = member.state, member.standby
    return (
        member.model,
        member.rank,
        standby.order if standby else None,
        standby is not None and standby.on_trial,
        state.in_flight,
        state.slots.limit if state.slots else None,
        state.latency_now(now) if state.latency_s else 0.0,
        member.used(now) if member.meters else 0.0,
        score if standby is None else None,
    )


class Evidence:
    """What one selection noted; ``Choice`` tells of what is not told here.

    Attributes:
        tried: Ids of the models that had failed in this call before.
        why: How the model came to be chosen; whoever hands it out may know better than its pool.
        seen: The members.
        members: How many the pool had.
    """

    __slots__ = (
        "at",
        "draws",
        "members",
        "model",
        "node",
        "pool",
        "request",
        "seen",
        "terms",
        "tried",
        "why",
    )

    def __init__(
        self,
        at: float,
        pool: str,
        node: str,
        terms: Terms,
        request: CompletionRequest,
        tried: Collection[str],
        model: str | None,
        why: Why,
        seen: tuple[Sight, ...],
        members: int,
        draws: tuple[float, ...],
    ) -> None:
        # Made for every attempt, so written out: a dataclass takes twice as long.
        self.at = at
        self.pool = pool
        self.node = node
        self.terms = terms
        self.request = request
        self.tried = tuple(tried)
        self.model = model
        self.why = why
        self.seen = seen
        self.members = members
        self.draws = draws

    def choice(self) -> Choice:
        """Return it spelled out."""
        places = {rank: place for place, rank in enumerate(sorted(each[1] for each in self.seen))}
        return Choice(
            at=self.at,
            node=self.node,
            pool=self.pool,
            policy=self.terms.fingerprint,
            strategy=self.terms.strategy,
            model=self.model,
            why=self.why,
            candidates=tuple(self._candidate(each, places[each[1]]) for each in self.seen),
            omitted=max(0, self.members - MOST_CANDIDATES),
            draws=self.draws,
        )

    def _candidate(self, sight: Sight, place: int) -> Candidate:
        model, _, order, on_trial, in_flight, most, latency_s, used, score = sight
        state = Standing.ACTIVE if order is None else Standing.STANDBY
        told = Candidate(
            model=model.id,
            provider=model.provider,
            state=Standing.ON_TRIAL if on_trial else state,
            score=score,
            rank=place,
            in_flight=in_flight,
            latency_s=latency_s,
            used=used,
        )
        if model.id == self.model:
            return told
        lack = model.lacks(self.request)
        if lack is None and model.id in self.tried:
            lack = "tried in this call"
        if lack is None and order is not None:
            lack = held(order, self.at, on_trial=on_trial)
        return replace(told, obstacle=lack or fullness(in_flight, most))
