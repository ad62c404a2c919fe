"""Two attempts in a race: who wins is used, and of the other one nothing is left."""

import asyncio
import threading
from collections.abc import AsyncGenerator
from contextlib import suppress

import pytest

from capability_router.driving import drivers
from capability_router.engine.errors import AllModelsFailedError
from capability_router.engine.request import CompletionRequest
from capability_router.engine.retry import Interruption, RetryPolicy
from capability_router.engine.steps import Try
from tests.engine.building import CHAT, Chunk, ProviderError, TextWatch, overloaded
from tests.racing import (
    ASKED,
    CANCELLED,
    NEVER,
    AsyncDriver,
    Driver,
    Race,
    Signal,
    acalled,
    astreamed,
    caller,
    every,
    run_astream,
    run_call,
    run_stream,
    without_failures,
)


@every
def test_second_attempt_that_comes_first_is_used(drive: Driver) -> None:
    race = Race(["hangs"], [])
    assert drive(race, ASKED) == "b/y"
    race.end()
    assert race.tried == [("a/x", CANCELLED, False), ("b/y", None, True)]
    assert without_failures(race)
    assert race.rig.router.state("a/x").failures == 0
    assert race.rig.router.state("b/y").successes == 1
    assert race.rig.router.decisions[0].served_by == "b/y"


@every
def test_first_attempt_that_comes_first_is_used_while_the_second_runs(drive: Driver) -> None:
    race = Race(["other begins"], ["hangs"])
    assert drive(race, ASKED) == "a/x"
    race.end()
    assert race.tried == [("b/y", CANCELLED, True), ("a/x", None, False)]
    assert without_failures(race)


@every
def test_attempt_that_is_quick_has_none_beside_it(drive: Driver) -> None:
    race = Race([], [], hedge=NEVER)
    assert drive(race, ASKED) == "a/x"
    race.end()
    assert race.tried == [("a/x", None, False)]


@every
def test_attempt_that_fails_quickly_is_followed_and_not_hedged(drive: Driver) -> None:
    race = Race([overloaded()], [], hedge=NEVER)
    assert drive(race, ASKED) == "b/y"
    race.end()
    assert race.tried == [("a/x", "overloaded", False), ("b/y", None, False)]


@every
def test_failure_of_the_first_leaves_the_second_its_chance(drive: Driver) -> None:
    race = Race(["other begins", overloaded()], ["other failed"])
    assert drive(race, ASKED) == "b/y"
    race.end()
    assert race.tried == [("a/x", "overloaded", False), ("b/y", None, True)]
    assert race.rig.health() == {"a/x": (1, False), "b/y": (0, False)}


@every
def test_failure_of_the_second_leaves_the_first_its_chance(drive: Driver) -> None:
    race = Race(["other failed"], [overloaded()])
    assert drive(race, ASKED) == "a/x"
    race.end()
    assert race.tried == [("b/y", "overloaded", True), ("a/x", None, False)]


@every
def test_failure_of_both_is_one_error_with_both_attempts(drive: Driver) -> None:
    last = ConnectionResetError()
    race = Race(["other begins", overloaded()], ["other failed", last])
    with pytest.raises(AllModelsFailedError) as caught:
        drive(race, ASKED)
    race.end()
    assert caught.value.__cause__ is last
    assert race.tried == [("a/x", "overloaded", False), ("b/y", "connection", True)]
    assert race.rig.health() == {"a/x": (1, False), "b/y": (1, False)}


@every
@pytest.mark.parametrize("refusal", [ProviderError(400), ProviderError(400, "content_policy")])
def test_refusal_that_ends_a_call_ends_both_attempts(drive: Driver, refusal: ProviderError) -> None:
    race = Race(["other begins", refusal], ["hangs"])
    with pytest.raises(ProviderError) as caught:
        drive(race, ASKED)
    race.end()
    assert caught.value is refusal
    assert [kind for _, kind, _ in race.tried] == [CANCELLED, race.tried[1][1]]
    assert without_failures(race)


@every
def test_request_with_side_effects_is_sent_once(drive: Driver) -> None:
    race = Race([], [])
    assert drive(race, CompletionRequest(CHAT, side_effects=True)) == "a/x"
    assert race.begun == {"a/x"}


@every
def test_attempts_see_the_context_of_their_caller(drive: Driver) -> None:
    race = Race(["hangs"], [])
    token = caller.set("somebody")
    try:
        drive(race, ASKED)
    finally:
        caller.reset(token)
    race.end()
    assert race.callers == {"somebody"}


@every
@pytest.mark.parametrize("leaving", [SystemExit, KeyboardInterrupt])
def test_interrupt_in_an_attempt_ends_both(drive: Driver, leaving: type[BaseException]) -> None:
    race = Race(["hangs"], [leaving()])
    with pytest.raises(leaving):
        drive(race, ASKED)
    race.end()
    assert [kind for _, kind, _ in race.tried] == [CANCELLED, CANCELLED]
    assert without_failures(race)


