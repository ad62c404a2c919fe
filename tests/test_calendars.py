"""Renewals and maintenance on the calendar, also where the clocks are changed."""

import sys
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capability_router.calendars import CalendarReset, CronSpans, Every, parse_reset

LA = "America/Los_Angeles"
BERLIN = "Europe/Berlin"
KOLKATA = "Asia/Kolkata"

WALLS_S = st.floats(946_684_800.0, 4_102_444_800.0)
"""The years 2000 to 2099."""
ZONES = st.sampled_from(["UTC", LA, BERLIN, KOLKATA, "Australia/Sydney", "Pacific/Apia"])
TIMES = st.builds("{:02}:{:02}".format, st.integers(0, 23), st.integers(0, 59))
RESETS = st.builds(
    CalendarReset,
    every=st.sampled_from(["minute", "hour", "day", "week", "month"]),
    at=TIMES,
    zone=ZONES,
    day=st.integers(1, 7),
)
SPANS = st.builds(
    CronSpans,
    cron=st.sampled_from(
        ["0 3 * * SUN", "30 2 * * *", "*/30 1,2 * * *", "15 */6 * * *", "0 0 L * *", "0 9 29 2 *"]
    ),
    duration_s=st.sampled_from([90.0, 1200.0, 3600.0, 7200.5]),
    zone=ZONES,
)
SHARES = st.floats(0.0, 0.999)


