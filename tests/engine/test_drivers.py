"""What only streams do, cancelled tasks, and that sync and async drivers are one and the same."""

import ast
import asyncio
import inspect
from collections.abc import AsyncGenerator

import pytest

from capability_router.driving import drivers
from capability_router.engine.errors import (
    AllModelsFailedError,
    IncompleteAnswerError,
    StreamInterruptedError,
)
from capability_router.engine.model import Model
from capability_router.engine.outcome import FailureKind
from capability_router.engine.retry import RetryPolicy
from capability_router.engine.rotation import RotationPolicy
from capability_router.engine.selection import Priority
from capability_router.testing.clock import ManualClock
from tests.engine.building import (
    DRIVERS,
    STREAM_DRIVERS,
    Chunk,
    Driver,
    Piece,
    ProviderError,
    Rig,
    Script,
    TextWatch,
    overloaded,
    pieces,
)

ROLE, STOP = Chunk(), Chunk(finish="stop")


def with_probe_due() -> Rig:
    rig = Rig("a/x", "b/y")
    rig.fail_out("a/x")
    rig.clock.advance(10)
    return rig


@pytest.mark.parametrize("drive", STREAM_DRIVERS)
@pytest.mark.parametrize(
    "broken",
    [[overloaded()], [ROLE, ROLE, overloaded()], [], [ROLE], [ROLE, TimeoutError()]],
    ids=["at once", "after role chunks", "empty", "cut after the role", "stalled"],
)
def test_stream_that_breaks_before_any_content_is_replaced_without_a_trace(
    drive: Driver, broken: list[Piece]
) -> None:
    rig, script = Rig("a/x", "b/y"), Script(broken, "hello")
    assert drive(rig, script, "chat-completion") == "hello"
    assert script.tried == ["a/x", "b/y"]
    assert rig.health() == {"a/x": (1, False), "b/y": (0, False)}
    assert script.opened == 0


async def test_chunks_of_a_replaced_stream_are_never_handed_out() -> None:
    rig, broken = Rig("a/x", "b/y"), list[Piece]([ROLE, ROLE, overloaded()])
    script, plan = Script(broken, "hello"), rig.router.plan("chat-completion")
    assert list(drivers.stream(plan, script.stream, TextWatch, rig.clock)) == pieces("hello")
    rig = Rig("a/x", "b/y")
    script, plan = Script(broken, "hello"), rig.router.plan("chat-completion")
    chunks = drivers.astream(plan, script.astream, TextWatch, rig.clock)
    assert [chunk async for chunk in chunks] == pieces("hello")


@pytest.mark.parametrize("drive", STREAM_DRIVERS)
def test_stream_that_breaks_after_content_says_what_was_handed_out(drive: Driver) -> None:
    error = overloaded()
    rig, script = Rig("a/x", "b/y"), Script([ROLE, Chunk("hel"), Chunk("lo"), error], "never")
    with pytest.raises(StreamInterruptedError) as caught:
        drive(rig, script, "chat-completion")
    assert caught.value.partial_text == "hello"
    assert caught.value.__cause__ is error
    assert [(a.model, a.kind) for a in caught.value.attempts] == [("a/x", "overloaded")]
    assert "broke after 5 characters: a/x: overloaded (HTTP 503)" in str(caught.value)
    assert script.tried == ["a/x"]
    assert rig.health()["a/x"] == (1, False)
    (decision,) = rig.router.decisions
    assert decision.served_by is None


@pytest.mark.parametrize("drive", STREAM_DRIVERS)
def test_refusal_in_the_middle_of_a_stream_blames_nobody(drive: Driver) -> None:
    rig = Rig("a/x", "b/y")
    script = Script([Chunk("hel"), ProviderError(400, "content_policy")])
    with pytest.raises(StreamInterruptedError):
        drive(rig, script, "chat-completion")
    assert rig.health()["a/x"] == (0, False)


@pytest.mark.parametrize("drive", STREAM_DRIVERS)
def test_stream_without_a_finish_reason_was_cut(drive: Driver) -> None:
    rig = Rig("a/x", "b/y")
    with pytest.raises(StreamInterruptedError) as caught:
        drive(rig, Script([ROLE, Chunk("hello")]), "chat-completion")
    assert isinstance(caught.value.__cause__, IncompleteAnswerError)
    assert [attempt.kind for attempt in caught.value.attempts] == ["protocol"]
    assert rig.health()["a/x"] == (1, False)


@pytest.mark.parametrize("drive", STREAM_DRIVERS)
def test_answer_without_content_but_with_a_finish_reason_is_complete(drive: Driver) -> None:
    rig, script = Rig("a/x", "b/y"), Script([ROLE, STOP])
    assert drive(rig, script, "chat-completion") == ""
    assert script.tried == ["a/x"]
    assert rig.router.state("a/x").successes == 1


