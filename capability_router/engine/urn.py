"""Members to draw from by chance; what a draw costs does not grow with their number."""

from __future__ import annotations

from collections.abc import Collection
from random import Random

from capability_router.engine.member import Member

__all__ = ["FEW", "MANY_DRAWS", "Urn", "untried"]

FEW = 12
"""Members up to which all are looked at: a pool is rarely larger, and two draws out of so few
would miss the best one most of the time."""
MANY_DRAWS = 16
"""Draws until another way is taken. Where one in ten succeeds, as where all members have just come
back, four of five calls have succeeded by then."""


class Urn:
    """Members to draw from; each change and each draw costs the same however many there are.

    Args:
        rng: Source of chance.

    Attributes:
        members: Those that are in it, in no order.
    """

    __slots__ = ("_places", "_random", "members")

    def __init__(self, rng: Random) -> None:
        self._random = rng.random
        self._places: dict[str, int] = {}
        self.members: list[Member] = []

    def __len__(self) -> int:
        return len(self.members)

    def admit(self, member: Member) -> None:
        """Put a member in."""
        self._places[member.model.id] = len(self.members)
        self.members.append(member)

    def withdraw(self, member: Member) -> None:
        """Take a member out; the last one takes its place."""
        place, last = self._places.pop(member.model.id), self.members.pop()
        if place < len(self.members):
            self.members[place] = last
            self._places[last.model.id] = place

    def draw(self, tried: Collection[str] = ()) -> Member | None:
        """Return a member that is not tried, each as likely as another; None if all are tried."""
        members = self.members
        if not tried and members:
            return members[int(self._random() * len(members))]
        for _ in range(MANY_DRAWS if members else 0):
            drawn = members[int(self._random() * len(members))]
            if drawn.model.id not in tried:
                return drawn
        left = untried(members, tried)
        return left[int(self._random() * len(left))] if left else None

    def draw_two(self, tried: Collection[str] = ()) -> tuple[Member, Member] | None:
        """Return two members that are not tried, each two as likely as others.

        Returns:
            Two different ones; the same one twice if no other is left; None if none is.
        """
        if not tried and self.members:
            return self._two_of(self.members)
        for _ in range(MANY_DRAWS if len(self.members) > FEW else 0):
            one, other = self._two_of(self.members)
            if one.model.id not in tried and other.model.id not in tried:
                return one, other
        left = untried(self.members, tried)
        return self._two_of(left) if left else None

    def _two_of(self, members: list[Member]) -> tuple[Member, Member]:
        last = len(members) - 1
        first, second = int(self._random() * (last + 1)), int(self._random() * last)
        # Out of all but the first: those that stand at or behind it have moved up by one.
        return members[first], members[second + (second >= first and last > 0)]


def untried(members: list[Member], tried: Collection[str]) -> list[Member]:
    """Return the members that are not tried: the same list if nobody is."""
    return [m for m in members if m.model.id not in tried] if tried else members
