"""Requests that are refused, each with the field that is to blame; and their neighbours, served."""

import base64
from collections.abc import Mapping
from typing import Any

import httpx
import openai
import pytest

from capability_router.lab import Lab, quota
from capability_router.lab.pictures import png
from capability_router.lab.questions import chat_question
from capability_router.lab.refusals import Refusal, RefusedError
from capability_router.lab.sounds import wav
from tests.lab.asking import chat, post
from tests.lab.test_healthy_answers import Client
from tests.standard import pdf

CLOSED = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
OPEN = {"type": "object", "properties": {"city": {"type": "string"}}}
CALL = {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}
RESULT = {"role": "tool", "tool_call_id": "c1", "content": "sun"}


def tool(**function: object) -> dict[str, Any]:
    described = {"name": "weather", "parameters": OPEN} | function
    return {"type": "function", "function": described}


def form(**fields: object) -> dict[str, Any]:
    described = {"name": "answer", "schema": CLOSED} | fields
    return {"type": "json_schema", "json_schema": described}


def said(*messages: object) -> dict[str, Any]:
    return chat() | {"messages": list(messages)}


def user(*parts: object) -> dict[str, Any]:
    return said({"role": "user", "content": list(parts)})


def called(*calls: object, **fields: object) -> dict[str, Any]:
    return {"role": "assistant", "content": None, "tool_calls": list(calls)} | fields


def image(url: object, **fields: object) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": url} | fields}


def audio(data: object, kind: object) -> dict[str, Any]:
    return {"type": "input_audio", "input_audio": {"data": data, "format": kind}}


def file(**fields: object) -> dict[str, Any]:
    return {"type": "file", "file": fields}


