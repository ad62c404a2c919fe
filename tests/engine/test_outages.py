"""Models that are down for a while: what that costs, and how soon they serve again."""

import asyncio
from collections import Counter
from threading import Semaphore

import pytest

from capability_router.calendars import CalendarReset
from capability_router.engine.errors import AllModelsFailedError, CapabilityRouterError
from capability_router.engine.events import EventType
from capability_router.engine.limits import Limit, Unit
from capability_router.engine.model import Model
from capability_router.engine.outcome import FailureKind
from capability_router.engine.recovery import Cooldown
from capability_router.engine.retry import RepeatScope, RetryPolicy
from capability_router.engine.rotation import RotationPolicy
from capability_router.engine.selection import Priority
from tests.engine.building import (
    CHAT,
    DRIVERS,
    Driver,
    Rig,
    Script,
    overloaded,
    together,
)

DOWN_S, EVERY_S, REQUESTS = 60.0, 4.0, 20


@pytest.mark.parametrize("retry", [RetryPolicy(), RetryPolicy.patient()], ids=["usual", "patient"])
def test_primary_serves_again_soon_and_costs_a_call_per_cooldown_meanwhile(
    retry: RetryPolicy,
) -> None:
    for seed in range(300):
        rig = Rig("a/x", "b/y", policy=RotationPolicy(selection=Priority, retry=retry), seed=seed)
        wasted, cooldowns, back_s = outage(rig)
        assert back_s <= DOWN_S + 16.0, seed
        assert wasted <= cooldowns, seed
        # A patient pool repeats once, before the model has left; nobody waits for it after that.
        assert len(rig.clock.slept) <= (retry.scope is RepeatScope.FIRST), seed


def outage(rig: Rig) -> tuple[int, int, float]:
    """Let the first model be down for a minute.

    Returns:
        The calls that it was asked in vain for since it first left, its cooldowns, and the moment
        from which it serves again.
    """
    wasted, served = list[float](), dict[str, float]()

    def answer(asked: Model) -> str:
        if asked.id == "a/x" and rig.clock.now() < DOWN_S:
            wasted.append(rig.clock.now())
            raise overloaded()
        served.setdefault(asked.id, rig.clock.now())
        return asked.id

    for number in range(REQUESTS):
        rig.clock.advance(max(0.0, number * EVERY_S - rig.clock.now()))
        assert rig.router.call(CHAT, answer)
    left = [event for event in rig.events if event.type is EventType.MODEL_DEACTIVATED]
    failed = rig.told(EventType.PROBE_FAILED)
    after = [at for at in wasted if left and at > left[0].at]
    return len(after), len(failed), served["a/x"]


def half_open(*others: str) -> Rig:
    """Return a rig whose first model is due for a trial."""
    rig = Rig("a/x", *others, policy=RotationPolicy(selection=Priority))
    rig.fail_out("a/x")
    rig.clock.advance(12.0)
    rig.events.clear()
    return rig


def test_burst_of_calls_in_threads_makes_exactly_one_probe() -> None:
    rig, everybody_else = half_open("b/y"), Semaphore(0)

    def answer(asked: Model) -> str:
        if asked.id == "a/x":
            # The trial lasts until all the others are served.
            assert all(everybody_else.acquire(timeout=30.0) for _ in range(199))
        else:
            everybody_else.release()
        return asked.id

    answers = together(*[lambda: rig.router.call(CHAT, answer)] * 200)
    assert Counter(answers) == {"a/x": 1, "b/y": 199}
    assert len(rig.told(EventType.PROBE_STARTED)) == 1
    assert rig.active() == ["a/x", "b/y"]


async def test_burst_of_calls_in_tasks_makes_exactly_one_probe() -> None:
    rig, served, everybody_else = half_open("b/y"), list[str](), asyncio.Event()

    async def answer(asked: Model) -> str:
        await asyncio.sleep(0)
        if asked.id == "a/x":
            await everybody_else.wait()
        served.append(asked.id)
        if len(served) == 199:
            everybody_else.set()
        return asked.id

    await asyncio.gather(*[rig.router.acall(CHAT, answer) for _ in range(200)])
    assert Counter(served) == {"a/x": 1, "b/y": 199}
    assert len(rig.told(EventType.PROBE_STARTED)) == 1


def test_burst_of_calls_on_a_lone_model_that_is_still_down_is_one_call() -> None:
    rig, asked, refused = half_open(), list[str](), Semaphore(0)

    def fail(model: Model) -> str:
        asked.append(model.id)
        assert all(refused.acquire(timeout=30.0) for _ in range(199))
        raise TimeoutError

    def ask() -> str:
        try:
            return rig.router.call(CHAT, fail)
        except CapabilityRouterError as error:
            refused.release()
            return type(error).__name__

    assert Counter(together(*[ask] * 200)) == {
        "NoAvailableModelError": 199,
        "AllModelsFailedError": 1,
    }
    assert asked == ["a/x"]


SET_BACK, SET_FORWARD = -3600.0, 3600.0
either_way = pytest.mark.parametrize("change_s", [SET_BACK, SET_FORWARD], ids=["back", "forward"])


