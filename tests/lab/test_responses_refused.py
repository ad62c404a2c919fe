"""Requests to the Responses API that are refused, each with the field that is to blame."""

from typing import Any

import httpx
import pytest

from capability_router.lab import Lab
from tests.lab.asking import post

TOOL = {"type": "function", "name": "weather", "parameters": {"type": "object"}}
CALL = {"type": "function_call", "call_id": "c1", "name": "weather", "arguments": "{}"}
RESULT = {"type": "function_call_output", "call_id": "c1", "output": "sun"}
PNG_URL = "data:image/png;base64,AAAA"


def message(*parts: object, role: str = "user") -> dict[str, Any]:
    return {"input": [{"role": role, "content": list(parts)}]}


def form(**fields: object) -> dict[str, Any]:
    return {"text": {"format": {"type": "json_schema", "name": "w", "schema": {}} | fields}}


REFUSED: list[tuple[dict[str, Any], str, str | None]] = [
    ({"model": ""}, "model", "empty_string"),
    ({"model": None}, "model", "invalid_type"),
    ({"input": None}, "input", "invalid_type"),
    ({"input": []}, "input", "empty_array"),
    ({"input": [3]}, "input[0]", "invalid_type"),
    ({"input": [{"type": "reasoning"}]}, "input[0].type", "invalid_value"),
    ({"input": [{"content": "a"}]}, "input[0].role", "missing_required_parameter"),
    ({"input": [{"role": "tool", "content": "a"}]}, "input[0].role", "invalid_value"),
    ({"input": [{"role": "user"}]}, "input[0].content", "missing_required_parameter"),
    (message(), "input[0].content", "empty_array"),
    (message("a"), "input[0].content[0]", "invalid_type"),
    (message({"text": "a"}), "input[0].content[0].type", "missing_required_parameter"),
    (message({"type": "text", "text": "a"}), "input[0].content[0].type", "invalid_value"),
    (
        message({"type": "input_text", "text": "a"}, role="assistant"),
        "input[0].content[0].type",
        "invalid_value",
    ),
    (
        message({"type": "output_text", "text": 3}, role="assistant"),
        "input[0].content[0].text",
        "invalid_type",
    ),
    (
        message({"type": "refusal"}, role="assistant"),
        "input[0].content[0].refusal",
        "missing_required_parameter",
    ),
    (message({"type": "input_text"}), "input[0].content[0].text", "missing_required_parameter"),
    (
        message({"type": "input_image"}),
        "input[0].content[0].image_url",
        "missing_required_parameter",
    ),
    (
        message({"type": "input_image", "image_url": "a.png"}),
        "input[0].content[0].image_url",
        "invalid_value",
    ),
    (message({"type": "input_image", "file_id": "f"}), "input[0].content[0].file_id", None),
    (
        message({"type": "input_image", "image_url": PNG_URL, "detail": "much"}),
        "input[0].content[0].detail",
        "invalid_value",
    ),
    (
        message({"type": "input_file", "file_url": "a.pdf"}),
        "input[0].content[0].file_url",
        "invalid_value",
    ),
    (
        message({"type": "input_file"}),
        "input[0].content[0].file_data",
        "missing_required_parameter",
    ),
    ({"input": [CALL | {"call_id": 3}, RESULT]}, "input[0].call_id", "invalid_type"),
    ({"input": [CALL | {"arguments": {}}, RESULT]}, "input[0].arguments", "invalid_type"),
    ({"input": [CALL, RESULT | {"output": 3}]}, "input[1].output", "invalid_type"),
    ({"input": [CALL]}, "input", None),
    ({"input": [RESULT]}, "input", None),
    ({"input": [RESULT, CALL]}, "input", None),
    ({"input": [CALL, RESULT, RESULT]}, "input", None),
    ({"instructions": ["a"]}, "instructions", "invalid_type"),
    ({"max_output_tokens": 15}, "max_output_tokens", "integer_below_min_value"),
    ({"max_tool_calls": 0}, "max_tool_calls", "integer_below_min_value"),
    ({"metadata": {"a": 3}}, "metadata.a", "invalid_type"),
    ({"metadata": {"a": "x" * 513}}, "metadata.a", "string_above_max_length"),
    ({"metadata": {str(number): "" for number in range(17)}}, "metadata", None),
    ({"include": ["everything"]}, "include[0]", "invalid_value"),
    ({"parallel_tool_calls": "no"}, "parallel_tool_calls", "invalid_type"),
    ({"previous_response_id": "chat_1"}, "previous_response_id", "invalid_value"),
    (
        {"previous_response_id": "resp_unknown"},
        "previous_response_id",
        "previous_response_not_found",
    ),
    ({"reasoning": {"effort": "enormous"}}, "reasoning.effort", "invalid_value"),
    ({"reasoning": {"budget": 3}}, "reasoning.budget", "unknown_parameter"),
    ({"background": True}, "background", None),
    ({"store": "yes"}, "store", "invalid_type"),
    ({"stream": 1}, "stream", "invalid_type"),
    ({"stream_options": {"include_obfuscation": False}}, "stream_options", None),
    (
        {"stream": True, "stream_options": {"include_usage": True}},
        "stream_options.include_usage",
        "unknown_parameter",
    ),
    ({"temperature": 2.1}, "temperature", "decimal_above_max_value"),
    ({"top_p": -1}, "top_p", "decimal_below_min_value"),
    ({"top_logprobs": 21}, "top_logprobs", "integer_above_max_value"),
    ({"truncation": "middle"}, "truncation", "invalid_value"),
    ({"service_tier": "slow"}, "service_tier", "invalid_value"),
    ({"text": {"verbosity": "chatty"}}, "text.verbosity", "invalid_value"),
    ({"text": {"format": {}}}, "text.format.type", "missing_required_parameter"),
    ({"text": {"format": {"type": "json_object"}}}, "input", None),
    (form(name="a b"), "text.format.name", "invalid_value"),
    (form(schema=[]), "text.format.schema", "invalid_type"),
    (form(schema={"type": "object"}, strict=True), "text.format", None),
    (form(schema={"type": "string", "pattern": "^[A-Z]+$"}), "text.format", None),
    ({"tools": [{"type": "web_search"}]}, "tools[0].type", "invalid_value"),
    ({"tools": [{"type": "function"}]}, "tools[0].name", "missing_required_parameter"),
    ({"tools": [TOOL | {"name": "a b"}]}, "tools[0].name", "invalid_value"),
    (
        {"tools": [TOOL | {"parameters": {"type": "string"}}]},
        "tools[0].parameters",
        "invalid_function_parameters",
    ),
    (
        {"tools": [TOOL | {"strict": True}]},
        "tools[0].parameters",
        "invalid_function_parameters",
    ),
    ({"tools": [TOOL] * 129}, "tools", "array_above_max_length"),
    ({"tools": [TOOL], "tool_choice": "maybe"}, "tool_choice", "invalid_value"),
    ({"tool_choice": "required"}, "tool_choice", None),
    ({"tools": [TOOL], "tool_choice": {}}, "tool_choice.type", "missing_required_parameter"),
    (
        {"tools": [TOOL], "tool_choice": {"type": "function", "name": "clock"}},
        "tool_choice.name",
        None,
    ),
    (
        {
            "tools": [TOOL],
            "tool_choice": {
                "type": "allowed_tools",
                "mode": "auto",
                "tools": [{"type": "function", "name": "clock"}],
            },
        },
        "tool_choice.tools[0].name",
        None,
    ),
    ({"conversation": "conv_1"}, "conversation", None),
    ({"prompt": {"id": "p"}}, "prompt", None),
    ({"max_tokens": 3}, "max_tokens", "unknown_parameter"),
    ({"messages": []}, "messages", "unknown_parameter"),
]


