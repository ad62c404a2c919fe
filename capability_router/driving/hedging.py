"""Two attempts beside each other: the first that brings something is used, the other one is left.

Imported with the first request of a pool that hedges.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextvars import copy_context
from threading import Thread
from types import FrameType
from typing import Any, Generic, TypeVar, cast

from capability_router.driving.hanging_up import Line
from capability_router.driving.pace import failure_of_attempt
from capability_router.driving.reading import Reading
from capability_router.engine.call import Call
from capability_router.engine.outcome import Failure
from capability_router.engine.steps import Try

__all__ = ["araced", "raced"]

T = TypeVar("T")


def raced(
    plan: Call,
    step: Try,
    after_s: float,
    run: Callable[[Try], T],
    failure: Callable[[Exception], Failure],
) -> tuple[Try, T]:
    """Run an attempt, and a second one beside it if the first takes long.

    Each has a thread of its own, with the context of the caller. The one that is left is hung up.

    Args:
        plan: Hands out the second attempt, and takes note of the one that is not used.
        step: The first attempt.
        after_s: Seconds after which the second one starts, >= 0.
        run: Makes an attempt.
        failure: Names what an exception means.

    Returns:
        The attempt that came first, and what it has brought.

    Raises:
        Exception: That of the attempt that failed last, or in a way that ends the call; it is not
            reported to the plan yet.
    """
    legs = [_Leg(step, run)]
    try:
        legs[0].start()
        wait([legs[0].outcome], after_s)
        if not legs[0].outcome.done() and (beside := plan.hedge()) is not None:
            # Before it starts, or an interrupt that comes just then would leave it running.
            legs.append(_Leg(beside, run))
            try:
                legs[1].start()
            except RuntimeError:
                # No further thread is to be had: the first attempt goes on alone.
                legs.pop()
                plan.won(step)
        while True:
            wait([leg.outcome for leg in legs], return_when=FIRST_COMPLETED)
            for leg in [leg for leg in legs if leg.outcome.done()]:
                error = leg.outcome.exception()
                if error is None:
                    legs.remove(leg)
                    plan.won(leg.step)
                    return leg.step, leg.outcome.result()
                if not isinstance(error, Exception):
                    raise error
                why = failure_of_attempt(error, failure)
                if len(legs) == 1 or plan.ends_with(why, leg.step):
                    plan.won(leg.step)
                    raise error
                legs.remove(leg)
                plan.failed(why, leg.step)
    finally:
        for leg in legs:
            leg.leave()


async def araced(
    plan: Call,
    step: Try,
    after_s: float,
    run: Callable[[Try], Awaitable[T]],
    failure: Callable[[Exception], Failure],
) -> tuple[Try, T]:
    """Run an attempt, and a second one beside it if the first takes long; as ``raced``, in tasks.

    The one that is left is cancelled, and has ended when this returns.
    """
    legs = {asyncio.ensure_future(run(step)): step}
    try:
        done, _ = await asyncio.wait(legs, timeout=after_s)
        if not done and (beside := plan.hedge()) is not None:
            legs[asyncio.ensure_future(run(beside))] = beside
        while True:
            done, _ = await asyncio.wait(legs, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                error = task.exception()
                if error is None:
                    leg = legs.pop(task)
                    plan.won(leg)
                    return leg, task.result()
                if not isinstance(error, Exception):
                    raise error
                why = failure_of_attempt(error, failure)
                if len(legs) == 1 or plan.ends_with(why, legs[task]):
                    plan.won(legs[task])
                    raise error
                plan.failed(why, legs.pop(task))
    finally:
        for task in legs:
            task.cancel()
        for left in await asyncio.gather(*legs, return_exceptions=True):
            if isinstance(left, Reading):
                await cast("Reading[Any, Any]", left).chunks.aclose()


class _Leg(Generic[T]):
    """An attempt in a thread of its own.

    Args:
        step: The attempt.
        run: Makes it.
    """

    def __init__(self, step: Try, run: Callable[[Try], T]) -> None:
        self.step = step
        self.outcome: Future[T] = Future()
        self._line = Line()
        self._frame: FrameType | None = None
        self._left = False
        context = copy_context()
        # A daemon: a program that ends need not wait for what nobody wants any more.
        self._thread = Thread(
            target=context.run, args=(self._run, run), name="capability-router-attempt", daemon=True
        )

    def start(self) -> None:
        """Begin; once only."""
        self._thread.start()

    def leave(self) -> None:
        """Let the attempt go: it is hung up, and whatever it still brings is closed."""
        self._left = True
        if not self.outcome.done() and self._frame is not None:
            self._line.arm(0.0, self._frame, self._thread.ident)
        self.outcome.add_done_callback(self._forget)

    def _run(self, run: Callable[[Try], T]) -> None:
        self._frame = sys._getframe()  # pyright: ignore[reportPrivateUsage] - public in all but name
        if self._left:
            return
        try:
            answer = run(self.step)
        except BaseException as error:  # noqa: BLE001 - raised again by whoever waits for it
            self.outcome.set_exception(error)
        else:
            self.outcome.set_result(answer)
        finally:
            self._frame = None

    def _forget(self, outcome: Future[T]) -> None:
        self._line.disarm()
        if outcome.exception() is None and isinstance(left := outcome.result(), Reading):
            cast("Reading[Any, Any]", left).chunks.close()