def moment(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def shown(wall_s: float, zone: str) -> str:
    return datetime.fromtimestamp(wall_s, ZoneInfo(zone)).isoformat(timespec="minutes")


def between(first_s: float, last_s: float, share: float) -> float:
    return first_s + (last_s - first_s) * share


@pytest.mark.parametrize(
    ("reset", "now", "then"),
    [
        (CalendarReset("minute"), "2026-05-01T12:00:59+00:00", "2026-05-01T12:01+00:00"),
        (CalendarReset("minute"), "2026-05-01T12:01:00+00:00", "2026-05-01T12:02+00:00"),
        (CalendarReset("hour"), "2026-05-01T12:59:59+00:00", "2026-05-01T13:00+00:00"),
        (CalendarReset("hour", "17:20"), "2026-05-01T12:20:00+00:00", "2026-05-01T13:20+00:00"),
        # Half past five by the zone's clock, on the hour by everybody else's.
        (CalendarReset("hour", zone=KOLKATA), "2026-05-01T05:31+05:30", "2026-05-01T06:00+05:30"),
        (CalendarReset("day"), "2026-05-01T00:00+00:00", "2026-05-02T00:00+00:00"),
        (CalendarReset("day", "09:30"), "2026-05-01T09:29+00:00", "2026-05-01T09:30+00:00"),
        (CalendarReset("day", "09:30"), "2026-05-01T09:30+00:00", "2026-05-02T09:30+00:00"),
        # Midnight Pacific, when Gemini's daily quota is renewed.
        (CalendarReset("day", zone=LA), "2026-05-01T06:59+00:00", "2026-05-01T00:00-07:00"),
        (CalendarReset("day", zone=LA), "2026-12-01T07:59+00:00", "2026-12-01T00:00-08:00"),
        (CalendarReset("day", zone=LA), "2026-12-01T08:00+00:00", "2026-12-02T00:00-08:00"),
        (CalendarReset("day"), "2028-02-28T12:00+00:00", "2028-02-29T00:00+00:00"),
        (CalendarReset("day"), "2028-02-29T12:00+00:00", "2028-03-01T00:00+00:00"),
        (CalendarReset("day"), "2026-02-28T12:00+00:00", "2026-03-01T00:00+00:00"),
        (CalendarReset("week"), "2026-05-01T12:00+00:00", "2026-05-04T00:00+00:00"),
        (CalendarReset("week"), "2026-05-04T00:00+00:00", "2026-05-11T00:00+00:00"),
        (CalendarReset("week", "18:00", day=7), "2026-05-03T17:59+00:00", "2026-05-03T18:00+00:00"),
        (CalendarReset("month"), "2026-02-01T00:00+00:00", "2026-03-01T00:00+00:00"),
        (CalendarReset("month"), "2028-02-01T00:00+00:00", "2028-03-01T00:00+00:00"),
        (CalendarReset("month"), "2026-04-01T00:00+00:00", "2026-05-01T00:00+00:00"),
        (CalendarReset("month"), "2026-12-01T00:00+00:00", "2027-01-01T00:00+00:00"),
        (CalendarReset("month", day=28), "2026-01-28T00:00+00:00", "2026-02-28T00:00+00:00"),
        (CalendarReset("month", day=15), "2026-01-14T00:00+00:00", "2026-01-15T00:00+00:00"),
    ],
)
def test_quota_is_renewed_at(reset: CalendarReset, now: str, then: str) -> None:
    assert reset.next_after(moment(now)) == moment(then)


@pytest.mark.parametrize(
    ("reset", "now", "renewals"),
    [
        # Put forward from 02:00 to 03:00: 02:30 does not exist.
        (
            CalendarReset("day", "02:30", LA),
            "2026-03-07T00:00-08:00",
            ["2026-03-07T02:30-08:00", "2026-03-08T03:00-07:00", "2026-03-09T02:30-07:00"],
        ),
        (
            CalendarReset("day", "02:30", BERLIN),
            "2026-03-28T00:00+01:00",
            ["2026-03-28T02:30+01:00", "2026-03-29T03:00+02:00", "2026-03-30T02:30+02:00"],
        ),
        # Put back from 02:00 to 01:00: 01:30 comes twice.
        (
            CalendarReset("day", "01:30", LA),
            "2026-11-01T00:00-07:00",
            ["2026-11-01T01:30-07:00", "2026-11-02T01:30-08:00"],
        ),
        (
            CalendarReset("day", "02:30", BERLIN),
            "2026-10-25T00:00+02:00",
            ["2026-10-25T02:30+02:00", "2026-10-26T02:30+01:00"],
        ),
        # From within the second pass.
        (CalendarReset("day", "01:30", LA), "2026-11-01T01:10-08:00", ["2026-11-02T01:30-08:00"]),
        (
            CalendarReset("week", "02:30", LA, day=7),
            "2026-03-02T00:00-08:00",
            ["2026-03-08T03:00-07:00", "2026-03-15T02:30-07:00"],
        ),
        (
            CalendarReset("month", "00:00", LA, day=1),
            "2026-10-15T00:00-07:00",
            ["2026-11-01T00:00-07:00", "2026-12-01T00:00-08:00"],
        ),
        (
            CalendarReset("hour", zone=LA),
            "2026-03-08T01:00-08:00",
            ["2026-03-08T03:00-07:00", "2026-03-08T04:00-07:00"],
        ),
        (
            CalendarReset("hour", zone=LA),
            "2026-11-01T01:00-07:00",
            ["2026-11-01T01:00-08:00", "2026-11-01T02:00-08:00"],
        ),
        # Samoa skipped a whole day when it changed sides of the date line.
        (
            CalendarReset("day", "12:00", "Pacific/Apia"),
            "2011-12-29T12:00-10:00",
            ["2011-12-31T00:00+14:00", "2011-12-31T12:00+14:00"],
        ),
    ],
)
def test_quota_is_renewed_once_where_the_clock_is_changed(
    reset: CalendarReset, now: str, renewals: list[str]
) -> None:
    found, wall_s = [], moment(now)
    for _ in renewals:
        wall_s = reset.next_after(wall_s)
        found.append(shown(wall_s, reset.zone))
    assert found == renewals


@given(RESETS, WALLS_S, SHARES)
def test_renewal_lies_ahead_and_is_the_same_until_it_comes(
    reset: CalendarReset, wall_s: float, share: float
) -> None:
    then = reset.next_after(wall_s)
    assert then > wall_s
    later = between(wall_s, then, share)
    assert later == then or reset.next_after(later) == then


@given(st.sampled_from(["day", "week", "month"]), TIMES, ZONES, WALLS_S)
def test_renewal_shows_its_time_or_ends_a_gap(
    every: Every, at: str, zone: str, wall_s: float
) -> None:
    then = CalendarReset(every, at, zone).next_after(wall_s)
    local = datetime.fromtimestamp(then, ZoneInfo(zone))
    before = datetime.fromtimestamp(then - 1, ZoneInfo(zone)) + timedelta(seconds=1)
    assert f"{local:%H:%M}" == at or before.replace(tzinfo=None) < local.replace(tzinfo=None)


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"every": "days"}, r"every 'days'.*minute, hour, day, week, month; nearest: day"),
        ({"every": "year"}, r"every 'year' is not known; allowed: .*month$"),
        ({"every": "day", "at": "24:00"}, r"at '24:00'.*00:00 to 23:59"),
        ({"every": "day", "at": "9:00"}, r"at '9:00'"),
        ({"every": "day", "at": "٠٩:00"}, r"HH:MM"),
        ({"every": "day", "at": "09:00\n"}, r"HH:MM"),
        ({"every": "month", "day": 29}, r"day 29 of the month.*between 1 and 28"),
        ({"every": "month", "day": 0}, r"day 0"),
        ({"every": "week", "day": 8}, r"day 8 of the week.*between 1 and 7"),
        ({"every": "day", "zone": "Mars/Olympus"}, r"zone 'Mars/Olympus'.*\[schedules\]"),
        ({"every": "day", "zone": "America"}, r"zone 'America'"),
        ({"every": "day", "zone": "../etc/passwd"}, r"zone"),
        ({"every": "day", "zone": "x" * 5000}, r"zone"),
        ({"every": "day", "zone": ""}, r"zone ''"),
    ],
)
def test_setting_of_a_renewal_that_makes_no_sense_is_refused(
    settings: dict[str, Any], why: str
) -> None:
    with pytest.raises(ValueError, match=why):
        CalendarReset(**settings)


