"""Streams in the formats of other vendors, as LiteLLM reads them."""

from collections.abc import Iterator

import pytest

from capability_router import CapabilityRouter, Model, Provider, Secret
from langchain_capability_router import ChatCapabilityRouter, ChatStreamInterruptedError
from tests.langchain.pools import Ask
from tests.vendors import ANTHROPIC, GEMINI, Events, Scripted, scripted


@pytest.fixture
def server() -> Iterator[Scripted]:
    with scripted() as server:
        yield server


def chat_with(server: Scripted, vendor: str, name: str) -> ChatCapabilityRouter:
    url = f"http://127.0.0.1:{server.server_port}"
    provider = Provider("lab", vendor=vendor, base_url=url, api_key=Secret("key"))
    router = CapabilityRouter(providers=[provider])
    router.register(Model(f"lab/{name}", ("chat-completion",)))
    return ChatCapabilityRouter(router=router, capability="chat-completion")


@pytest.mark.parametrize(
    ("vendor", "name", "events"),
    [
        ("anthropic", "claude-3-5-sonnet-20241022", ANTHROPIC),
        ("gemini", "gemini-2.0-flash", GEMINI),
    ],
)
def test_whole_stream_is_taken_for_an_answer(
    server: Scripted, ask_in_chunks: Ask, vendor: str, name: str, events: Events
) -> None:
    server.events = events
    answer = ask_in_chunks(chat_with(server, vendor, name), "How are you?")
    assert answer.text == "Fine."
    assert answer.response_metadata["model_name"] == name
    assert answer.usage_metadata is not None
    assert answer.usage_metadata["total_tokens"] == 5


@pytest.mark.parametrize(
    ("vendor", "name", "events"),
    [
        ("anthropic", "claude-3-5-sonnet-20241022", ANTHROPIC[:3]),
        ("gemini", "gemini-2.0-flash", GEMINI[:1]),
    ],
)
def test_stream_that_was_cut_is_none(
    server: Scripted, ask_in_chunks: Ask, vendor: str, name: str, events: Events
) -> None:
    server.events = events
    with pytest.raises(ChatStreamInterruptedError) as caught:
        ask_in_chunks(chat_with(server, vendor, name), "How are you?")
    assert caught.value.partial_text
    assert "Fine.".startswith(caught.value.partial_text)
