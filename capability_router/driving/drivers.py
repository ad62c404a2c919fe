"""Perform what a call decides: one driver for each of sync, async, stream and async stream.

They hold no decision of their own. The sync and the async one of each pair are the same but for
``await``; a test compares them.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import aclosing, closing
from typing import Protocol, TypeVar

from capability_router.clock import WaitingClock
from capability_router.driving.hanging_up import limited
from capability_router.driving.joining import Splice
from capability_router.driving.pace import Pace, failure_of_attempt
from capability_router.driving.reading import END, Reading, Watch
from capability_router.driving.waiting import alimited
from capability_router.engine.call import Call
from capability_router.engine.outcome import Failure, Usage
from capability_router.engine.steps import Stop, Try, Wait

__all__ = ["Judge", "Watch", "acall", "astream", "call", "stream"]

T = TypeVar("T")
Answer = TypeVar("Answer")
Chunk = TypeVar("Chunk")
Chunks = TypeVar("Chunks")
Answer_contra = TypeVar("Answer_contra", contravariant=True)


class Reader(Protocol):
    """Reads the exceptions of one client library."""

    def failure(self, error: Exception) -> Failure:
        """Name what an exception means."""
        ...


class Judge(Reader, Protocol[Answer_contra]):
    """Reads answers and exceptions of one client library."""

    def usage(self, answer: Answer_contra, step: Try) -> Usage:
        """Return the tokens of the answer to a step; raise if the answer is not complete."""
        ...


def call(
    plan: Call, attempt: Callable[[Try], Answer], judge: Judge[Answer], clock: WaitingClock
) -> Answer:
    """Run a call to its end.

    An attempt that takes longer than it may is given up: the connection on which it waits is hung
    up. What waits on something else than a socket, no thread can be called back from.

    Args:
        plan: Decides each step.
        attempt: Calls the model of one step.
        judge: Reads the answer, or the exception.
        clock: Waits where the plan says so.

    Raises:
        AllModelsFailedError: If nothing answered; it carries every attempt.
        NoAvailableModelError: If there was nothing to try.
        Exception: The provider's own error, where the caller is at fault.
    """

    def ask(step: Try) -> tuple[Answer, Usage]:
        with limited(Pace.of_answer(step)):
            answer = attempt(step)
        return answer, judge.usage(answer, step)

    step, (answer, usage) = _begun(plan, ask, lambda _: judge, clock, streamed=False)
    plan.succeeded(usage, step)
    return answer


async def acall(
    plan: Call,
    attempt: Callable[[Try], Awaitable[Answer]],
    judge: Judge[Answer],
    clock: WaitingClock,
) -> Answer:
    """Run a call to its end; as ``call``, awaiting each attempt, which is cancelled in time."""

    async def ask(step: Try) -> tuple[Answer, Usage]:
        async with alimited(Pace.of_answer(step)):
            answer = await attempt(step)
        return answer, judge.usage(answer, step)

    step, (answer, usage) = await _abegun(plan, ask, lambda _: judge, clock, streamed=False)
    plan.succeeded(usage, step)
    return answer


def stream(
    plan: Call,
    attempt: Callable[[Try], Generator[Chunk, None, None]],
    watcher: Callable[[Try], Watch[Chunk]],
    clock: WaitingClock,
    splice: Splice[Chunk] | None = None,
) -> Generator[Chunk, None, None]:
    """Run a streamed call to its end.

    Up to the first chunk that brings something a failing model is replaced without a trace. After
    it the plan says how to go on. A caller may close the stream at any time: with the finish
    reason the model has served, and counts so; before it nobody is to blame.

    Args:
        plan: Decides each step.
        attempt: Opens the stream of one step.
        watcher: Makes the watch over one attempt.
        clock: Waits where the plan says so.
        splice: Lets the streams of two models be one; None where they cannot be.

    Raises:
        StreamInterruptedError: If a stream broke after a chunk had been handed out, and nobody
            could go on with it.
        AllModelsFailedError: If nothing answered; it carries every attempt.
        NoAvailableModelError: If there was nothing to try.
        Exception: The provider's own error, where the caller is at fault.
    """

    def begin(step: Try) -> Reading[Chunk, Generator[Chunk, None, None]]:
        return _shown(Reading(step, attempt(step), watcher(step), splice))

    while True:
        step, reading = _begun(plan, begin, watcher, clock, streamed=True)
        plan.first_token(step)
        try:
            with closing(reading.chunks):
                limit = limited(reading.pace)
                for ready in reading.ready():
                    yield ready
                while not reading.ended:
                    with limit:
                        chunk = next(reading.chunks, END)
                    reading.take(chunk)
                    for ready in reading.ready():
                        yield ready
        except Exception as error:  # noqa: BLE001 - a client library may raise anything
            if _broke(plan, reading, error):
                return
        except BaseException:
            _left(plan, reading.watch)
            raise
        else:
            plan.succeeded(reading.watch.usage)
            return


async def astream(
    plan: Call,
    attempt: Callable[[Try], AsyncGenerator[Chunk, None]],
    watcher: Callable[[Try], Watch[Chunk]],
    clock: WaitingClock,
    splice: Splice[Chunk] | None = None,
) -> AsyncGenerator[Chunk, None]:
    """Run a streamed call to its end; as ``stream``, awaiting each chunk."""

    async def begin(step: Try) -> Reading[Chunk, AsyncGenerator[Chunk, None]]:
        return await _ashown(Reading(step, attempt(step), watcher(step), splice))

    while True:
        step, reading = await _abegun(plan, begin, watcher, clock, streamed=True)
        plan.first_token(step)
        try:
            async with aclosing(reading.chunks):
                limit = alimited(reading.pace)
                for ready in reading.ready():
                    yield ready
                while not reading.ended:
                    async with limit:
                        chunk = await anext(reading.chunks, END)
                    reading.take(chunk)
                    for ready in reading.ready():
                        yield ready
        except Exception as error:  # noqa: BLE001 - a client library may raise anything
            if _broke(plan, reading, error):
                return
        except BaseException:
            _left(plan, reading.watch)
            raise
        else:
            plan.succeeded(reading.watch.usage)
            return


def _begun(
    plan: Call,
    run: Callable[[Try], T],
    reader: Callable[[Try], Reader],
    clock: WaitingClock,
    *,
    streamed: bool,
) -> tuple[Try, T]:
    """Go from one attempt to the next until one brings something; return both."""
    while True:
        step = _next(plan, clock)
        failure = reader(step).failure
        try:
            return _first(plan, step, run, failure, streamed=streamed)
        except Exception as error:  # noqa: BLE001 - a client library may raise anything
            plan.failed(failure_of_attempt(error, failure))
        except BaseException:
            plan.cancelled()
            raise


async def _abegun(
    plan: Call,
    run: Callable[[Try], Awaitable[T]],
    reader: Callable[[Try], Reader],
    clock: WaitingClock,
    *,
    streamed: bool,
) -> tuple[Try, T]:
    """Go from one attempt to the next until one brings something; return both."""
    while True:
        step = await _anext(plan, clock)
        failure = reader(step).failure
        try:
            return await _afirst(plan, step, run, failure, streamed=streamed)
        except Exception as error:  # noqa: BLE001 - a client library may raise anything
            plan.failed(failure_of_attempt(error, failure))
        except BaseException:
            plan.cancelled()
            raise


def _shown(
    reading: Reading[Chunk, Generator[Chunk, None, None]],
) -> Reading[Chunk, Generator[Chunk, None, None]]:
    """Read up to the first chunk that brings something, or to the end."""
    try:
        while not reading.ended and not reading.watch.committed:
            with limited(reading.pace):
                chunk = next(reading.chunks, END)
            reading.take(chunk)
    except BaseException:
        reading.chunks.close()
        raise
    return reading


async def _ashown(
    reading: Reading[Chunk, AsyncGenerator[Chunk, None]],
) -> Reading[Chunk, AsyncGenerator[Chunk, None]]:
    """Read up to the first chunk that brings something, or to the end."""
    try:
        while not reading.ended and not reading.watch.committed:
            async with alimited(reading.pace):
                chunk = await anext(reading.chunks, END)
            reading.take(chunk)
    except BaseException:
        await reading.chunks.aclose()
        raise
    return reading


def _first(
    plan: Call,
    step: Try,
    run: Callable[[Try], T],
    failure: Callable[[Exception], Failure],
    *,
    streamed: bool,
) -> tuple[Try, T]:
    """Run an attempt, and another one beside it where the pool hedges; return which came first."""
    after_s = plan.hedge_after_s(streamed=streamed)
    if after_s is None:
        return step, run(step)
    # Here and not above: few pools hedge, and it needs what takes long to import.
    from capability_router.driving.hedging import raced  # noqa: PLC0415 - said above

    return raced(plan, step, after_s, run, failure)


async def _afirst(
    plan: Call,
    step: Try,
    run: Callable[[Try], Awaitable[T]],
    failure: Callable[[Exception], Failure],
    *,
    streamed: bool,
) -> tuple[Try, T]:
    """Run an attempt, and another one beside it where the pool hedges; return which came first."""
    after_s = plan.hedge_after_s(streamed=streamed)
    if after_s is None:
        return step, await run(step)
    # Here and not above: few pools hedge, and it needs what takes long to import.
    from capability_router.driving.hedging import araced  # noqa: PLC0415 - said above

    return await araced(plan, step, after_s, run, failure)


def _next(plan: Call, clock: WaitingClock) -> Try:
    """Wait as the plan says, up to the next attempt."""
    step = plan.next()
    while isinstance(step, Wait):
        try:
            clock.sleep(step.seconds)
        except BaseException:
            plan.cancelled()
            raise
        step = plan.next()
    if isinstance(step, Stop):
        raise step.error
    return step


async def _anext(plan: Call, clock: WaitingClock) -> Try:
    """Wait as the plan says, up to the next attempt."""
    step = plan.next()
    while isinstance(step, Wait):
        try:
            await clock.asleep(step.seconds)
        except BaseException:
            plan.cancelled()
            raise
        step = plan.next()
    if isinstance(step, Stop):
        raise step.error
    return step


def _broke(plan: Call, reading: Reading[Chunk, Chunks], error: Exception) -> bool:
    """Report that a stream broke; True if the answer was whole all the same.

    After the finish reason nothing follows but the usage at most.
    """
    watch = reading.watch
    if watch.finished and watch.complete:
        plan.succeeded(watch.usage)
        return True
    plan.failed(reading.failure(error))
    plan.interrupted(watch.text, only_text=reading.only_text)
    return False


def _left(plan: Call, watch: Watch[Chunk]) -> None:
    """Report that the caller stays no longer, be it for having the whole answer already."""
    if watch.finished:
        plan.succeeded(watch.usage)
    else:
        plan.cancelled()
