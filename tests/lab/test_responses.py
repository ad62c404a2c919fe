"""The Responses API, seen by OpenAI's own client and event by event."""

import json
from collections.abc import Callable
from typing import Any

import httpx
import openai
import pytest
from openai.types.responses import Response, ResponseFunctionToolCall, ResponseStreamEvent
from pydantic import TypeAdapter

from capability_router.lab import (
    Answer,
    Finish,
    Lab,
    LabProvider,
    Question,
    TextPiece,
    ToolCallPiece,
    cut_stream,
    malformed_chunk,
    silent_stream,
)
from capability_router.lab.answers import Piece
from capability_router.lab.refusals import RefusedError
from capability_router.lab.responses_history import ResponseHistory
from tests.lab.asking import post
from tests.lab.events import named_events

Client = Callable[[LabProvider], openai.OpenAI]

EVENTS: TypeAdapter[ResponseStreamEvent] = TypeAdapter(ResponseStreamEvent)

WEATHER = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
TOOLS: Any = [
    {"type": "function", "name": "clock", "parameters": {"type": "object"}},
    {"type": "function", "name": "weather", "parameters": WEATHER, "strict": True},
]
FORCED: dict[str, Any] = {
    "tools": TOOLS,
    "tool_choice": {"type": "function", "name": "weather"},
}
LONG = " ".join(["word"] * 30)
REQUESTS: dict[str, dict[str, Any]] = {
    "text": {},
    "tools": FORCED,
    "several tools": {"tools": TOOLS, "input": "ask clock and weather"},
    "limit": {"input": LONG, "max_output_tokens": 16},
    "schema": {"text": {"format": {"type": "json_schema", "name": "w", "schema": WEATHER}}},
    "logprobs": {"include": ["message.output_text.logprobs"], "top_logprobs": 2},
    "settings": {
        "instructions": "Be brief.",
        "metadata": {"a": "b"},
        "temperature": 0.5,
        "truncation": "auto",
        "reasoning": {"effort": "low"},
        "user": "somebody",
    },
}


def respond(raw: httpx.Client, provider: LabProvider, **fields: object) -> httpx.Response:
    return post(raw, provider, {"model": "m", "input": "hi there", **fields}, "/responses")


def test_answer_repeats_the_input_and_names_the_provider(
    provider_lab: Lab, openai_client: Client
) -> None:
    reply = openai_client(provider_lab["beta"]).responses.create(model="m", input="hi there")
    assert reply.output_text == "beta echoes: hi there"
    assert (reply.id, reply.model, reply.status) == ("resp_beta-1", "m", "completed")
    assert reply.usage is not None
    usage = reply.usage
    assert (usage.input_tokens, usage.output_tokens, usage.total_tokens) == (2, 4, 6)


@pytest.mark.parametrize("fields", REQUESTS.values(), ids=REQUESTS)
def test_stream_has_valid_events_in_order_and_ends_with_the_whole_answer(
    provider_lab: Lab, raw: httpx.Client, fields: dict[str, Any]
) -> None:
    told = respond(raw, provider_lab["alpha"], stream=True, **fields)
    events = named_events(told)
    for event in events:
        EVENTS.validate_python(event)
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert [event["type"] for event in events[:2]] == ["response.created", "response.in_progress"]
    assert told.headers["content-type"].startswith("text/event-stream")
    provider_lab["alpha"].reset()
    whole = respond(raw, provider_lab["alpha"], **fields).json()
    Response.model_validate(whole)
    assert {**events[-1]["response"], "created_at": 0, "completed_at": 0} == {
        **whole,
        "created_at": 0,
        "completed_at": 0,
    }


def test_stream_tells_a_text_piece_by_piece(provider_lab: Lab, openai_client: Client) -> None:
    client = openai_client(provider_lab["alpha"])
    stream = client.responses.create(model="m", input="hi there", stream=True)
    events = list(stream)
    deltas = [event.delta for event in events if event.type == "response.output_text.delta"]
    assert deltas == ["alpha", " echoes:", " hi", " there"]
    assert [event.type for event in events if event.type != "response.output_text.delta"] == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]


