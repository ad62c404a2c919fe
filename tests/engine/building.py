"""What the tests of the engine are built from: models, a router on a still clock, scripts."""

import asyncio
import sys
from collections.abc import AsyncGenerator, Callable, Generator, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from threading import Barrier
from types import SimpleNamespace
from typing import TypeVar

from capability_router.driving import drivers
from capability_router.engine.call import Call
from capability_router.engine.events import EventType, RoutingEvent
from capability_router.engine.faults import FAULT_TABLE, FaultRule
from capability_router.engine.lease import Lease
from capability_router.engine.member import Member, Rank
from capability_router.engine.model import Model, Provider
from capability_router.engine.outcome import Failure, FailureKind, Outcome, Usage
from capability_router.engine.request import CompletionRequest
from capability_router.engine.rotation import RotationPolicy
from capability_router.engine.state import ModelState
from capability_router.engine.steps import Try
from capability_router.engine.tree import CapabilityTree
from capability_router.failures import failure_of
from capability_router.router import CapabilityRouter
from capability_router.testing.clock import ManualClock

T = TypeVar("T")

TEXT = "generation.text-generation"
CHAT = f"{TEXT}.chat-completion"
CODE = f"{TEXT}.code-generation"


def model(
    model_id: str,
    *capabilities: str,
    window: int | None = None,
    features: Iterable[str] | None = None,
) -> Model:
    """Return a model; it serves ``chat-completion`` unless told otherwise."""
    return Model(
        model_id,
        capabilities or ("chat-completion",),
        context_window=window,
        features=None if features is None else frozenset(features),
    )


def member(model_id: str, rank: Rank = (0, 0, 0)) -> Member:
    """Return an active member of a pool, for strategies that are driven by hand."""
    return Member(model(model_id), ModelState(), rank, frozenset({CHAT, TEXT}), 0.0)


@dataclass(frozen=True)
class Daily:
    """A window that is open every day between two moments, in seconds after midnight UTC."""

    opens_s: float
    closes_s: float

    def next_span(self, wall_s: float) -> tuple[float, float]:
        day = wall_s // 86_400 * 86_400
        day += 0 if wall_s < day + self.closes_s else 86_400
        return day + self.opens_s, day + self.closes_s


class Noting(CapabilityRouter):
    """Keeps every plan, whose attempts have the exceptions that decisions are kept without."""

    plans: list[Call]

    def plan(self, request: CompletionRequest | str) -> Call:
        call = super().plan(request)
        self.plans = [*getattr(self, "plans", []), call]
        return call


class Rig:
    """A router with its clock in hand, and all that it has told.

    What concerns a pool is in ``events``, the rest, of providers and the router, in ``overall``.
    """

    def __init__(
        self,
        *models: Model | str,
        providers: Iterable[Provider] = (),
        policy: RotationPolicy | None = None,
        faults: Mapping[FailureKind, FaultRule] = FAULT_TABLE,
        tree: CapabilityTree | None = None,
        seed: int = 7,
        lease_ttl_s: float = 600.0,
    ) -> None:
        self.clock = ManualClock()
        self.events: list[RoutingEvent] = []
        self.overall: list[RoutingEvent] = []
        self.router = Noting(
            tree,
            providers=providers,
            policy=policy,
            faults=faults,
            clock=self.clock,
            seed=seed,
            lease_ttl_s=lease_ttl_s,
        )
        self.router.emitter.subscribe(self._hear)
        for each in models:
            self.router.register(each if isinstance(each, Model) else model(each))

    def _hear(self, event: RoutingEvent) -> None:
        (self.events if event.pool else self.overall).append(event)

    def select(self, capability: str = "chat-completion", *tried: str) -> Lease:
        return self.router.select(CompletionRequest(capability), tried)

    def fail(
        self,
        kind: FailureKind,
        capability: str = "chat-completion",
        *,
        retry_after_s: float | None = None,
    ) -> str:
        """Let the next request fail; return the id of the model it went to."""
        lease = self.select(capability)
        self.router.report(lease, Outcome(Failure(kind, retry_after_s=retry_after_s)))
        return lease.model.id

    def fail_out(self, model_id: str, kind: FailureKind = FailureKind.SERVER_ERROR) -> None:
        """Let a model fail until it is on standby in every pool."""
        others = [other.id for other in self.router.models if other.id != model_id]
        capability = self.router.model(model_id).capabilities[0]
        for _ in range(3):
            lease = self.select(capability, *others)
            self.router.report(lease, Outcome(Failure(kind)))

    def serve(self, capability: str = "chat-completion") -> str:
        """Let the next request succeed; return the id of the model it went to."""
        lease = self.select(capability)
        self.router.report(lease, Outcome.success())
        return lease.model.id

    def active(self, pool: str = "chat-completion") -> list[str]:
        return ids(self.router.pool(pool).get_active_models())

    def standby(self, pool: str = "chat-completion") -> list[str]:
        return ids(self.router.pool(pool).get_standby_models())

    def told(self, *wanted: EventType) -> list[tuple[EventType, str]]:
        """Return type and model of every event about a pool so far, or of those of some types."""
        return [(e.type, e.model) for e in self.events if not wanted or e.type in wanted]

    def told_overall(self, *wanted: EventType) -> list[tuple[str, dict[str, object]]]:
        """Return type and details of every event about providers and the router likewise."""
        events = [e for e in self.overall if not wanted or e.type in wanted]
        return [(str(e.type), e.details) for e in events]

    def health(self) -> dict[str, tuple[int, bool]]:
        """Return for each model its failures in a row and whether it is on standby anywhere."""
        pools = [self.router.pool(node) for m in self.router.models for node in m.capabilities]
        away = {m.id for pool in pools for m in pool.get_standby_models()}
        return {
            m.id: (self.router.state(m.id).consecutive_failures, m.id in away)
            for m in self.router.models
        }


