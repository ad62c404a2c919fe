"""What a healthy provider answers, seen by OpenAI's own client and byte by byte."""

import json
import math
from collections.abc import Callable

import httpx
import openai
import pytest
from openai.types.chat import ChatCompletionChunk

from capability_router.lab import Answer, Finish, Lab, LabProvider, Question, TextPiece
from tests.lab.asking import HELLO, chat, chunks, post, stream_lines, text_of

Client = Callable[[LabProvider], openai.OpenAI]

WEATHER = {
    "type": "object",
    "properties": {"city": {"type": "string", "minLength": 1}, "days": {"type": "integer"}},
    "required": ["city", "days"],
}
TOOLS = [
    {"type": "function", "function": {"name": "clock", "parameters": {"type": "object"}}},
    {"type": "function", "function": {"name": "weather", "parameters": WEATHER}},
]
NAMED = {"type": "function", "function": {"name": "weather"}}


def test_plain_answer_repeats_the_user_and_names_the_provider(
    provider_lab: Lab, openai_client: Client
) -> None:
    client = openai_client(provider_lab["beta"])
    reply = client.chat.completions.create(**chat())
    (choice,) = reply.choices
    assert choice.message.content == f"beta echoes: {HELLO}"
    assert choice.finish_reason == "stop"
    assert (reply.model, reply.system_fingerprint) == ("some-model", "lab-beta-echo")


def test_answers_say_in_a_header_who_made_them(provider_lab: Lab, raw: httpx.Client) -> None:
    assert post(raw, provider_lab["alpha"]).headers["x-lab-answers"] == "echo"
    streamed = post(raw, provider_lab["alpha"], chat(stream=True))
    assert streamed.headers["x-lab-answers"] == "echo"


def test_plain_answer_carries_usage_that_adds_up(provider_lab: Lab, openai_client: Client) -> None:
    usage = openai_client(provider_lab["alpha"]).chat.completions.create(**chat()).usage
    assert usage is not None
    assert (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens) == (4, 6, 10)


def test_stream_says_the_same_as_the_plain_answer(provider_lab: Lab, openai_client: Client) -> None:
    client = openai_client(provider_lab["alpha"])
    plain = client.chat.completions.create(**chat()).choices[0].message.content
    streamed: list[ChatCompletionChunk] = list(client.chat.completions.create(**chat(stream=True)))
    said = "".join(chunk.choices[0].delta.content or "" for chunk in streamed)
    assert said == plain


def test_stream_begins_with_an_empty_role_chunk_and_ends_with_the_reason(
    provider_lab: Lab, raw: httpx.Client
) -> None:
    first, *content, last = chunks(post(raw, provider_lab["alpha"], chat(stream=True)))
    assert first["choices"][0]["delta"] == {"role": "assistant", "content": "", "refusal": None}
    assert len(content) == 6
    assert {chunk["choices"][0]["finish_reason"] for chunk in [first, *content]} == {None}
    assert last["choices"][0]["finish_reason"] == "stop"
    assert last["choices"][0]["delta"] == {}


def test_stream_ends_with_usage_only_where_it_was_asked_for(
    provider_lab: Lab, raw: httpx.Client
) -> None:
    without = chunks(post(raw, provider_lab["alpha"], chat(stream=True)))
    assert all("usage" not in chunk for chunk in without)
    options = {"include_usage": True}
    *others, last = chunks(
        post(raw, provider_lab["alpha"], chat(stream=True, stream_options=options))
    )
    assert {chunk["usage"] for chunk in others} == {None}
    assert last["choices"] == []
    usage = last["usage"]
    assert (usage["prompt_tokens"], usage["completion_tokens"], usage["total_tokens"]) == (4, 6, 10)


@pytest.mark.parametrize("field", ["max_tokens", "max_completion_tokens"])
def test_token_limit_ends_the_answer_with_length(
    provider_lab: Lab, raw: httpx.Client, field: str
) -> None:
    (choice,) = post(raw, provider_lab["alpha"], chat() | {field: 3}).json()["choices"]
    assert (choice["message"]["content"], choice["finish_reason"]) == (
        "alpha echoes: one",
        "length",
    )


def test_prefill_is_continued_also_where_another_provider_began_it(
    provider_lab: Lab, raw: httpx.Client
) -> None:
    body = chat()
    body["messages"].append({"role": "assistant", "content": "beta echoes: one two"})
    reply = post(raw, provider_lab["alpha"], body).json()
    assert reply["choices"][0]["message"]["content"] == " three four"