@pytest.mark.parametrize("drive", STREAM_DRIVERS)
def test_cut_streams_of_every_model_end_in_one_error(drive: Driver) -> None:
    rig = Rig("a/x", "b/y")
    with pytest.raises(AllModelsFailedError) as caught:
        drive(rig, Script([ROLE], []), "chat-completion")
    assert [attempt.kind for attempt in caught.value.attempts] == ["protocol", "protocol"]


def test_no_chunk_is_lost_or_changed_and_held_ones_come_first() -> None:
    sent: list[Piece] = [ROLE, ROLE, Chunk("a"), ROLE, Chunk("b"), STOP, ROLE]
    rig, script = Rig("a/x"), Script(sent)
    plan = rig.router.plan("chat-completion")
    assert list(drivers.stream(plan, script.stream, TextWatch, rig.clock)) == sent


def test_chunks_are_handed_out_as_they_come() -> None:
    rig, script = Rig("a/x"), Script([ROLE, Chunk("a"), Chunk("b"), STOP])
    plan = rig.router.plan("chat-completion")
    chunks = drivers.stream(plan, script.stream, TextWatch, rig.clock)
    assert [next(chunks), next(chunks)] == [ROLE, Chunk("a")]
    assert rig.router.state("a/x").in_flight == 1
    chunks.close()


def test_stream_that_is_closed_early_gives_its_lease_and_its_probe_back() -> None:
    rig, script = with_probe_due(), Script("hello")
    plan = rig.router.plan("chat-completion")
    chunks = drivers.stream(plan, script.stream, TextWatch, rig.clock)
    assert next(chunks) == ROLE
    assert (rig.router.state("a/x").in_flight, script.opened) == (1, 1)
    chunks.close()
    assert (rig.router.state("a/x").in_flight, script.opened) == (0, 0)
    assert rig.select().probe


async def test_async_stream_that_is_closed_early_gives_its_lease_and_its_probe_back() -> None:
    rig, script = with_probe_due(), Script("hello")
    plan = rig.router.plan("chat-completion")
    chunks = drivers.astream(plan, script.astream, TextWatch, rig.clock)
    assert await anext(chunks) == ROLE
    assert (rig.router.state("a/x").in_flight, script.opened) == (1, 1)
    await chunks.aclose()
    assert (rig.router.state("a/x").in_flight, script.opened) == (0, 0)
    assert rig.select().probe


async def test_cancelled_task_gives_its_probe_back() -> None:
    rig, reached = with_probe_due(), asyncio.Event()

    async def never(_: Model) -> str:
        reached.set()
        return await asyncio.Future[str]()

    task = asyncio.create_task(rig.router.acall("chat-completion", never))
    await reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert rig.router.state("a/x").in_flight == 0
    assert rig.select().probe


async def test_attempt_that_outlasts_its_limit_is_cancelled_and_the_next_model_serves() -> None:
    limit = RotationPolicy(selection=Priority, retry=RetryPolicy(attempt_timeout_s=0.01))
    rig, left = Rig("a/x", "b/y", policy=limit), list[str]()

    async def hang_at_first(model: Model) -> str:
        if model.provider == "b":
            return model.id
        try:
            return await asyncio.Future[str]()
        finally:
            left.append(model.id)

    assert await rig.router.acall("chat-completion", hang_at_first) == "b/y"
    assert (left, rig.router.state("a/x").consecutive_failures) == (["a/x"], 1)
    assert rig.router.decisions[-1].attempts[0].kind is FailureKind.TIMEOUT


class Interrupted(BaseException):
    """What a signal or a cancelled task raises, wherever the program is."""


class InterruptedClock(ManualClock):
    """A clock that is never waited for to the end."""

    def sleep(self, seconds: float) -> None:
        raise Interrupted(seconds)


@pytest.mark.parametrize("drive", DRIVERS)
def test_call_that_is_interrupted_during_a_pause_has_its_decision_too(drive: Driver) -> None:
    rig = Rig("a/x")
    rig.router.clock = rig.clock = InterruptedClock()
    with pytest.raises(Interrupted):
        drive(rig, Script(overloaded()), "chat-completion")
    (decision,) = rig.router.decisions
    assert (decision.served_by, len(decision.attempts)) == (None, 1)


async def test_cancelled_stream_closes_the_providers_stream() -> None:
    rig, reached, closed = with_probe_due(), asyncio.Event(), asyncio.Event()

    async def endless(_: object) -> AsyncGenerator[Chunk, None]:
        try:
            yield Chunk("a")
            reached.set()
            await asyncio.Future[None]()
        finally:
            closed.set()

    async def read() -> list[Chunk]:
        plan = rig.router.plan("chat-completion")
        return [c async for c in drivers.astream(plan, endless, TextWatch, rig.clock)]

    task = asyncio.create_task(read())
    await reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert closed.is_set()
    assert rig.router.state("a/x").in_flight == 0


