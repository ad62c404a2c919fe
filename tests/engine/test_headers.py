"""How long a provider asks to wait, in all the ways of saying so."""

import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capability_router.headers import retry_after_s

WALL_S = 784111777.0
"""Sun, 06 Nov 1994 08:49:37 GMT, the date of RFC 9110's examples."""


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after-ms": "250"}, 0.25),
        ({"retry-after-ms": "1.5"}, 0.0015),
        ({"retry-after-ms": "-5"}, 0.0),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after-ms": "soon", "retry-after": "9"}, 9.0),
        ({"retry-after-ms": "inf", "retry-after": "9"}, 9.0),
        ({"retry-after": "0"}, 0.0),
        ({"retry-after": "20"}, 20.0),
        ({"retry-after": "7.66"}, 7.66),
        ({"retry-after": " 7 "}, 7.0),
        ({"retry-after": "-3"}, 0.0),
        ({"retry-after": "Sun, 06 Nov 1994 08:50:37 GMT"}, 60.0),
        ({"retry-after": "Sunday, 06-Nov-94 08:50:37 GMT"}, 60.0),
        ({"retry-after": "Sun, 06 Nov 1994 09:50:37 +0100"}, 60.0),
        ({"retry-after": "Sun, 06 Nov 1994 08:48:37 GMT"}, 0.0),
        ({}, None),
        ({"retry-after": ""}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "Sun, 31 Feb 1994 08:48:37 GMT"}, None),
        ({"x-ratelimit-reset": "20"}, None),
    ],
)
def test_every_form_is_read_as_seconds_from_now(
    headers: dict[str, str], seconds: float | None
) -> None:
    assert retry_after_s(headers, WALL_S) == pytest.approx(seconds)


@pytest.fixture
def far_from_greenwich(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    if not hasattr(time, "tzset"):
        pytest.skip("this system has no time.tzset")
    monkeypatch.setenv("TZ", "XXX+11")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("far_from_greenwich")
@pytest.mark.parametrize("date", ["Sun Nov  6 08:50:37 1994", "Sun, 06 Nov 1994 08:50:37 -0000"])
def test_date_without_a_zone_is_read_as_utc_wherever_the_machine_stands(date: str) -> None:
    assert retry_after_s({"retry-after": date}, WALL_S) == 60.0


def test_date_is_measured_against_the_wall_clock_by_default() -> None:
    wait_s = retry_after_s({"retry-after": "Sat, 20 Nov 2286 17:46:39 GMT"})
    assert wait_s == pytest.approx(9_999_999_999 - time.time(), abs=60)


@given(st.text(max_size=40), st.text(max_size=40))
def test_whatever_stands_there_gives_a_wait_or_none(millis: str, stated: str) -> None:
    wait_s = retry_after_s({"retry-after-ms": millis, "retry-after": stated}, WALL_S)
    assert wait_s is None or 0 <= wait_s < float("inf")
