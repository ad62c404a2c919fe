"""Messages to LiteLLM and answers from it."""

from functools import reduce
from operator import add
from types import SimpleNamespace as Made
from typing import Any

import pytest
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    BaseMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
)
from litellm import completion
from litellm.llms.anthropic.chat.transformation import AnthropicConfig
from litellm.llms.vertex_ai.gemini.transformation import _gemini_convert_messages_with_history
from litellm.utils import validate_chat_completion_user_messages

from capability_router.engine.errors import IncompleteAnswerError
from langchain_capability_router.litellm_messages import (
    chunk_of,
    openai_messages,
    openai_tool_choice,
    result_of,
)
from tests.langchain.recorded import claude_through_litellm, gemini_through_litellm
from tests.vendors import ANTHROPIC, Events, scripted

CACHED = {"cache_control": {"type": "ephemeral"}}
PNG, PDF = "iVBORw0KGgo=", "JVBERi0xLjQ="
IMAGE_URL = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}
FILE = {
    "type": "file",
    "file": {"file_data": f"data:application/pdf;base64,{PDF}", "filename": "document"},
}
RAW_IMAGE = {"type": "base64", "media_type": "image/png", "data": PNG}
RAW_PDF = {"type": "base64", "media_type": "application/pdf", "data": PDF}

# Blocks as users write them, by format, and what LiteLLM is given.
BLOCKS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "image": ({"type": "image", "base64": PNG, "mime_type": "image/png"}, IMAGE_URL),
    "image of before v1": (
        {"type": "image", "source_type": "base64", "data": PNG, "mime_type": "image/png"},
        IMAGE_URL,
    ),
    "image url": (
        {"type": "image", "url": "https://pictures.example/1.png"},
        {"type": "image_url", "image_url": {"url": "https://pictures.example/1.png"}},
    ),
    "openai image": (IMAGE_URL, IMAGE_URL),
    "anthropic image": ({"type": "image", "source": RAW_IMAGE}, IMAGE_URL),
    "anthropic image url": (
        {"type": "image", "source": {"type": "url", "url": "https://pictures.example/1.png"}},
        {"type": "image_url", "image_url": {"url": "https://pictures.example/1.png"}},
    ),
    "google image": ({"type": "media", "mime_type": "image/png", "data": PNG}, IMAGE_URL),
    "file": ({"type": "file", "base64": PDF, "mime_type": "application/pdf"}, FILE),
    "named file": (
        {
            "type": "file",
            "base64": PDF,
            "mime_type": "application/pdf",
            "extras": {"filename": "document"},
        },
        FILE,
    ),
    "file url": (
        {"type": "file", "url": "https://files.example/1.pdf", "mime_type": "application/pdf"},
        {
            "type": "file",
            "file": {"file_id": "https://files.example/1.pdf", "format": "application/pdf"},
        },
    ),
    "file id": (
        {"type": "file", "file_id": "file-1"},
        {"type": "file", "file": {"file_id": "file-1"}},
    ),
    "anthropic document": ({"type": "document", "source": RAW_PDF}, FILE),
    "google document": ({"type": "media", "mime_type": "application/pdf", "data": PDF}, FILE),
    "text": ({"type": "text-plain", "text": "Hi."}, {"type": "text", "text": "Hi."}),
    "audio": (
        {"type": "audio", "base64": "QUJD", "mime_type": "audio/wav"},
        {"type": "input_audio", "input_audio": {"data": "QUJD", "format": "wav"}},
    ),
    "video": (
        {"type": "video", "base64": "QUJD", "mime_type": "video/mp4"},
        {
            "type": "file",
            "file": {"file_data": "data:video/mp4;base64,QUJD", "filename": "document"},
        },
    ),
}


