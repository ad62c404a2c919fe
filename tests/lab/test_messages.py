"""Anthropic's Messages API, seen by Anthropic's own client and event by event."""

import json
from collections.abc import Callable
from typing import Any

import anthropic
import httpx
import httpx2
import pytest
from anthropic.types import Message, RawMessageStreamEvent, ToolUseBlock
from pydantic import TypeAdapter

from capability_router.lab import (
    Answer,
    Fault,
    Finish,
    Lab,
    LabProvider,
    Question,
    TextPiece,
    ToolCallPiece,
    bad_request,
    context_overflow,
    cut_stream,
    malformed_chunk,
    not_found,
    overloaded,
    payment_required,
    policy_violation,
    quota,
    quota_exhausted,
    rate_limited,
    reset,
    server_error,
    silent_stream,
    unauthorized,
)
from capability_router.lab.answers import Piece
from tests.lab.events import named_events

Client = Callable[[LabProvider], anthropic.Anthropic]

EVENTS: TypeAdapter[RawMessageStreamEvent] = TypeAdapter(RawMessageStreamEvent)
SAID = {"content": {"__all__": {"type", "text", "id", "name", "input"}}}
HEADERS = {"x-api-key": "a-secret", "anthropic-version": "2023-06-01"}

HI: Any = {"model": "m", "max_tokens": 50, "messages": [{"role": "user", "content": "hi there"}]}
WEATHER = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
}
TOOLS: Any = [
    {"name": "clock", "input_schema": {"type": "object"}},
    {"name": "weather", "description": "Tell the weather.", "input_schema": WEATHER},
]
FORCED: dict[str, Any] = {"tools": TOOLS, "tool_choice": {"type": "tool", "name": "weather"}}
REQUESTS: dict[str, dict[str, Any]] = {
    "text": {},
    "tools": FORCED,
    "limit": {"max_tokens": 3},
    "stop": {"stop_sequences": ["there"]},
    "schema": {"output_config": {"format": {"type": "json_schema", "schema": WEATHER}}},
}


def ask(raw: httpx.Client, provider: LabProvider, **fields: object) -> httpx.Response:
    return raw.post(f"{provider.root_url}/v1/messages", json=HI | fields, headers=HEADERS)


def test_answer_repeats_the_user_and_names_the_provider(
    provider_lab: Lab, anthropic_client: Client
) -> None:
    reply = anthropic_client(provider_lab["beta"]).messages.create(**HI)
    (block,) = reply.content
    assert block.type == "text"
    assert block.text == "beta echoes: hi there"
    assert (reply.id, reply.model, reply.stop_reason) == ("msg_beta-1", "m", "end_turn")
    assert (reply.usage.input_tokens, reply.usage.output_tokens) == (2, 4)


@pytest.mark.parametrize("fields", REQUESTS.values(), ids=REQUESTS)
def test_stream_has_valid_events_and_says_the_same_as_the_whole_answer(
    provider_lab: Lab, raw: httpx.Client, anthropic_client: Client, fields: dict[str, Any]
) -> None:
    provider = provider_lab["alpha"]
    events = named_events(ask(raw, provider, stream=True, **fields))
    for event in events:
        if event["type"] != "ping":
            EVENTS.validate_python(event)
    provider.reset()
    whole = Message.model_validate(ask(raw, provider, **fields).json())
    provider.reset()
    with anthropic_client(provider).messages.stream(**HI | fields) as stream:
        gathered = stream.get_final_message()
    assert gathered.model_dump(include=SAID) == whole.model_dump(include=SAID)
    assert (gathered.id, gathered.stop_reason) == (whole.id, whole.stop_reason)
    assert gathered.usage.output_tokens == whole.usage.output_tokens


def test_stream_begins_with_the_message_and_ends_with_the_reason(
    provider_lab: Lab, raw: httpx.Client
) -> None:
    events = named_events(ask(raw, provider_lab["alpha"], stream=True))
    assert [event["type"] for event in events] == [
        "message_start",
        "ping",
        "content_block_start",
        *["content_block_delta"] * 4,
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]
    assert (events[0]["message"]["content"], events[0]["message"]["stop_reason"]) == ([], None)
    assert events[-2]["delta"] == {"stop_reason": "end_turn", "stop_sequence": None}
    assert events[-2]["usage"]["output_tokens"] == 4


@pytest.mark.parametrize(
    ("fields", "reason", "stop", "text"),
    [
        ({}, "end_turn", None, "alpha echoes: hi there"),
        ({"max_tokens": 3}, "max_tokens", None, "alpha echoes: hi"),
        ({"stop_sequences": ["x", "there"]}, "stop_sequence", "there", "alpha echoes: hi "),
        ({"stop_sequences": ["there"], "max_tokens": 1}, "max_tokens", None, "alpha"),
    ],
)
def test_reason_of_the_end_is_told(
    provider_lab: Lab,
    raw: httpx.Client,
    fields: dict[str, object],
    reason: str,
    stop: str | None,
    text: str,
) -> None:
    reply = ask(raw, provider_lab["alpha"], **fields).json()
    assert (reply["stop_reason"], reply["stop_sequence"]) == (reason, stop)
    assert reply["content"][0]["text"] == text


