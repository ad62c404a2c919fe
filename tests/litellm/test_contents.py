"""Endpoints that do not answer in words: what has nothing in it, or too little, is no answer."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import litellm
import pytest

from capability_router import CapabilityRouter, Model, Provider, Secret
from litellm_capability_router import CapabilityUnavailableError, attach
from litellm_capability_router.contents import holds_enough
from tests.connections import connections, forget_lost_clients
from tests.litellm.test_endpoints import ENDPOINTS, Endpoint, answer_of, chunks_of
from tests.vendors import ANTHROPIC, Answer, Scripted, scripted

VECTOR = {"object": "embedding", "index": 0, "embedding": [0.1, 0.2]}
MESSAGE = {"type": "message", "role": "assistant", "model": "m", "stop_reason": "end_turn"}
NO_OUTPUT = {"input_tokens": 3, "output_tokens": 0}
OUTPUT = [
    {
        "type": "message",
        "id": "msg_1",
        "status": "completed",
        "role": "assistant",
        "content": [{"type": "output_text", "text": "Fine.", "annotations": []}],
    }
]


def response(**more: Any) -> dict[str, Any]:
    head = {"id": "resp_1", "object": "response", "created_at": 1, "model": "gpt-4o-mini"}
    usage = {"input_tokens": 3, "output_tokens": 2, "total_tokens": 5}
    told = {"status": "completed", "output": OUTPUT, "usage": usage}
    asked = {"parallel_tool_calls": True, "tool_choice": "auto", "tools": []}
    return {**head, **told, **asked, **more}


def text(reason: str | None, said: str = "Fine.") -> dict[str, Any]:
    choice = {"text": said, "index": 0, "finish_reason": reason, "logprobs": None}
    head = {"id": "c", "object": "text_completion", "created": 1, "model": "m"}
    return {**head, "choices": [choice]}


WHOLE: list[tuple[str, Any]] = [
    ("responses", response()),
    ("responses", response(status="incomplete", incomplete_details={"reason": "content_filter"})),
    ("transcription", {"text": ""}),
    ("messages", {**MESSAGE, "content": [{"type": "text", "text": "Fine."}], "usage": NO_OUTPUT}),
    ("text", text("length")),
]
NONE: list[tuple[str, Any]] = [
    ("responses", response(status="failed", error={"code": "server_error", "message": "x"})),
    ("responses", response(status="in_progress")),
    ("responses", response(output=[], usage=NO_OUTPUT | {"total_tokens": 3})),
    ("embeddings", {"object": "list", "data": [], "model": "m"}),
    ("embeddings", {"object": "list", "data": [VECTOR | {"embedding": []}], "model": "m"}),
    ("images", {"created": 1, "data": []}),
    ("images", {"created": 1, "data": [{"revised_prompt": "a sun"}]}),
    ("image edits", {"created": 1, "data": []}),
    ("speech", b""),
    ("transcription", {"duration": 1.0}),
    ("moderation", {"id": "m", "model": "m", "results": []}),
    ("reranking", {"model": "m", "results": []}),
    ("messages", {}),
    ("messages", {**MESSAGE, "content": [], "usage": NO_OUTPUT}),
    ("messages", {**MESSAGE, "content": [], "usage": NO_OUTPUT, "stop_reason": None}),
    ("text", text("error")),
    ("text", text("stop", said="")),
]


@pytest.fixture
def server() -> Iterator[Scripted]:
    with scripted() as server, connections():
        yield server
    forget_lost_clients()


def host_of(server: Scripted, endpoint: Endpoint) -> Any:
    vendor = {"/v1/messages": "anthropic", "/v1/rerank": "jina_ai"}.get(endpoint.path, "openai")
    url = server.url + ("/v1" if vendor == "openai" else "")
    provider = Provider("lab", vendor=vendor, base_url=url, api_key=Secret("key"))
    router = CapabilityRouter(providers=[provider])
    router.register(Model(f"lab/{endpoint.model}", (endpoint.leaf,)))
    host = litellm.Router(model_list=[])
    attach(host, router)
    return host


def named(cases: list[tuple[str, Any]]) -> list[str]:
    return [f"{name} {place}" for place, (name, _) in enumerate(cases)]


@pytest.mark.parametrize(("name", "body"), WHOLE, ids=named(WHOLE))
def test_answer_that_is_short_for_a_reason_is_one(server: Scripted, name: str, body: Any) -> None:
    server.answer = Answer(200, body)
    endpoint = ENDPOINTS[name]
    host = host_of(server, endpoint)
    assert [answer_of(host, way, endpoint) is None for way in endpoint.names] == [False, False]


@pytest.mark.parametrize(("name", "body"), NONE, ids=named(NONE))
def test_answer_that_holds_too_little_is_none(server: Scripted, name: str, body: Any) -> None:
    server.answer = Answer(200, body)
    endpoint = ENDPOINTS[name]
    host = host_of(server, endpoint)
    for way in endpoint.names:
        with pytest.raises(CapabilityUnavailableError) as caught:
            answer_of(host, way, endpoint)
        assert {attempt.kind for attempt in caught.value.attempts} == {"protocol"}, way


START = {"type": "message_start", "message": {"usage": NO_OUTPUT}}
END = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": NO_OUTPUT}
CREATED = {"type": "response.created", "response": response(status="in_progress", output=[])}
FAILED = response(status="failed", error={"code": "server_error", "message": "It broke"})
NOTHING = response(output=[], usage=NO_OUTPUT | {"total_tokens": 3})
STREAMS: list[tuple[str, list[dict[str, Any]]]] = [
    ("messages", [START, END, ANTHROPIC[-1]]),
    ("messages", [START]),
    ("responses", [CREATED, {"type": "response.completed", "response": NOTHING}]),
    ("responses", [CREATED, {"type": "response.failed", "response": FAILED}]),
    ("text", [text("stop", said="")]),
]


@pytest.mark.filterwarnings("ignore:Items '.*' on TypedDict class:UserWarning")
@pytest.mark.parametrize(("name", "events"), STREAMS, ids=named(STREAMS))
def test_stream_that_brings_nothing_is_none(
    server: Scripted, name: str, events: list[dict[str, Any]]
) -> None:
    server.events = events
    endpoint = ENDPOINTS[name]
    host = host_of(server, endpoint)
    for way in endpoint.names:
        with pytest.raises(CapabilityUnavailableError):
            chunks_of(host, way, endpoint)


THREE = ["one", "two", "three"]


@pytest.mark.parametrize(
    ("kind", "answer", "asked", "enough"),
    [
        ("embedding", {"data": [VECTOR] * 3}, {"input": THREE}, True),
        ("embedding", {"data": [VECTOR] * 2}, {"input": THREE}, False),
        ("embedding", {"data": [VECTOR]}, {"input": [1, 2, 3]}, True),
        ("embedding", {"data": [VECTOR]}, {"input": [[1, 2], [3]]}, False),
        ("embedding", {"data": [VECTOR]}, {"input": ["a sun", "gs://sun.png"]}, True),
        ("moderation", {"results": [{}]}, {"input": THREE}, False),
        ("moderation", {"results": [{}]}, {"input": [{"type": "text"}, {}]}, True),
        ("rerank", {"results": [{}]}, {"documents": THREE, "top_n": 2}, False),
        ("rerank", {"results": [{}] * 3}, {"documents": THREE, "top_n": 9}, True),
        ("rerank", {"results": [{}]}, {"documents": THREE}, True),
        ("rerank", {"results": []}, {"documents": []}, True),
        ("image_generation", {"data": [{"url": "u"}]}, {"n": 2}, True),
        ("ocr", {"pages": []}, {}, False),
        ("ocr", {"pages": [{}]}, {}, True),
        ("completion", None, {}, True),
    ],
)
def test_as_much_is_needed_as_was_asked_for(
    kind: str, answer: Any, asked: dict[str, Any], enough: bool
) -> None:
    assert holds_enough(kind, answer, asked) is enough
    assert holds_enough(kind, SimpleNamespace(**answer or {}), asked) is enough