def test_client_gathers_a_stream_into_the_whole_answer(
    provider_lab: Lab, openai_client: Client
) -> None:
    with openai_client(provider_lab["alpha"]).responses.stream(model="m", input="hi") as stream:
        stream.until_done()
        assert stream.get_final_response().output_text == "alpha echoes: hi"


def test_named_tool_is_called_with_valid_arguments(
    provider_lab: Lab, openai_client: Client
) -> None:
    client = openai_client(provider_lab["alpha"])
    (call,) = client.responses.create(model="m", input="hi", **FORCED).output
    assert isinstance(call, ResponseFunctionToolCall)
    assert (call.name, json.loads(call.arguments)) == ("weather", {"city": "text"})
    assert (call.call_id, call.status) == ("call_alpha-1_0", "completed")


def test_arguments_of_a_call_come_in_parts(provider_lab: Lab, raw: httpx.Client) -> None:
    events = named_events(respond(raw, provider_lab["alpha"], stream=True, **FORCED))
    kind = "response.function_call_arguments"
    parts = [event["delta"] for event in events if event["type"] == f"{kind}.delta"]
    (done,) = [event for event in events if event["type"] == f"{kind}.done"]
    assert len(parts) >= 3
    assert "".join(parts) == done["arguments"] == '{"city": "text"}'
    added = next(event for event in events if event["type"] == "response.output_item.added")
    assert (added["item"]["name"], added["item"]["arguments"]) == ("weather", "")


@pytest.mark.parametrize(
    ("choice", "names"),
    [
        ("none", []),
        ("auto", []),
        ("required", ["clock"]),
        (
            {
                "type": "allowed_tools",
                "mode": "required",
                "tools": [{"type": "function", "name": "weather"}],
            },
            ["weather"],
        ),
    ],
)
def test_choice_decides_which_tools_are_called(
    provider_lab: Lab, raw: httpx.Client, choice: object, names: list[str]
) -> None:
    reply = respond(raw, provider_lab["alpha"], tools=TOOLS, tool_choice=choice).json()
    assert [item["name"] for item in reply["output"] if item["type"] == "function_call"] == names


def test_results_of_tools_are_repeated(provider_lab: Lab, openai_client: Client) -> None:
    client = openai_client(provider_lab["alpha"])
    asked: Any = {"role": "user", "content": [{"type": "input_text", "text": "weather, clock"}]}
    first = client.responses.create(model="m", input=[asked], tools=TOOLS)
    calls: Any = [item.model_dump() for item in first.output]
    results: Any = [
        {"type": "function_call_output", "call_id": call["call_id"], "output": f"{call['name']}!"}
        for call in calls
    ]
    second = client.responses.create(model="m", input=[asked, *calls, *results], tools=TOOLS)
    assert second.output_text == "alpha echoes: clock! weather!"


def test_conversation_goes_on_from_an_earlier_response(
    provider_lab: Lab, openai_client: Client
) -> None:
    client = openai_client(provider_lab["alpha"])
    first = client.responses.create(model="m", input="what is the weather?", tools=TOOLS)
    (call,) = first.output
    assert isinstance(call, ResponseFunctionToolCall)
    result: Any = {"type": "function_call_output", "call_id": call.call_id, "output": "sun"}
    second = client.responses.create(model="m", input=[result], previous_response_id=first.id)
    third = client.responses.create(model="m", input="thanks", previous_response_id=second.id)
    assert [second.output_text, third.output_text] == ["alpha echoes: sun", "alpha echoes: thanks"]
    assert second.previous_response_id == first.id
    assert third.usage is not None
    # Every message counts: the question, the result, its echo and the thanks.
    assert third.usage.input_tokens == 4 + 1 + 3 + 1


def test_streamed_response_is_remembered_too(provider_lab: Lab, raw: httpx.Client) -> None:
    events = named_events(respond(raw, provider_lab["alpha"], stream=True))
    id_ = events[-1]["response"]["id"]
    again = respond(raw, provider_lab["alpha"], previous_response_id=id_)
    assert again.json()["usage"]["input_tokens"] == 2 + 4 + 2