async def test_two_tasks_of_one_loop_do_not_wait_for_each_other() -> None:
    rig, both = Rig("a/x"), asyncio.Barrier(2)

    async def meet(asked: Model) -> str:
        async with both:
            return asked.id

    calls = (rig.router.acall("chat-completion", meet) for _ in range(2))
    assert await asyncio.gather(*calls) == ["a/x", "a/x"]


SYNC_NAMES = {
    "_abegun": "_begun",
    "_ashown": "_shown",
    "_afirst": "_first",
    "_anext": "_next",
    "acall": "call",
    "alimited": "limited",
    "anext": "next",
    "araced": "raced",
    "astream": "stream",
    "aclose": "close",
    "aclosing": "closing",
    "asleep": "sleep",
    "AsyncGenerator": "Generator",
}


class Awaitless(ast.NodeTransformer):
    """Turns an async driver into what it would be without ``await``."""

    def visit_Await(self, node: ast.Await) -> ast.expr:
        value: ast.expr = self.visit(node.value)
        return value

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.FunctionDef:
        self.generic_visit(node)
        fields = {name: getattr(node, name) for name in node._fields}
        return ast.FunctionDef(**{**fields, "name": SYNC_NAMES.get(node.name, node.name)})

    def visit_AsyncFor(self, node: ast.AsyncFor) -> ast.For:
        self.generic_visit(node)
        return ast.For(**{name: getattr(node, name) for name in node._fields})

    def visit_AsyncWith(self, node: ast.AsyncWith) -> ast.With:
        self.generic_visit(node)
        return ast.With(**{name: getattr(node, name) for name in node._fields})

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.ImportFrom:
        names = [ast.alias(SYNC_NAMES.get(each.name, each.name)) for each in node.names]
        return ast.ImportFrom(node.module, names, node.level)

    def visit_Name(self, node: ast.Name) -> ast.Name:
        return ast.Name(SYNC_NAMES.get(node.id, node.id), node.ctx)

    def visit_Attribute(self, node: ast.Attribute) -> ast.Attribute:
        self.generic_visit(node)
        return ast.Attribute(node.value, SYNC_NAMES.get(node.attr, node.attr), node.ctx)

    def visit_Subscript(self, node: ast.Subscript) -> ast.expr:
        """``Awaitable[X]`` is X, and an async generator has one parameter less."""
        self.generic_visit(node)
        if isinstance(node.value, ast.Name) and node.value.id == "Awaitable":
            return node.slice
        if isinstance(node.value, ast.Name) and node.value.id == "Generator":
            parameters = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
            return ast.Subscript(node.value, ast.Tuple(parameters[:2], ast.Load()), node.ctx)
        return node


def awaitless(text: str, name: str) -> str:
    """Return the driver of this name as a tree without ``await`` and docstring."""
    (driver,) = (
        node
        for node in ast.parse(text).body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == name
    )
    assert isinstance(driver, ast.AsyncFunctionDef) is (name in SYNC_NAMES)
    if ast.get_docstring(driver):
        del driver.body[0]
    return ast.dump(Awaitless().visit(driver), indent=1)


PAIRS = [
    ("call", "acall"),
    ("stream", "astream"),
    ("_begun", "_abegun"),
    ("_shown", "_ashown"),
    ("_first", "_afirst"),
    ("_next", "_anext"),
]


@pytest.mark.parametrize(("sync", "asynchronous"), PAIRS)
def test_sync_and_async_driver_are_the_same_but_for_await(sync: str, asynchronous: str) -> None:
    text = inspect.getsource(drivers)
    assert awaitless(text, asynchronous) == awaitless(text, sync)


def test_every_async_function_of_the_drivers_is_compared() -> None:
    body = ast.parse(inspect.getsource(drivers)).body
    found = {node.name for node in body if isinstance(node, ast.AsyncFunctionDef)}
    assert found == {asynchronous for _, asynchronous in PAIRS}


@pytest.mark.parametrize(
    ("sync_body", "async_body"),
    [
        ("clock.sleep(1)", "await clock.asleep(2)"),
        ("return attempt()", "return None"),
        ("for x in y: use(x)", "async for x in z: use(x)"),
        ("with closing(a) as b: use(b)", "async with aclosing(a) as b: use(c)"),
        ("raise error", "pass"),
    ],
)
def test_difference_between_two_drivers_is_found(sync_body: str, async_body: str) -> None:
    text = f"def call():\n {sync_body}\nasync def acall():\n {async_body}\n"
    assert awaitless(text, "acall") != awaitless(text, "call")


def test_await_alone_is_no_difference() -> None:
    text = """
def call(attempt: Callable[[Try], Answer]) -> Generator[Chunk, None, None]:
    with closing(attempt) as chunks:
        for chunk in chunks:
            clock.sleep(1)

async def acall(attempt: Callable[[Try], Awaitable[Answer]]) -> AsyncGenerator[Chunk, None]:
    async with aclosing(attempt) as chunks:
        async for chunk in chunks:
            await clock.asleep(1)
"""
    assert awaitless(text, "acall") == awaitless(text, "call")
