"""Two models in a race, what each attempt on them does, and the four drivers that hold it."""

import _thread
import asyncio
import threading
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from contextvars import ContextVar
from typing import Any

import pytest

from capability_router.driving import drivers
from capability_router.engine.hedge import Hedge
from capability_router.engine.model import Model
from capability_router.engine.outcome import FailureKind
from capability_router.engine.request import CompletionRequest
from capability_router.engine.retry import RetryPolicy
from capability_router.engine.rotation import RotationPolicy
from capability_router.engine.selection import Priority
from capability_router.engine.steps import Try
from tests.engine.building import CHAT, Chunk, Rig, TextSplice, TextWatch
from tests.late import pair, receive

AT_ONCE, NEVER = Hedge(after_s=0.0), Hedge(after_s=600.0)
CANCELLED = FailureKind.CANCELLED


class Signal:
    """What the process is sent while its main thread waits."""


Act = str | BaseException | Signal
"""What an attempt does next: hangs, waits for something, raises; in the end it answers."""

_pause = threading.Event().wait
caller: ContextVar[str] = ContextVar("caller", default="nobody")


class Race:
    """Two models, and what an attempt on each of them does."""

    def __init__(
        self,
        first: list[Act],
        second: list[Act],
        hedge: Hedge = AT_ONCE,
        retry: RetryPolicy | None = None,
    ) -> None:
        policy = RotationPolicy(selection=Priority, hedge=hedge, retry=retry or RetryPolicy())
        self.rig = Rig("a/x", "b/y", policy=policy)
        self._acts = {"a/x": iter(first), "b/y": iter(second)}
        self.begun: set[str] = set()
        self.open: set[str] = set()
        self.callers: set[str] = set()
        self.breaks: dict[str, Exception] = {}
        self.over = False

    # An attempt, in a thread and in a task.

    def answer(self, asked: Model) -> str:
        self._begin(asked.id)
        try:
            for act in self._acts[asked.id]:
                if act == "hangs":
                    with_nobody_at_the_other_end()
                while not self._is_time(act, asked.id):
                    _pause(0.001)
        finally:
            self.open.discard(asked.id)
        return asked.id

    async def aanswer(self, asked: Model) -> str:
        self._begin(asked.id)
        try:
            for act in self._acts[asked.id]:
                if act == "hangs":
                    await asyncio.Future[None]()
                while not self._is_time(act, asked.id):  # noqa: ASYNC110 - as threads do
                    await asyncio.sleep(0)
        finally:
            self.open.discard(asked.id)
        return asked.id

    def stream(self, step: Try) -> Generator[Chunk, None, None]:
        yield Chunk()
        text = self.answer(step.model)
        self.open.add(step.model.id)
        try:
            yield Chunk(text, tokens=1)
            if (error := self.breaks.pop(text, None)) is not None:
                raise error
            yield Chunk(finish="stop")
        finally:
            self.open.discard(step.model.id)

    async def astream(self, step: Try) -> AsyncGenerator[Chunk, None]:
        yield Chunk()
        text = await self.aanswer(step.model)
        self.open.add(step.model.id)
        try:
            yield Chunk(text, tokens=1)
            if (error := self.breaks.pop(text, None)) is not None:
                raise error
            yield Chunk(finish="stop")
        finally:
            self.open.discard(step.model.id)

    def _begin(self, model_id: str) -> None:
        self.begun.add(model_id)
        self.open.add(model_id)
        self.callers.add(caller.get())

    def _is_time(self, act: Act, model_id: str) -> bool:
        other = "b/y" if model_id == "a/x" else "a/x"
        if isinstance(act, BaseException):
            raise act
        match act:
            case Signal():
                _thread.interrupt_main()
                return True
            case "other begins":
                return other in self.begun
            case "other failed":
                return self.rig.router.state(other).failures > 0
            case "all is over":
                return self.over
            case _:
                raise AssertionError(act)

    # What came of it.

    @property
    def tried(self) -> list[tuple[str, str | None, bool]]:
        (decision,) = self.rig.router.decisions
        return [(each.model, each.kind, each.hedge) for each in decision.attempts]

    def end(self) -> None:
        """Let whoever still waits go on, and see that nothing is left of it."""
        self.over = True
        for thread in threads_of_attempts():
            thread.join(10.0)
            assert not thread.is_alive()
        assert self.open == set()
        assert all(self.rig.router.state(m.id).in_flight == 0 for m in self.rig.router.models)


def with_nobody_at_the_other_end() -> None:
    with pair() as ends:
        receive(ends[0])
        raise ConnectionError("hung up")


def threads_of_attempts() -> list[threading.Thread]:
    return [each for each in threading.enumerate() if each.name == "capability-router-attempt"]


Driver = Callable[[Race, CompletionRequest], str]
AsyncDriver = Callable[[Race, CompletionRequest], Coroutine[Any, Any, str]]


def run_call(race: Race, request: CompletionRequest) -> str:
    return race.rig.router.call(request, race.answer)


async def acalled(race: Race, request: CompletionRequest) -> str:
    return await race.rig.router.acall(request, race.aanswer)


def run_acall(race: Race, request: CompletionRequest) -> str:
    return asyncio.run(alone(acalled(race, request)))


def run_stream(race: Race, request: CompletionRequest) -> str:
    rig = race.rig
    chunks = drivers.stream(
        rig.router.plan(request), race.stream, TextWatch, rig.clock, TextSplice()
    )
    return "".join(chunk.text for chunk in chunks)


async def astreamed(race: Race, request: CompletionRequest) -> str:
    rig = race.rig
    chunks = drivers.astream(
        rig.router.plan(request), race.astream, TextWatch, rig.clock, TextSplice()
    )
    return "".join([chunk.text async for chunk in chunks])


def run_astream(race: Race, request: CompletionRequest) -> str:
    return asyncio.run(alone(astreamed(race, request)))


async def alone(work: Coroutine[Any, Any, str]) -> str:
    """Await something, and see that it leaves no task."""
    try:
        return await work
    finally:
        assert asyncio.all_tasks() == {asyncio.current_task()}


DRIVERS: tuple[Driver, ...] = (run_call, run_acall, run_stream, run_astream)
every = pytest.mark.parametrize("drive", DRIVERS)
ASKED = CompletionRequest(CHAT)


def without_failures(race: Race) -> bool:
    return race.rig.health() == {"a/x": (0, False), "b/y": (0, False)}