@pytest.mark.parametrize(("fields", "param", "code"), REFUSED)
def test_wrong_field_is_a_400_that_names_it(
    provider_lab: Lab, raw: httpx.Client, fields: dict[str, Any], param: str, code: str | None
) -> None:
    body = {"model": "m", "input": "hi", **fields}
    response = post(raw, provider_lab["alpha"], body, "/responses")
    error = response.json()["error"]
    assert (response.status_code, error["type"]) == (400, "invalid_request_error")
    assert (error["param"], error["code"]) == (param, code)


@pytest.mark.parametrize("field", ["model", "input"])
def test_missing_field_is_a_400_that_names_it(
    provider_lab: Lab, raw: httpx.Client, field: str
) -> None:
    body = {name: "a" for name in ("model", "input") if name != field}
    error = post(raw, provider_lab["alpha"], body, "/responses").json()["error"]
    assert (error["param"], error["code"]) == (field, "missing_required_parameter")


SERVED: list[dict[str, Any]] = [
    {"input": [{"type": "message", "role": "developer", "content": "a"}, CALL, RESULT]},
    {"input": [CALL, RESULT | {"output": [{"type": "input_text", "text": "sun"}]}]},
    message({"type": "output_text", "text": "a", "annotations": []}, role="assistant"),
    message({"type": "refusal", "refusal": "no"}, role="assistant"),
    message({"type": "input_image", "image_url": PNG_URL}),
    message({"type": "input_file", "file_id": "file-1"}),
    message({"type": "input_text", "text": "a"}, role="system"),
    {"tools": [], "tool_choice": "auto"},
    {"tools": [TOOL], "tool_choice": "required", "parallel_tool_calls": False},
    {"max_output_tokens": 16, "max_tool_calls": 1, "top_logprobs": 0},
    {"include": ["reasoning.encrypted_content"], "store": False},
    {"background": False, "conversation": None, "metadata": None},
    {"text": {"format": {"type": "text"}, "verbosity": "low"}},
    {"stream": True, "stream_options": {"include_obfuscation": False}},
]


@pytest.mark.parametrize("fields", SERVED)
def test_neighbours_of_what_is_refused_are_served(
    provider_lab: Lab, raw: httpx.Client, fields: dict[str, Any]
) -> None:
    body = {"model": "m", "input": "hi", **fields}
    assert post(raw, provider_lab["alpha"], body, "/responses").status_code == 200
