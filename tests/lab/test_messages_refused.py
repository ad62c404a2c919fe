"""Requests to the Messages API that are refused in Anthropic's form, each naming the place."""

from typing import Any

import httpx
import pytest

from capability_router.lab import Lab, LabProvider
from tests.lab.test_messages import HEADERS, HI

TOOL = {"name": "weather", "input_schema": {"type": "object"}}
USE = {"type": "tool_use", "id": "t1", "name": "weather", "input": {}}
RESULT = {"type": "tool_result", "tool_use_id": "t1", "content": "sun"}
DATA = {"type": "base64", "media_type": "image/png", "data": "AAAA"}


def told(*messages: tuple[str, object]) -> dict[str, Any]:
    return {"messages": [{"role": role, "content": content} for role, content in messages]}


def user(*blocks: object) -> dict[str, Any]:
    return told(("user", list(blocks)))


def image(**source: object) -> dict[str, Any]:
    return user({"type": "image", "source": source})


def document(**source: object) -> dict[str, Any]:
    return user({"type": "document", "source": source})


def post(raw: httpx.Client, provider: LabProvider, fields: dict[str, Any]) -> httpx.Response:
    return raw.post(f"{provider.root_url}/v1/messages", json=HI | fields, headers=HEADERS)


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"model": ""}, "'model'"),
    ({"max_tokens": 0}, "'max_tokens'"),
    ({"max_tokens": None}, "'max_tokens'"),
    ({"max_tokens": "9"}, "'max_tokens'"),
    ({"messages": []}, "'messages'"),
    ({"messages": ["hi"]}, "'messages.0'"),
    (told(("system", "hi")), "messages.0.role: Invalid value: 'system'"),
    (told(("user", "")), "messages.0.content"),
    (told(("user", None)), "'messages.0.content'"),
    (user(), "'messages.0.content'"),
    (user("hi"), "'messages.0.content.0'"),
    (user({"text": "hi"}), "'messages.0.content.0.type'"),
    (user({"type": "input_text", "text": "hi"}), "'input_text'"),
    (user({"type": "text", "text": ""}), "'messages.0.content.0.text'"),
    (user({"type": "text"}), "'messages.0.content.0.text'"),
    (user({"type": "image"}), "'messages.0.content.0.source'"),
    (image(type="file", file_id="f"), "'file'"),
    (image(type="url", url="a.png"), "'messages.0.content.0.source.url'"),
    (image(**DATA | {"media_type": "image/tiff"}), "'image/tiff'"),
    (image(**DATA | {"data": "%"}), "'messages.0.content.0.source.data'"),
    (document(type="content", content=[]), "'content'"),
    (document(type="text", media_type="text/plain"), "'messages.0.content.0.source.data'"),
    (document(type="base64", media_type="text/plain", data="AAAA"), "'text/plain'"),
    (document(type="url", url=3), "'messages.0.content.0.source.url'"),
    (user(USE), "'tool_use'"),
    (told(("assistant", [USE])), "were found without `tool_result`"),
    (told(("assistant", [USE]), ("user", "hi")), "messages.1: `tool_use` ids"),
    (user(RESULT), "messages.0: unexpected `tool_use_id`"),
    (
        told(("assistant", [USE]), ("user", [RESULT | {"tool_use_id": "t2"}])),
        "messages.1: unexpected `tool_use_id` found in `tool_result` blocks: t2",
    ),
    (
        told(("assistant", [USE]), ("user", [RESULT]), ("user", [RESULT])),
        "messages.2: unexpected",
    ),
    (
        told(("assistant", [USE | {"input": "{}"}]), ("user", [RESULT])),
        "'messages.0.content.0.input'",
    ),
    (told(("assistant", [USE | {"id": ""}])), "'messages.0.content.0.id'"),
    (
        told(("assistant", [USE]), ("user", [RESULT | {"content": [{"type": "audio"}]}])),
        "'audio'",
    ),
    (
        told(("assistant", [USE]), ("user", [RESULT | {"is_error": "no"}])),
        "'messages.1.content.0.is_error'",
    ),
    (told(("user", "hi"), ("assistant", "so \n")), "cannot end with trailing whitespace"),
    (
        told(("user", "hi"), ("assistant", [{"type": "text", "text": "so "}])),
        "messages: final assistant content cannot end with trailing whitespace",
    ),
    ({"system": 3}, "'system'"),
    ({"system": [{"type": "image"}]}, "system.0.type: "),
    ({"stop_sequences": [""]}, "'stop_sequences.0'"),
    ({"stream": "yes"}, "'stream'"),
    ({"temperature": 1.1}, "'temperature'"),
    ({"top_p": 2}, "'top_p'"),
    ({"top_k": -1}, "'top_k'"),
    ({"metadata": "me"}, "'metadata'"),
    ({"service_tier": "flex"}, "'flex'"),
    ({"thinking": {"type": "enabled", "budget_tokens": 2000}}, "does not think"),
    ({"thinking": {}}, "'thinking.type'"),
    ({"output_config": {"effort": "none"}}, "'none'"),
    ({"output_config": {"format": {"type": "json"}}}, "output_config.format.type: "),
    ({"output_config": {"format": {"type": "json_schema"}}}, "'output_config.format.schema'"),
    (
        {
            "output_config": {
                "format": {
                    "type": "json_schema",
                    "schema": {"type": "string", "pattern": "^[A-Z]$"},
                }
            }
        },
        "output_config.format: The lab cannot satisfy this schema",
    ),
    ({"tools": [{"type": "web_search_20250305", "name": "w"}]}, "tools.0.type: "),
    ({"tools": [{"name": "weather"}]}, "'tools.0.input_schema'"),
    ({"tools": [TOOL | {"name": "a b"}]}, "'tools.0.name'"),
    ({"tools": [TOOL | {"input_schema": {"type": "string"}}]}, "'weather'"),
    ({"tool_choice": {"type": "any"}}, "tool_choice"),
    ({"tools": [TOOL], "tool_choice": {"type": "required"}}, "'required'"),
    ({"tools": [TOOL], "tool_choice": {"type": "tool"}}, "'tool_choice.name'"),
    ({"tools": [TOOL], "tool_choice": {"type": "tool", "name": "clock"}}, "'clock' not found"),
    ({"tools": [TOOL], "tool_choice": "auto"}, "'tool_choice'"),
    ({"mcp_servers": []}, "'mcp_servers'"),
    ({"stop": ["x"]}, "'stop'"),
]


