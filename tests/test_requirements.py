"""What a request needs, read from arguments in OpenAI's and Anthropic's forms."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel

from capability_router.requirements import has_side_effects, input_tokens_of, requirements_of


class Answer(BaseModel):
    text: str


def asking(part: object) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": [{"type": "text", "text": "?"}, part]}]}


@pytest.mark.parametrize(
    ("arguments", "needed"),
    [
        ({"messages": [{"role": "user", "content": "hello"}]}, set[str]()),
        (asking({"type": "image_url", "image_url": {"url": "data:"}}), {"vision"}),
        (asking({"type": "input_audio", "input_audio": {}}), {"audio_input"}),
        (asking({"type": "file", "file": {}}), {"pdf_input"}),
        ({"tools": [{"type": "function"}]}, {"tool_calling"}),
        ({"tools": []}, set[str]()),
        ({"tools": [{}], "tool_choice": "auto"}, {"tool_calling"}),
        ({"tools": [{}], "tool_choice": "required"}, {"tool_calling", "tool_choice"}),
        ({"tools": [{}], "tool_choice": {"function": {}}}, {"tool_calling", "tool_choice"}),
        ({"tool_choice": "none"}, set[str]()),
        (asking({"type": "document", "source": {"media_type": "application/pdf"}}), {"pdf_input"}),
        (asking({"type": "document", "source": {"media_type": "text/plain"}}), set[str]()),
        (asking({"type": "file", "mime_type": "text/plain", "base64": ""}), set[str]()),
        ({"stream": True}, {"streaming"}),
        ({"stream": False}, set[str]()),
        ({"response_format": {"type": "json_object"}}, {"json_mode"}),
        ({"response_format": {"type": "json_schema"}}, {"structured_output"}),
        ({"response_format": {"type": "text"}}, set[str]()),
        ({"response_format": Answer}, {"structured_output"}),
    ],
)
def test_needs_are_read_from_the_arguments(arguments: dict[str, Any], needed: set[str]) -> None:
    assert requirements_of(arguments) == needed


def responding(*parts: object) -> dict[str, Any]:
    return {"input": [{"role": "user", "content": [{"type": "input_text", "text": "?"}, *parts]}]}


@pytest.mark.parametrize(
    ("arguments", "needed"),
    [
        ({"input": "hello"}, set[str]()),
        ({"input": ["two", "texts"]}, set[str]()),
        ({"input": [[1, 2], [3]]}, set[str]()),
        (responding(), set[str]()),
        (responding({"type": "input_image", "image_url": "data:"}), {"vision"}),
        (responding({"type": "input_file", "file_id": "file-1"}), {"pdf_input"}),
        (responding({"type": "input_audio", "input_audio": {}}), {"audio_input"}),
        (
            {"input": [{"type": "function_call_output", "output": [{"type": "input_image"}]}]},
            {"vision"},
        ),
        ({"input": [{"type": "function_call_output", "output": "fine"}]}, set[str]()),
        ({"input": "?", "text": {"format": {"type": "json_schema"}}}, {"structured_output"}),
        ({"input": "?", "text": {"format": {"type": "json_object"}}}, {"json_mode"}),
        ({"input": "?", "text": {"format": {"type": "text"}}}, set[str]()),
        ({"input": "?", "text": {"verbosity": "low"}}, set[str]()),
        ({"input": "?", "text": "plain"}, set[str]()),
        ({"input": "?", "tools": [{"type": "function"}]}, {"tool_calling"}),
        (
            {"input": "?", "tools": [{}], "tool_choice": {"type": "function", "name": "f"}},
            {"tool_calling", "tool_choice"},
        ),
    ],
)
def test_needs_of_a_response_are_read_from_its_input(
    arguments: dict[str, Any], needed: set[str]
) -> None:
    assert requirements_of(arguments) == needed


@pytest.mark.parametrize(
    ("choice", "needed"),
    [
        ({"type": "auto"}, {"tool_calling"}),
        ({"type": "none"}, {"tool_calling"}),
        ({"type": "auto", "disable_parallel_tool_use": True}, {"tool_calling"}),
        ({"type": "any"}, {"tool_calling", "tool_choice"}),
        ({"type": "tool", "name": "weather"}, {"tool_calling", "tool_choice"}),
    ],
)
def test_only_a_choice_that_binds_the_model_needs_a_feature(
    choice: dict[str, Any], needed: set[str]
) -> None:
    assert requirements_of({"tools": [{}], "tool_choice": choice}) == needed


def test_picture_in_the_answer_of_a_tool_is_found() -> None:
    picture = {"type": "image", "source": {"type": "base64", "media_type": "image/png"}}
    asked = asking({"type": "tool_result", "tool_use_id": "1", "content": [picture]})
    assert requirements_of(asked) == {"vision"}
    asked = asking({"type": "tool_result", "tool_use_id": "1", "content": "fine"})
    assert requirements_of(asked) == set()


@pytest.mark.parametrize("strange", [None, "text", 3, [None], ["text"], [{"content": 3}], [[]]])
def test_what_has_another_form_is_passed_over(strange: object) -> None:
    asked = {"messages": strange, "input": strange, "response_format": strange, "text": strange}
    assert requirements_of(asked) == set()


@pytest.mark.parametrize(
    ("arguments", "tokens"),
    [
        ({}, 0),
        ({"messages": [{"role": "user", "content": "x" * 400}]}, 100),
        ({"messages": [{"role": "user", "content": "x" * 401}, {"content": None}]}, 101),
        (asking({"type": "image_url", "image_url": {"url": "data:" + "x" * 1000}}), 1),
        (asking({"type": "text", "text": "x" * 39}), 10),
        ({"input": ["x" * 40, "y" * 40]}, 20),
        ({"input": [[1, 2, 3]], "prompt": "x" * 8}, 2),
        (responding({"type": "input_text", "text": "x" * 39}), 10),
        ({"input": [{"type": "function_call_output", "output": "x" * 40}]}, 10),
    ],
)
def test_text_is_estimated_at_four_characters_a_token(
    arguments: dict[str, Any], tokens: int
) -> None:
    assert input_tokens_of(arguments) == tokens


@pytest.mark.parametrize(
    ("tools", "has"),
    [
        (None, False),
        ([], False),
        ([{"type": "function", "function": {"name": "pay"}}], False),
        ([{"name": "pay", "input_schema": {}}], False),
        ([{"type": "custom", "name": "pay"}], False),
        ([{"type": "function"}, {"type": "mcp", "server_url": "https://shop"}], True),
        ([{"type": "web_search_20250305", "name": "web_search"}], True),
        ("pay", False),
    ],
)
def test_only_tools_that_the_provider_runs_have_side_effects(tools: object, has: bool) -> None:
    assert has_side_effects({"tools": tools}) is has
