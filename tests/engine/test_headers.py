"""How long a provider asks to wait, and when its limits end, in all the ways of saying so."""

import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capability_router.headers import retry_after_s
from capability_router.resets import reset_after_s, stated_reset_s

WALL_S = 784111777.0
"""Sun, 06 Nov 1994 08:49:37 GMT, the date of RFC 9110's examples."""

NOVEMBER_S = 1793491200.0
"""2026-11-01T00:00:00Z."""

DAY_S = 86_400.0


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
        ({"retry-after": "Sun, 06 Nov 1994 08:48:37 GMT"}, None),
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


def openai(kind: str, left: object, reset: str) -> dict[str, str]:
    return {f"x-ratelimit-remaining-{kind}": str(left), f"x-ratelimit-reset-{kind}": reset}


def anthropic(kind: str, left: object, reset: str) -> dict[str, str]:
    names = f"anthropic-ratelimit-{kind}-remaining", f"anthropic-ratelimit-{kind}-reset"
    return dict(zip(names, (str(left), reset), strict=True))


def openrouter(left: object, reset: str) -> dict[str, str]:
    return {"x-ratelimit-remaining": str(left), "x-ratelimit-reset": reset}


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        (openai("requests", 0, "6m0s"), 360.0),
        (openai("requests", 0, "1s"), 1.0),
        (openai("tokens", 0, "120ms"), 0.12),
        (openai("tokens", 0, "7.66s"), 7.66),
        (openai("requests", 0, "2m59.56s"), 179.56),
        (openai("requests", 0, "23h59m51s"), 86_391.0),
        (openai("requests", 0, "1d2h"), 93_600.0),
        # Azure and Cerebras.
        (openai("tokens", 0, "64"), 64.0),
        (openai("requests-day", 0, "33011.382867"), 33_011.382867),
        # A request that was larger than what was left.
        (openai("tokens", -27689, "64"), 64.0),
        (openai("requests", 59, "1s") | openai("tokens", 0, "6m0s"), 360.0),
        (openai("requests", 0, "6m0s") | openai("tokens", 0, "1s"), 360.0),
        (anthropic("requests", 0, "2026-11-01T00:00:20Z"), 20.0),
        (anthropic("tokens", 0, "2026-11-01T01:00:20+01:00"), 20.0),
        (anthropic("input-tokens", 0, "2026-11-01T00:00:20.5Z"), 20.5),
        (anthropic("output-tokens", 0, "2026-12-01T00:00:00Z"), 30 * DAY_S),
        (openrouter(0, "1793491230000"), 30.0),
        (openrouter(0, "1793491230"), 30.0),
        (openrouter(0, "30"), 30.0),
        ({"ratelimit-remaining": "0", "ratelimit-reset": "50"}, 50.0),
        (openai("requests", 1, "6m0s"), None),
        (anthropic("requests", 1, "2026-11-01T00:00:20Z"), None),
        (openrouter(1, "1793491230000"), None),
        ({"x-ratelimit-reset": "20"}, None),
        ({"x-ratelimit-remaining": "0"}, None),
        ({"x-credits-remaining": "0", "x-credits-reset": "20"}, None),
        (openai("requests", "none", "6m0s"), None),
        (openai("requests", 0, "soon"), None),
        (openai("requests", 0, "6 minutes"), None),
        (openai("requests", 0, "nan"), None),
        (openai("requests", 0, ""), None),
        (openai("requests", 0, "400d"), None),
        (openai("requests", 0, "-5"), None),
        (anthropic("requests", 0, "2026-10-31T23:59:59Z"), None),
        (anthropic("requests", 0, "2027-11-03T00:00:00Z"), None),
        (anthropic("requests", 0, "2026-13-01T00:00:00Z"), None),
        (openrouter(0, "1793491199999"), None),
        (openrouter(0, "999999999999999"), None),
    ],
)
def test_limit_that_is_used_up_says_when_it_is_renewed(
    headers: dict[str, str], seconds: float | None
) -> None:
    assert reset_after_s(headers, NOVEMBER_S) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("You will regain access on 2026-12-01 at 00:00 UTC.", 30 * DAY_S),
        ("You will regain access on 2026-11-02", DAY_S),
        ("Your quota resets at 2026-11-01T00:01:00Z", 60.0),
        ("quota will reset after 2026-11-01T02:01:00.5+02:00.", 60.5),
        ("Not available until 2026-11-01 00:01:00 GMT", 60.0),
        ("available again on 2026-11-01, 00:01", 60.0),
        ("{'quota_reset_at': '2026-11-01T00:01:00Z'}", 60.0),
        ("it resets at 2026-11-01T00:00:00Z", 0.0),
        ("'X-RateLimit-Remaining': '0', 'X-RateLimit-Reset': '1793491260000'}", 60.0),
        (r"{\"X-RateLimit-Reset\":\"1793491260000\"}", 60.0),
        ('{"type": "usage_limit_reached", "resets_at": 1793491260}', 60.0),
        ("", None),
        ("the limit resets soon", None),
        ("the model of 2026-12-01 is overloaded", None),
        ("You will regain access on 2026-10-31 at 23:59 UTC.", None),
        ("You will regain access on 2027-11-03 at 00:00 UTC.", None),
        ("You will regain access on 2026-02-30 at 00:00 UTC.", None),
        ("You will regain access on 2026-12-01 at 25:00 UTC.", None),
        ("resets" + " " * 41 + "2026-12-01", None),
        ('{"X-RateLimit-Reset": "1793491199000"}', None),
        ('{"X-RateLimit-Reset": "17934912600000"}', None),
    ],
)
def test_moment_in_the_words_of_an_error_is_read_as_seconds_from_now(
    text: str, seconds: float | None
) -> None:
    assert stated_reset_s(text, NOVEMBER_S) == seconds


@pytest.mark.usefixtures("far_from_greenwich")
def test_moment_without_a_zone_is_read_as_utc_wherever_the_machine_stands() -> None:
    assert stated_reset_s("regain access on 2026-11-02 at 00:00", NOVEMBER_S) == DAY_S
    assert reset_after_s(anthropic("requests", 0, "2026-11-01T00:01:00"), NOVEMBER_S) == 60.0


def test_renewal_is_measured_against_the_wall_clock_by_default() -> None:
    reset = str(int(time.time()) + 3600)
    assert reset_after_s(openrouter(0, reset)) == pytest.approx(3600, abs=60)
    assert stated_reset_s(f"resets_at: {reset}") == pytest.approx(3600, abs=60)


DATES = st.from_regex(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(Z|\+99:99)?", fullmatch=True
)
NUMBERS = st.from_regex(r"-?[0-9]{1,20}(\.[0-9]{1,5})?(ms|[dhms])?", fullmatch=True)


@given(st.text(max_size=10) | NUMBERS, st.text(max_size=40) | NUMBERS | DATES)
def test_whatever_stands_there_gives_a_believable_wait_or_none(left: str, stated: str) -> None:
    for wait_s in (
        reset_after_s(openrouter(left, stated), NOVEMBER_S),
        reset_after_s(openrouter(0, stated), NOVEMBER_S),
        stated_reset_s(f"resets_at: {stated}", NOVEMBER_S),
    ):
        assert wait_s is None or 0 <= wait_s <= 366 * DAY_S