@pytest.mark.parametrize(("fields", "named"), REFUSED)
def test_wrong_field_is_a_400_whose_message_names_it(
    provider_lab: Lab, raw: httpx.Client, fields: dict[str, Any], named: str
) -> None:
    response = post(raw, provider_lab["alpha"], fields)
    reply = response.json()
    assert response.status_code == 400
    assert set(reply) == {"type", "error", "request_id"}
    assert (reply["type"], reply["error"]["type"]) == ("error", "invalid_request_error")
    assert named in reply["error"]["message"]


@pytest.mark.parametrize("field", ["model", "max_tokens", "messages"])
def test_missing_field_is_named(provider_lab: Lab, raw: httpx.Client, field: str) -> None:
    body = {name: value for name, value in HI.items() if name != field}
    url = f"{provider_lab['alpha'].root_url}/v1/messages"
    response = raw.post(url, json=body, headers=HEADERS)
    message = f"Missing required parameter: '{field}'."
    assert (response.status_code, response.json()["error"]["message"]) == (400, message)


@pytest.mark.parametrize(
    ("headers", "status", "type_"),
    [
        ({}, 401, "authentication_error"),
        ({"anthropic-version": "2023-06-01"}, 401, "authentication_error"),
        ({"x-api-key": "k"}, 400, "invalid_request_error"),
        (HEADERS, 200, None),
        ({"authorization": "Bearer k", "anthropic-version": "2023-06-01"}, 200, None),
    ],
)
def test_key_and_version_are_demanded(
    provider_lab: Lab,
    raw: httpx.Client,
    headers: dict[str, str],
    status: int,
    type_: str | None,
) -> None:
    url = f"{provider_lab['alpha'].root_url}/v1/messages"
    response = raw.post(url, json=HI, headers=headers)
    assert response.status_code == status
    assert (response.json().get("error") or {}).get("type") == type_


@pytest.mark.parametrize("content", [b"", b"{", b"[]"])
def test_body_that_is_no_json_object_is_a_400(
    provider_lab: Lab, raw: httpx.Client, content: bytes
) -> None:
    url = f"{provider_lab['alpha'].root_url}/v1/messages"
    response = raw.post(url, content=content, headers=HEADERS)
    assert (response.status_code, response.json()["type"]) == (400, "error")


def test_wrong_method_is_a_405_in_the_same_form(provider_lab: Lab, raw: httpx.Client) -> None:
    response = raw.get(f"{provider_lab['alpha'].root_url}/v1/messages")
    assert (response.status_code, response.headers["allow"]) == (405, "POST")
    assert response.json()["error"]["type"] == "invalid_request_error"


SERVED: list[dict[str, Any]] = [
    told(("user", "a"), ("user", "b"), ("assistant", "c"), ("user", "d")),
    told(("assistant", [USE]), ("user", [RESULT, {"type": "text", "text": "and?"}])),
    told(("assistant", [USE]), ("user", [{"type": "tool_result", "tool_use_id": "t1"}])),
    image(**DATA),
    document(type="base64", media_type="application/pdf", data="AAAA"),
    document(type="text", media_type="text/plain", data="a"),
    document(type="url", url="https://example.com/a.pdf"),
    {"system": "", "tools": [], "stop_sequences": [], "metadata": {"user_id": "u"}},
    {"tools": [TOOL | {"type": "custom", "cache_control": {"type": "ephemeral"}}]},
    {"thinking": {"type": "disabled"}, "service_tier": "auto", "temperature": 1, "top_k": 5},
    {"output_config": {"effort": "low"}, "container": None, "cache_control": None},
]


@pytest.mark.parametrize("fields", SERVED)
def test_neighbours_of_what_is_refused_are_served(
    provider_lab: Lab, raw: httpx.Client, fields: dict[str, Any]
) -> None:
    assert post(raw, provider_lab["alpha"], fields).status_code == 200