@pytest.mark.parametrize("drive", [run_call, run_stream])
def test_signal_while_both_run_ends_both(drive: Driver) -> None:
    race = Race(["hangs"], ["other begins", Signal(), "hangs"])
    with pytest.raises(KeyboardInterrupt):
        drive(race, ASKED)
    race.end()
    assert race.tried == [("a/x", CANCELLED, False), ("b/y", CANCELLED, True)]
    assert without_failures(race)


@pytest.mark.parametrize("drive", [acalled, astreamed])
async def test_task_that_is_cancelled_while_both_run_ends_both(drive: AsyncDriver) -> None:
    race = Race(["hangs"], ["hangs"])
    task = asyncio.create_task(drive(race, ASKED))
    while len(race.begun) < 2:  # noqa: ASYNC110 - as threads do
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    race.end()
    assert race.tried == [("a/x", CANCELLED, False), ("b/y", CANCELLED, True)]
    assert without_failures(race)


@pytest.mark.parametrize("drive", [run_call, run_stream])
def test_answer_that_comes_when_the_race_is_over_is_dropped(drive: Driver) -> None:
    race = Race(["all is over"], [])
    assert drive(race, ASKED) == "b/y"
    assert race.open == {"a/x"}
    race.end()
    assert race.tried == [("a/x", CANCELLED, False), ("b/y", None, True)]
    assert race.rig.router.state("a/x").output_tokens == 0


async def test_stream_that_begins_in_spite_of_being_cancelled_is_closed() -> None:
    race = Race([], [])

    async def stubborn(step: Try) -> AsyncGenerator[Chunk, None]:
        if step.model.id == "a/x":
            with suppress(asyncio.CancelledError):
                await asyncio.Future[None]()
        race.open.add(step.model.id)
        try:
            yield Chunk(step.model.id)
            yield Chunk(finish="stop")
        finally:
            race.open.discard(step.model.id)

    plan = race.rig.router.plan(ASKED)
    chunks = drivers.astream(plan, stubborn, TextWatch, race.rig.clock)
    assert "".join([chunk.text async for chunk in chunks]) == "b/y"
    race.end()


@every
def test_attempt_that_cancels_itself_ends_both(drive: Driver) -> None:
    race = Race(["hangs"], [asyncio.CancelledError()])
    with pytest.raises(asyncio.CancelledError):
        drive(race, ASKED)
    race.end()
    assert without_failures(race)


def test_stream_that_is_closed_early_leaves_nothing() -> None:
    race = Race(["all is over"], [])
    plan = race.rig.router.plan(ASKED)
    chunks = drivers.stream(plan, race.stream, TextWatch, race.rig.clock)
    assert [next(chunks), next(chunks)] == [Chunk(), Chunk("b/y", tokens=1)]
    assert race.rig.router.state("a/x").in_flight == 0
    assert race.rig.router.state("b/y").in_flight == 1
    chunks.close()
    race.end()
    assert race.tried == [("a/x", CANCELLED, False), ("b/y", CANCELLED, True)]


@pytest.mark.parametrize("drive", [run_stream, run_astream])
def test_model_that_was_let_go_may_go_on_with_the_stream_that_won_and_broke(
    drive: Driver,
) -> None:
    retry = RetryPolicy(on_interruption=(Interruption.RESTART,))
    race = Race(["hangs"], [], retry=retry)
    race.breaks = {"b/y": overloaded()}
    assert drive(race, ASKED) == "b/ya/x"
    race.end()
    assert race.tried == [
        ("a/x", CANCELLED, False),
        ("b/y", "overloaded", True),
        ("a/x", None, False),
    ]


@every
def test_limit_of_an_attempt_holds_for_each_of_both(drive: Driver) -> None:
    race = Race(["hangs"], ["hangs"], retry=RetryPolicy(attempt_timeout_s=0.02))
    with pytest.raises(AllModelsFailedError):
        drive(race, ASKED)
    race.end()
    assert {(model, kind) for model, kind, _ in race.tried} == {
        ("a/x", "timeout"),
        ("b/y", "timeout"),
    }


@pytest.mark.parametrize("drive", [run_call, run_stream])
def test_first_attempt_goes_on_alone_where_no_thread_is_left(
    drive: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    original, started = threading.Thread.start, list[str]()

    def start(thread: threading.Thread) -> None:
        started.append(thread.name)
        if started.count("capability-router-attempt") == 2:
            race.over = True
            raise RuntimeError("can't start new thread")
        original(thread)

    monkeypatch.setattr(threading.Thread, "start", start)
    race = Race(["all is over"], [])
    assert drive(race, ASKED) == "a/x"
    race.end()
    assert race.tried == [("b/y", CANCELLED, True), ("a/x", None, False)]
