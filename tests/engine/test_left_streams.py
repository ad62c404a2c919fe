"""Who leaves a stream with the finish reason was served; who leaves before says nothing."""

import asyncio
from collections.abc import AsyncGenerator

import pytest

from capability_router.driving import drivers
from tests.engine.building import (
    STREAM_DRIVERS,
    Chunk,
    Driver,
    Piece,
    Rig,
    Script,
    TextWatch,
)

COUNTED = [Chunk("a", tokens=2), Chunk(finish="stop", tokens=3), Chunk()]


def test_stream_that_is_closed_after_its_finish_reason_has_been_served() -> None:
    rig, script = Rig("a/x"), Script(list[Piece](COUNTED))
    plan = rig.router.plan("chat-completion")
    chunks = drivers.stream(plan, script.stream, TextWatch, rig.clock)
    assert [next(chunks), next(chunks)] == COUNTED[:2]
    chunks.close()
    state = rig.router.state("a/x")
    assert (state.successes, state.output_tokens, state.in_flight) == (1, 5, 0)
    assert rig.router.decisions[-1].served_by == "a/x"
    assert script.opened == 0


async def test_async_stream_that_is_closed_after_its_finish_reason_has_been_served() -> None:
    rig, script = Rig("a/x"), Script(list[Piece](COUNTED))
    plan = rig.router.plan("chat-completion")
    chunks = drivers.astream(plan, script.astream, TextWatch, rig.clock)
    assert [await anext(chunks), await anext(chunks)] == COUNTED[:2]
    await chunks.aclose()
    state = rig.router.state("a/x")
    assert (state.successes, state.output_tokens, state.in_flight) == (1, 5, 0)
    assert rig.router.decisions[-1].served_by == "a/x"
    assert script.opened == 0


async def test_task_that_is_cancelled_after_the_finish_reason_has_been_served() -> None:
    rig, reached = Rig("a/x"), asyncio.Event()

    async def late(_: object) -> AsyncGenerator[Chunk, None]:
        yield Chunk("a", finish="stop")
        reached.set()
        await asyncio.Future[None]()

    async def read() -> list[Chunk]:
        plan = rig.router.plan("chat-completion")
        return [c async for c in drivers.astream(plan, late, TextWatch, rig.clock)]

    task = asyncio.create_task(read())
    await reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    state = rig.router.state("a/x")
    assert (state.successes, state.failures, state.in_flight) == (1, 0, 0)


def test_stream_that_is_closed_before_it_says_nothing_of_the_model() -> None:
    rig, script = Rig("a/x"), Script(list[Piece](COUNTED))
    plan = rig.router.plan("chat-completion")
    chunks = drivers.stream(plan, script.stream, TextWatch, rig.clock)
    assert next(chunks) == COUNTED[0]
    chunks.close()
    state = rig.router.state("a/x")
    assert (state.successes, state.failures, state.output_tokens, state.in_flight) == (0, 0, 0, 0)


@pytest.mark.parametrize("drive", STREAM_DRIVERS)
def test_stream_that_breaks_after_its_finish_reason_has_been_served(drive: Driver) -> None:
    rig = Rig("a/x", "b/y")
    script = Script([Chunk("a"), Chunk(finish="stop", tokens=3), ConnectionResetError()])
    assert drive(rig, script, "chat-completion") == "a"
    state = rig.router.state("a/x")
    assert (state.successes, state.failures, state.in_flight) == (1, 0, 0)
    assert script.tried == ["a/x"]