def test_response_is_unknown_elsewhere_unstored_and_after_a_reset(
    provider_lab: Lab, openai_client: Client
) -> None:
    alpha, beta = (openai_client(provider_lab[name]) for name in ("alpha", "beta"))
    kept = alpha.responses.create(model="m", input="a").id
    unstored = alpha.responses.create(model="m", input="a", store=False).id
    for client, id_ in ((beta, kept), (alpha, unstored)):
        with pytest.raises(openai.BadRequestError) as caught:
            client.responses.create(model="m", input="b", previous_response_id=id_)
        assert caught.value.code == "previous_response_not_found"
        assert caught.value.param == "previous_response_id"
        assert id_ in str(caught.value)
    provider_lab["alpha"].reset()
    with pytest.raises(openai.BadRequestError, match="not found"):
        alpha.responses.create(model="m", input="b", previous_response_id=kept)


def test_response_that_broke_off_is_not_remembered(provider_lab: Lab, raw: httpx.Client) -> None:
    provider_lab["alpha"].script(cut_stream(framing="close"))
    events = named_events(respond(raw, provider_lab["alpha"], stream=True))
    id_ = events[0]["response"]["id"]
    again = respond(raw, provider_lab["alpha"], previous_response_id=id_)
    assert again.json()["error"]["code"] == "previous_response_not_found"


def test_oldest_response_is_forgotten_where_there_are_too_many() -> None:
    history = ResponseHistory()
    for number in range(10_001):
        history.remember(f"resp_{number}", [{"role": "user", "content": str(number)}])
    assert history.recall("resp_1") == [{"role": "user", "content": "1"}]
    with pytest.raises(RefusedError, match="'resp_0' not found"):
        history.recall("resp_0")


def test_message_of_the_assistant_is_answered_and_not_continued(
    provider_lab: Lab, raw: httpx.Client
) -> None:
    said = [
        {"role": "user", "content": "hi there"},
        {"role": "assistant", "content": "alpha echoes:"},
    ]
    reply = respond(raw, provider_lab["alpha"], input=said).json()
    assert reply["output"][0]["content"][0]["text"] == "alpha echoes: hi there"


def test_pictures_and_files_are_named(provider_lab: Lab, raw: httpx.Client) -> None:
    parts = [
        {"type": "input_text", "text": "see"},
        {"type": "input_image", "image_url": "https://example.com/a.png", "detail": "auto"},
        {"type": "input_file", "file_url": "https://example.com/a.pdf"},
    ]
    reply = respond(raw, provider_lab["alpha"], input=[{"role": "user", "content": parts}]).json()
    text = reply["output"][0]["content"][0]["text"]
    assert text == "alpha echoes: see [input_image] [input_file]"


def test_limit_makes_the_answer_incomplete(provider_lab: Lab, raw: httpx.Client) -> None:
    fields = REQUESTS["limit"]
    reply = respond(raw, provider_lab["alpha"], **fields).json()
    assert reply["status"] == reply["output"][0]["status"] == "incomplete"
    assert reply["incomplete_details"] == {"reason": "max_output_tokens"}
    assert len(reply["output"][0]["content"][0]["text"].split()) == 16
    events = named_events(respond(raw, provider_lab["alpha"], stream=True, **fields))
    assert events[-1]["type"] == "response.incomplete"


def test_schema_and_json_mode_are_satisfied(provider_lab: Lab, raw: httpx.Client) -> None:
    filled = respond(raw, provider_lab["alpha"], **REQUESTS["schema"]).json()
    assert json.loads(filled["output"][0]["content"][0]["text"]) == {"city": "text"}
    form = {"format": {"type": "json_object"}}
    named = respond(raw, provider_lab["alpha"], input="JSON with 'setup'", text=form).json()
    assert json.loads(named["output"][0]["content"][0]["text"]) == {"setup": "text"}


