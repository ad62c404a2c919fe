"""Streams that break, and what their caller has of them, through both stream drivers."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Generator, Iterable
from dataclasses import dataclass

from capability_router.driving import drivers
from capability_router.engine.feature import Feature
from capability_router.engine.model import Model
from capability_router.engine.retry import Interruption, RetryPolicy
from capability_router.engine.rotation import RotationPolicy
from capability_router.engine.selection import Priority
from capability_router.engine.steps import Try
from tests.engine.building import (
    Chunk,
    Piece,
    Request,
    Rig,
    Scripted,
    TextSplice,
    TextWatch,
    model,
    pieces,
)

PREFILLS = frozenset({Feature.ASSISTANT_PREFILL})

Attempt = Callable[[Try], Iterable[Piece]]
Reader = Callable[[Rig, Attempt, list[Chunk], Request], None]
"""Streams an answer and puts its chunks into a list, which tells more than the error does."""


def read(rig: Rig, attempt: Attempt, got: list[Chunk], request: Request) -> None:
    def opened(step: Try) -> Generator[Chunk, None, None]:
        yield from played(attempt(step))

    plan = rig.router.plan(request)
    for chunk in drivers.stream(plan, opened, TextWatch, rig.clock, TextSplice()):
        got.append(chunk)  # noqa: PERF402 - what came before an error counts


def aread(rig: Rig, attempt: Attempt, got: list[Chunk], request: Request) -> None:
    async def opened(step: Try) -> AsyncGenerator[Chunk, None]:
        for piece in played(attempt(step)):
            await asyncio.sleep(0)
            yield piece

    async def collect() -> None:
        plan = rig.router.plan(request)
        async for chunk in drivers.astream(plan, opened, TextWatch, rig.clock, TextSplice()):
            got.append(chunk)  # noqa: PERF401 - as above

    asyncio.run(collect())


READERS: tuple[Reader, ...] = (read, aread)


def played(piece: Iterable[Piece]) -> Generator[Chunk, None, None]:
    for each in piece:
        if isinstance(each, BaseException):
            raise each
        yield each


@dataclass(frozen=True)
class Asked:
    """What one attempt was asked for."""

    model: str
    prefill: str = ""
    restarts: bool = False


class Turns:
    """Plays one step per attempt, and notes what each was asked for."""

    def __init__(self, *steps: Scripted) -> None:
        self._steps = iter(steps)
        self.asked: list[Asked] = []

    def __call__(self, step: Try) -> list[Piece]:
        self.asked.append(Asked(step.model.id, step.prefill, step.restarts))
        return pieces(next(self._steps))

    @property
    def tried(self) -> list[str]:
        return [asked.model for asked in self.asked]


def going_on(*ways: Interruption, retry: RetryPolicy | None = None) -> RotationPolicy:
    """Return a policy that tries models in turn and goes on with broken streams in these ways."""
    retry = retry or RetryPolicy(on_interruption=ways)
    return RotationPolicy(selection=Priority, retry=retry)


def prefilling(model_id: str, *features: str) -> Model:
    """Return a model that is declared to go on from a beginning."""
    return model(model_id, features=PREFILLS | frozenset(features))


def text_of(chunks: Iterable[Chunk]) -> str:
    """Return what a caller holds who begins anew where it is told to."""
    text = ""
    for chunk in chunks:
        text = "" if chunk.restarts else text + chunk.text
    return text