def test_named_tool_is_called_with_valid_input(provider_lab: Lab, anthropic_client: Client) -> None:
    reply = anthropic_client(provider_lab["alpha"]).messages.create(**HI, **FORCED)
    (call,) = reply.content
    assert isinstance(call, ToolUseBlock)
    assert (call.name, call.input, call.id) == ("weather", {"city": "text"}, "toolu_alpha-1_0")
    assert reply.stop_reason == "tool_use"


def test_input_of_a_call_comes_in_parts(provider_lab: Lab, raw: httpx.Client) -> None:
    events = named_events(ask(raw, provider_lab["alpha"], stream=True, **FORCED))
    deltas = [event["delta"] for event in events if event["type"] == "content_block_delta"]
    assert {delta["type"] for delta in deltas} == {"input_json_delta"}
    assert len(deltas) >= 3
    assert json.loads("".join(delta["partial_json"] for delta in deltas)) == {"city": "text"}


@pytest.mark.parametrize(
    ("choice", "names"),
    [
        ({"type": "none"}, []),
        ({"type": "auto"}, ["clock", "weather"]),
        ({"type": "any"}, ["clock", "weather"]),
        ({"type": "auto", "disable_parallel_tool_use": True}, ["clock"]),
        ({"type": "tool", "name": "weather"}, ["weather"]),
    ],
)
def test_choice_decides_which_tools_are_called(
    provider_lab: Lab, raw: httpx.Client, choice: object, names: list[str]
) -> None:
    asked = [{"role": "user", "content": "clock and weather"}]
    response = ask(raw, provider_lab["alpha"], messages=asked, tools=TOOLS, tool_choice=choice)
    content = response.json()["content"]
    assert [block["name"] for block in content if block["type"] == "tool_use"] == names


def test_results_of_tools_are_repeated(provider_lab: Lab, anthropic_client: Client) -> None:
    client = anthropic_client(provider_lab["alpha"])
    asked: Any = [{"role": "user", "content": "weather, clock"}]
    first = client.messages.create(model="m", max_tokens=9, messages=asked, tools=TOOLS)
    results: Any = [
        {"type": "tool_result", "tool_use_id": block.id, "content": f"{block.name}!"}
        for block in first.content
        if block.type == "tool_use"
    ]
    asked += [first.to_param(), {"role": "user", "content": results}]
    second = client.messages.create(model="m", max_tokens=9, messages=asked, tools=TOOLS)
    (block,) = second.content
    assert block.type == "text"
    assert block.text == "alpha echoes: clock! weather!"


def test_message_of_the_assistant_at_the_end_is_continued(
    provider_lab: Lab, raw: httpx.Client
) -> None:
    said = [*HI["messages"], {"role": "assistant", "content": "beta echoes:"}]
    reply = ask(raw, provider_lab["alpha"], messages=said).json()
    assert reply["content"][0]["text"] == " hi there"


def test_system_counts_and_blocks_that_are_no_text_are_named(
    provider_lab: Lab, raw: httpx.Client
) -> None:
    image = {"type": "url", "url": "https://example.com/a.png"}
    blocks = [{"type": "text", "text": "see"}, {"type": "image", "source": image}]
    asked = [{"role": "user", "content": blocks}]
    system = [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}]
    reply = ask(raw, provider_lab["alpha"], messages=asked, system=system).json()
    assert reply["content"][0]["text"] == "alpha echoes: see [image]"
    assert reply["usage"]["input_tokens"] == 4


class _Mixed:
    """A source that speaks before it calls, or says nothing at all."""

    def start(self) -> None: ...

    def close(self) -> None: ...

    def answer(self, question: Question) -> Answer:
        said: list[Piece] = [TextPiece("one"), ToolCallPiece("f", "{}")]
        told = [] if question.text == "hush" else said
        return Answer("mixed", iter([*told, Finish("tool_calls", 1, 1)]))


def test_text_and_calls_are_blocks_of_their_own(
    raw: httpx.Client, anthropic_client: Client
) -> None:
    with Lab(["solo"], answers=_Mixed()) as lab:
        whole = ask(raw, lab["solo"]).json()["content"]
        quiet = ask(raw, lab["solo"], messages=[{"role": "user", "content": "hush"}]).json()
        with anthropic_client(lab["solo"]).messages.stream(**HI) as stream:
            streamed = stream.get_final_message().content
    assert [block["type"] for block in whole] == ["text", "tool_use"]
    assert [block.type for block in streamed] == ["text", "tool_use"]
    assert quiet["content"] == []


