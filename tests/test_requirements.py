"""What a chat request needs, read from arguments in OpenAI's form."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel

from capability_router.requirements import input_tokens_of, requirements_of


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


@pytest.mark.parametrize("strange", [None, "text", 3, [None], ["text"], [{"content": 3}], [[]]])
def test_what_has_another_form_is_passed_over(strange: object) -> None:
    assert requirements_of({"messages": strange, "response_format": strange}) == set()


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
    ],
)
def test_text_is_estimated_at_four_characters_a_token(
    arguments: dict[str, Any], tokens: int
) -> None:
    assert input_tokens_of(arguments) == tokens
