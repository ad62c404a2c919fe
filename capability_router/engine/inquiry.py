"""Questions about the members of one pool; nothing here changes anything.

Knows who is excluded and why, and what limits have left, not who would be chosen.
"""

from __future__ import annotations

from collections.abc import Collection
from math import inf

from capability_router.engine.member import Member, Order
from capability_router.engine.membership import PoolPreferences
from capability_router.engine.model import Model
from capability_router.engine.reason import ERRORS, Reason
from capability_router.engine.request import CompletionRequest
from capability_router.engine.roster import Roster
from capability_router.engine.till import Till

__all__ = ["Inquiry"]


class Inquiry:
    """Answers why members cannot serve, and when they may.

    Args:
        roster: The members.
        till: What their requests draw on.
    """

    def __init__(self, roster: Roster, till: Till) -> None:
        self._roster = roster
        self._till = till

    def standing(self, model_id: str) -> list[Order]:
        """Return the orders that hold a model, but for our own conclusions and planned windows."""
        member = self._roster.members.get(model_id)
        orders = member.standby.orders.values() if member and member.standby else ()
        ours = {*ERRORS, Reason.MAINTENANCE_WINDOW}
        return [order for order in orders if order.reason not in ours]

    def standing_with(self, provider: str) -> list[Order]:
        """Return the orders that hold a whole provider."""
        for member in self._roster.gone_with(provider):
            return [o for o in self.standing(member.model.id) if o.whole_provider]
        return []

    def is_without(self, provider: str) -> bool:
        """Return whether an order holds a member of a provider for the whole of it."""
        return any(True for _ in self._roster.gone_with(provider))

    def candidates(self, request: CompletionRequest, node: str) -> list[Model]:
        """Return the models at or under a node that can serve a request, active or not."""
        members = self._roster.members.values()
        here = (member.model for member in members if node in member.places)
        return [model for model in here if model.lacks(request) is None]

    def barred(self, node: str, preferences: PoolPreferences) -> list[str]:
        """Return the ids of the members that must not stand in for a node.

        Those that serve it themselves are not there for a reason, and whom its own pool keeps out
        it keeps out for good.
        """
        return [
            model_id
            for model_id, member in self._roster.members.items()
            if node in member.places or not preferences.admits(member.model)
        ]

    def obstacles(
        self,
        request: CompletionRequest,
        node: str,
        tried: Collection[str],
        now: float,
        otherwise: str = "",
    ) -> dict[str, str]:
        """Return by model id why each member at or under a node cannot serve a request now.

        Of those that can, ``otherwise`` is returned if it says something.
        """
        closed = self._till.obstacle(now)
        found: dict[str, str] = {}
        for member in self._roster.members.values():
            if node in member.places:
                why = member.obstacle(request, tried, now) or closed
                short = self._till.shortage(member, request, now)
                found[member.model.id] = why or short or otherwise
        return {model_id: why for model_id, why in found.items() if why}

    def next_return_s(
        self,
        request: CompletionRequest,
        node: str,
        now: float,
        reasons: Collection[str] = (),
    ) -> float | None:
        """Return the seconds until a standby model may be tried, or a full one may have room.

        None for never; for room, which comes when some attempt ends, it is when to look again.

        Args:
            request: What is asked for.
            node: Full path of the node; only models at or under it count.
            now: Monotonic seconds.
            reasons: Reasons of standby that count; empty for all. That a model is full is none of
                them, and always counts.
        """
        if self._till.closed_until > now:
            return self._till.wait_s(now, reasons)
        waits = [
            wait_s
            for member in self._roster.members.values()
            if node in member.places and member.model.lacks(request) is None
            if (wait_s := self._wait_s(member, request, now, reasons)) is not None
        ]
        return min(waits, default=None)

    def _wait_s(
        self, member: Member, request: CompletionRequest, now: float, reasons: Collection[str]
    ) -> float | None:
        """Seconds until one member may serve: its standby is over, and its limits have room."""
        room_s, reason = self._till.room_in_s(member, request, now)
        standby = member.standby
        if standby is not None and (standby.place is None or standby.order.until > now + room_s):
            room_s, reason = standby.order.until - now, standby.order.reason
        if standby is None and room_s == 0:
            return member.state.room_in_s if member.state.is_full else None
        if room_s == inf:
            return None
        if standby is not None and standby.on_trial:
            # Whoever tries it may know at any moment.
            room_s, reason = 0.0, standby.order.reason
        return None if reasons and reason not in reasons else max(0.0, room_s)