ERROR_ANSWERS: list[tuple[Fault, type[anthropic.APIStatusError], int, str, str]] = [
    (rate_limited(), anthropic.RateLimitError, 429, "rate_limit_error", "Rate limit reached"),
    (quota_exhausted(), anthropic.RateLimitError, 429, "rate_limit_error", "current quota"),
    (server_error(), anthropic.InternalServerError, 500, "api_error", "server had an error"),
    (overloaded(), anthropic.InternalServerError, 503, "overloaded_error", "overloaded"),
    (overloaded(529), anthropic.InternalServerError, 529, "overloaded_error", "overloaded"),
    (unauthorized(), anthropic.AuthenticationError, 401, "authentication_error", "x-api-key"),
    (payment_required(), anthropic.APIStatusError, 402, "billing_error", "Insufficient"),
    (not_found(), anthropic.NotFoundError, 404, "not_found_error", "`m` does not exist"),
    (bad_request(), anthropic.BadRequestError, 400, "invalid_request_error", "Invalid value"),
    (
        context_overflow(),
        anthropic.BadRequestError,
        400,
        "invalid_request_error",
        "prompt is too long: 4096 tokens > 2048 maximum",
    ),
    (
        policy_violation(),
        anthropic.BadRequestError,
        400,
        "invalid_request_error",
        "blocked by content filtering policy",
    ),
]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("fault", "error", "status", "type_", "message"),
    ERROR_ANSWERS,
    ids=[str(row[0]) for row in ERROR_ANSWERS],
)
def test_error_answer_reaches_the_client_as_anthropic_would_send_it(
    provider_lab: Lab,
    anthropic_client: Client,
    fault: Fault,
    error: type[anthropic.APIStatusError],
    status: int,
    type_: str,
    message: str,
    stream: bool,
) -> None:
    provider_lab["alpha"].script(fault)
    with pytest.raises(error) as caught:
        anthropic_client(provider_lab["alpha"]).messages.create(**HI, stream=stream)
    assert caught.value.status_code == status
    body = caught.value.body
    assert isinstance(body, dict)
    assert set(body) == {"type", "error", "request_id"}
    assert (body["type"], body["error"]["type"]) == ("error", type_)
    assert message in body["error"]["message"]


def test_quota_and_retry_after_hold_here_too(provider_lab: Lab, raw: httpx.Client) -> None:
    provider = provider_lab["alpha"]
    provider.quota = quota(1, resets_after=60)
    assert ask(raw, provider).status_code == 200
    refused = ask(raw, provider)
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "60")
    assert refused.json()["error"]["type"] == "rate_limit_error"


@pytest.mark.parametrize("sent", [0, 2, 100])
def test_stream_cut_short_breaks_the_transfer_before_its_end(
    provider_lab: Lab, anthropic_client: Client, sent: int
) -> None:
    provider_lab["alpha"].script(cut_stream(after=sent))
    stream = anthropic_client(provider_lab["alpha"]).messages.create(**HI, stream=True)
    seen: list[str] = []
    with pytest.raises(httpx2.RemoteProtocolError):
        seen.extend(event.type for event in stream)
    assert seen.count("content_block_delta") == min(sent, 4)
    assert not {"message_delta", "message_stop"} & set(seen)


def test_close_delimited_stream_cut_short_looks_complete_but_has_no_reason(
    provider_lab: Lab, anthropic_client: Client
) -> None:
    provider_lab["alpha"].script(cut_stream(after=1, framing="close"))
    with anthropic_client(provider_lab["alpha"]).messages.stream(**HI) as stream:
        message = stream.get_final_message()
    (block,) = message.content
    assert block.type == "text"
    assert (block.text, message.stop_reason) == ("alpha", None)


def test_malformed_event_reaches_the_client(provider_lab: Lab, anthropic_client: Client) -> None:
    provider_lab["alpha"].script(malformed_chunk(after=1))
    stream = anthropic_client(provider_lab["alpha"]).messages.create(**HI, stream=True)
    with pytest.raises(json.JSONDecodeError):
        list(stream)


def test_silent_stream_goes_on_once_the_provider_is_healed(
    provider_lab: Lab, anthropic_client: Client
) -> None:
    provider = provider_lab["alpha"]
    provider.script(silent_stream(after=1))
    seen: list[str] = []
    for event in anthropic_client(provider).messages.create(**HI, stream=True):
        seen.append(event.type)
        if event.type == "content_block_delta":
            provider.heal()
    assert seen[-1] == "message_stop"


def test_reset_arrives_as_a_broken_connection(provider_lab: Lab, anthropic_client: Client) -> None:
    provider_lab["alpha"].script(reset())
    with pytest.raises(anthropic.APIConnectionError):
        anthropic_client(provider_lab["alpha"]).messages.create(**HI)


def test_key_is_not_kept(provider_lab: Lab, anthropic_client: Client) -> None:
    anthropic_client(provider_lab["alpha"]).messages.create(**HI)
    (request,) = provider_lab["alpha"].requests
    assert "a-secret" not in repr(request)
    assert (request.path, request.body) == ("/v1/messages", HI)