def test_text_parts_are_echoed_and_other_parts_named(provider_lab: Lab, raw: httpx.Client) -> None:
    image = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}
    parts = [{"type": "text", "text": "look"}, image]
    body = chat() | {"messages": [{"role": "user", "content": parts}]}
    reply = post(raw, provider_lab["alpha"], body).json()
    assert reply["choices"][0]["message"]["content"] == "alpha echoes: look [image_url]"


@pytest.mark.parametrize(
    ("choice", "name", "arguments", "reason"),
    [
        (NAMED, "weather", {"city": "text", "days": 0}, "stop"),
        ("required", "clock", {}, "tool_calls"),
    ],
)
def test_forced_tool_is_called_with_valid_arguments(
    provider_lab: Lab,
    openai_client: Client,
    choice: object,
    name: str,
    arguments: dict[str, object],
    reason: str,
) -> None:
    client = openai_client(provider_lab["alpha"])
    reply = client.chat.completions.create(**chat(tools=TOOLS, tool_choice=choice)).choices[0]
    assert reply.message.tool_calls is not None
    (call,) = reply.message.tool_calls
    assert call.type == "function"
    assert (call.function.name, json.loads(call.function.arguments)) == (name, arguments)
    assert (reply.finish_reason, reply.message.content) == (reason, None)


def test_streamed_tool_call_joins_to_the_plain_one(provider_lab: Lab, raw: httpx.Client) -> None:
    body = chat(tools=TOOLS, tool_choice=NAMED)
    plain = post(raw, provider_lab["alpha"], body).json()["choices"][0]["message"]["tool_calls"][0]
    streamed = chunks(post(raw, provider_lab["alpha"], body | {"stream": True}))
    deltas = [chunk["choices"][0]["delta"] for chunk in streamed]
    parts = [part for delta in deltas for part in delta.get("tool_calls", ())]
    assert len(parts) >= 4
    assert {part["index"] for part in parts} == {0}
    assert parts[0]["function"]["name"] == plain["function"]["name"]
    joined = "".join(part["function"]["arguments"] for part in parts)
    assert joined == plain["function"]["arguments"]


def test_tools_that_are_not_forced_leave_the_echo_as_it_is(
    provider_lab: Lab, raw: httpx.Client
) -> None:
    reply = post(raw, provider_lab["alpha"], chat(tools=TOOLS, tool_choice="auto")).json()
    assert reply["choices"][0]["message"]["content"] == f"alpha echoes: {HELLO}"


def test_json_schema_is_satisfied_whole_and_streamed(provider_lab: Lab, raw: httpx.Client) -> None:
    wanted = {"type": "json_schema", "json_schema": {"name": "weather", "schema": WEATHER}}
    plain = post(raw, provider_lab["alpha"], chat(response_format=wanted)).json()
    said = plain["choices"][0]["message"]["content"]
    assert json.loads(said) == {"city": "text", "days": 0}
    streamed = chunks(post(raw, provider_lab["alpha"], chat(response_format=wanted, stream=True)))
    assert text_of(streamed) == said


def test_json_mode_answers_an_object_with_the_quoted_names(
    provider_lab: Lab, raw: httpx.Client
) -> None:
    body = chat("JSON with 'setup' and 'punchline'", response_format={"type": "json_object"})
    reply = post(raw, provider_lab["alpha"], body).json()
    said = json.loads(reply["choices"][0]["message"]["content"])
    assert said == {"setup": "text", "punchline": "text"}


def test_schema_the_lab_cannot_satisfy_is_refused_with_the_reason(
    provider_lab: Lab, openai_client: Client
) -> None:
    schema = {"type": "string", "pattern": "^[A-Z]+$"}
    wanted = {"type": "json_schema", "json_schema": {"name": "code", "schema": schema}}
    with pytest.raises(openai.BadRequestError, match=r"\^\[A-Z\]\+\$"):
        openai_client(provider_lab["alpha"]).chat.completions.create(**chat(response_format=wanted))


def test_plain_completions_are_served_whole_and_streamed(
    provider_lab: Lab, openai_client: Client
) -> None:
    client = openai_client(provider_lab["alpha"])
    whole = client.completions.create(model="m", prompt="say it")
    assert whole.choices[0].text == "alpha echoes: say it"
    assert whole.usage is not None
    streamed = list(client.completions.create(model="m", prompt="say it", stream=True))
    assert "".join(chunk.choices[0].text for chunk in streamed) == whole.choices[0].text
    assert streamed[-1].choices[0].finish_reason == "stop"


