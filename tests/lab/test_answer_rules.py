"""What the echo decides by itself: where it stops, which tools it calls, and with what."""

import json
import math
from typing import Any

import httpx
import pytest

from capability_router.lab import EchoAnswers, Finish, Lab, TextPiece, ToolCallPiece
from capability_router.lab.questions import Question, chat_question
from capability_router.lab.sounds import wav
from tests.lab.asking import HELLO, chat, chunks, post
from tests.lab.test_validation import CALL, RESULT, audio, b64, called, image, said, tool, user

NO_ARGUMENTS: dict[str, Any] = {"type": "object", "properties": {}}
WEATHER = tool(
    name="get_weather",
    description="Get the weather at a location.",
    parameters={
        "type": "object",
        "properties": {"location": {"type": "string"}},
        "required": ["location"],
    },
)
TIME = tool(name="get_time", description="Get the local hour.", parameters=NO_ARGUMENTS)
BOTH = [TIME, WEATHER]


def asked(text: str = HELLO, **fields: object) -> Question:
    return chat_question("alpha", chat(text) | fields)


def calls_of(question: Question) -> list[tuple[str, object]]:
    pieces = EchoAnswers().answer(question).pieces
    calls = [piece for piece in pieces if isinstance(piece, ToolCallPiece)]
    return [(call.name, json.loads(call.arguments)) for call in calls]


def spoken(question: Question) -> tuple[str, str]:
    *texts, finish = EchoAnswers().answer(question).pieces
    assert isinstance(finish, Finish)
    return "".join(piece.text for piece in texts if isinstance(piece, TextPiece)), finish.reason


@pytest.mark.parametrize(
    ("fields", "said_", "reason"),
    [
        ({"stop": "three"}, "alpha echoes: one two ", "stop"),
        ({"stop": ["four", "two"]}, "alpha echoes: one ", "stop"),
        ({"stop": "alpha"}, "", "stop"),
        ({"stop": "five"}, f"alpha echoes: {HELLO}", "stop"),
        ({"stop": "four", "max_tokens": 3}, "alpha echoes: one", "length"),
        ({"stop": " two", "max_tokens": 3}, "alpha echoes: one", "stop"),
    ],
)
def test_answer_ends_before_the_first_stop_sequence(
    fields: dict[str, object], said_: str, reason: str
) -> None:
    assert spoken(chat_question("alpha", chat() | fields)) == (said_, reason)


def test_stop_sequence_in_a_prefill_does_not_end_the_continuation() -> None:
    body = said(
        {"role": "user", "content": HELLO}, {"role": "assistant", "content": "beta echoes: one"}
    )
    assert spoken(chat_question("alpha", body | {"stop": "one"})) == (" two three four", "stop")


@pytest.mark.parametrize(
    ("text", "called_"),
    [
        ("What is the weather in Oslo?", ["get_weather"]),
        ("Use get_time.", ["get_time"]),
        ("Use get_time and get_weather for Oslo.", ["get_time", "get_weather"]),
        ("What is the hour in Oslo?", ["get_time"]),
        ("good day", []),
        ("What do the tools give?", []),
    ],
)
def test_tool_the_user_speaks_of_is_called_where_the_model_may_choose(
    text: str, called_: list[str]
) -> None:
    assert [name for name, _ in calls_of(asked(text, tools=BOTH))] == called_


def test_name_within_a_longer_name_calls_no_tool() -> None:
    tools = [tool(name="f_1", parameters=NO_ARGUMENTS)]
    assert calls_of(asked("Try f_1_all and no-f_1.", tools=tools)) == []
    assert calls_of(asked("Try f_1(), please.", tools=tools)) == [("f_1", {})]


def test_word_that_two_tools_share_calls_neither() -> None:
    twin = tool(name="sea", description="Get the weather at sea.")
    assert calls_of(asked("How is the weather?", tools=[WEATHER, twin])) == []