@pytest.mark.parametrize(
    ("spans", "now", "start", "end"),
    [
        (
            CronSpans("0 3 * * SUN", 7200, LA),
            "2026-05-01T00:00-07:00",
            "2026-05-03T03:00-07:00",
            "2026-05-03T05:00-07:00",
        ),
        (
            CronSpans("0 3 * * SUN", 7200, LA),
            "2026-05-03T03:00-07:00",
            "2026-05-03T03:00-07:00",
            "2026-05-03T05:00-07:00",
        ),
        (
            CronSpans("0 3 * * SUN", 7200, LA),
            "2026-05-03T04:59:59.5-07:00",
            "2026-05-03T03:00-07:00",
            "2026-05-03T05:00-07:00",
        ),
        (
            CronSpans("0 3 * * SUN", 7200, LA),
            "2026-05-03T05:00-07:00",
            "2026-05-10T03:00-07:00",
            "2026-05-10T05:00-07:00",
        ),
        (
            CronSpans("30 1 * * *", 90.5),
            "2026-05-01T01:31:30.25+00:00",
            "2026-05-01T01:30+00:00",
            "2026-05-01T01:31:30.5+00:00",
        ),
        # The fixed time falls into the gap: it starts after it, and lasts its real time.
        (
            CronSpans("30 2 * * *", 3600, LA),
            "2026-03-08T01:59-08:00",
            "2026-03-08T03:00-07:00",
            "2026-03-08T04:00-07:00",
        ),
        (
            CronSpans("30 2 * * *", 3600, BERLIN),
            "2026-03-29T01:59+01:00",
            "2026-03-29T03:00+02:00",
            "2026-03-29T04:00+02:00",
        ),
        # Two real hours over the gap, and over the hour that comes twice.
        (
            CronSpans("0 1 * * *", 7200, LA),
            "2026-03-08T03:30-07:00",
            "2026-03-08T01:00-08:00",
            "2026-03-08T04:00-07:00",
        ),
        (
            CronSpans("0 1 * * *", 7200, LA),
            "2026-11-01T01:30-08:00",
            "2026-11-01T01:00-07:00",
            "2026-11-01T02:00-08:00",
        ),
        (
            CronSpans("30 2 * * *", 600, BERLIN),
            "2026-10-25T02:00+01:00",
            "2026-10-26T02:30+01:00",
            "2026-10-26T02:40+01:00",
        ),
        (
            CronSpans("0 0 29 2 *", 3600),
            "2026-01-01T00:00+00:00",
            "2028-02-29T00:00+00:00",
            "2028-02-29T01:00+00:00",
        ),
        # Spans that overlap, or only touch, are one.
        (
            CronSpans("0 9,10 * * *", 7200),
            "2026-05-01T08:00+00:00",
            "2026-05-01T09:00+00:00",
            "2026-05-01T12:00+00:00",
        ),
        (
            CronSpans("0 9,10 * * *", 3600),
            "2026-05-01T09:30+00:00",
            "2026-05-01T09:00+00:00",
            "2026-05-01T11:00+00:00",
        ),
    ],
)
def test_model_is_in_maintenance_from_and_to(
    spans: CronSpans, now: str, start: str, end: str
) -> None:
    assert spans.next_span(moment(now)) == (moment(start), moment(end))