def test_embeddings_are_the_same_on_every_provider_and_in_both_encodings(
    provider_lab: Lab, openai_client: Client, raw: httpx.Client
) -> None:
    # OpenAI's client asks for base64 where nothing is said, and decodes it.
    packed = openai_client(provider_lab["alpha"]).embeddings.create(model="m", input="a b").data
    body = {"model": "m", "input": ["a b"], "encoding_format": "float"}
    plain = post(raw, provider_lab["beta"], body, "/embeddings").json()["data"]
    assert packed[0].embedding == pytest.approx(plain[0]["embedding"], abs=1e-6)


def test_embeddings_are_unit_vectors_nearer_for_texts_that_share_words(
    provider_lab: Lab, openai_client: Client
) -> None:
    texts = ["red apple", "green apple", "fast train"]
    client = openai_client(provider_lab["alpha"])
    reply = client.embeddings.create(model="m", input=texts, dimensions=256)
    red, green, train = (entry.embedding for entry in reply.data)
    assert [len(vector) for vector in (red, green, train)] == [256] * 3
    assert math.hypot(*red) == pytest.approx(1, abs=1e-5)
    near = sum(map(float.__mul__, red, green))
    far = sum(map(float.__mul__, red, train))
    assert near > far + 0.2


def test_models_can_be_listed(provider_lab: Lab, openai_client: Client) -> None:
    listed = openai_client(provider_lab["gamma"]).models.list().data
    assert [model.id for model in listed] == ["gamma"]


@pytest.mark.parametrize(
    ("path", "body", "param"),
    [
        ("/chat/completions", {"messages": [{"role": "user"}]}, "model"),
        ("/chat/completions", {"model": 3, "messages": [{"role": "user"}]}, "model"),
        ("/completions", {"model": "m"}, "prompt"),
        ("/completions", {"model": "m", "prompt": ["a", "b"]}, "prompt"),
        ("/completions", {"model": "m", "prompt": "a", "max_tokens": 0}, "max_tokens"),
        ("/completions", {"model": "m", "prompt": "a", "n": 2}, "n"),
        ("/embeddings", {"model": "m"}, "input"),
        ("/embeddings", {"model": "m", "input": ["a", [0.5]]}, "input"),
        ("/embeddings", {"model": "m", "input": "a", "dimensions": 0}, "dimensions"),
        ("/embeddings", {"model": "m", "input": "a", "encoding_format": "x"}, "encoding_format"),
    ],
)
def test_wrong_field_is_a_400_that_names_it(
    provider_lab: Lab, raw: httpx.Client, path: str, body: dict[str, object], param: str
) -> None:
    response = post(raw, provider_lab["alpha"], body, path)
    assert response.status_code == 400
    error = response.json()["error"]
    assert (error["type"], error["param"]) == ("invalid_request_error", param)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b"[" * 100_000])
def test_body_that_is_no_json_object_is_a_400(
    provider_lab: Lab, raw: httpx.Client, content: bytes
) -> None:
    response = raw.post(f"{provider_lab['alpha'].base_url}/chat/completions", content=content)
    assert response.status_code == 400
    assert "JSON object" in response.json()["error"]["message"]


def test_unknown_path_is_404_and_wrong_method_405(provider_lab: Lab, raw: httpx.Client) -> None:
    base = provider_lab["alpha"].base_url
    missing = raw.post(f"{base}/images", json={})
    assert (missing.status_code, missing.json()["error"]["code"]) == (404, None)
    wrong = raw.get(f"{base}/chat/completions")
    assert (wrong.status_code, wrong.headers["allow"]) == (405, "POST")


class _OneWord:
    """A source as a user may write one."""

    def start(self) -> None: ...

    def close(self) -> None: ...

    def answer(self, question: Question) -> Answer:
        return Answer("mine", iter([TextPiece(question.provider), Finish("stop", 1, 1)]))


def test_own_source_of_answers_is_used_and_named(raw: httpx.Client) -> None:
    with Lab(["solo"], answers=_OneWord()) as lab:
        reply = post(raw, lab["solo"]).json()
    assert reply["choices"][0]["message"]["content"] == "solo"
    assert reply["system_fingerprint"] == "lab-solo-mine"


def test_stream_lines_are_json_but_for_the_last(provider_lab: Lab, raw: httpx.Client) -> None:
    *payloads, last = stream_lines(post(raw, provider_lab["alpha"], chat(stream=True)))
    assert last == "[DONE]"
    assert {json.loads(payload)["object"] for payload in payloads} == {"chat.completion.chunk"}
