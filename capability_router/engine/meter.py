"""How much of a limit has been used, in this process and in those that share it.

Knows amounts and moments, no model and no request: what a request needs is for ``ledger``.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf

from capability_router.engine.averages import FadingRate
from capability_router.engine.limits import NANO, Forecast, Limit, Scope, Unit
from capability_router.engine.shared_use import SharedUse

__all__ = ["BUCKETS", "Meter"]

BUCKETS = 60
"""Parts of a rolling window that are forgotten one by one."""

_PLACE = {unit: place for place, unit in enumerate(Unit)}
_ASKING_S = 0.05


class Meter:
    """What has been taken of one limit; used under the router's guard.

    A calendar window is one bucket. A rolling window is sixty, and one more that is still filling:
    a bucket counts until the last moment in it has left the window, so the limit is never
    exceeded, and what was used comes back up to a sixtieth of the window late.

    Where processes share the limit, what the others have used counts as taken here too. If it is
    ``strict``, this process may take no more than was reserved for it.

    Args:
        limit: The limit.
        scope: Whose it is.

    Attributes:
        place: Place of its unit in a need.
        capacity: How much may be taken: US dollars in parts of ``NANO``, all else in ones.
        ceiling: How much may have been taken before this process takes no more, <= ``capacity``.
        taken: How much is taken in the current window, >= 0.
        true_until: Monotonic seconds until which ``taken`` holds if nothing more is taken.
        rate: How fast this process uses it.
        shared: What is known of the use of others; None where there are none.
    """

    __slots__ = (
        "_bucket",
        "_buckets",
        "_changes_at",
        "_width_s",
        "capacity",
        "ceiling",
        "limit",
        "place",
        "rate",
        "scope",
        "shared",
        "taken",
        "true_until",
    )

    def __init__(self, limit: Limit, scope: Scope) -> None:
        self.limit = limit
        self.scope = scope
        self.place = _PLACE[limit.unit]
        self.capacity = self.ceiling = int(limit.amount * (NANO if limit.unit is Unit.USD else 1))
        self.taken = 0
        self.rate = FadingRate()
        self.shared: SharedUse | None = None
        self._width_s = inf if limit.window_s is None else limit.window_s / BUCKETS
        self._bucket = 0
        self._buckets: dict[int, int] = {}
        # When the current bucket ends: wall seconds for a calendar window, else monotonic ones.
        self._changes_at = inf if limit.window_s is None and limit.resets is None else -inf
        self.true_until = self._changes_at

    def change(self, limit: Limit) -> None:
        """Allow another amount in the same window; what has been taken stays taken."""
        self.limit = limit
        self.capacity = int(limit.amount * (NANO if limit.unit is Unit.USD else 1))
        self.ceiling = self.capacity
        self._keep_to_what_is_held()

    @property
    def spent(self) -> bool:
        """Whether nothing is left."""
        return self.taken >= self.capacity

    @property
    def width_s(self) -> float | None:
        """Seconds of each bucket of a rolling window; None for another."""
        return None if self.limit.window_s is None else self._width_s

    @property
    def window(self) -> int:
        """When the calendar window ends, in whole wall seconds; 0 for another."""
        return self._bucket if self.limit.resets is not None else 0

    def advance(self, now: float, wall: float) -> None:
        """Forget what has left the window."""
        if self.limit.resets is not None:
            wall = self._wall(now, wall)
            # A clock that was set back opens no second window: this one goes on to its end.
            if wall >= self._changes_at:
                self._next_window(wall)
            self.true_until = now + self._changes_at - wall
        elif now >= self._changes_at:
            self._slide(now)

    def take(self, amount: int, now: float) -> int:
        """Take some; ``advance`` has been called, and it fits.

        Returns:
            The bucket it was taken from, for ``correct``.
        """
        self.taken += amount
        self._buckets[self._bucket] = self._buckets.get(self._bucket, 0) + amount
        self.rate.note(amount, now)
        return self._bucket

    def correct(self, bucket: int, change: int, now: float) -> None:
        """Give some back, or take more of it.

        What is to be given back of a window that has ended makes no difference; what was used
        beyond the estimate, by an answer that took longer than the window, counts now.
        """
        if change > 0 and bucket not in self._buckets:
            self.take(change, now)
        elif change and bucket in self._buckets:
            self._buckets[bucket] += change
            self.taken += change
            self.rate.note(change, now)

    def ask(self, need: int) -> None:
        """Let more be reserved at once, where it is reserved.

        Args:
            need: The amount that was refused, >= 0.
        """
        if self.shared is not None:
            self.shared.asked = max(self.shared.asked, need)
            self.shared.ask()

    def resets_in_s(self, now: float, wall: float) -> float:
        """Return the seconds until some is free again, >= 0; ``inf`` for never."""
        if self.limit.resets is not None:
            return max(0.0, self._changes_at - self._wall(now, wall))
        if self.limit.window_s is None:
            return inf
        first = next((bucket for bucket, amount in self._buckets.items() if amount), None)
        own_at = inf if first is None else self._leaves_at(first)
        elsewhere_at = self.shared.frees_at if self.shared and self.shared.elsewhere else inf
        return max(0.0, min(own_at, elsewhere_at) - now)

    def wait_s(self, now: float, wall: float) -> float:
        """Return the seconds until some is free again, having looked; 0 if some is."""
        self.advance(now, wall)
        return self.resets_in_s(now, wall) if self.spent else 0.0

    def fits_in_s(self, need: int, now: float) -> float:
        """Return the seconds until there is room for an amount that is refused now.

        Returns:
            ``inf`` for never, and for a calendar window that ends at no known moment; where only
            more has to be reserved, it is when to look again.
        """
        if need > self.capacity:
            return inf
        if self.taken + need <= self.capacity:
            return _ASKING_S
        return self.falls_below(self.capacity - need + 1) - now

    def taken_at(self, now: float) -> int:
        """Return how much is taken, as far as it can be told without the wall clock.

        A calendar window that should be over by now counts as empty until ``advance`` knows.
        """
        if now < self.true_until:
            return self.taken
        if self.limit.window_s is None:
            return 0
        self._slide(now)
        return self.taken

    def falls_below(self, amount: float) -> float:
        """Return when less than an amount, > 0, will be taken if nothing more is.

        Returns:
            Monotonic seconds; ``inf`` for never, and for a calendar window that ends at no known
            moment.
        """
        if self.limit.window_s is None:
            return self.true_until
        taken = self.taken
        for bucket, amount_there in self._buckets.items():
            taken -= amount_there
            if taken < amount:
                return self._leaves_at(bucket)
        return self.shared.elsewhere_until if self.shared else inf

    def forecast(self, now: float, wall: float) -> Forecast:
        """Return how long it lasts at the present rate."""
        self.advance(now, wall)
        unit = NANO if self.limit.unit is Unit.USD else 1
        rate = self.rate.per_s(now) + (self.shared.rate.per_s(now) if self.shared else 0.0)
        resets_s = self.resets_in_s(now, wall)
        empty_s = max(0, self.capacity - self.taken) / rate if rate > 0 else inf
        return Forecast(
            scope=self.scope,
            limit=self.limit,
            taken=self.taken / unit,
            per_s=rate / unit,
            runs_out_in_s=empty_s if empty_s < self._lasts_s(resets_s) else None,
            resets_in_s=resets_s if resets_s < inf else None,
        )

    def share(self, ask: Callable[[], object], ahead_s: float, now: float) -> None:
        """Count together with other processes, from now on.

        Args:
            ask: Called when more should be reserved at once; it only says so to a thread.
            ahead_s: Seconds that the clock of the store is ahead of the monotonic one, at most.
            now: Monotonic seconds.
        """
        if self.shared is None:
            self.shared = SharedUse(ask)
            self._keep_to_what_is_held()
        moved_s = ahead_s - self.shared.ahead_s
        # Less than a bucket is the inaccuracy of comparing clocks, unless the store is ahead.
        if moved_s > 0 or -moved_s >= min(1.0, self._width_s):
            self._move(ahead_s, now)

    def unshare(self, now: float) -> None:
        """Count alone again: what others have used is no concern of this process any more.

        Args:
            now: Monotonic seconds.
        """
        if self.shared is not None:
            self._move(0.0, now)
            self.taken -= self.shared.elsewhere
            self.shared = None
            self.ceiling = self.capacity

    def begin_anew(self, *, told: bool) -> None:
        """Give up what is reserved: it was for another process, or in a store that is no more.

        Args:
            told: Whether what was used has been told, by that other process.
        """
        if self.shared is not None:
            self.shared.told = dict(self._buckets) if told else {}
            self.shared.held = 0
            self._keep_to_what_is_held()

    def offer(self, most: int) -> None:
        """Take no more than an amount until there is an answer: the rest is offered to others.

        Args:
            most: The amount, >= 0.
        """
        if self.limit.strict:
            self.ceiling = min(self.ceiling, self.taken + most)

    def untold(self) -> dict[int, int]:
        """Return what this process has used and not told, by bucket; none if it is not shared."""
        return self.shared.untold(self._buckets) if self.shared else {}

    def hear(
        self,
        *,
        used: int,
        reserved: int,
        held: int,
        held_until: float,
        frees_at: float,
        now: float,
    ) -> None:
        """Take in how the limit stands for all processes together.

        What this process has told until then has been noted as told, and is part of ``used``.

        Args:
            used: What all have used in the current window.
            reserved: What the others have reserved.
            held: What is reserved for this process, besides what it has told.
            held_until: Monotonic seconds up to which that holds.
            frees_at: Monotonic seconds at which something of what was used is free again.
            now: Monotonic seconds.
        """
        shared = self.shared
        if shared is None:
            return
        elsewhere = max(0, used - sum(shared.told.values())) + reserved
        if elsewhere > shared.elsewhere:
            shared.rate.note(elsewhere - shared.elsewhere, now)
        self.taken += elsewhere - shared.elsewhere
        shared.elsewhere, shared.held, shared.frees_at = elsewhere, held, frees_at
        rolling = self.limit.window_s
        shared.elsewhere_until = inf if rolling is None else now + rolling + self._width_s
        # What is held in a calendar window counts as used when it has expired, so it may be.
        shared.held_until = inf if rolling is None else held_until
        self._keep_to_what_is_held()
        self._note_next(now)

    def _keep_to_what_is_held(self) -> None:
        """Of a strict limit, take no more than is reserved and not yet told as used."""
        if self.shared is not None and self.limit.strict:
            left = max(0, self.shared.held - sum(self.untold().values()))
            self.ceiling = min(self.capacity, self.taken + left)

    def _wall(self, now: float, wall: float) -> float:
        return wall if self.shared is None else now + self.shared.ahead_s

    def _leaves_at(self, bucket: int) -> float:
        """Monotonic seconds at which a bucket of a rolling window leaves it."""
        ahead_s = self.shared.ahead_s if self.shared else 0.0
        return (bucket + BUCKETS + 1) * self._width_s - ahead_s

    def _lasts_s(self, resets_s: float) -> float:
        """Seconds in which the limit has to last; a rolling one has to last its whole window."""
        return resets_s if self.limit.window_s is None else self.limit.window_s

    def _next_window(self, wall: float) -> None:
        self._buckets.clear()
        self.taken = 0
        if self.limit.resets is not None:
            self._changes_at = self.limit.resets.next_after(wall)
            self._bucket = int(self._changes_at)
        if self.shared is not None:
            self.shared.told.clear()
            self.shared.elsewhere = self.shared.held = 0
            if self.limit.strict:
                self.ceiling = 0

    def _slide(self, now: float) -> None:
        at = now + self.shared.ahead_s if self.shared else now
        bucket = int(at / self._width_s)
        if (bucket + 1) * self._width_s <= at:
            # The division was rounded: the moment that was foretold must do what was foretold.
            bucket += 1
        self._bucket = max(bucket, self._bucket)
        while self._buckets and (first := next(iter(self._buckets))) < self._bucket - BUCKETS:
            self._lose(self._buckets.pop(first))
            if self.shared is not None:
                self.shared.forget(first)
        if self.shared is not None and now >= self.shared.elsewhere_until:
            self._lose(self.shared.elsewhere)
            self.shared.elsewhere = 0
        if self.shared is not None and now >= self.shared.held_until:
            # Whoever is not heard of loses what it had reserved, and must not use it then.
            self.ceiling = min(self.ceiling, self.taken)
        self._note_next(now)

    def _lose(self, amount: int) -> None:
        """Note that an amount has left the window, which leaves as much room as there was."""
        self.taken -= amount
        if self.shared is not None and self.limit.strict:
            self.ceiling -= amount

    def _note_next(self, now: float) -> None:
        """Note when a rolling window has to be looked at next."""
        if self.limit.window_s is None:
            return
        ends_at = self._leaves_at(self._bucket - BUCKETS)
        if self.shared is not None:
            later = (self.shared.elsewhere_until, self.shared.held_until)
            ends_at = min([ends_at, *(at for at in later if at > now)])
        self.true_until = self._changes_at = ends_at

    def _move(self, ahead_s: float, now: float) -> None:
        """Go by a clock of the store that is ahead by another amount."""
        shared = self.shared
        if shared is None:
            return
        buckets = 0
        if self.limit.window_s is not None:
            buckets = int((ahead_s - shared.ahead_s) / self._width_s)
        if buckets:
            self._bucket += buckets
            self._buckets = {bucket + buckets: n for bucket, n in self._buckets.items()}
            shared.move(buckets)
        shared.ahead_s = ahead_s
        if self.limit.window_s is not None:
            self._slide(now)
