"""How much may be used in a window of time, and how much has been.

Knows amounts and moments, no model and no request: what a request needs is for ``ledger``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from math import exp, inf

from capability_router.engine.reason import Reason
from capability_router.engine.timing import Schedule, spell

__all__ = ["NANO", "Forecast", "Limit", "Meter", "Scope", "Unit", "meters_for"]

NANO = 1_000_000_000
"""Parts of a US dollar in which money is counted: whole numbers, so that what is taken and given
back a million times adds up to nothing."""

_BUCKETS = 60
_RATE_DECAY_S = 60.0


class Unit(StrEnum):
    """What is counted."""

    REQUESTS = "requests"
    INPUT_TOKENS = "input_tokens"
    OUTPUT_TOKENS = "output_tokens"
    TOKENS = "tokens"
    """Input and output together."""
    USD = "usd"


_PLACE = {unit: place for place, unit in enumerate(Unit)}
_REASONS = {Unit.REQUESTS: Reason.REQUEST_LIMIT, Unit.USD: Reason.BUDGET_EXCEEDED}


@dataclass(frozen=True, slots=True)
class Limit:
    """How much of one unit may be used in a window.

    Attributes:
        unit: What is counted.
        amount: How much is allowed, >= 1; for ``usd`` in US dollars, > 0.
        window_s: Length of a rolling window in seconds, > 0; None for a calendar window, or none.
        resets: When a calendar window ends and the next begins; None for a rolling one. With
            neither, the limit is for ever.
        reason: Recorded where it is used up; empty for the unit's own: ``request_limit``,
            ``token_limit`` or ``budget_exceeded``.

    Raises:
        ValueError: If a number is out of range, or both kinds of window are given.
    """

    unit: Unit
    amount: float
    window_s: float | None = None
    resets: Schedule | None = None
    reason: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "unit", Unit(self.unit))
        least = 1 / NANO if self.unit is Unit.USD else 1
        if not least <= self.amount < inf:
            raise ValueError(f"amount {self.amount} of {self.unit} must be at least {least:g}")
        if self.window_s is not None and not 0 < self.window_s < inf:
            raise ValueError(f"window_s {self.window_s} must be above 0 and finite, or None")
        if self.window_s is not None and self.resets is not None:
            raise ValueError("a limit has a rolling window_s or calendar resets, not both")
        if not self.reason:
            object.__setattr__(self, "reason", _REASONS.get(self.unit, Reason.TOKEN_LIMIT))

    @property
    def window(self) -> tuple[object, ...]:
        """What is counted in which window; a limit of another amount on it is the same limit."""
        return self.unit, self.window_s, self.resets

    def __str__(self) -> str:
        if self.window_s is not None:
            return f"{self.amount:g} {self.unit} in {spell(self.window_s)}"
        return f"{self.amount:g} {self.unit}" + (f" until {self.resets}" if self.resets else "")


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose limit it is.

    Attributes:
        kind: ``model``, ``provider`` or ``pool``.
        name: Its id or name.
    """

    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


@dataclass(frozen=True, slots=True, repr=False)
class Forecast:
    """How long one limit will last.

    Attributes:
        scope: Whose limit it is.
        limit: The limit.
        taken: Used and reserved in the current window, in the limit's unit.
        per_s: Use per second at the present rate: an average that forgets with a minute's decay.
        runs_out_in_s: Seconds until it is used up at that rate, >= 0; None if it resets before.
        resets_in_s: Seconds until the window ends, or until the first of a rolling window's use
            is forgotten; None if nothing was used, or for a limit without a window.
    """

    scope: Scope
    limit: Limit
    taken: float
    per_s: float
    runs_out_in_s: float | None
    resets_in_s: float | None

    def __str__(self) -> str:
        taken = f"{self.scope}: {self.taken:g} of {self.limit}"
        if self.taken >= self.limit.amount:
            ends = "used up"
        elif self.runs_out_in_s is None:
            ends = "lasts"
        else:
            ends = f"runs out in {spell(self.runs_out_in_s)}"
        if self.resets_in_s is None:
            return f"{taken}, {ends}"
        how = "resets" if self.limit.window_s is None else "the first comes back"
        return f"{taken}, {ends}, {how} in {spell(self.resets_in_s)}"

    # A list of them is read by people, and the fields stand in the words.
    __repr__ = __str__


