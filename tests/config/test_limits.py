"""What may be used of a provider, a model or a pool, as it is written."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capability_router.calendars import CalendarReset
from capability_router.config import loads
from capability_router.config.rates import calendar_rate, rolling_rate
from capability_router.config.refusal import RefusedError
from capability_router.engine.concurrency import AdaptiveConcurrency, Concurrency
from capability_router.engine.limits import Limit, Unit
from capability_router.engine.reason import Reason

LA = "America/Los_Angeles"


def limits_of(settings: str) -> tuple[Limit, ...]:
    """Return the limits of a model with some settings."""
    model = f"{{capabilities: [ocr], price: {{input: 1, output: 1}}, {settings}}}"
    return loads(f"providers: {{a: }}\nmodels: {{a/m: {model}}}").models[0].limits


@pytest.mark.parametrize(
    ("window", "seconds"),
    [
        ("second", 1.0),
        ("minute", 60.0),
        ("hour", 3600.0),
        ("day", 86_400.0),
        ("week", 604_800.0),
        ("90s", 90.0),
        ("1h30m", 5400.0),
    ],
)
def test_a_limit_has_a_rolling_window(window: str, seconds: float) -> None:
    assert limits_of(f"limits: {{requests: 30/{window}}}") == (Limit(Unit.REQUESTS, 30, seconds),)


@pytest.mark.parametrize("window", ["minute", "hour", "day", "week", "month"])
def test_a_quota_has_a_window_of_the_calendar(window: str) -> None:
    (limit,) = limits_of(f"quota: {{tokens: 500000/{window}}}")
    assert (limit.amount, limit.window_s) == (500_000, None)
    assert isinstance(limit.resets, CalendarReset)
    assert limit.resets.every == window


def test_days_weeks_and_months_of_a_quota_begin_when_it_resets() -> None:
    written = f"quota: {{requests: [5/minute, 60/hour, 100/day, 500/month], resets: 09:30 {LA}}}"
    assert [limit.resets for limit in limits_of(written)] == [
        CalendarReset("minute", "00:00", LA),
        CalendarReset("hour", "00:00", LA),
        CalendarReset("day", "09:30", LA),
        CalendarReset("month", "09:30", LA),
    ]


def test_a_quota_resets_at_midnight_utc_by_default() -> None:
    (limit,) = limits_of("quota: {requests: 1000/day}")
    assert limit.resets == CalendarReset("day", "00:00", "UTC")


@pytest.mark.parametrize(
    ("unit", "of_limit", "of_quota"),
    [
        ("requests", Reason.REQUEST_LIMIT, Reason.QUOTA_EXHAUSTED),
        ("input_tokens", Reason.TOKEN_LIMIT, Reason.QUOTA_EXHAUSTED),
        ("output_tokens", Reason.TOKEN_LIMIT, Reason.QUOTA_EXHAUSTED),
        ("tokens", Reason.TOKEN_LIMIT, Reason.QUOTA_EXHAUSTED),
        ("usd", Reason.BUDGET_EXCEEDED, Reason.BUDGET_EXCEEDED),
    ],
)
def test_what_is_used_up_is_recorded_by_its_unit(
    unit: str, of_limit: Reason, of_quota: Reason
) -> None:
    found = limits_of(f"limits: {{{unit}: 1/day}}, quota: {{{unit}: 1/day}}")
    assert [(limit.unit, limit.reason) for limit in found] == [(unit, of_limit), (unit, of_quota)]


@pytest.mark.parametrize(
    ("written", "amount"),
    [("0.5/day", 0.5), ("5/day", 5.0), ("0.000000001/day", 1e-9)],
)
def test_money_may_have_a_fraction(written: str, amount: float) -> None:
    assert limits_of(f"limits: {{usd: {written}}}") == (Limit(Unit.USD, amount, 86_400.0),)


@pytest.mark.parametrize("written", ["20", "20.0"])
def test_a_number_alone_is_a_budget_for_ever(written: str) -> None:
    assert limits_of(f"quota: {{usd: {written}}}") == (Limit(Unit.USD, 20),)


def test_a_unit_may_have_several_windows() -> None:
    assert limits_of("limits: {tokens: [6000/minute, 500000/day]}") == (
        Limit(Unit.TOKENS, 6000, 60.0),
        Limit(Unit.TOKENS, 500_000, 86_400.0),
    )


def test_a_provider_and_a_pool_have_limits_of_their_own() -> None:
    plan = loads(
        """\
providers: {a: {limits: {requests: 30/minute}, quota: {usd: 50/month}}}
pools: {p: {hierarchy_node: ocr, limits: {usd: 5/day}, quota: {requests: 1/hour}}}
"""
    )
    assert plan.providers[0].limits == (
        Limit(Unit.REQUESTS, 30, 60.0),
        Limit(Unit.USD, 50, resets=CalendarReset("month")),
    )
    assert plan.pools[0].policy.limits == (
        Limit(Unit.USD, 5, 86_400.0),
        Limit(Unit.REQUESTS, 1, resets=CalendarReset("hour"), reason=str(Reason.QUOTA_EXHAUSTED)),
    )


@pytest.mark.parametrize(
    ("written", "concurrency"),
    [
        ("8", 8),
        ("1", 1),
        ("adaptive", AdaptiveConcurrency()),
        ("{}", AdaptiveConcurrency()),
        ("{initial: 4, max: 64}", AdaptiveConcurrency(4, 1, 64)),
        ("{min: 10, tolerance: 2}", AdaptiveConcurrency(None, 10, 200, 2.0)),
        ("{max: 3}", AdaptiveConcurrency(max=3)),
        ("{min: 3, max: 3}", 3),
    ],
)
def test_a_model_has_a_number_of_attempts_at_once_or_finds_it_out(
    written: str, concurrency: Concurrency
) -> None:
    model = f"{{capabilities: [ocr], limits: {{requests: 5/day, concurrency: {written}}}}}"
    found = loads(f"providers: {{a: }}\nmodels: {{a/m: {model}}}").models[0]
    assert found.concurrency == concurrency
    assert found.limits == (Limit(Unit.REQUESTS, 5, 86_400.0),)


def test_a_model_has_any_number_of_attempts_at_once_by_default() -> None:
    text = "providers: {a: }\nmodels: {a/m: {capabilities: [ocr], limits: {requests: 5/day}}}"
    assert loads(text).models[0].concurrency is None


TEXT = st.text(alphabet="0123456789./ dhmsecoutinrwkay-_e") | st.text()


@given(TEXT | st.floats() | st.integers() | st.none() | st.booleans() | st.lists(st.none()))
def test_any_value_is_a_limit_that_the_engine_takes_or_refused(value: object) -> None:
    for read in (rolling_rate, calendar_rate):
        for unit in (Unit.REQUESTS, Unit.USD):
            try:
                rate = read(value, kind="usd" if unit is Unit.USD else "whole")
            except RefusedError:
                continue
            Limit(unit, rate.amount, rate.window_s)


@given(st.integers(1, 10**15 - 1), st.sampled_from(["second", "day", "5m"]))
def test_a_limit_is_read_as_it_is_written(amount: int, window: str) -> None:
    assert rolling_rate(f"{amount}/{window}", kind="whole").amount == amount