def ids(models: Iterable[Model]) -> list[str]:
    return [each.id for each in models]


class ProviderError(Exception):
    """An error as client libraries raise it: with a status and the response it came with."""

    def __init__(
        self, status: int, text: str = "", headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(text or f"HTTP {status}")
        self.status_code = status
        self.response = SimpleNamespace(status_code=status, headers=dict(headers or {}))


def overloaded() -> ProviderError:
    return ProviderError(503)


@dataclass(frozen=True)
class Chunk:
    """One piece of a streamed answer."""

    text: str = ""
    finish: str | None = None
    tokens: int = 0
    tool: bool = False
    restarts: bool = False


class TextSplice:
    """Lets streams of ``Chunk`` be one."""

    def begin(self, chunk: Chunk) -> None:
        """A chunk of these tests has no identity."""

    def adopt(self, chunk: Chunk) -> Chunk:
        return chunk

    def text(self, chunk: Chunk) -> str:
        return chunk.text

    def cut(self, chunk: Chunk, characters: int) -> Chunk:
        return replace(chunk, text=chunk.text[characters:])

    def holds_only_text(self, chunk: Chunk) -> bool:
        return not chunk.tool

    def restart(self, chunk: Chunk) -> Chunk:
        del chunk
        return Chunk(restarts=True)


class TextWatch:
    """Follows a stream of ``Chunk``."""

    def __init__(self, _: Try) -> None:
        self.text = ""
        self.usage = Usage()
        self.committed = False
        self.complete = False
        self.finished = False

    def take(self, chunk: Chunk) -> None:
        self.text += chunk.text
        self.usage = Usage(output_tokens=self.usage.output_tokens + chunk.tokens)
        self.committed = self.committed or bool(chunk.text) or chunk.tool
        self.complete = self.finished = self.complete or chunk.finish is not None

    def failure(self, error: Exception) -> Failure:
        return failure_of(error)


Piece = Chunk | BaseException
Scripted = str | BaseException | list[Piece]
"""What one attempt does: answers, raises, or streams exactly these chunks."""


class Script:
    """Plays one step per attempt, whichever model it goes to; notes who was tried."""

    def __init__(self, *steps: Scripted) -> None:
        self._steps = iter(steps)
        self.tried: list[str] = []
        self.opened = 0

    def answer(self, asked: Model) -> str:
        self.tried.append(asked.id)
        step = next(self._steps)
        if isinstance(step, BaseException):
            raise step
        assert isinstance(step, str), "a list of chunks is for the stream drivers"
        return step

    async def aanswer(self, asked: Model) -> str:
        return self.answer(asked)

    def stream(self, step: Try) -> Generator[Chunk, None, None]:
        self.tried.append(step.model.id)
        self.opened += 1
        try:
            for piece in pieces(next(self._steps)):
                if isinstance(piece, BaseException):
                    raise piece
                yield piece
        finally:
            self.opened -= 1

    async def astream(self, step: Try) -> AsyncGenerator[Chunk, None]:
        self.tried.append(step.model.id)
        self.opened += 1
        try:
            for piece in pieces(next(self._steps)):
                if isinstance(piece, BaseException):
                    raise piece
                yield piece
        finally:
            self.opened -= 1


def pieces(step: Scripted) -> list[Piece]:
    if isinstance(step, str):
        return [Chunk(), *map(Chunk, step), Chunk(finish="stop")]
    return [step] if isinstance(step, BaseException) else step


Request = CompletionRequest | str
Driver = Callable[[Rig, Script, Request], str]


def run_call(rig: Rig, script: Script, request: Request = "chat-completion") -> str:
    return rig.router.call(request, script.answer)


def run_acall(rig: Rig, script: Script, request: Request = "chat-completion") -> str:
    return asyncio.run(rig.router.acall(request, script.aanswer))


def run_stream(rig: Rig, script: Script, request: Request = "chat-completion") -> str:
    chunks = drivers.stream(rig.router.plan(request), script.stream, TextWatch, rig.clock)
    return "".join(chunk.text for chunk in chunks)


def run_astream(rig: Rig, script: Script, request: Request = "chat-completion") -> str:
    async def collected() -> str:
        plan = rig.router.plan(request)
        chunks = drivers.astream(plan, script.astream, TextWatch, rig.clock)
        return "".join([chunk.text async for chunk in chunks])

    return asyncio.run(collected())


DRIVERS: tuple[Driver, ...] = (run_call, run_acall, run_stream, run_astream)
STREAM_DRIVERS: tuple[Driver, ...] = (run_stream, run_astream)


@contextmanager
def hurried_threads() -> Iterator[None]:
    """Switch threads so often that a race has a chance to show."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


def together(*jobs: Callable[[], T]) -> list[T]:
    """Start all jobs at once, each in a thread of its own; return what they returned."""
    barrier = Barrier(len(jobs))

    def started(job: Callable[[], T]) -> T:
        barrier.wait()
        return job()

    with hurried_threads(), ThreadPoolExecutor(len(jobs)) as pool:
        futures = [pool.submit(started, job) for job in jobs]
        return [future.result() for future in futures]