def meters_for(limits: Iterable[Limit], scope: Scope, before: Iterable[Meter]) -> tuple[Meter, ...]:
    """Return a meter for each limit; one on the same window as before goes on counting there.

    Args:
        limits: The limits; of several on one window the smallest counts, for it holds them all.
        scope: Whose they are.
        before: The meters of the scope so far.
    """
    smallest: dict[tuple[object, ...], Limit] = {}
    for limit in limits:
        other = smallest.setdefault(limit.window, limit)
        if limit.amount < other.amount:
            smallest[limit.window] = limit
    known = {meter.limit.window: meter for meter in before}
    for window, limit in smallest.items():
        known.setdefault(window, Meter(limit, scope)).change(limit)
    return tuple(known[window] for window in smallest)


class Meter:
    """What has been taken of one limit; used under the router's guard.

    A calendar window is one bucket. A rolling window is sixty, and one more that is still filling:
    a bucket counts until the last moment in it has left the window, so the limit is never
    exceeded, and what was used comes back up to a sixtieth of the window late.

    Args:
        limit: The limit.
        scope: Whose it is.

    Attributes:
        place: Place of its unit in a need.
        capacity: How much may be taken: US dollars in parts of ``NANO``, all else in ones.
        taken: How much is taken in the current window, >= 0.
        true_until: Monotonic seconds until which ``taken`` holds if nothing more is taken.
    """

    __slots__ = (
        "_bucket",
        "_buckets",
        "_changes_at",
        "_rate",
        "_rated_at",
        "_width_s",
        "capacity",
        "limit",
        "place",
        "scope",
        "taken",
        "true_until",
    )

    def __init__(self, limit: Limit, scope: Scope) -> None:
        self.limit = limit
        self.scope = scope
        self.place = _PLACE[limit.unit]
        self.capacity = int(limit.amount * (NANO if limit.unit is Unit.USD else 1))
        self.taken = 0
        self._width_s = inf if limit.window_s is None else limit.window_s / _BUCKETS
        self._bucket = 0
        self._buckets: dict[int, int] = {}
        # When the current bucket ends: wall seconds for a calendar window, else monotonic ones.
        self._changes_at = inf if limit.window_s is None and limit.resets is None else -inf
        self.true_until = self._changes_at
        self._rate, self._rated_at = 0.0, 0.0

    def change(self, limit: Limit) -> None:
        """Allow another amount in the same window; what has been taken stays taken."""
        self.limit = limit
        self.capacity = int(limit.amount * (NANO if limit.unit is Unit.USD else 1))

    @property
    def spent(self) -> bool:
        """Whether nothing is left."""
        return self.taken >= self.capacity

    def advance(self, now: float, wall: float) -> None:
        """Forget what has left the window."""
        if self.limit.resets is not None:
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
        self._note(amount, now)
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
            self._note(change, now)

    def resets_in_s(self, now: float, wall: float) -> float:
        """Return the seconds until some is free again, >= 0; ``inf`` for never."""
        if self.limit.resets is not None:
            return max(0.0, self._changes_at - wall)
        first = next((bucket for bucket, amount in self._buckets.items() if amount), None)
        if self.limit.window_s is None or first is None:
            return inf
        return max(0.0, (first + _BUCKETS + 1) * self._width_s - now)

    def wait_s(self, now: float, wall: float) -> float:
        """Return the seconds until some is free again, having looked; 0 if some is."""
        self.advance(now, wall)
        return self.resets_in_s(now, wall) if self.spent else 0.0

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
                return (bucket + _BUCKETS + 1) * self._width_s
        return inf

    def forecast(self, now: float, wall: float) -> Forecast:
        """Return how long it lasts at the present rate."""
        self.advance(now, wall)
        unit = NANO if self.limit.unit is Unit.USD else 1
        faded = self._rate * exp((self._rated_at - now) / _RATE_DECAY_S)
        rate = max(0.0, faded) / _RATE_DECAY_S
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

    def _lasts_s(self, resets_s: float) -> float:
        """Seconds in which the limit has to last; a rolling one has to last its whole window."""
        return resets_s if self.limit.window_s is None else self.limit.window_s

    def _note(self, amount: int, now: float) -> None:
        if now - self._rated_at > 1.0:
            # Once a second is often enough for an average over a minute.
            self._rate *= exp((self._rated_at - now) / _RATE_DECAY_S)
            self._rated_at = now
        self._rate += amount

    def _next_window(self, wall: float) -> None:
        self._buckets.clear()
        self.taken = 0
        self._bucket += 1
        if self.limit.resets is not None:
            self._changes_at = self.limit.resets.next_after(wall)

    def _slide(self, now: float) -> None:
        self._bucket = int(now / self._width_s)
        if (self._bucket + 1) * self._width_s <= now:
            # The division was rounded: the moment that was foretold must do what was foretold.
            self._bucket += 1
        self.true_until = self._changes_at = (self._bucket + 1) * self._width_s
        while self._buckets and (first := next(iter(self._buckets))) < self._bucket - _BUCKETS:
            self.taken -= self._buckets.pop(first)
