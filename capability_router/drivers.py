"""Perform what a call decides: one driver for each of sync, async, stream and async stream.

They hold no decision of their own. The sync and the async one of each pair are the same but for
``await``; a test compares them.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import aclosing, closing
from typing import Generic, Protocol, TypeVar

from capability_router.clock import WaitingClock
from capability_router.engine.call import Call, Stop, Try, Wait
from capability_router.engine.errors import IncompleteAnswerError, StreamInterruptedError
from capability_router.engine.outcome import Failure, Usage

__all__ = ["Judge", "Watch", "acall", "astream", "call", "stream"]

Answer = TypeVar("Answer")
Chunk = TypeVar("Chunk")
Answer_contra = TypeVar("Answer_contra", contravariant=True)
Chunk_contra = TypeVar("Chunk_contra", contravariant=True)


class Judge(Protocol[Answer_contra]):
    """Reads answers and exceptions of one client library."""

    def failure(self, error: Exception) -> Failure:
        """Name what an exception means."""
        ...

    def usage(self, answer: Answer_contra) -> Usage:
        """Return the tokens of an answer; raise if the answer is not complete."""
        ...


class Watch(Protocol[Chunk_contra]):
    """Follows the chunks of one streamed attempt."""

    @property
    def usage(self) -> Usage:
        """The tokens counted so far."""
        ...

    @property
    def committed(self) -> bool:
        """True once a chunk has brought text, a tool call or reasoning."""
        ...

    @property
    def complete(self) -> bool:
        """True once the stream may end; one that ends before was cut."""
        ...

    @property
    def finished(self) -> bool:
        """True once a real finish reason has come: who leaves now has missed nothing."""
        ...

    @property
    def text(self) -> str:
        """The text handed out so far."""
        ...

    def take(self, chunk: Chunk_contra) -> None:
        """Note one chunk."""
        ...

    def failure(self, error: Exception) -> Failure:
        """Name what an exception means."""
        ...


def call(
    plan: Call, attempt: Callable[[Try], Answer], judge: Judge[Answer], clock: WaitingClock
) -> Answer:
    """Run a call to its end.

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
    while True:
        step = _next(plan, clock)
        try:
            answer = attempt(step)
            usage = judge.usage(answer)
        except Exception as error:  # noqa: BLE001 - a client library may raise anything
            plan.failed(judge.failure(error))
        except BaseException:
            plan.cancelled()
            raise
        else:
            plan.succeeded(usage)
            return answer


async def acall(
    plan: Call,
    attempt: Callable[[Try], Awaitable[Answer]],
    judge: Judge[Answer],
    clock: WaitingClock,
) -> Answer:
    """Run a call to its end; as ``call``, awaiting each attempt."""
    while True:
        step = await _anext(plan, clock)
        try:
            answer = await attempt(step)
            usage = judge.usage(answer)
        except Exception as error:  # noqa: BLE001 - a client library may raise anything
            plan.failed(judge.failure(error))
        except BaseException:
            plan.cancelled()
            raise
        else:
            plan.succeeded(usage)
            return answer


def stream(
    plan: Call,
    attempt: Callable[[Try], Generator[Chunk, None, None]],
    watcher: Callable[[], Watch[Chunk]],
    clock: WaitingClock,
) -> Generator[Chunk, None, None]:
    """Run a streamed call to its end.

    Chunks are held back until one commits, that is, brings text, a tool call or reasoning; up to
    then a failing model is replaced without a trace. A caller may close the stream at any time:
    with the finish reason the model has served, and counts so; before it nobody is to blame.

    Args:
        plan: Decides each step.
        attempt: Opens the stream of one step.
        watcher: Makes the watch for one attempt.
        clock: Waits where the plan says so.

    Raises:
        StreamInterruptedError: If a stream broke after a chunk had been handed out.
        AllModelsFailedError: If nothing answered; it carries every attempt.
        NoAvailableModelError: If there was nothing to try.
        Exception: The provider's own error, where the caller is at fault.
    """
    while True:
        step = _next(plan, clock)
        held = _Held(watcher(), plan)
        try:
            with closing(attempt(step)) as chunks:
                for chunk in chunks:
                    for ready in held.take(chunk):
                        yield ready
        except Exception as error:  # noqa: BLE001 - a client library may raise anything
            _broke(plan, held.watch, error)
        except BaseException:
            _left(plan, held.watch)
            raise
        else:
            if _complete(plan, held.watch):
                for ready in held.chunks:
                    yield ready
                return


async def astream(
    plan: Call,
    attempt: Callable[[Try], AsyncGenerator[Chunk, None]],
    watcher: Callable[[], Watch[Chunk]],
    clock: WaitingClock,
) -> AsyncGenerator[Chunk, None]:
    """Run a streamed call to its end; as ``stream``, awaiting each chunk."""
    while True:
        step = await _anext(plan, clock)
        held = _Held(watcher(), plan)
        try:
            async with aclosing(attempt(step)) as chunks:
                async for chunk in chunks:
                    for ready in held.take(chunk):
                        yield ready
        except Exception as error:  # noqa: BLE001 - a client library may raise anything
            _broke(plan, held.watch, error)
        except BaseException:
            _left(plan, held.watch)
            raise
        else:
            if _complete(plan, held.watch):
                for ready in held.chunks:
                    yield ready
                return


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


class _Held(Generic[Chunk]):
    """The chunks of one attempt that cannot be handed out yet, because another may replace them."""

    def __init__(self, watch: Watch[Chunk], plan: Call) -> None:
        self.watch = watch
        self.chunks: list[Chunk] = []
        self._plan = plan

    def take(self, chunk: Chunk) -> list[Chunk]:
        """Note a chunk, and return those that can be handed out now."""
        self.watch.take(chunk)
        if not self.watch.committed:
            self.chunks.append(chunk)
            return []
        self._plan.first_token()
        ready, self.chunks = [*self.chunks, chunk], []
        return ready


def _complete(plan: Call, watch: Watch[Chunk]) -> bool:
    """Report a stream that ended by itself; False if it was cut before anything was handed out."""
    if watch.complete:
        plan.succeeded(watch.usage)
    else:
        _broke(plan, watch, IncompleteAnswerError())
    return watch.complete


def _left(plan: Call, watch: Watch[Chunk]) -> None:
    """Report that the caller stays no longer, be it for having the whole answer already."""
    if watch.finished:
        plan.succeeded(watch.usage)
    else:
        plan.cancelled()


def _broke(plan: Call, watch: Watch[Chunk], error: Exception) -> None:
    """Report a broken stream; what has been handed out cannot be taken back."""
    plan.failed(watch.failure(error))
    if watch.committed:
        plan.give_up()
        raise StreamInterruptedError(watch.text, plan.attempts) from error
