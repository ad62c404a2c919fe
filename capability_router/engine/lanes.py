"""The active members of a pool, ordered once for each kind of request.

A full member is in none of them until it has room again: it is passed over without being looked
at, however many are full.

A kind of request is the node, the features, the context window and the vector space that it needs,
and whom it prefers. Each has a strategy of its own, which holds only members that meet it: so a
request that one model in a thousand can serve costs no more than any other.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable
from copy import deepcopy
from math import inf
from random import Random

from capability_router.engine.member import Member
from capability_router.engine.preferring import Preferring
from capability_router.engine.request import CompletionRequest
from capability_router.engine.selection import SelectionStrategy, StrategyFactory

__all__ = ["Lanes"]

_MOST = 64
"""Kinds of request remembered at once; an application has a handful."""

Kind = tuple[str, frozenset[str], float, tuple[str, ...], str | None, str | None]
"""Node, features and context window that are needed, preferred providers, the vector space, and the
one model that may serve; the window is one that a model has, 0 where every one is large enough, and
``inf`` where none is."""


class Lanes:
    """The active members, by kind of request.

    Args:
        make: Makes the strategy of one lane.
        rng: Source of chance for the strategies.
    """

    __slots__ = (
        "_active",
        "_counts",
        "_lanes",
        "_make",
        "_rng",
        "_windows",
    )

    def __init__(self, make: StrategyFactory, rng: Random) -> None:
        self._make = make
        self._rng = rng
        self._active: dict[str, Member] = {}
        self._lanes: dict[Kind, SelectionStrategy] = {}
        # How often each context window occurs among the members, and the windows in order.
        self._counts: dict[int, int] = {}
        self._windows: list[int] = []

    def lane(self, node: str, request: CompletionRequest) -> SelectionStrategy:
        """Return the order of the active members that meet a request at a node."""
        kind = self._kind(node, request)
        found = self._lanes.get(kind)
        return self._open(kind) if found is None else found

    def copy(self, node: str, request: CompletionRequest, rng: Random) -> SelectionStrategy:
        """Return the same order to look at: using it changes nothing, nor draws from our chance.

        Args:
            node: Full path of the node.
            request: What is asked for.
            rng: A copy of the source of chance.
        """
        kind = self._kind(node, request)
        found = self._lanes.get(kind)
        if found is None:
            return self._filled(kind, rng)
        kept: dict[int, object] = {id(member): member for member in self._active.values()}
        return deepcopy(found, {id(self._rng): rng, **kept})

    def _kind(self, node: str, request: CompletionRequest) -> Kind:
        tokens = request.input_tokens + request.output_tokens
        window = self._window_for(tokens) if tokens else 0
        return (
            node,
            request.requires,
            window,
            request.prefers,
            request.vector_space,
            request.model,
        )

    def admit(self, member: Member) -> None:
        """Take in a member that became active, once it has room; one that is in stays."""
        if member.state.is_full or member.model.id in self._active:
            return
        self._active[member.model.id] = member
        for kind, strategy in self._lanes.items():
            if self._takes(kind, member):
                strategy.admit(member)

    def withdraw(self, member: Member) -> None:
        """Drop a member that is active no more, or full; one that is not in is no error."""
        if self._active.pop(member.model.id, None) is None:
            return
        for kind, strategy in self._lanes.items():
            if self._takes(kind, member):
                strategy.withdraw(member)

    def room_changed(self, member: Member) -> None:
        """Take in or drop an active member, as it has room now."""
        (self.withdraw if member.state.is_full else self.admit)(member)

    def join(self, member: Member) -> None:
        """Note the context window of a new member, before it is admitted."""
        self._count(member, 1)

    def leave(self, member: Member) -> None:
        """Forget the context window of a member, after it was withdrawn."""
        self._count(member, -1)

    def remake(self, make: StrategyFactory, members: Iterable[Member]) -> None:
        """Begin anew with another strategy, or with members whose ranks have changed."""
        self._make = make
        self._lanes.clear()
        self._active = {m.model.id: m for m in members if not m.state.is_full}

    def _open(self, kind: Kind) -> SelectionStrategy:
        if len(self._lanes) >= _MOST:
            # The oldest goes. If it is asked for again, it only has to be ordered again.
            del self._lanes[next(iter(self._lanes))]
        strategy = self._lanes[kind] = self._filled(kind, self._rng)
        return strategy

    def _filled(self, kind: Kind, rng: Random) -> SelectionStrategy:
        make, prefers = self._make, kind[3]
        strategy = Preferring(make, rng, prefers) if prefers else make(rng)
        for member in self._active.values():
            if self._takes(kind, member):
                strategy.admit(member)
        return strategy

    def _takes(self, kind: Kind, member: Member) -> bool:
        node, requires, window, _, space, name = kind
        model = member.model
        if node not in member.places:
            return False
        if requires and model.missing(requires):
            return False
        if space is not None and space != model.embedding_space:
            return False
        if name is not None and name not in (model.id, model.name):
            return False
        return model.context_window is None or model.context_window >= window

    def _window_for(self, tokens: int) -> float:
        place = bisect_left(self._windows, tokens)
        if place == 0 and self._windows:
            return 0
        return self._windows[place] if place < len(self._windows) else inf

    def _count(self, member: Member, change: int) -> None:
        window = member.model.context_window
        if window is None:
            return
        count = self._counts[window] = self._counts.get(window, 0) + change
        if count == 0:
            del self._counts[window]
            self._windows.remove(window)
        elif count == change:
            insort(self._windows, window)