@given(SPANS, WALLS_S, SHARES)
def test_span_holds_the_moment_or_is_the_first_after_it(
    spans: CronSpans, wall_s: float, share: float
) -> None:
    start, end = spans.next_span(wall_s)
    assert max(start, wall_s) < end
    assert end - start >= spans.duration_s
    asked = between(min(start, wall_s), end, share)
    assert spans.next_span(asked)[1] == end


@given(SPANS, WALLS_S)
def test_spans_follow_one_another(spans: CronSpans, wall_s: float) -> None:
    _, end = spans.next_span(wall_s)
    assert spans.next_span(end)[0] > end


@pytest.mark.parametrize(
    ("cron", "duration_s", "zone", "why"),
    [
        ("61 * * * *", 60, "UTC", r"cron '61 \* \* \* \*' is malformed: Bad minute; write minute"),
        ("* * * *", 60, "UTC", r"has 4 fields"),
        ("0 0 3 * * SUN", 60, "UTC", r"has 6 fields"),
        ("", 60, "UTC", r"has 0 fields"),
        ("9" * 5000 + " * * * *", 60, "UTC", r"is malformed"),
        ("0 0 31 2 *", 60, "UTC", r"Bad day-of-month"),
        ("0 0 */20 * 1L", 60, "UTC", r"never matches"),
        ("0 3 * * *", 0, "UTC", r"duration_s 0 must be above 0"),
        ("0 3 * * *", float("nan"), "UTC", r"duration_s nan"),
        ("0 3 * * *", 400 * 86_400, "UTC", r"at most 31622400, 366 days"),
        ("0 3 * * *", 86_400, "UTC", r"run into each other"),
        ("* * * * *", 60, LA, r"run into each other 1000 times"),
        ("0 3 * * *", 60, "Mars/Olympus", r"zone 'Mars/Olympus'"),
    ],
)
def test_setting_of_a_maintenance_that_makes_no_sense_is_refused(
    cron: str, duration_s: float, zone: str, why: str
) -> None:
    with pytest.raises(ValueError, match=why):
        CronSpans(cron, duration_s, zone)


@given(st.text(alphabet="0123456789*/,-#LW ", max_size=20) | st.text(max_size=20))
def test_any_text_is_an_expression_or_refused(text: str) -> None:
    try:
        start, end = CronSpans(text, 1).next_span(0.0)
    except ValueError:
        return
    assert 0.0 <= start < end


def test_missing_package_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cronsim", None)
    with pytest.raises(
        ImportError, match=r"pip install 'capability-router\[schedules\]'"
    ) as caught:
        CronSpans("0 3 * * *", 60)
    assert caught.value.name == "cronsim"
    assert CalendarReset("day").next_after(0.0) == 86_400.0


@pytest.mark.parametrize(
    ("text", "at", "zone"),
    [
        ("00:00 America/Los_Angeles", "00:00", LA),
        ("00:00 UTC", "00:00", "UTC"),
        ("03:30", "03:30", "UTC"),
        (" 23:59  Europe/Berlin ", "23:59", BERLIN),
    ],
)
def test_text_of_a_renewal_is_a_time_and_a_zone(text: str, at: str, zone: str) -> None:
    assert parse_reset(text) == (at, zone)


@pytest.mark.parametrize(
    "text", ["", "UTC", "24:00 UTC", "00:00UTC", "daily", "00:00 Mars/Olympus", "00:00 UTC now"]
)
def test_any_other_text_of_a_renewal_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="America/Los_Angeles"):
        parse_reset(text)


def test_calendar_values_are_values() -> None:
    assert len({CalendarReset("day"), CalendarReset("day", "00:00", "UTC", 1)}) == 1
    assert len({CronSpans("0 3 * * *", 60), CronSpans("0 3 * * *", 60)}) == 1
    assert repr(CronSpans("0 3 * * *", 60)) == (
        "CronSpans(cron='0 3 * * *', duration_s=60, zone='UTC')"
    )


@pytest.mark.parametrize(
    ("reset", "shown"),
    [
        (CalendarReset("minute"), "the next minute"),
        (CalendarReset("hour"), "the next hour"),
        (CalendarReset("day", zone="America/Los_Angeles"), "00:00 America/Los_Angeles"),
        (CalendarReset("week", "03:30", day=7), "day 7 of the week, 03:30 UTC"),
        (CalendarReset("month"), "day 1 of the month, 00:00 UTC"),
    ],
)
def test_reset_is_shown_in_words(reset: CalendarReset, shown: str) -> None:
    assert str(reset) == shown
