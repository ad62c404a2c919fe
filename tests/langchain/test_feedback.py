"""What the pools are told: one attempt for each call, a failure that hides in an answer, an end."""

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import litellm
import pytest
from langchain_core.messages import AIMessageChunk
from langchain_openai import ChatOpenAI
from pydantic import SecretStr

from capability_router import CapabilityRouter, FailureKind, Model, Provider, Secret
from capability_router.lab import Lab, server_error
from langchain_capability_router import ChatCapabilityRouter
from tests.connections import close_later, run
from tests.langchain.pools import Ask, Build, through_litellm
from tests.vendors import Answer, Scripted, scripted

# OpenRouter's vendor failed after it had begun to answer.
BROKEN = {
    "id": "gen-1",
    "object": "chat.completion",
    "created": 1,
    "model": "tiny",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "Half of"},
            "finish_reason": "error",
            "error": {"code": 502, "message": "Provider disconnected"},
        }
    ],
}


@pytest.fixture
def server() -> Iterator[Scripted]:
    with scripted() as server:
        yield server


def openrouter(server: Scripted) -> ChatCapabilityRouter:
    provider = Provider("lab", "openrouter", base_url=server.url, api_key=Secret("key"))
    return _chat(CapabilityRouter(providers=[provider]))


def compatible(server: Scripted) -> ChatCapabilityRouter:
    provider = Provider("lab", base_url=server.url, api_key=Secret("key"))
    return _chat(CapabilityRouter(providers=[provider]))


def chat_openai(server: Scripted) -> ChatCapabilityRouter:
    client, async_client = httpx.Client(verify=False), httpx.AsyncClient(verify=False)
    close_later(client, async_client)
    inner = ChatOpenAI(
        http_client=client,
        http_async_client=async_client,
        model="tiny",
        base_url=server.url,
        api_key=SecretStr("key"),
        max_retries=0,
    )
    return _chat(CapabilityRouter(), models={"lab/tiny": inner})


def _chat(router: CapabilityRouter, **more: Any) -> ChatCapabilityRouter:
    router.register(Model("lab/tiny", ("chat-completion",)))
    return ChatCapabilityRouter(router=router, capability="chat-completion", **more)


@pytest.mark.parametrize("build", [openrouter, compatible, chat_openai])
@pytest.mark.parametrize("asynchronous", [False, True], ids=["invoke", "ainvoke"])
def test_error_in_the_place_of_a_finish_reason_is_no_answer(
    server: Scripted, build: Callable[[Scripted], ChatCapabilityRouter], asynchronous: bool
) -> None:
    server.answer = Answer(200, BROKEN)
    chat = build(server)
    with pytest.raises(Exception, match="no model answered"):
        run(chat.ainvoke("Say it.")) if asynchronous else chat.invoke("Say it.")
    (attempt,) = chat.router.decisions[-1].attempts
    assert attempt.kind is FailureKind.PROTOCOL


@pytest.mark.parametrize("build", [compatible, chat_openai])
def test_stream_that_ends_with_an_error_is_no_answer(
    server: Scripted, ask_in_chunks: Ask, build: Callable[[Scripted], ChatCapabilityRouter]
) -> None:
    begun: dict[str, Any] = {"id": "gen-1", "object": "chat.completion.chunk", "created": 1}
    ended = {"index": 0, "delta": {"content": ""}, "finish_reason": "error"}
    server.events = [{**begun, "model": "tiny", "choices": [ended]}]
    chat = build(server)
    with pytest.raises(Exception, match="no model answered"):
        ask_in_chunks(chat, "Say it.")
    assert chat.router.state("lab/tiny").successes == 0


def test_retries_that_litellm_has_for_the_whole_process_repeat_no_attempt(
    lab: Lab, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(litellm, "num_retries", 2)
    lab["alpha"].fault = server_error()
    assert ask(through_litellm(lab), "good day").text == "beta echoes: good day"
    assert [provider.request_count for provider in lab] == [1, 1]


def has_ended(chunk: AIMessageChunk) -> bool:
    return bool(chunk.response_metadata.get("finish_reason"))


def read(chat: ChatCapabilityRouter) -> None:
    assert any(has_ended(chunk) for chunk in chat.stream("good day"))


def aread(chat: ChatCapabilityRouter) -> None:
    async def read_on() -> None:
        chunks = chat.astream("good day")
        async for chunk in chunks:
            if has_ended(chunk):
                break
        await chunks.aclose()  # type: ignore[attr-defined]  # LangChain calls its generator an iterator

    run(read_on())


@pytest.mark.parametrize("leave", [read, aread])
def test_whoever_leaves_with_the_finish_reason_was_served(
    lab: Lab, build: Build, leave: Callable[[ChatCapabilityRouter], None]
) -> None:
    chat = build(lab)
    leave(chat)
    state = chat.router.state("alpha/tiny")
    assert (state.successes, state.failures, state.in_flight) == (1, 0, 0)