def set_wall(rig: Rig, change_s: float) -> None:
    rig.clock.set_wall(rig.clock.wall() + change_s)


@either_way
@pytest.mark.parametrize("kind", [FailureKind.SERVER_ERROR, FailureKind.RATE_LIMITED])
def test_cooldown_is_as_long_whatever_the_wall_clock_is_set_to(
    kind: FailureKind, change_s: float
) -> None:
    rig = Rig("a/x", policy=RotationPolicy(recovery=Cooldown(jitter=0.0)))
    while rig.active():
        rig.fail(kind, retry_after_s=30.0 if kind is FailureKind.RATE_LIMITED else None)
    (standby,) = rig.router.pool(CHAT).get_standby()
    assert standby.until is not None
    rig.clock.advance((standby.until - rig.clock.now()) / 2)
    set_wall(rig, change_s)
    assert rig.router.due_trials() == []
    rig.clock.advance(standby.until - rig.clock.now())
    assert rig.serve() == "a/x"
    assert rig.told(EventType.MODEL_ACTIVATED) == [(EventType.MODEL_ACTIVATED, "a/x")]


@either_way
def test_rolling_limit_is_as_long_whatever_the_wall_clock_is_set_to(change_s: float) -> None:
    limited = Model("a/x", ("chat-completion",), limits=(Limit(Unit.REQUESTS, 2, window_s=60.0),))
    rig = Rig(limited, "b/y", policy=RotationPolicy(selection=Priority))
    assert [rig.serve() for _ in range(3)] == ["a/x", "a/x", "b/y"]
    rig.clock.advance(30.0)
    set_wall(rig, change_s)
    assert rig.serve() == "b/y"
    # Sixty seconds, and what they are counted in.
    rig.clock.advance(32.0)
    assert [rig.serve() for _ in range(3)] == ["a/x", "a/x", "b/y"]


def daily(at_s: float) -> Rig:
    """Return a rig at a time of the day, whose first model may be asked twice a day."""
    limit = Limit(Unit.REQUESTS, 2, resets=CalendarReset("day"))
    limited = Model("a/x", ("chat-completion",), limits=(limit,))
    rig = Rig(limited, "b/y", policy=RotationPolicy(selection=Priority))
    set_wall(rig, at_s)
    return rig


LAST_MINUTES_S = 86_400.0 - 600.0


def test_days_quota_opens_once_however_often_midnight_comes() -> None:
    rig = daily(LAST_MINUTES_S)
    assert [rig.serve() for _ in range(3)] == ["a/x", "a/x", "b/y"]
    rig.clock.advance(601.0)
    assert [rig.serve() for _ in range(3)] == ["a/x", "a/x", "b/y"]
    set_wall(rig, SET_BACK)
    assert rig.serve() == "b/y"
    rig.clock.advance(3600.0)
    assert rig.serve() == "b/y"
    rig.clock.advance(86_400.0)
    assert [rig.serve() for _ in range(3)] == ["a/x", "a/x", "b/y"]


@either_way
def test_days_quota_that_is_used_up_opens_at_the_next_midnight(change_s: float) -> None:
    rig = daily(43_200.0)
    assert [rig.serve() for _ in range(3)] == ["a/x", "a/x", "b/y"]
    set_wall(rig, change_s)
    assert rig.serve() == "b/y"
    rig.clock.advance(43_200.0 - change_s + 1.0)
    assert [rig.serve() for _ in range(3)] == ["a/x", "a/x", "b/y"]


@either_way
def test_quota_that_a_provider_calls_used_up_comes_back_when_it_was_expected(
    change_s: float,
) -> None:
    recovery = Cooldown(quota_resets=CalendarReset("day"))
    rig = Rig("a/x", "b/y", policy=RotationPolicy(selection=Priority, recovery=recovery))
    set_wall(rig, LAST_MINUTES_S)
    assert rig.fail(FailureKind.QUOTA_EXHAUSTED) == "a/x"
    set_wall(rig, change_s)
    assert rig.serve() == "b/y"
    rig.clock.advance(601.0)
    assert rig.serve() == "a/x"
    assert rig.active() == ["a/x", "b/y"]


@pytest.mark.parametrize("drive", DRIVERS)
def test_outage_of_everybody_is_one_error_that_tells_every_attempt(drive: Driver) -> None:
    names = [f"{provider}/x" for provider in "abcdefghijkl"]
    rig, script = Rig(*names), Script(*[overloaded()] * 400)
    for asked in range(1, 41):
        with pytest.raises(AllModelsFailedError) as caught:
            drive(rig, script, CHAT)
        assert 1 <= len(caught.value.attempts) <= 10
        assert caught.value.__cause__ is caught.value.attempts[-1].error
        assert len(script.tried) <= 10 * asked
        assert [a.model for a in rig.router.decisions[-1].attempts] == [
            attempt.model for attempt in caught.value.attempts
        ]
        rig.clock.advance(1.0)
    assert all(rig.router.state(name).in_flight == 0 for name in names)
    rig.clock.advance(12.0)
    assert drive(rig, Script(*["hello"] * 3), CHAT) == "hello"
