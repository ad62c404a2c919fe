"""Messages to LiteLLM and answers from it, without LiteLLM."""

from types import SimpleNamespace as Made

import pytest
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage, SystemMessage

from capability_router.engine.errors import IncompleteAnswerError
from langchain_capability_router.litellm_messages import (
    chunk_of,
    openai_messages,
    openai_tool_choice,
    result_of,
)


def answer(**message: object) -> Made:
    return Made(choices=[Made(message=Made(**message), finish_reason="stop")], id="1")


def call(arguments: str) -> Made:
    return Made(id="c1", index=0, function=Made(name="weather", arguments=arguments))


def test_reasoning_of_one_vendor_is_not_sent_to_the_next() -> None:
    thought = {"type": "thinking", "thinking": "Hm.", "signature": "s"}
    said = AIMessage([thought, {"type": "text", "text": "Fine."}])
    assert openai_messages([SystemMessage("Be kind."), HumanMessage("How?"), said]) == [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "How?"},
        {"role": "assistant", "content": "Fine."},
    ]


def test_image_is_sent_as_a_data_url() -> None:
    image = {"type": "image", "base64": "QUJD", "mime_type": "image/png"}
    (sent,) = openai_messages([HumanMessage([image])])
    assert sent["content"][0]["image_url"]["url"] == "data:image/png;base64,QUJD"


@pytest.mark.parametrize(
    ("choice", "sent"),
    [
        ("any", "required"),
        (True, "required"),
        ("auto", "auto"),
        ("none", "none"),
        ("weather", {"type": "function", "function": {"name": "weather"}}),
        ({"type": "function"}, {"type": "function"}),
    ],
)
def test_tool_choice_is_sent_in_openais_words(choice: object, sent: object) -> None:
    assert openai_tool_choice(choice) == sent


def test_tool_call_that_is_no_json_is_an_invalid_one() -> None:
    good, bad = call('{"city": "Oslo"}'), call('{"city": ')
    message = result_of(answer(content=None, tool_calls=[good, bad])).generations[0].message
    assert isinstance(message, AIMessage)
    assert [told["args"] for told in message.tool_calls] == [{"city": "Oslo"}]
    assert [told["name"] for told in message.invalid_tool_calls] == ["weather"]
    assert message.content == ""


def test_usage_keeps_what_was_cached_and_thought() -> None:
    response = answer(content="Fine.", reasoning_content="Hm.")
    response.usage = Made(
        prompt_tokens=5,
        completion_tokens=7,
        prompt_tokens_details=Made(cached_tokens=3),
        completion_tokens_details=Made(reasoning_tokens=2),
    )
    message = result_of(response).generations[0].message
    assert isinstance(message, AIMessage)
    assert message.usage_metadata == {
        "input_tokens": 5,
        "output_tokens": 7,
        "total_tokens": 12,
        "input_token_details": {"cache_read": 3},
        "output_token_details": {"reasoning": 2},
    }
    assert message.additional_kwargs["reasoning_content"] == "Hm."


def test_answer_without_a_message_is_none() -> None:
    with pytest.raises(IncompleteAnswerError):
        result_of(Made(choices=[]))


def test_chunk_without_choices_may_bring_the_usage() -> None:
    message = chunk_of(Made(choices=[], usage=Made(prompt_tokens=1, completion_tokens=2))).message
    assert isinstance(message, AIMessageChunk)
    assert message.usage_metadata is not None
    assert message.usage_metadata["total_tokens"] == 3
    assert message.content == ""
