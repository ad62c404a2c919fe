"""Every limit on waiting, held against a server that is silent or trickles on and on."""

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator, Iterator
from dataclasses import dataclass
from socket import create_connection
from time import monotonic
from typing import Any

import pytest

from capability_router.driving import drivers
from capability_router.engine.errors import (
    AllModelsFailedError,
    AttemptTimeoutError,
    StreamInterruptedError,
)
from capability_router.engine.model import Model
from capability_router.engine.outcome import FailureKind
from capability_router.engine.request import CompletionRequest
from capability_router.engine.retry import RetryPolicy
from capability_router.engine.rotation import RotationPolicy
from capability_router.engine.selection import Priority
from capability_router.engine.steps import Try
from tests.endless import Endless, endless
from tests.engine.building import CHAT, Chunk, Request, Rig, Script, TextWatch, pieces
from tests.late import everybody_late_was_looked_at

SOON_S = 0.02
# For what has to come in time, also where the machine is busy.
LATER_S = 1.0
TRICKLING = b"."


@dataclass(frozen=True)
class Client:
    """Asks one server, which says a letter of the answer with each byte but the dots."""

    server: Endless

    def answer(self, asked: Model) -> str:
        if asked.provider == "good":
            return "hello"
        with create_connection(("127.0.0.1", self.server.port)) as connection:
            connection.sendall(b"?")
            while byte := connection.recv(1):
                assert byte == TRICKLING
        raise ConnectionError("the server has hung up")

    async def aanswer(self, asked: Model) -> str:
        if asked.provider == "good":
            return "hello"
        reader, writer = await asyncio.open_connection("127.0.0.1", self.server.port)
        try:
            writer.write(b"?")
            while byte := await reader.read(1):
                assert byte == TRICKLING
        finally:
            writer.close()
            await writer.wait_closed()
        raise ConnectionError("the server has hung up")

    def stream(self, step: Try) -> Generator[Chunk, None, None]:
        if step.model.provider == "good":
            yield from (Chunk("hello"), Chunk(finish="stop"))
            return
        with create_connection(("127.0.0.1", self.server.port)) as connection:
            connection.sendall(b"?")
            while byte := connection.recv(1):
                yield chunk(byte)

    async def astream(self, step: Try) -> AsyncGenerator[Chunk, None]:
        if step.model.provider == "good":
            yield Chunk("hello")
            yield Chunk(finish="stop")
            return
        reader, writer = await asyncio.open_connection("127.0.0.1", self.server.port)
        try:
            writer.write(b"?")
            while byte := await reader.read(1):
                yield chunk(byte)
        finally:
            writer.close()
            await writer.wait_closed()


def chunk(byte: bytes) -> Chunk:
    return Chunk("" if byte == TRICKLING else byte.decode())


Driver = Callable[[Rig, Client, Request], str]


def run_call(rig: Rig, client: Client, request: Request) -> str:
    return rig.router.call(request, client.answer)


def run_acall(rig: Rig, client: Client, request: Request) -> str:
    return asyncio.run(alone(rig.router.acall(request, client.aanswer)))


def run_stream(rig: Rig, client: Client, request: Request) -> str:
    chunks = drivers.stream(rig.router.plan(request), client.stream, TextWatch, rig.clock)
    return "".join(each.text for each in chunks)


def run_astream(rig: Rig, client: Client, request: Request) -> str:
    async def collected() -> str:
        plan = rig.router.plan(request)
        chunks = drivers.astream(plan, client.astream, TextWatch, rig.clock)
        return "".join([each.text async for each in chunks])

    return asyncio.run(alone(collected()))


async def alone(work: Coroutine[Any, Any, str]) -> str:
    """Await something, and see that it leaves no task."""
    try:
        return await work
    finally:
        assert asyncio.all_tasks() == {asyncio.current_task()}


whole = pytest.mark.parametrize("drive", [run_call, run_acall])
streamed = pytest.mark.parametrize("drive", [run_stream, run_astream])
every = pytest.mark.parametrize("drive", [run_call, run_acall, run_stream, run_astream])
whatever_it_says = pytest.mark.parametrize("says", [b"", b"."], ids=["silent", "trickling"])


