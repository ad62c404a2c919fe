"""What is told of limits and reserved of them: which, when and how much."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import ceil, inf

from capability_router.engine.meter import Meter
from capability_router.engine.replica import Replica
from capability_router.storage import facts
from capability_router.storage.store import Draw, Share
from capability_router.storage.store_clock import StoreClock

__all__ = ["Drawing", "portion"]

_BUSY_S, _IDLE_S = 2.0, 10.0
_LEAST_RATE = 1e-3
_AHEAD_S = 2.0
"""Seconds of use to reserve: ten times what lies between two exchanges of a busy process."""
_SHARE_OF_ALL = 100


def portion(capacity: int, share: Share | None, per_s: float, asked: int) -> int:
    """Return how much of a strict limit a process should hold.

    As much as it uses in two seconds, but at most half of an equal part of what is free, so that
    something is left for those who come; and where it uses nothing, a hundredth of the limit
    within the same bound, so that the first requests are not refused. What was asked for and
    refused, in any case.

    Args:
        capacity: The limit.
        share: How it stands; None if that is not known yet.
        per_s: How fast the process uses it.
        asked: What was refused since the last time; 0 for nothing.
    """
    least = max(1, capacity // _SHARE_OF_ALL)
    if share is None:
        return max(least, asked)
    free = max(0, capacity - share.used - share.reserved)
    fair = free // (2 * max(1, share.holders))
    soon = ceil(per_s * _AHEAD_S) if per_s > _LEAST_RATE else 0
    return max(min(fair, max(least, soon)), min(soon, 1), asked)


@dataclass(slots=True)
class _Drawn:
    at: float = -inf
    taken: int = -1
    share: Share | None = None


class Drawing:
    """The limits of one router against those of the store.

    Args:
        clock: Compares the clocks.
    """

    def __init__(self, clock: StoreClock) -> None:
        self._clock = clock
        self._drawn: dict[Meter, _Drawn] = {}
        self._full: set[str] = set()
        self._sent: list[tuple[Meter, Draw]] = []

    def gather(self, replica: Replica, *, leaving: bool = False) -> list[Draw]:
        """Return what to tell and to ask of the limits.

        Args:
            replica: The router.
            leaving: True to give back everything that is held.
        """
        now, wall = replica.now(), replica.wall()
        self._sent = []
        for meter in replica.meters():
            meter.advance(now, wall)
            drawn = self._drawn.setdefault(meter, _Drawn())
            if leaving or self._is_due(meter, drawn, now):
                self._sent.append((meter, self._draw(meter, drawn, now, leaving=leaving)))
        self._full.clear()
        return [draw for _, draw in self._sent]

    def answered(self, replica: Replica, shares: Sequence[Share], held_until: float) -> None:
        """Take in how the limits stand.

        Args:
            replica: The router.
            shares: Of each limit that was drawn on, in order.
            held_until: Monotonic seconds up to which what is held is kept.
        """
        now, wall = replica.now(), replica.wall()
        for (meter, draw), share in zip(self._sent, shares, strict=True):
            meter.advance(now, wall)
            if meter.shared is None or meter.window != draw.window:
                continue
            was_spent = meter.spent
            meter.shared.note_told(dict(draw.used))
            meter.hear(
                used=share.used,
                reserved=share.reserved,
                held=share.held,
                held_until=held_until,
                frees_at=self._clock.to_own(share.frees_at),
                now=now,
            )
            self._drawn[meter] = _Drawn(now, meter.taken, share)
            replica.follow(meter, was_spent)

    def hear(self, full: Iterable[str]) -> None:
        """Note that limits were used up elsewhere: they are asked about with the next exchange."""
        self._full.update(full)

    def begin_anew(self, replica: Replica) -> None:
        """Tell again all that was used, because the store was emptied."""
        for meter in replica.meters():
            meter.begin_anew(told=False)
        self._drawn.clear()

    def forget_those_gone(self, replica: Replica) -> None:
        """Forget meters that the router has no more."""
        present = set(replica.meters())
        self._drawn = {meter: drawn for meter, drawn in self._drawn.items() if meter in present}

    def _is_due(self, meter: Meter, drawn: _Drawn, now: float) -> bool:
        shared = meter.shared
        if shared is None:
            return False
        if meter.taken != drawn.taken or shared.asked:
            return True
        if self._full and facts.meter_key(meter) in self._full:
            return True
        busy = meter.rate.per_s(now) > _LEAST_RATE
        return now - drawn.at >= (_BUSY_S if busy else _IDLE_S)

    def _draw(self, meter: Meter, drawn: _Drawn, now: float, *, leaving: bool) -> Draw:
        shared, want = meter.shared, 0
        if meter.limit.strict and not leaving:
            asked = shared.asked if shared else 0
            want = portion(meter.capacity, drawn.share, meter.rate.per_s(now), asked)
        # What is given back must not be used while the question is under way.
        meter.offer(want)
        if shared is not None:
            shared.asked = 0
        grant = shared.held if shared else 0
        untold = meter.untold()
        key, width_s, window = facts.meter_key(meter), meter.width_s, meter.window
        return Draw(key, meter.capacity, width_s, window, untold, grant, want)