def test_likelihoods_are_told_with_the_text_and_with_each_piece(
    provider_lab: Lab, raw: httpx.Client
) -> None:
    events = named_events(respond(raw, provider_lab["alpha"], stream=True, **REQUESTS["logprobs"]))
    pieces = [
        token
        for event in events
        if event["type"] == "response.output_text.delta"
        for token in event["logprobs"]
    ]
    whole = events[-1]["response"]["output"][0]["content"][0]["logprobs"]
    assert [token["token"] for token in whole] == ["alpha", " echoes:", " hi", " there"]
    assert pieces == whole
    assert {len(token["top_logprobs"]) for token in whole} == {2}


def test_settings_are_repeated(provider_lab: Lab, raw: httpx.Client) -> None:
    settings = REQUESTS["settings"]
    reply = respond(raw, provider_lab["alpha"], **settings).json()
    assert {field: reply[field] for field in settings} == settings


class _Mixed:
    """A source that speaks before and after a call, or says nothing at all."""

    def start(self) -> None: ...

    def close(self) -> None: ...

    def answer(self, question: Question) -> Answer:
        said: list[Piece] = [TextPiece("one"), ToolCallPiece("f", "{}"), TextPiece("two")]
        told = said if question.text else []
        return Answer("mixed", iter([*told, Finish("stop", 1, 1)]))


def test_text_and_calls_are_items_of_their_own(raw: httpx.Client) -> None:
    with Lab(["solo"], answers=_Mixed()) as lab:
        events = named_events(respond(raw, lab["solo"], stream=True))
    output = events[-1]["response"]["output"]
    assert [item["type"] for item in output] == ["message", "function_call", "message"]
    assert len({item["id"] for item in output}) == 3
    done = [event["item"] for event in events if event["type"] == "response.output_item.done"]
    assert done == output


def test_answer_without_a_word_has_an_empty_message(raw: httpx.Client) -> None:
    with Lab(["solo"], answers=_Mixed()) as lab:
        reply = respond(raw, lab["solo"], input="").json()
    (message,) = reply["output"]
    assert (message["type"], message["content"][0]["text"]) == ("message", "")


@pytest.mark.parametrize("sent", [0, 2, 100])
def test_stream_cut_short_breaks_the_transfer_before_its_end(
    provider_lab: Lab, openai_client: Client, sent: int
) -> None:
    provider_lab["alpha"].script(cut_stream(after=sent))
    client = openai_client(provider_lab["alpha"])
    seen: list[str] = []
    stream = client.responses.create(model="m", input="hi there", stream=True)
    with pytest.raises(httpx.RemoteProtocolError):
        seen.extend(event.type for event in stream)
    assert seen.count("response.output_text.delta") == min(sent, 4)
    assert "response.completed" not in seen


def test_close_delimited_stream_cut_short_looks_complete_but_has_no_end(
    provider_lab: Lab, openai_client: Client
) -> None:
    provider_lab["alpha"].script(cut_stream(after=2, framing="close"))
    client = openai_client(provider_lab["alpha"])
    seen = [event.type for event in client.responses.create(model="m", input="hi", stream=True)]
    assert seen[-1] == "response.output_text.delta"


def test_malformed_event_reaches_the_client(provider_lab: Lab, openai_client: Client) -> None:
    provider_lab["alpha"].script(malformed_chunk(after=1))
    stream = openai_client(provider_lab["alpha"]).responses.create(
        model="m", input="hi", stream=True
    )
    with pytest.raises(json.JSONDecodeError):
        list(stream)


def test_silent_stream_goes_on_once_the_provider_is_healed(
    provider_lab: Lab, openai_client: Client
) -> None:
    provider = provider_lab["alpha"]
    provider.script(silent_stream(after=1))
    stream = openai_client(provider).responses.create(model="m", input="hi", stream=True)
    seen: list[str] = []
    for event in stream:
        seen.append(event.type)
        if event.type == "response.output_text.delta":
            provider.heal()
    assert seen[-1] == "response.completed"