@pytest.mark.parametrize(
    ("choice", "called_"),
    [
        ("none", []),
        ("auto", ["get_weather"]),
        ("required", ["get_weather"]),
        ({"type": "function", "function": {"name": "get_time"}}, ["get_time"]),
        (
            {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [TIME]}},
            ["get_time"],
        ),
        ({"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [TIME]}}, []),
    ],
)
def test_choice_of_the_request_comes_before_what_the_user_speaks_of(
    choice: object, called_: list[str]
) -> None:
    question = asked("How is the weather?", tools=BOTH, tool_choice=choice)
    assert [name for name, _ in calls_of(question)] == called_


def test_one_tool_is_called_where_parallel_calls_are_off() -> None:
    question = asked("get_weather, get_time", tools=BOTH, parallel_tool_calls=False)
    assert [name for name, _ in calls_of(question)] == ["get_time"]


def test_results_of_tools_are_told_in_text_in_their_order() -> None:
    body = said(
        {"role": "user", "content": "How is the weather?"},
        called(CALL, CALL | {"id": "c2"}),
        RESULT | {"content": "12 degrees"},
        RESULT | {"tool_call_id": "c2"},
    )
    question = chat_question("alpha", body | {"tools": BOTH})
    assert spoken(question) == ("alpha echoes: 12 degrees sun", "stop")


def test_next_question_after_a_result_is_answered_anew() -> None:
    body = said(
        {"role": "user", "content": "How is the weather?"},
        called(CALL),
        RESULT,
        {"role": "assistant", "content": "sun"},
        {"role": "user", "content": "And what is the weather in Rome?"},
    )
    question = chat_question("alpha", body | {"tools": BOTH})
    assert calls_of(question) == [("get_weather", {"location": "Rome"})]


def test_required_call_is_made_also_after_a_result() -> None:
    body = said({"role": "user", "content": "weather"}, called(CALL), RESULT)
    question = chat_question("alpha", body | {"tools": BOTH, "tool_choice": "required"})
    assert [name for name, _ in calls_of(question)] == ["get_weather"]


def test_parallel_calls_are_numbered_whole_and_streamed(
    provider_lab: Lab, raw: httpx.Client
) -> None:
    body = chat("get_time and get_weather in Oslo", tools=BOTH)
    choice = post(raw, provider_lab["alpha"], body).json()["choices"][0]
    assert choice["finish_reason"] == "tool_calls"
    calls = choice["message"]["tool_calls"]
    assert [call["function"]["name"] for call in calls] == ["get_time", "get_weather"]
    assert len({call["id"] for call in calls}) == 2
    streamed = chunks(post(raw, provider_lab["alpha"], body | {"stream": True}))
    parts = [part for c in streamed for part in c["choices"][0]["delta"].get("tool_calls", ())]
    assert [part["index"] for part in parts] == sorted(part["index"] for part in parts)
    assert [part["index"] for part in parts if "id" in part] == [0, 1]


def test_media_are_echoed_by_their_kind_and_counted_as_a_token_each(
    provider_lab: Lab, raw: httpx.Client
) -> None:
    look = {"type": "text", "text": "look"}
    body = user(look, image("https://example.com/a.png"), audio(b64(wav()), "wav"))
    reply = post(raw, provider_lab["alpha"], body).json()
    assert reply["choices"][0]["message"]["content"].endswith("look [image_url] [input_audio]")
    assert reply["usage"]["prompt_tokens"] == 3
    assert reply["usage"]["prompt_tokens_details"]["audio_tokens"] == 1
    assert reply["usage"]["completion_tokens_details"]["reasoning_tokens"] == 0


def test_likelihoods_are_told_where_asked_for_whole_and_streamed(
    provider_lab: Lab, raw: httpx.Client
) -> None:
    body = chat("héllo", logprobs=True, top_logprobs=3)
    choice = post(raw, provider_lab["alpha"], body).json()["choices"][0]
    tokens = choice["logprobs"]["content"]
    assert "".join(token["token"] for token in tokens) == choice["message"]["content"]
    for token in tokens:
        assert bytes(token["bytes"]).decode() == token["token"]
        assert 0 < math.exp(token["logprob"]) <= 1
        first, second, third = token["top_logprobs"]
        assert first["token"] == token["token"]
        assert first["logprob"] == token["logprob"] > second["logprob"] > third["logprob"]
        assert len({rival["token"] for rival in (first, second, third)}) == 3
    streamed = chunks(post(raw, provider_lab["alpha"], body | {"stream": True}))
    parts = [chunk["choices"][0]["logprobs"] for chunk in streamed]
    assert [token for part in parts if part for token in part["content"]] == tokens


@pytest.mark.parametrize(("fields", "top"), [({"logprobs": True}, 0), ({"logprobs": False}, None)])
def test_likely_rivals_and_likelihoods_are_left_out_where_nobody_asks(
    provider_lab: Lab, raw: httpx.Client, fields: dict[str, object], top: int | None
) -> None:
    choice = post(raw, provider_lab["alpha"], chat() | fields).json()["choices"][0]
    if top is None:
        assert choice["logprobs"] is None
    else:
        assert {len(token["top_logprobs"]) for token in choice["logprobs"]["content"]} == {top}


def test_tool_call_has_no_likelihoods(provider_lab: Lab, raw: httpx.Client) -> None:
    body = chat(tools=BOTH, tool_choice="required", logprobs=True)
    assert post(raw, provider_lab["alpha"], body).json()["choices"][0]["logprobs"] is None
