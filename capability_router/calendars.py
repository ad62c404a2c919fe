"""Moments and spans of the calendar: when a quota is renewed, when a model is in maintenance.

Knows time zones and cron, no clock and no model; cron needs the extra ``schedules``. Moments are
seconds since 1970 UTC.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from itertools import count
from math import ceil, floor, inf
from typing import Literal, get_args
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from capability_router.engine.errors import nearest

__all__ = ["CalendarReset", "CronSpans", "Every", "parse_reset"]

Every = Literal["minute", "hour", "day", "week", "month"]
"""How often a quota is renewed."""

_DAYS = {"week": 7, "month": 28}
_STEP_S = {"minute": 60, "hour": 3600}
_LONGEST_S = 366 * 86_400
_LONGEST_RUN = 1000
_SAMPLE_S = datetime(2025, 1, 1, tzinfo=UTC).timestamp()

_TIME = "(?:[01][0-9]|2[0-3]):[0-5][0-9]"
_RESET = re.compile(rf"\s*({_TIME})(?:\s+(\S+))?\s*")


@dataclass(frozen=True, slots=True)
class CalendarReset:
    """When a quota is renewed: at a time of the clock in one time zone.

    Days, weeks and months follow the local clock. Where it is put forward over ``at``, the quota
    is renewed at the first moment after the gap; where it shows ``at`` twice, at the first of the
    two only. Hours and minutes follow real time, so that none lasts two hours when the clock is
    put back.

    Attributes:
        every: How often: ``minute``, ``hour``, ``day``, ``week`` or ``month``.
        at: Local time ``HH:MM``, from 00:00 to 23:59; of an hour its minutes count, of a minute
            nothing.
        zone: IANA name of the time zone.
        day: Day of the month, 1 to 28, or of the week, 1 for Monday to 7; else it does not count.

    Raises:
        ValueError: If a value is not one of these.
    """

    every: Every
    at: str = "00:00"
    zone: str = "UTC"
    day: int = 1

    def __post_init__(self) -> None:
        if self.every not in get_args(Every):
            near = nearest(self.every, get_args(Every), most=1)
            hint = f"; nearest: {near[0]}" if near else ""
            allowed = ", ".join(get_args(Every))
            raise ValueError(f"every {self.every!r} is not known; allowed: {allowed}{hint}")
        if not re.fullmatch(_TIME, self.at):
            raise ValueError(f"at {self.at!r} is malformed; write HH:MM, from 00:00 to 23:59")
        last = _DAYS.get(self.every)
        if last is not None and not 1 <= self.day <= last:
            raise ValueError(f"day {self.day} of the {self.every} must be between 1 and {last}")
        _zone(self.zone)

    def __str__(self) -> str:
        if self.every in _STEP_S:
            return f"the next {self.every}"
        when = "" if self.every == "day" else f"day {self.day} of the {self.every}, "
        return f"{when}{self.at} {self.zone}"

    def next_after(self, wall_s: float) -> float:
        """Return the first renewal after a moment.

        Args:
            wall_s: Seconds since 1970 UTC.

        Returns:
            Seconds since 1970 UTC, > ``wall_s``.
        """
        local = datetime.fromtimestamp(wall_s, _zone(self.zone))
        if self.every in _STEP_S:
            return self._next_step(wall_s, local)
        days = (local.date() + timedelta(ahead) for ahead in count())
        moments = (self._moment(day) for day in days if self._is_due(day))
        return next(moment for moment in moments if moment > wall_s)

    def _next_step(self, wall_s: float, local: datetime) -> float:
        # Zones lie a quarter or half an hour apart, so an hour's minutes depend on the zone.
        behind = timedelta(minutes=int(self.at[3:])) - (local.utcoffset() or timedelta())
        step_s, start_s = _STEP_S[self.every], behind.total_seconds()
        return ((wall_s - start_s) // step_s + 1) * step_s + start_s

    def _is_due(self, day: date) -> bool:
        if self.every == "week":
            return day.isoweekday() == self.day
        return self.every == "day" or day.day == self.day

    def _moment(self, day: date) -> float:
        local = datetime.combine(day, time.fromisoformat(self.at), _zone(self.zone))
        # A time that the clock skips comes back from UTC as another one.
        while local != local.astimezone(UTC).astimezone(local.tzinfo):
            local += timedelta(minutes=1)
        return local.timestamp()


@dataclass(frozen=True, slots=True)
class CronSpans:
    """When a model is in maintenance: from each match of a cron expression, for a fixed time.

    Matches are those of Debian's cron: where the clock is put forward over a fixed time, the
    match is the first moment after the gap; where it shows the time twice, the first of the two.
    Spans that overlap or touch are one, up to 1000 of them.

    Attributes:
        cron: Minute, hour, day of month, month and day of week, for instance ``0 3 * * SUN``.
        duration_s: Length of a span in real seconds, > 0 and at most 366 days.
        zone: IANA name of the time zone in which the expression is read.

    Raises:
        ValueError: If a value is none of these, if the expression never matches, or if 1000 of its
            spans run into each other.
        ImportError: If the extra ``schedules`` is not installed.
    """

    cron: str
    duration_s: float
    zone: str = "UTC"

    def __post_init__(self) -> None:
        if not 0 < self.duration_s <= _LONGEST_S:
            raise ValueError(
                f"duration_s {self.duration_s} must be above 0 and at most {_LONGEST_S}, 366 days"
            )
        _zone(self.zone)
        first = self._match_from(_SAMPLE_S)
        if first == inf:
            raise ValueError(f"cron {self.cron!r} never matches; write for instance '0 3 * * SUN'")
        if self._run(first)[1] == _LONGEST_RUN:
            raise ValueError(
                f"spans of duration_s {self.duration_s:g} at cron {self.cron!r} run into each"
                f" other {_LONGEST_RUN} times or more; let longer ones begin less often"
            )

    def next_span(self, wall_s: float) -> tuple[float, float]:
        """Return the span that holds a moment, or else the next one.

        Args:
            wall_s: Seconds since 1970 UTC.

        Returns:
            Start and end, the end not included, in seconds since 1970 UTC. The start is that of
            the first match whose own span lasts at ``wall_s``, the end that of the whole run.
        """
        # Matches are whole seconds: this is the first one whose span has not ended.
        start = self._match_from(floor(wall_s - self.duration_s) + 1)
        return start, self._run(start)[0]

    def _run(self, start: float) -> tuple[float, int]:
        """Return the end of the run of spans that a match begins, and how many are in it."""
        end = start + self.duration_s
        for length, match in enumerate(self._matches(start), start=1):
            if match > end or length == _LONGEST_RUN:
                return end, length
            end = match + self.duration_s
        return end, 1

    def _match_from(self, wall_s: float) -> float:
        """Return the first match at or after a moment; ``inf`` if none follows in 50 years."""
        return next(self._matches(ceil(wall_s) - 1), inf)

    def _matches(self, after_s: float) -> Iterator[float]:
        after = datetime.fromtimestamp(after_s, _zone(self.zone))
        found = (match.timestamp() for match in _cron(self.cron, after))
        # From within a repeated hour cronsim also gives the matches of its first pass.
        return (match for match in found if match > after_s)


def parse_reset(text: str) -> tuple[str, str]:
    """Read when a quota is renewed, such as ``00:00 America/Los_Angeles``.

    Args:
        text: Local time ``HH:MM``, then the IANA name of a time zone; without one it is UTC.

    Returns:
        Time and zone, as ``CalendarReset`` takes them.

    Raises:
        ValueError: If the text is anything else, or the zone is not known.
    """
    found = _RESET.fullmatch(text)
    if found is None:
        raise ValueError(
            f"reset {text!r} is malformed; write for instance '00:00 America/Los_Angeles'"
        )
    at, zone = found[1], found[2] or "UTC"
    _zone(zone)
    return at, zone


def _zone(name: str) -> tzinfo:
    # UTC needs no data, which Windows does not have.
    if name == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(
            f"zone {name!r} is not known; write an IANA name such as 'America/Los_Angeles'. On"
            " Windows the names come with: pip install 'capability-router[schedules]'"
        ) from error


def _cron(cron: str, after: datetime) -> Iterator[datetime]:
    try:
        from cronsim import CronSim, CronSimError  # noqa: PLC0415 - an optional extra
    except ImportError as error:
        raise ImportError(
            "cron expressions need an optional package: pip install 'capability-router[schedules]'",
            name=error.name,
        ) from error
    why = f"it has {len(cron.split())} fields"
    try:
        # cronsim takes a sixth field, of seconds, and reads the clock changes otherwise then.
        if len(cron.split()) == 5:
            return CronSim(cron, after)
    except (CronSimError, ValueError) as error:
        why = str(error)
    raise ValueError(
        f"cron {cron!r} is malformed: {why}; write minute, hour, day, month and day of week, for"
        " instance '0 3 * * SUN'"
    )
