"""What may be used of a provider: beyond it everybody is refused, and told when to come again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capability_router.calendars import CalendarReset
from capability_router.engine.limits import Limit, Unit
from capability_router.engine.model import Price
from capability_router.engine.outcome import Failure
from capability_router.simulation import Outage, SimulatedProvider
from capability_router.simulation.agenda import STARTS_AT
from capability_router.simulation.providers import World
from tests.simulation.worlds import asked, model, pool, requests, run, steady

TEN_A_MINUTE = Limit(Unit.REQUESTS, 10, 60.0)


def world(*limits: Limit, outages: tuple[Outage, ...] = ()) -> World:
    told = SimulatedProvider(limits=limits, outages=outages)
    models = [model("a/x", Price(1_000.0, 10_000.0)), model("a/y"), model("b/z")]
    return World({"a": told}, models, 0, STARTS_AT)


def refusal(
    world: World,
    at: float,
    model_id: str = "a/x",
    *,
    input_tokens: int = 100,
    output_tokens: int = 100,
) -> Failure | None:
    """Return how a provider refuses a request, or fails otherwise."""
    refuser = model(model_id, Price(1_000.0, 10_000.0) if model_id == "a/x" else None)
    request = asked(int(at * 100), at, input_tokens=input_tokens, output_tokens=output_tokens)
    return world.answer(refuser, request, 0, at).failure


def refused(failures: list[Failure | None]) -> list[bool]:
    return [failure is not None for failure in failures]


def test_requests_beyond_a_rolling_limit_are_refused_until_the_first_is_forgotten() -> None:
    limited = world(TEN_A_MINUTE)
    first = [refusal(limited, at) for at in range(12)]
    assert refused(first) == [False] * 10 + [True] * 2
    told = first[10]
    assert told is not None
    assert (told.kind, told.status) == ("rate_limited", 429)
    # The first one, of second 0, is out of the window after 61 s: of 60, and a sixtieth of it.
    assert told.retry_after_s == pytest.approx(51.0)
    assert refused([refusal(limited, 60.5), refusal(limited, 61.0)]) == [True, False]


def test_what_was_refused_counts_for_nothing() -> None:
    limited = world(TEN_A_MINUTE)
    for at in range(10):
        refusal(limited, at)
    assert all(refused([refusal(limited, 20 + at / 10) for at in range(100)]))
    later = [refusal(limited, 61.0 + at) for at in range(10)]
    assert refused(later) == [False] * 10


def test_limit_of_a_provider_holds_for_all_of_its_models_and_for_no_other() -> None:
    limited = world(Limit(Unit.REQUESTS, 2, 60.0))
    seen = [refusal(limited, 0.0, each) for each in ("a/x", "a/y", "a/x", "a/y", "b/z", "b/z")]
    assert refused(seen) == [False, False, True, True, False, False]


@pytest.mark.parametrize(
    ("unit", "each"),
    [(Unit.INPUT_TOKENS, 300), (Unit.OUTPUT_TOKENS, 100), (Unit.TOKENS, 400), (Unit.USD, 1.3)],
)
def test_tokens_and_money_are_limited_as_well(unit: Unit, each: float) -> None:
    limited = world(Limit(unit, 2.5 * each, 60.0))
    seen = [refusal(limited, at, input_tokens=300, output_tokens=100) for at in range(3)]
    assert refused(seen) == [False, False, True]


def test_error_takes_a_request_of_a_limit_and_no_tokens() -> None:
    tokens = world(Limit(Unit.TOKENS, 1_000, 60.0), outages=(Outage(0.0, 5.0),))
    for at in range(5):
        refusal(tokens, at, input_tokens=500)
    assert refusal(tokens, 6.0, input_tokens=500) is None
    calls = world(Limit(Unit.REQUESTS, 5, 60.0), outages=(Outage(0.0, 5.0),))
    for at in range(5):
        refusal(calls, at)
    told = refusal(calls, 6.0)
    assert told is not None
    assert told.kind == "rate_limited"


def test_request_that_never_fits_is_refused_for_no_longer_than_the_window() -> None:
    told = refusal(world(Limit(Unit.TOKENS, 1_000, 60.0)), 0.0, input_tokens=5_000)
    assert told is not None
    assert (told.kind, told.retry_after_s) == ("rate_limited", 60.0)


def test_calendar_quota_is_used_up_until_it_resets() -> None:
    midnight = CalendarReset("day")
    limited = world(Limit(Unit.REQUESTS, 3, resets=midnight))
    first = [refusal(limited, at) for at in range(4)]
    assert refused(first) == [False] * 3 + [True]
    told = first[3]
    assert told is not None
    assert (told.kind, told.status, told.retry_after_s) == ("quota_exhausted", 429, None)
    day_s = 86_400.0
    assert refused([refusal(limited, day_s - 1), refusal(limited, day_s)]) == [True, False]


def test_limit_for_ever_never_comes_back() -> None:
    limited = world(Limit(Unit.REQUESTS, 1))
    assert refused([refusal(limited, at) for at in (0.0, 1.0, 1e8)]) == [False, True, True]


def test_pool_goes_elsewhere_while_a_provider_is_full_and_comes_back() -> None:
    told = {"a": steady(limits=(TEN_A_MINUTE,)), "b": steady(limits=(TEN_A_MINUTE,))}
    result, _ = run(pool(), requests(*(5.0 * number for number in range(100))), told)
    assert result.success == 1.0
    assert result.models["a/x"].served > 10
    assert result.models["b/y"].served > 10


@given(st.lists(st.floats(0.0, 300.0), min_size=1, max_size=80), st.integers(1, 20))
def test_no_window_ever_holds_more_than_is_allowed(moments: list[float], most: int) -> None:
    limited = world(Limit(Unit.REQUESTS, most, 60.0))
    moments.sort()
    served = [at for at in moments if refusal(limited, at) is None]
    for at in served:
        assert sum(at <= other < at + 60.0 for other in served) <= most
