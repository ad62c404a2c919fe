"""Streams in the formats of other vendors, as LiteLLM reads them."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from capability_router import CapabilityRouter, Model, Provider, Secret
from langchain_capability_router import ChatCapabilityRouter, ChatStreamInterruptedError
from tests.langchain.pools import Ask

Events = list[dict[str, Any]]

ANTHROPIC: Events = [
    {"type": "message_start", "message": {"usage": {"input_tokens": 3, "output_tokens": 1}}},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Fine."}},
    {"type": "content_block_stop", "index": 0},
    {
        "type": "message_delta",
        "delta": {"stop_reason": "end_turn"},
        "usage": {"output_tokens": 2},
    },
    {"type": "message_stop"},
]
GEMINI: Events = [
    {"candidates": [{"content": {"parts": [{"text": "Fine"}], "role": "model"}}]},
    {
        "candidates": [
            {"content": {"parts": [{"text": "."}], "role": "model"}, "finishReason": "STOP"}
        ],
        "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 2, "totalTokenCount": 5},
    },
]


class Scripted(ThreadingHTTPServer):
    """Answers every request with the same events, in a body that ends with the connection."""

    events: Events = []  # noqa: RUF012 - each server is given its own


class Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.end_headers()
        assert isinstance(self.server, Scripted)
        for event in self.server.events:
            self.wfile.write(f"data: {json.dumps(event)}\n\n".encode())

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[Scripted]:
    with Scripted(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


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


def test_stream_of_anthropic_that_was_cut_is_none(server: Scripted, ask_in_chunks: Ask) -> None:
    server.events = ANTHROPIC[:3]
    with pytest.raises(ChatStreamInterruptedError) as caught:
        ask_in_chunks(chat_with(server, "anthropic", "claude-3-5-sonnet-20241022"), "How are you?")
    assert caught.value.partial_text == "Fine."
