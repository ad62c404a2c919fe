"""The caller leaves at every place where a call waits, one after the other."""

import asyncio
from collections.abc import Callable, Coroutine, Generator
from itertools import count
from types import coroutine
from typing import Any

import pytest

from capability_router.lab import Fault, Lab, cut_stream, ok, server_error
from langchain_capability_router import ChatCapabilityRouter
from tests.connections import run
from tests.langchain.pools import Build, collected

Talk = Callable[[ChatCapabilityRouter], Coroutine[Any, Any, object]]


async def invoked(chat: ChatCapabilityRouter) -> object:
    return await chat.ainvoke("good day")


async def streamed(chat: ChatCapabilityRouter) -> object:
    return await collected(chat.astream("good day"))


async def with_events(chat: ChatCapabilityRouter) -> object:
    return [event async for event in chat.astream_events("good day", version="v2")]


async def batched(chat: ChatCapabilityRouter) -> object:
    return await chat.abatch(["one", "two"])


@coroutine
def cancelled_at(talk: Coroutine[Any, Any, object], place: int) -> Generator[Any, Any, bool]:
    """Run a coroutine whose task is cancelled while it waits for the n-th time.

    Returns:
        Whether it ended by itself, because it never waits that often.
    """
    error: BaseException | None = None
    for step in count():
        try:
            waited = talk.send(None) if error is None else talk.throw(error)
        except StopIteration:
            return step <= place
        if step == place:
            task = asyncio.current_task()
            assert task is not None
            task.cancel()
        try:
            yield waited
            error = None
        except BaseException as caught:  # noqa: BLE001 - handed on
            error = caught
    raise AssertionError("unreachable")


def running() -> set[asyncio.Task[Any]]:
    """Return the tasks but this one and LiteLLM's logger, which lives as long as its event loop."""
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    return {task for task in tasks if "LoggingWorker" not in str(task.get_coro())}


# LiteLLM makes the coroutine of its request some awaits before it awaits it.
@pytest.mark.filterwarnings("ignore:coroutine 'OpenAIChatCompletion.async_streaming' was never")
@pytest.mark.parametrize("fault", [ok(), server_error(), cut_stream(0)], ids=str)
@pytest.mark.parametrize("talk", [invoked, streamed, with_events, batched])
def test_whoever_leaves_takes_everything_along(
    lab: Lab, build: Build, talk: Talk, fault: Fault
) -> None:
    chat = build(lab)

    async def leave(place: int) -> bool:
        try:
            over = await cancelled_at(talk(chat), place)
        except asyncio.CancelledError:
            over = False
        others = running()
        if others:
            # What was cancelled along with the caller has its turn to end.
            await asyncio.wait(others, timeout=1)
        assert running() == set()
        return over

    run(leave(10_000))
    for place in count():
        for provider in lab:
            provider.reset()
        lab["alpha"].fault = fault
        chat.router.recover("alpha/tiny")
        before = [chat.router.state(model.id).failures for model in chat.router.models]
        over = run(leave(place))
        states = [chat.router.state(model.id) for model in chat.router.models]
        assert [state.in_flight for state in states] == [0, 0]
        if fault == ok():
            assert [state.failures for state in states] == before == [0, 0]
        assert chat.router.pool("chat-completion").get_state().standby_count <= (fault != ok())
        if over:
            break
    assert place >= 1


def test_whoever_leaves_a_stream_early_closes_it(lab: Lab, build: Build) -> None:
    chat = build(lab)

    async def glance() -> None:
        async for _ in chat.astream("one two three"):
            break

    run(glance())
    run(asyncio.sleep(0))
    assert chat.router.state("alpha/tiny").in_flight == 0
    assert chat.router.state("alpha/tiny").failures == 0
