"""The arithmetic of a limit that processes share: what is used, and who holds how much of the rest.

Knows one record and one draw on it at a time, no file and no clock.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import chain
from math import floor, inf, isfinite
from typing import Any, cast

from capability_router.storage.store import Draw, Share

__all__ = ["Drawn", "Hold", "Record", "drawn", "forgotten_at", "record_of", "written"]

_BUCKETS = 60
_KEPT_S = 3600.0
"""How long a calendar window is remembered after its end, for whoever reports late."""


@dataclass(frozen=True, slots=True)
class Hold:
    """What is reserved for a process.

    Attributes:
        amount: How much, > 0.
        since: Store seconds at which the process was last heard of.
        lasts_s: Seconds after which it counts as used, > 0.
    """

    amount: int
    since: float
    lasts_s: float


@dataclass(frozen=True, slots=True)
class Record:
    """What is known of one limit in one window.

    Attributes:
        used: What was used, by bucket.
        holds: What is reserved, by process.
        written_off: The bucket in which a hold counts as used since it ended, by process, as long
            as that bucket counts.
    """

    used: Mapping[int, int] = field(default_factory=dict[int, int])
    holds: Mapping[str, Hold] = field(default_factory=dict[str, Hold])
    written_off: Mapping[str, int] = field(default_factory=dict[str, int])


@dataclass(frozen=True, slots=True)
class Drawn:
    """What a draw leads to.

    Attributes:
        record: The record after it.
        share: What the process is told.
        full: True if nothing is left since, and something was before.
    """

    record: Record
    share: Share
    full: bool


def drawn(record: Record, draw: Draw, process: str, now: float, hold_s: float) -> Drawn:
    """Draw on a limit.

    What is used and reserved together stays within the capacity, unless a process has used more
    than it held, or the capacity was lowered.

    Args:
        record: The limit so far; it is not changed.
        draw: What the process tells and wants.
        process: Its name.
        now: Store seconds.
        hold_s: Seconds that what it gets is kept for it.
    """
    work = _Work(record, draw, now)
    work.forget()
    work.write_off()
    before = work.total()
    held = max(0, work.holds.pop(process, _NOTHING).amount - work.apply(process))
    reserved = sum(hold.amount for hold in work.holds.values())
    used = sum(work.used.values())
    over = draw.width_s is None and 0 < draw.window <= now
    held = 0 if over else min(draw.want, held + max(0, draw.capacity - used - reserved - held))
    if held:
        work.holds[process] = Hold(held, now, hold_s)
    share = Share(used, reserved, held, len(work.holds), work.frees_at())
    full = before < draw.capacity <= work.total() and not over
    return Drawn(Record(work.used, work.holds, work.written_off), share, full)


def forgotten_at(record: Record, width_s: float | None, window: int) -> float:
    """Return the store seconds after which nothing of a record counts.

    Args:
        record: The record.
        width_s: As in ``Draw``.
        window: As in ``Draw``.
    """
    if width_s is None:
        return window + _KEPT_S if window else inf
    ends = [floor((hold.since + hold.lasts_s) / width_s) for hold in record.holds.values()]
    last = max([*record.used, *ends], default=None)
    return -inf if last is None else _leaves_at(last, width_s)


def written(record: Record) -> dict[str, object]:
    """Return a record as JSON has it; ``record_of`` reads it."""
    return {
        # As numbers, which are read and written several times as fast as the names of an object.
        "buckets": list(record.used),
        "used": list(record.used.values()),
        "holds": {
            process: [hold.amount, hold.since, hold.lasts_s]
            for process, hold in record.holds.items()
        },
        "written_off": record.written_off,
    }


def record_of(value: object) -> Record:
    """Return the record that was ``written``.

    Raises:
        ValueError: If it is something else.
    """
    try:
        return _read(cast("dict[str, Any]", value))
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
        raise ValueError("no record of a limit") from error


_NOTHING = Hold(0, 0.0, 1.0)


class _Work:
    """A record that is being changed."""

    def __init__(self, record: Record, draw: Draw, now: float) -> None:
        self.used = dict(record.used)
        self.holds = dict(record.holds)
        self.written_off = dict(record.written_off)
        self._draw = draw
        self._now = now
        self._bucket = draw.window if draw.width_s is None else floor(now / draw.width_s)
        self._oldest = self._bucket if draw.width_s is None else self._bucket - _BUCKETS

    def total(self) -> int:
        """What is used and reserved."""
        return sum(self.used.values()) + sum(hold.amount for hold in self.holds.values())

    def forget(self) -> None:
        """Drop the buckets that have left the window."""
        for bucket in [each for each in self.used if not self._oldest <= each <= self._bucket]:
            amount = self.used.pop(bucket)
            if bucket >= self._oldest:
                place = self._place(bucket)
                self.used[place] = self.used.get(place, 0) + amount
        for process, bucket in list(self.written_off.items()):
            if bucket < self._oldest:
                del self.written_off[process]

    def write_off(self) -> None:
        """Count as used what is held by processes that were not heard of for too long."""
        width_s = self._draw.width_s
        for process, hold in list(self.holds.items()):
            # The clock may have been set back: nobody was heard of in the future.
            if hold.since > self._now:
                self.holds[process] = replace(hold, since=self._now)
                continue
            ends = hold.since + hold.lasts_s
            if self._now < ends:
                continue
            del self.holds[process]
            bucket = self._draw.window if width_s is None else floor(ends / width_s)
            if bucket >= self._oldest:
                self.used[bucket] = self.used.get(bucket, 0) + hold.amount
                self.written_off[process] = bucket

    def apply(self, process: str) -> int:
        """Count what the process has used; return by how much that lessens what it holds."""
        # What it used of a hold that was written off counts already.
        covered = self._draw.grant if self.written_off.pop(process, None) is not None else 0
        lessened = 0
        for bucket, amount in sorted(self._draw.used.items()):
            again = min(max(amount, 0), covered)
            covered -= again
            lessened += self._count(bucket, amount - again)
        return lessened

    def frees_at(self) -> float:
        """When the first of what was used is forgotten."""
        first = min((bucket for bucket, amount in self.used.items() if amount), default=None)
        if first is None:
            return inf
        if self._draw.width_s is None:
            return float(self._draw.window) or inf
        return _leaves_at(first, self._draw.width_s)

    def _count(self, bucket: int, amount: int) -> int:
        if bucket < self._oldest or (self._draw.width_s is None and bucket != self._bucket):
            # Its window is over. What was used there was taken from the hold all the same; what
            # is given back there is gone.
            return max(amount, 0)
        bucket = self._place(bucket)
        there = self.used.get(bucket, 0)
        # More than there is cannot be given back: others might then use it twice.
        counted = max(amount, -there)
        self.used[bucket] = there + counted
        return counted

    def _place(self, bucket: int) -> int:
        """The bucket in which something counts.

        The clock may have been set back: what lies in the future would count for longer than a
        window. A process's own clock may well be ahead by some moments.
        """
        return bucket if bucket <= self._bucket + 1 else self._bucket


def _leaves_at(bucket: int, width_s: float) -> float:
    return (bucket + _BUCKETS + 1) * width_s


def _read(told: dict[str, Any]) -> Record:
    used = dict(zip(told["buckets"], told["used"], strict=True))
    holds = {process: Hold(*hold) for process, hold in told["holds"].items()}
    written_off = dict(told["written_off"].items())
    amounts = [hold.amount for hold in holds.values()]
    numbers = chain(used, used.values(), amounts, written_off.values())
    moments = [moment for hold in holds.values() for moment in (hold.since, hold.lasts_s)]
    if not {type(number) for number in numbers} <= {int} or not all(map(isfinite, moments)):
        raise TypeError
    return Record(used, holds, written_off)
