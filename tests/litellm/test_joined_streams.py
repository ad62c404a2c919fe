"""Two models as one stream, and two attempts beside each other, as a caller has them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import reduce
from operator import add
from typing import Any

import pytest

from capability_router import (
    CapabilityRouter,
    FailureKind,
    Hedge,
    Interruption,
    Model,
    PoolPreferences,
    Priority,
    Provider,
    RetryPolicy,
    RotationPolicy,
    Secret,
)
from capability_router.lab import Lab, cut_stream, empty_answer, hang, latency
from langchain_capability_router import ChatCapabilityRouter
from tests.connections import connections, run
from tests.langchain.pools import collected
from tests.litellm.surfaces import PLACES, QUESTION, SURFACES, Surface, text_of

ANSWER = "alpha echoes: count to three"


def router_of(lab: Lab, policy: RotationPolicy) -> CapabilityRouter:
    router = CapabilityRouter(
        providers=[Provider(p.name, base_url=p.base_url, api_key=Secret("lab-key")) for p in lab],
        policy=policy,
        seed=7,
    )
    features = frozenset({"streaming", "assistant_prefill"})
    for provider in lab:
        router.register(Model(f"{provider.name}/m", ("chat-completion",), features=features))
    return router


def on_interruption(*ways: Interruption) -> RotationPolicy:
    return RotationPolicy(selection=Priority, retry=RetryPolicy(on_interruption=ways))


HEDGED = RotationPolicy(selection=Priority, hedge=Hedge(after_s=0.05))

Chunks = Callable[[CapabilityRouter], list[Any]]


def sync_chunks(place: str) -> Chunks:
    def ask(router: CapabilityRouter) -> list[Any]:
        host = PLACES[place](router)
        return list(host.completion(model="chat-completion", messages=QUESTION, stream=True))

    return ask


def async_chunks(place: str) -> Chunks:
    def ask(router: CapabilityRouter) -> list[Any]:
        host = PLACES[place](router)

        async def read() -> list[Any]:
            ask = {"model": "chat-completion", "messages": QUESTION, "stream": True}
            return [chunk async for chunk in await host.acompletion(**ask)]

        return run(read())

    return ask


STREAMS: dict[str, Chunks] = {
    f"{place}, {name}": make(place)
    for place in PLACES
    for name, make in (("sync", sync_chunks), ("async", async_chunks))
}


def chat(router: CapabilityRouter) -> ChatCapabilityRouter:
    return ChatCapabilityRouter(router=router, capability="chat-completion")


CHATS: dict[str, Chunks] = {
    "stream": lambda router: list(chat(router).stream("count to three")),
    "astream": lambda router: run(collected(chat(router).astream("count to three"))),
}


@pytest.fixture(name="lab", params=["continue", "echo"])
def lab_whose_second_provider_goes_on(request: pytest.FixtureRequest) -> Iterator[Lab]:
    with Lab(["alpha", "beta"], answers="echo") as lab, connections():
        lab["alpha"].fault = cut_stream(3)
        lab["beta"].prefill = request.param
        yield lab


@pytest.mark.parametrize("ask", STREAMS.values(), ids=STREAMS)
def test_chunks_of_two_models_are_one_completion(lab: Lab, ask: Chunks) -> None:
    chunks = ask(router_of(lab, on_interruption(Interruption.CONTINUE)))
    assert "".join(map(text_of, chunks)) == ANSWER
    assert len({chunk.id for chunk in chunks}) == 1
    roles = [chunk.choices[0].delta.role for chunk in chunks if chunk.choices]
    assert roles.count("assistant") <= 1
    reasons = [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices]
    assert list(filter(None, reasons)) == ["stop"]


@pytest.mark.parametrize("ask", CHATS.values(), ids=CHATS)
def test_chunks_of_two_models_are_one_message(lab: Lab, ask: Chunks) -> None:
    chunks = ask(router_of(lab, on_interruption(Interruption.CONTINUE)))
    assert "".join(chunk.text for chunk in chunks) == ANSWER
    assert len({chunk.id for chunk in chunks}) == 1
    message = reduce(add, chunks)
    way = message.response_metadata["capability_router"]
    assert [attempt["kind"] for attempt in way["attempts"]] == ["protocol", None]
    assert message.usage_metadata["output_tokens"] > 0
    sent: Any = lab["beta"].requests[0].body
    assert sent["messages"][-1] == {"role": "assistant", "content": "alpha echoes: count"}


@pytest.mark.parametrize("ask", STREAMS.values(), ids=STREAMS)
def test_restart_is_marked_and_followed_by_the_whole_answer(lab: Lab, ask: Chunks) -> None:
    chunks = ask(router_of(lab, on_interruption(Interruption.RESTART)))
    fields = [
        chunk.choices[0].delta.model_dump().get("provider_specific_fields") or {}
        for chunk in chunks
    ]
    (mark,) = [n for n, each in enumerate(fields) if each.get("stream_restarted")]
    assert "".join(map(text_of, chunks[:mark])) == "alpha echoes: count"
    assert "".join(map(text_of, chunks[mark:])) == "beta echoes: count to three"


@pytest.mark.parametrize("ask", CHATS.values(), ids=CHATS)
def test_restart_of_a_message_is_marked(lab: Lab, ask: Chunks) -> None:
    chunks = ask(router_of(lab, on_interruption(Interruption.RESTART)))
    marks = [chunk.response_metadata.get("stream_restarted", False) for chunk in chunks]
    mark = marks.index(True)
    assert marks.count(True) == 1
    assert "".join(chunk.text for chunk in chunks[mark:]) == "beta echoes: count to three"


def asking(place: str, surface: Surface) -> Callable[[CapabilityRouter], str]:
    return lambda router: surface(PLACES[place](router))


ASKS: dict[str, Callable[[CapabilityRouter], str]] = {
    **{
        f"{place}, {name}": asking(place, surface)
        for place in PLACES
        for name, surface in SURFACES.items()
    },
    "invoke": lambda router: str(chat(router).invoke("count to three").text),
    "ainvoke": lambda router: str(run(chat(router).ainvoke("count to three")).text),
    "stream": lambda router: "".join(c.text for c in chat(router).stream("count to three")),
    "astream": lambda router: "".join(
        c.text for c in run(collected(chat(router).astream("count to three")))
    ),
}
ONCE = pytest.mark.parametrize("lab", ["continue"], indirect=True)


@ONCE
@pytest.mark.parametrize("ask", ASKS.values(), ids=ASKS)
def test_slow_attempt_gets_another_one_beside_it(
    lab: Lab, ask: Callable[[CapabilityRouter], str]
) -> None:
    lab["alpha"].fault = hang()
    router = router_of(lab, HEDGED)
    assert ask(router) == "beta echoes: count to three"
    left, served = router.decisions[-1].attempts
    assert (left.model, left.kind, left.hedge) == ("alpha/m", FailureKind.CANCELLED, False)
    assert (served.model, served.kind, served.hedge) == ("beta/m", None, True)
    assert router.decisions[-1].served_by == "beta/m"
    state = router.state("alpha/m")
    assert (state.failures, state.in_flight) == (0, 0)
    lab["alpha"].wait_until_idle(10)


@ONCE
@pytest.mark.parametrize("ask", ASKS.values(), ids=ASKS)
def test_attempt_that_is_quicker_than_the_one_beside_it_is_used(
    lab: Lab, ask: Callable[[CapabilityRouter], str]
) -> None:
    lab["alpha"].fault, lab["beta"].fault = latency(0.3), hang()
    router = router_of(lab, HEDGED)
    assert ask(router) == ANSWER
    left, served = router.decisions[-1].attempts
    assert (left.model, left.kind) == ("beta/m", FailureKind.CANCELLED)
    assert (served.model, router.decisions[-1].served_by) == ("alpha/m", "alpha/m")
    lab["beta"].wait_until_idle(10)


@ONCE
def test_request_with_side_effects_is_never_asked_twice(lab: Lab) -> None:
    lab["alpha"].fault = latency(0.2)
    router = router_of(lab, HEDGED)
    host = PLACES["Router"](router)
    options = {"capability_router": {"side_effects": True}}
    host.completion(model="chat-completion", messages=QUESTION, **options)
    chat(router).invoke("count to three", side_effects=True)
    assert (lab["alpha"].request_count, lab["beta"].request_count) == (2, 0)


@ONCE
@pytest.mark.parametrize("ask", [*STREAMS.values(), *CHATS.values()], ids=[*STREAMS, *CHATS])
def test_two_models_of_one_provider_cannot_end_an_answer_without_a_word(
    lab: Lab, ask: Chunks
) -> None:
    lab["beta"].fault = empty_answer()
    router = router_of(lab, on_interruption(Interruption.CONTINUE))
    router.unregister("alpha/m")
    features = frozenset({"streaming", "assistant_prefill"})
    router.register(Model("beta/n", ("chat-completion",), features=features))
    router.register(Model("alpha/m", ("chat-completion",)))
    router.add_pool(
        "chat",
        "chat-completion",
        on_interruption(Interruption.CONTINUE),
        PoolPreferences(model_priority=("alpha/m",)),
    )
    with pytest.raises(Exception, match="the stream broke after 19 characters"):
        ask(router)
    kinds = [(attempt.model, attempt.kind) for attempt in router.decisions[-1].attempts]
    assert kinds == [
        ("alpha/m", FailureKind.PROTOCOL),
        ("beta/m", FailureKind.UNSUPPORTED),
        ("beta/n", FailureKind.UNSUPPORTED),
    ]