def outlast(seconds: float) -> None:
    """Take longer than some seconds."""
    over = monotonic() + seconds
    while monotonic() <= over:
        everybody_late_was_looked_at()


def rig_with(retry: RetryPolicy, *models: str) -> Rig:
    policy = RotationPolicy(selection=Priority, retry=retry)
    return Rig(*(models or ("bad/x", "good/y")), policy=policy)


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    # The one that hangs up on late threads stays for the life of the process.
    assert {t.name for t in set(threading.enumerate()) - before} <= {"capability-router-hang-up"}


def given_up(rig: Rig, server: Endless) -> tuple[FailureKind | None, str]:
    """Return how the first attempt was given up, having seen that it has left nothing behind."""
    assert server.is_alone()
    assert all(rig.router.state(each.id).in_flight == 0 for each in rig.router.models)
    attempt = rig.router.plans[-1].attempts[0]
    assert isinstance(attempt.error, AttemptTimeoutError)
    return attempt.kind, attempt.error.awaited


@whole
@whatever_it_says
def test_whole_answer_that_does_not_come_in_time_is_given_up(drive: Driver, says: bytes) -> None:
    rig = rig_with(RetryPolicy(attempt_timeout_s=SOON_S), "bad/x")
    with endless(again=says) as server:
        with pytest.raises(AllModelsFailedError):
            drive(rig, Client(server), CHAT)
        assert given_up(rig, server) == (FailureKind.TIMEOUT, "answer")
    assert rig.health() == {"bad/x": (1, False)}


@streamed
@whatever_it_says
def test_first_token_that_does_not_come_in_time_is_given_up(drive: Driver, says: bytes) -> None:
    rig = rig_with(RetryPolicy(first_token_timeout_s=SOON_S), "bad/x")
    with endless(again=says) as server:
        with pytest.raises(AllModelsFailedError):
            drive(rig, Client(server), CHAT)
        assert given_up(rig, server) == (FailureKind.TIMEOUT, "first token")
    assert rig.health() == {"bad/x": (1, False)}


@streamed
def test_stream_that_falls_silent_has_stalled(drive: Driver) -> None:
    rig = rig_with(RetryPolicy(stall_timeout_s=SOON_S), "bad/x")
    with endless(head=b"ab") as server:
        with pytest.raises(StreamInterruptedError) as caught:
            drive(rig, Client(server), CHAT)
        assert given_up(rig, server) == (FailureKind.STALLED, "next chunk")
    assert caught.value.partial_text in {"a", "ab"}
    assert rig.health() == {"bad/x": (1, False)}


@every
@whatever_it_says
def test_deadline_ends_an_attempt_in_progress(drive: Driver, says: bytes) -> None:
    rig = rig_with(RetryPolicy(deadline_s=SOON_S, attempt_timeout_s=60.0), "bad/x")
    with endless(again=says) as server:
        with pytest.raises(AllModelsFailedError):
            drive(rig, Client(server), CHAT)
        assert given_up(rig, server) == (FailureKind.TIMEOUT, "end of the answer")
    assert rig.health() == {"bad/x": (1, False)}


@streamed
def test_deadline_ends_a_stream_that_flows(drive: Driver) -> None:
    rig = rig_with(RetryPolicy(deadline_s=LATER_S, attempt_timeout_s=60.0))
    with endless(head=b"a", again=b"b") as server:
        with pytest.raises(StreamInterruptedError) as caught:
            drive(rig, Client(server), CHAT)
        assert given_up(rig, server) == (FailureKind.TIMEOUT, "end of the answer")
    assert caught.value.partial_text.strip("b") == "a"


@every
@pytest.mark.parametrize(
    "impatient",
    [CompletionRequest(CHAT, timeout_s=SOON_S), CompletionRequest(CHAT, deadline_s=SOON_S)],
    ids=["timeout", "deadline"],
)
def test_limit_that_only_its_caller_found_short_counts_against_nobody(
    drive: Driver, impatient: CompletionRequest
) -> None:
    rig = rig_with(RetryPolicy(), "bad/x")
    with endless() as server:
        with pytest.raises(AllModelsFailedError):
            drive(rig, Client(server), impatient)
        assert given_up(rig, server)[0] is FailureKind.TIMEOUT
    assert rig.health() == {"bad/x": (0, False)}
    assert rig.router.state("bad/x").failures == 0


