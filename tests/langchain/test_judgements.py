"""What of an input is put before a moderator: all of it, whoever has said it."""

from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage

from langchain_capability_router.judgements import subject_of

BAD = "I will kill you"
PICTURE = {"type": "image", "base64": "aGk=", "mime_type": "image/png"}
BY_OPENAI: dict[str, Any] = {"response_metadata": {"model_provider": "openai"}}


@pytest.mark.parametrize(
    "given",
    [
        BAD,
        [HumanMessage(BAD)],
        [AIMessage(BAD, **BY_OPENAI)],
        [AIMessage([{"type": "thinking", "thinking": BAD}], **BY_OPENAI)],
        [AIMessage([{"type": "reasoning", "reasoning": BAD}, "x"], **BY_OPENAI)],
        [AIMessage("", additional_kwargs={"refusal": BAD}, **BY_OPENAI)],
        [AIMessage("", additional_kwargs={"audio": {"id": "1", "transcript": BAD}})],
        [AIMessage("", tool_calls=[{"name": "say", "args": {"text": BAD}, "id": "1"}])],
        [
            AIMessage(
                "", invalid_tool_calls=[{"name": "say", "args": BAD, "id": "1", "error": None}]
            )
        ],
        [AIMessage("x", **BY_OPENAI), ToolMessage(BAD, tool_call_id="1")],
    ],
)
def test_nothing_that_anybody_says_gets_by_unread(given: Any) -> None:
    assert BAD in str(subject_of(given).input)


def test_picture_that_a_model_has_drawn_is_judged() -> None:
    content: Any = [{"type": "text", "text": "here"}, PICTURE]
    subject = subject_of([AIMessage(content, **BY_OPENAI)])
    assert subject.has_pictures
    assert [part["type"] for part in subject.input if isinstance(part, dict)] == [
        "text",
        "image_url",
    ]


@pytest.mark.parametrize("kind", ["input_audio", "server_tool_use", "executable_code", "video"])
def test_what_nobody_can_judge_is_refused(kind: str) -> None:
    with pytest.raises(ValueError, match=f"{kind!r} cannot be judged"):
        subject_of([AIMessage([{"type": kind}], **BY_OPENAI)])
