"""What the pools count of a caller who leaves, and of one who never says that it is over."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Iterator
from typing import Any

import litellm
import pytest

from capability_router.lab import Fault, Lab, hang, silent_stream
from tests.connections import connections, run
from tests.litellm.desks import LISTED_USD, SPOKEN, Desk
from tests.litellm.surfaces import PLACES, QUESTION

ASKED = {
    "model": "chat-completion",
    "messages": QUESTION,
    "stream": True,
    "stream_options": {"include_usage": True},
}
Reads = Callable[[Any], bool]
"""Whether a chunk is the last one that the caller wants."""


def first(chunk: Any) -> bool:
    return bool(chunk.choices)


def finish(chunk: Any) -> bool:
    return bool(chunk.choices and chunk.choices[0].finish_reason)


def usage(chunk: Any) -> bool:
    return bool(getattr(chunk, "usage", None))


def read(desk: Desk, enough: Reads) -> Any:
    """Read a sync stream up to some chunk, and hand it back."""
    stream = desk.host.completion(**ASKED)
    assert any(enough(chunk) for chunk in stream)
    return stream


async def aread(desk: Desk, enough: Reads) -> Any:
    stream = await desk.host.acompletion(**ASKED)
    async for chunk in stream:
        if enough(chunk):
            return stream
    raise AssertionError("the stream has ended before")


def closed(desk: Desk, enough: Reads) -> None:
    stream = read(desk, enough)
    # LiteLLM's own stream has no method to close it; the one that it reads from has.
    getattr(stream, "close", stream.completion_stream.close)()


def aclosed(desk: Desk, enough: Reads) -> None:
    async def leave() -> None:
        await (await aread(desk, enough)).aclose()

    run(leave())


def dropped(desk: Desk, enough: Reads) -> None:
    read(desk, enough)
    # The thread in which LiteLLM logs a chunk has hold of the stream a little longer.
    for _ in range(100):
        gc.collect()
        if desk.in_flight() == [0, 0]:
            break


def adropped(desk: Desk, enough: Reads) -> None:
    async def leave() -> None:
        await aread(desk, enough)
        gc.collect()
        # The event loop closes what nobody holds any more, a few rounds later.
        for _ in range(20):
            await asyncio.sleep(0)

    run(leave())


Leave = Callable[[Desk, Reads], None]
LEAVES: dict[str, Leave] = {
    "close": closed,
    "aclose": aclosed,
    "dropped": dropped,
    "async, dropped": adropped,
}


@pytest.fixture(autouse=True)
def brief_logging(monkeypatch: pytest.MonkeyPatch) -> None:
    # Before LiteLLM logs its first chunk it imports its whole proxy, where that is installed.
    monkeypatch.setattr(litellm, "disable_streaming_logging", True)


@pytest.fixture
def lab() -> Iterator[Lab]:
    # The lab ends after the connections to it.
    with Lab(["alpha", "beta"], answers="echo") as lab, connections():
        yield lab


@pytest.fixture
def desk(lab: Lab, place: Any) -> Desk:
    return Desk(lab, place)


@pytest.fixture(params=list(LEAVES.values()), ids=list(LEAVES))
def leave(request: pytest.FixtureRequest) -> Leave:
    chosen: Leave = request.param
    return chosen


def test_whoever_leaves_in_the_middle_blames_nobody(desk: Desk, leave: Leave) -> None:
    leave(desk, first)
    alpha = desk.state("alpha")
    assert (alpha.successes, alpha.failures, alpha.in_flight) == (0, 0, 0)
    assert desk.learnt == []
    (decision,) = desk.router.decisions
    assert [attempt.kind for attempt in decision.attempts] == ["cancelled"]


def test_whoever_leaves_with_the_finish_reason_was_served(desk: Desk, leave: Leave) -> None:
    leave(desk, finish)
    alpha = desk.state("alpha")
    assert (alpha.successes, alpha.failures, alpha.in_flight) == (1, 0, 0)
    assert [model for model, _ in desk.learnt] == ["alpha/gpt-4o-mini"]
    (decision,) = desk.router.decisions
    assert decision.served_by == "alpha/gpt-4o-mini"


def test_whoever_leaves_with_the_usage_has_it_counted(lab: Lab, leave: Leave) -> None:
    desk = Desk(lab, PLACES["Router"])
    leave(desk, usage)
    alpha = desk.state("alpha")
    assert (alpha.input_tokens, alpha.output_tokens) == SPOKEN
    assert alpha.cost_usd == LISTED_USD
    assert (alpha.successes, alpha.in_flight) == (1, 0)


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("fault", [hang(), silent_stream(after=2)], ids=["at first", "later"])
def test_cancelled_task_blames_nobody(desk: Desk, streamed: bool, fault: Fault) -> None:
    desk.lab["alpha"].fault = fault

    async def ask() -> None:
        wanted = ASKED if streamed else {"model": "chat-completion", "messages": QUESTION}
        answer = await desk.host.acompletion(**wanted)
        if streamed:
            async for _ in answer:
                pass

    async def leave() -> None:
        async with asyncio.timeout(0.3):
            await ask()

    with pytest.raises(TimeoutError):
        run(leave())
    assert desk.calls() == [1, 0]
    alpha = desk.state("alpha")
    assert (alpha.successes, alpha.failures, alpha.in_flight) == (0, 0, 0)
    assert desk.learnt == []


def test_lease_that_nobody_ends_expires_and_is_not_counted_later(lab: Lab, place: Any) -> None:
    desk = Desk(lab, place, lease_ttl_s=10.0)
    stream = desk.host.completion(**ASKED)
    next(stream)
    assert desk.in_flight() == [1, 0]
    desk.clock.advance(10)
    desk.host.completion(model="chat-completion", messages=QUESTION)
    assert desk.in_flight() == [0, 0]
    assert list(stream)
    alpha = desk.state("alpha")
    assert (alpha.successes, alpha.failures, alpha.in_flight) == (1, 0, 0)
    assert len(desk.learnt) == 1