@streamed
def test_stall_that_only_its_caller_found_long_counts_against_nobody(drive: Driver) -> None:
    rig = rig_with(RetryPolicy(), "bad/x")
    with endless(head=b"ab") as server:
        with pytest.raises(StreamInterruptedError):
            drive(rig, Client(server), CompletionRequest(CHAT, timeout_s=LATER_S))
        assert given_up(rig, server) == (FailureKind.STALLED, "next chunk")
    assert rig.health() == {"bad/x": (0, False)}


@streamed
def test_trial_of_a_model_that_has_streamed_is_short(drive: Driver) -> None:
    rig = rig_with(RetryPolicy(trial_timeout_s=SOON_S))
    rig.router.state("bad/x").first_token_s = 0.1
    rig.fail_out("bad/x")
    rig.clock.advance(12.0)
    with endless() as server:
        assert drive(rig, Client(server), CHAT) == "hello"
        assert given_up(rig, server) == (FailureKind.TIMEOUT, "first token")
    assert rig.router.decisions[-1].attempts[0].probe
    assert rig.standby() == ["bad/x"]


def test_consumer_that_takes_its_time_between_two_chunks_is_no_stall() -> None:
    rig, script = rig_with(RetryPolicy(stall_timeout_s=LATER_S), "good/y"), Script("hello")
    plan = rig.router.plan(CHAT)
    chunks = drivers.stream(plan, script.stream, TextWatch, rig.clock)
    got = [next(chunks) for _ in range(3)]
    outlast(LATER_S)
    assert [*got, *chunks] == pieces("hello")
    assert rig.router.state("good/y").successes == 1


async def test_task_that_takes_its_time_between_two_chunks_is_no_stall() -> None:
    rig, script = rig_with(RetryPolicy(stall_timeout_s=LATER_S), "good/y"), Script("hello")
    plan = rig.router.plan(CHAT)
    chunks = drivers.astream(plan, script.astream, TextWatch, rig.clock)
    got = [await anext(chunks) for _ in range(3)]
    await asyncio.to_thread(outlast, LATER_S)
    assert [*got, *[chunk async for chunk in chunks]] == pieces("hello")
    assert rig.router.state("good/y").successes == 1


def test_deadline_that_passes_while_the_consumer_has_a_chunk_blames_nobody() -> None:
    rig = rig_with(RetryPolicy(deadline_s=LATER_S, attempt_timeout_s=60.0), "good/y", "good/z")
    plan, script = rig.router.plan(CHAT), Script("hello")
    chunks = drivers.stream(plan, script.stream, TextWatch, rig.clock)
    assert [next(chunks) for _ in range(3)] == pieces("hello")[:3]
    outlast(LATER_S)
    with pytest.raises(StreamInterruptedError) as caught:
        next(chunks)
    assert_nobody_is_to_blame(rig, caught.value)


async def test_deadline_that_passes_while_the_task_has_a_chunk_blames_nobody() -> None:
    rig = rig_with(RetryPolicy(deadline_s=LATER_S, attempt_timeout_s=60.0), "bad/x", "good/z")
    with endless(head=b"he") as server:
        attempt = Client(server).astream
        chunks = drivers.astream(rig.router.plan(CHAT), attempt, TextWatch, rig.clock)
        assert [await anext(chunks) for _ in range(2)] == [Chunk("h"), Chunk("e")]
        await asyncio.to_thread(outlast, LATER_S)
        with pytest.raises(StreamInterruptedError) as caught:
            await anext(chunks)
        assert server.is_alone()
    assert_nobody_is_to_blame(rig, caught.value)


def assert_nobody_is_to_blame(rig: Rig, error: StreamInterruptedError) -> None:
    assert isinstance(error.__cause__, AttemptTimeoutError)
    assert error.__cause__.awaited == "next read"
    assert [attempt.kind for attempt in error.attempts] == [FailureKind.CANCELLED]
    for each in rig.router.models:
        state = rig.router.state(each.id)
        assert (state.consecutive_failures, state.failures, state.in_flight) == (0, 0, 0)