def data_url(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{b64(content)}"


def b64(content: bytes) -> str:
    return base64.b64encode(content).decode()


def refusal(body: Mapping[str, object]) -> Refusal:
    with pytest.raises(RefusedError) as caught:
        chat_question("alpha", body)
    assert caught.value.refusal.status == 400
    return caught.value.refusal


FIELDS: list[tuple[dict[str, Any], str, str | None]] = [
    ({"frequency_penalty": -2.5}, "frequency_penalty", "decimal_below_min_value"),
    ({"functions": [{"name": "f"}]}, "functions", None),
    ({"logit_bias": {"50256": 101}}, "logit_bias.50256", "decimal_above_max_value"),
    ({"logprobs": 3}, "logprobs", "invalid_type"),
    ({"max_completion_tokens": "3"}, "max_completion_tokens", "invalid_type"),
    ({"max_tokens": 0}, "max_tokens", "integer_below_min_value"),
    ({"max_tokens": 2.5}, "max_tokens", "invalid_type"),
    (
        {"max_tokens": 9, "max_completion_tokens": 9},
        "max_tokens",
        "invalid_parameter_combination",
    ),
    ({"metadata": {"a": 1}}, "metadata.a", "invalid_type"),
    ({"modalities": ["text", "audio"]}, "modalities[1]", "invalid_value"),
    ({"n": 2}, "n", None),
    ({"n": 0}, "n", "integer_below_min_value"),
    ({"parallel_tool_calls": False}, "parallel_tool_calls", None),
    ({"presence_penalty": True}, "presence_penalty", "invalid_type"),
    ({"reasoning_effort": "enormous"}, "reasoning_effort", "invalid_value"),
    ({"response_format": {}}, "response_format.type", "missing_required_parameter"),
    ({"response_format": {"type": "xml"}}, "response_format.type", "invalid_value"),
    ({"response_format": {"type": "json_object"}}, "messages", None),
    (
        {"response_format": {"type": "json_schema"}},
        "response_format.json_schema",
        "missing_required_parameter",
    ),
    ({"response_format": form(name="a b")}, "response_format.json_schema.name", "invalid_value"),
    ({"response_format": form(schema=[])}, "response_format.json_schema.schema", "invalid_type"),
    ({"response_format": form(strict=True, schema=OPEN)}, "response_format", None),
    ({"safety_identifier": "x" * 65}, "safety_identifier", "string_above_max_length"),
    ({"seed": 1.5}, "seed", "invalid_type"),
    ({"service_tier": "golden"}, "service_tier", "invalid_value"),
    ({"stop": ["a"] * 5}, "stop", "array_above_max_length"),
    ({"stop": ["a", 1]}, "stop[1]", "invalid_type"),
    ({"stream": "yes"}, "stream", "invalid_type"),
    ({"stream_options": {"include_usage": True}}, "stream_options", None),
    ({"stream": True, "stream_options": {"all": True}}, "stream_options.all", "unknown_parameter"),
    ({"temperature": 2.1}, "temperature", "decimal_above_max_value"),
    ({"temperature": float("nan")}, "temperature", "decimal_below_min_value"),
    ({"temperature": "hot"}, "temperature", "invalid_type"),
    ({"tool_choice": "required"}, "tool_choice", None),
    ({"tools": []}, "tools", "empty_array"),
    ({"top_k": 40}, "top_k", "unknown_parameter"),
    ({"min_p": None}, "min_p", "unknown_parameter"),
    ({"top_logprobs": 2}, "top_logprobs", None),
    ({"logprobs": True, "top_logprobs": 21}, "top_logprobs", "integer_above_max_value"),
    ({"top_p": 1.01}, "top_p", "decimal_above_max_value"),
    ({"user": 7}, "user", "invalid_type"),
    ({"verbosity": "loud"}, "verbosity", "invalid_value"),
]


@pytest.mark.parametrize(("fields", "param", "code"), FIELDS)
def test_wrong_field_is_refused_by_its_name(
    fields: dict[str, Any], param: str, code: str | None
) -> None:
    refused = refusal(chat() | fields)
    assert (refused.param, refused.code) == (param, code)


TOOLS: list[tuple[dict[str, Any], str]] = [
    ({"tools": {}}, "tools"),
    ({"tools": ["weather"]}, "tools[0]"),
    ({"tools": [tool()] * 129}, "tools"),
    ({"tools": [{"name": "weather"}]}, "tools[0].type"),
    ({"tools": [{"type": "custom", "custom": {}}]}, "tools[0].type"),
    ({"tools": [{"type": "function"}]}, "tools[0].function"),
    ({"tools": [tool(), tool(name="the weather")]}, "tools[1].function.name"),
    ({"tools": [tool(name="x" * 65)]}, "tools[0].function.name"),
    ({"tools": [tool(description=1)]}, "tools[0].function.description"),
    ({"tools": [tool(strict="yes")]}, "tools[0].function.strict"),
    ({"tools": [tool(parameters=[])]}, "tools[0].function.parameters"),
    ({"tools": [tool(parameters={"type": "string"})]}, "tools[0].function.parameters"),
    ({"tools": [tool(strict=True)]}, "tools[0].function.parameters"),
    ({"tools": [tool()], "tool_choice": "any"}, "tool_choice"),
    ({"tools": [tool()], "tool_choice": 1}, "tool_choice"),
    ({"tools": [tool()], "tool_choice": {"function": {}}}, "tool_choice.type"),
    ({"tools": [tool()], "tool_choice": tool(name="clock")}, "tool_choice.function.name"),
    (
        {
            "tools": [tool()],
            "tool_choice": {
                "type": "allowed_tools",
                "allowed_tools": {"mode": "auto", "tools": [tool(name="clock")]},
            },
        },
        "tool_choice.allowed_tools.tools[0].function.name",
    ),
    (
        {"tools": [tool()], "tool_choice": {"type": "allowed_tools", "allowed_tools": {}}},
        "tool_choice.allowed_tools.mode",
    ),
]


@pytest.mark.parametrize(("fields", "param"), TOOLS)
def test_wrong_tool_or_choice_is_refused_by_its_place(fields: dict[str, Any], param: str) -> None:
    assert refusal(chat() | fields).param == param


MESSAGES: list[tuple[dict[str, Any], str]] = [
    ({"model": "m"}, "messages"),
    (chat() | {"messages": "hi"}, "messages"),
    (said(), "messages"),
    (said("hi"), "messages[0]"),
    (said({"content": "hi"}), "messages[0].role"),
    (said({"role": "king", "content": "hi"}), "messages[0].role"),
    (said({"role": "user"}), "messages[0].content"),
    (said({"role": "user", "content": 1}), "messages[0].content"),
    (said({"role": "user", "content": []}), "messages[0].content"),
    (said({"role": "user", "name": "a b", "content": "hi"}), "messages[0].name"),
    (said({"role": "assistant", "content": None}), "messages[0].content"),
    (said({"role": "function", "content": "1"}), "messages[0].name"),
    (user("hi"), "messages[0].content[0]"),
    (user({"text": "hi"}), "messages[0].content[0].type"),
    (user({"type": "text"}), "messages[0].content[0].text"),
    (user({"type": "image", "source": {}}), "messages[0].content[0].type"),
    (user({"type": "refusal", "refusal": "no"}), "messages[0].content[0].type"),
    (user({"type": "image_url", "image_url": "x"}), "messages[0].content[0].image_url"),
    (user(image("x")), "messages[0].content[0].image_url.url"),
    (user(image("file:///tmp/x.png")), "messages[0].content[0].image_url.url"),
    (user(image("data:image/png;base64,%%%")), "messages[0].content[0].image_url.url"),
    (user(image(data_url("text/plain", b"x"))), "messages[0].content[0].image_url.url"),
    (user(image("https://a.b/c", detail="fine")), "messages[0].content[0].image_url.detail"),
    (user(audio("", "wav")), "messages[0].content[0].input_audio.data"),
    (user(audio("%", "wav")), "messages[0].content[0].input_audio.data"),
    (user(audio(b64(wav()), "ogg")), "messages[0].content[0].input_audio.format"),
    (user(file()), "messages[0].content[0].file.file_data"),
    (user(file(file_data="JVBERi0=", filename="a")), "messages[0].content[0].file.file_data"),
    (
        user(file(file_data=data_url("application/pdf", pdf()))),
        "messages[0].content[0].file.filename",
    ),
    (said({"role": "system", "content": [image("https://a.b/c")]}), "messages[0]"),
    (said(called()), "messages[0].tool_calls"),
    (said(called({"id": "c1", "type": "function"})), "messages[0].tool_calls[0].function"),
    (said({"role": "tool", "content": "sun"}), "messages[0].tool_call_id"),
]


@pytest.mark.parametrize(("body", "param"), MESSAGES)
def test_wrong_message_is_refused_by_its_place(body: dict[str, Any], param: str) -> None:
    assert refusal(body).param == param


@pytest.mark.parametrize(
    ("messages", "param", "message"),
    [
        ([RESULT], "messages.[0].role", "must be a response to a preceeding message"),
        ([called(CALL)], "messages.[0].role", "did not have response messages: c1"),
        (
            [called(CALL, CALL | {"id": "c2"}), RESULT, {"role": "user", "content": "and?"}],
            "messages.[2].role",
            "did not have response messages: c2",
        ),
        (
            [called(CALL), RESULT | {"tool_call_id": "c3"}],
            "messages.[1].tool_call_id",
            "'tool_call_id' of 'c3' not found",
        ),
        (
            [called(CALL), RESULT, RESULT],
            "messages.[2].tool_call_id",
            "'tool_call_id' of 'c1' not found",
        ),
    ],
)
def test_calls_and_results_have_to_match(
    messages: list[dict[str, Any]], param: str, message: str
) -> None:
    refused = refusal(said(*messages))
    assert refused.param == param
    assert message in refused.message


@pytest.mark.parametrize(
    ("schema", "context", "reason"),
    [
        ({"type": "object"}, "()", "'additionalProperties'"),
        (CLOSED | {"required": []}, "()", "Missing 'city'"),
        (
            CLOSED | {"properties": {"city": {"type": "array", "items": OPEN}}},
            "('properties', 'city', 'items')",
            "'additionalProperties'",
        ),
        (
            CLOSED | {"properties": {"city": {"anyOf": [{"type": "null"}, OPEN]}}},
            "('properties', 'city', 'anyOf', '1')",
            "'additionalProperties'",
        ),
        (CLOSED | {"$defs": {"town": OPEN}}, "('$defs', 'town')", "'additionalProperties'"),
    ],
)
def test_strict_schema_is_refused_with_the_place_that_is_not_strict(
    schema: dict[str, Any], context: str, reason: str
) -> None:
    refused = refusal(chat(tools=[tool(strict=True, parameters=schema)]))
    assert refused.code == "invalid_function_parameters"
    assert f"function 'weather': In context={context}" in refused.message
    assert reason in refused.message


@pytest.mark.parametrize(
    "body",
    [
        chat(temperature=0, top_p=1, presence_penalty=-2, frequency_penalty=2, seed=-1),
        chat(temperature=2.0, stop=[], logprobs=True, top_logprobs=20, n=1, store=False),
        chat(
            stop="x", user="me", metadata={"a": "b"}, logit_bias={"1": -100}, tools=None, audio=None
        ),
        chat("as JSON", response_format={"type": "json_object"}),
        chat(response_format={"type": "text"}, reasoning_effort="low", service_tier="auto"),
        chat(response_format=form(strict=True)),
        chat(tools=[tool(strict=True, parameters=CLOSED)], parallel_tool_calls=False),
        chat(tools=[tool(parameters=None)], tool_choice="none"),
        chat(stream=True, stream_options={"include_usage": True, "include_obfuscation": False}),
        said(
            {"role": "developer", "content": "be kind"},
            {"role": "system", "content": [{"type": "text", "text": "be brief"}]},
            {"role": "user", "content": "hi", "name": "me"},
            called(CALL, CALL | {"id": "c2"}),
            RESULT | {"tool_call_id": "c2"},
            RESULT | {"content": [image(data_url("image/png", png()))]},
            {"role": "assistant", "content": [{"type": "refusal", "refusal": "no"}]},
            {"role": "function", "name": "f", "content": "1"},
        ),
        user(
            {"type": "text", "text": "hi", "cache_control": {"type": "ephemeral"}},
            image("https://example.com/a.png", detail="low"),
            image(data_url("image/png", png())),
            audio(b64(wav()), "wav"),
            file(file_id="file-1"),
            file(file_data=data_url("application/pdf", pdf()), filename="a.pdf"),
        ),
    ],
)
def test_what_openai_serves_is_served(body: dict[str, Any]) -> None:
    assert chat_question("alpha", body).model == "some-model"


def test_client_sees_the_field_the_code_and_the_words_of_a_refusal(
    provider_lab: Lab, openai_client: Client
) -> None:
    client = openai_client(provider_lab["alpha"])
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(**chat(temperature=3))
    error = caught.value
    assert (error.type, error.param) == ("invalid_request_error", "temperature")
    assert error.code == "decimal_above_max_value"
    assert "Expected a value <= 2, but got 3 instead." in error.message


def test_refused_request_leaves_the_quota_as_it_is(provider_lab: Lab, raw: httpx.Client) -> None:
    provider_lab["alpha"].quota = quota(1)
    assert post(raw, provider_lab["alpha"], chat(top_k=1)).status_code == 400
    assert post(raw, provider_lab["alpha"]).status_code == 200


def test_schema_nested_deeper_than_the_stack_is_checked() -> None:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(3000):
        schema = CLOSED | {"properties": {"city": schema}}
    chat_question("alpha", chat(tools=[tool(strict=True, parameters=schema)]))
