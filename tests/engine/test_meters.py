"""Meters and forecasts: what windows hold, and how long a limit lasts."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capability_router.calendars import CalendarReset
from capability_router.engine.limits import Limit, Scope, Unit
from capability_router.engine.meter import Meter
from capability_router.engine.model import Model, Provider
from capability_router.engine.rotation import RotationPolicy
from tests.engine.building import CHAT, Rig, model

DAY = CalendarReset("day")
TWENTY_A_DAY = Limit(Unit.REQUESTS, 20, resets=DAY)
MIDNIGHT_S = 86_400.0


def limited(model_id: str, *limits: Limit) -> Model:
    return replace(model(model_id), limits=limits)


def taken(rig: Rig) -> list[float]:
    return [forecast.taken for forecast in rig.router.pool(CHAT).forecast()]


def test_forecast_says_when_it_runs_out_and_when_it_resets() -> None:
    rig = Rig(limited("a/x", Limit(Unit.REQUESTS, 100, resets=DAY)))
    for _ in range(40):
        rig.serve()
        rig.clock.advance(1.0)
    (forecast,) = rig.router.pool(CHAT).forecast()
    assert (forecast.scope, forecast.taken) == (Scope("model", "a/x"), 40)
    assert forecast.resets_in_s == pytest.approx(MIDNIGHT_S - 40)
    assert forecast.runs_out_in_s is not None
    assert 60 < forecast.runs_out_in_s < 180
    assert str(forecast).startswith("model a/x: 40 of 100 requests until")


def test_forecast_of_what_lasts_until_the_reset_says_so() -> None:
    rig = Rig(limited("a/x", Limit(Unit.REQUESTS, 1000, window_s=60.0)))
    rig.serve()
    (forecast,) = rig.router.pool(CHAT).forecast()
    assert forecast.runs_out_in_s is None
    assert "lasts" in str(forecast)


def test_forecast_lists_pool_model_and_provider_once_each() -> None:
    account = Provider("a", limits=(Limit(Unit.USD, 5, window_s=86_400.0),))
    rig = Rig(limited("a/x", TWENTY_A_DAY), "a/y", providers=[account])
    rig.router.add_pool("chat", CHAT, RotationPolicy(limits=(TWENTY_A_DAY,)))
    scopes = [str(forecast.scope) for forecast in rig.router.pool("chat").forecast()]
    assert scopes == ["pool chat", "model a/x", "provider a"]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda: Limit(Unit.REQUESTS, 0), "amount 0 of requests must be at least 1"),
        (lambda: Limit(Unit.USD, -1.0), "amount -1.0 of usd must be at least 1e-09"),
        (lambda: Limit(Unit.TOKENS, float("inf")), "amount inf"),
        (lambda: Limit(Unit.TOKENS, 5, window_s=0), "window_s 0 must be above 0"),
        (lambda: Limit(Unit.TOKENS, 5, window_s=5, resets=DAY), "not both"),
    ],
)
def test_limit_that_cannot_work_is_refused(wrong: Callable[[], Limit], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        wrong()


@given(
    st.lists(st.tuples(st.floats(0, 30), st.integers(1, 4)), max_size=60),
    st.sampled_from([1.0, 7.0, 60.0, 0.3]),
)
def test_rolling_window_never_holds_more_than_its_limit(
    steps: list[tuple[float, int]], window_s: float
) -> None:
    meter = Meter(Limit(Unit.TOKENS, 10, window_s=window_s), Scope("model", "a/x"))
    now, log = 5.0, list[tuple[float, int]]()
    for pause_s, amount in steps:
        now += pause_s
        meter.advance(now, 0.0)
        if meter.taken + amount <= meter.capacity:
            meter.take(amount, now)
            log.append((now, amount))
        assert sum(each for at, each in log if at > now - window_s) <= 10
        wait_s = meter.resets_in_s(now, 0.0)
        if meter.spent:
            before = meter.taken
            meter.advance(now + wait_s, 0.0)
            assert meter.taken < before
            now += wait_s