def claude(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return what LiteLLM makes of messages for Anthropic."""
    given: Any = messages
    made: list[dict[str, Any]] = AnthropicConfig().transform_request(
        model="claude-sonnet-4-5",
        messages=given,
        optional_params={"max_tokens": 10},
        litellm_params={},
        headers={},
    )["messages"]
    return made


def served(message: AIMessage, model_id: str) -> AIMessage:
    message.response_metadata["capability_router"] = {"served_by": model_id}
    return message


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


@pytest.mark.parametrize("name", BLOCKS)
def test_block_of_any_format_is_sent_as_litellm_takes_it(name: str) -> None:
    given, expected = BLOCKS[name]
    asked = HumanMessage(["Look:", given])
    (sent,) = openai_messages([asked])
    assert sent == {"role": "user", "content": [{"type": "text", "text": "Look:"}, expected]}
    checked: Any = [sent]
    validate_chat_completion_user_messages(checked)


def test_document_of_text_is_sent_as_text() -> None:
    source = {"type": "text", "media_type": "text/plain", "data": "Hi."}
    (sent,) = openai_messages([HumanMessage(["Read:", {"type": "document", "source": source}])])
    assert sent == {"role": "user", "content": "Read:\nHi."}


@pytest.mark.parametrize("name", ["image", "anthropic image", "openai image", "google image"])
def test_picture_that_a_tool_returned_reaches_claude_and_gemini(name: str) -> None:
    call = {"name": "radar", "args": {}, "id": "call_1"}
    result = ToolMessage([BLOCKS[name][0]], tool_call_id="call_1")
    sent: Any = openai_messages([HumanMessage("How?"), AIMessage("", tool_calls=[call]), result])
    told = claude(sent)[-1]["content"][0]
    assert told["content"][0]["source"] == RAW_IMAGE
    made: Any = _gemini_convert_messages_with_history(messages=sent, model="gemini-2.5-flash")
    assert PNG in str(made[-1]["parts"])


def test_cache_marks_reach_claude() -> None:
    asked = HumanMessage([{"type": "text", "text": "How?", **CACHED}])
    pictured = HumanMessage([{**BLOCKS["anthropic image"][0], **CACHED}])
    blocks = claude(openai_messages([asked, pictured], vendor="anthropic"))[0]["content"]
    assert [block["type"] for block in blocks] == ["text", "image"]
    assert [block["cache_control"] for block in blocks] == [{"type": "ephemeral"}] * 2


def test_cache_marks_do_not_reach_servers_that_speak_like_openai() -> None:
    asked = HumanMessage([{"type": "text", "text": "How?", **CACHED}])
    assert openai_messages([asked], vendor="openai") == [{"role": "user", "content": "How?"}]


def test_signed_thinking_goes_back_to_the_model_of_any_account() -> None:
    answer = served(claude_through_litellm(), "first/claude")
    result = ToolMessage("Rain.", tool_call_id=answer.tool_calls[0]["id"] or "")
    messages: list[BaseMessage] = [HumanMessage("How?"), answer, result]
    for model_id in ("first/claude", "second/claude"):
        thinking, text, call = claude(openai_messages(messages, model_id=model_id))[1]["content"]
        assert (thinking["thinking"], thinking["signature"]) == ("Hm.", "EqQBCkYIChgCKkDNzxWq")
        assert (text["type"], call["type"]) == ("text", "tool_use")


def test_signed_thinking_does_not_go_to_another_model() -> None:
    answer = served(claude_through_litellm(), "first/claude")
    (sent,) = openai_messages([answer], model_id="second/gpt")
    assert sent.keys() == {"role", "content", "tool_calls"}


def test_thinking_is_joined_from_the_chunks_of_a_stream() -> None:
    pieces: list[dict[str, Any]] = [
        {"type": "thinking", "thinking": "H", "signature": None},
        {"type": "thinking", "thinking": "m.", "signature": None},
        {"type": "thinking", "thinking": "", "signature": "one"},
        {"type": "redacted_thinking", "data": "hidden"},
        {"type": "thinking", "thinking": "So.", "signature": "two"},
        {"type": "thinking", "thinking": "Not finished", "signature": None},
    ]
    deltas = [Made(choices=[Made(delta=Made(thinking_blocks=[piece]))]) for piece in pieces]
    chunks = [chunk_of(delta).message for delta in deltas]
    whole = chunks[0]
    for chunk in chunks[1:]:
        whole += chunk
    (sent,) = openai_messages([whole])
    assert sent["thinking_blocks"] == [
        {"type": "thinking", "thinking": "Hm.", "signature": "one"},
        {"type": "redacted_thinking", "data": "hidden"},
        {"type": "thinking", "thinking": "So.", "signature": "two"},
    ]


def test_thinking_that_claude_streams_through_litellm_goes_back_signed() -> None:
    deltas = [
        {"type": "thinking_delta", "thinking": "H"},
        {"type": "thinking_delta", "thinking": "m."},
        {"type": "signature_delta", "signature": "one"},
    ]
    begun = {"type": "thinking", "thinking": "", "signature": ""}
    thought: Events = [
        {"type": "content_block_start", "index": 0, "content_block": begun},
        *({"type": "content_block_delta", "index": 0, "delta": delta} for delta in deltas),
        {"type": "content_block_stop", "index": 0},
    ]
    with scripted() as server:
        server.events = [ANTHROPIC[0], *thought, *({**e, "index": 1} for e in ANTHROPIC[1:])]
        stream = completion(
            model="anthropic/claude-sonnet-4-5",
            messages=[{"role": "user", "content": "How?"}],
            api_base=f"http://127.0.0.1:{server.server_port}",
            api_key="none",
            stream=True,
        )
        whole = reduce(add, (chunk_of(chunk).message for chunk in stream))
    (sent,) = openai_messages([whole])
    assert sent["thinking_blocks"] == [{"type": "thinking", "thinking": "Hm.", "signature": "one"}]
    assert sent["content"] == "Fine."


def test_signature_in_the_id_of_a_call_goes_back_to_the_same_gemini_alone() -> None:
    answer = served(gemini_through_litellm(), "first/gemini")
    given = answer.tool_calls[0]["id"]
    (own,) = openai_messages([answer], model_id="first/gemini")
    (other,) = openai_messages([answer], model_id="second/gemini")
    assert own["tool_calls"][0]["id"] == given
    assert len(other["tool_calls"][0]["id"]) == 9


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
        prompt_tokens_details=Made(cached_tokens=3, cache_creation_tokens=0, audio_tokens=None),
        completion_tokens_details=Made(reasoning_tokens=2),
    )
    message = result_of(response).generations[0].message
    assert isinstance(message, AIMessage)
    assert message.usage_metadata == {
        "input_tokens": 5,
        "output_tokens": 7,
        "total_tokens": 12,
        "input_token_details": {"cache_read": 3, "cache_creation": 0},
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
