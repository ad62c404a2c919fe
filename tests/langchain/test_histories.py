"""Conversations that cross providers: every maker's answer in every other maker's request."""

import copy
import itertools
import re
from collections.abc import Sequence
from typing import Any

import pytest
from langchain_anthropic import ChatAnthropic
from langchain_core.language_models import BaseChatModel, FakeListChatModel
from langchain_core.language_models.base import LangSmithParams
from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
)
from langchain_google_genai import ChatGoogleGenerativeAI
from langchain_openai import AzureChatOpenAI, ChatOpenAI
from pydantic import SecretStr

from langchain_capability_router.histories import acceptable, maker_of, spoken
from tests.langchain import payloads, recorded
from tests.langchain.payloads import TARGETS
from tests.langchain.recorded import ANSWERS

CACHED = {"cache_control": {"type": "ephemeral"}}
PNG = "iVBORw0KGgo="
KEY = SecretStr("none")

ASKED = [
    SystemMessage([{"type": "text", "text": "Be kind.", **CACHED}]),
    HumanMessage(
        [
            {"type": "text", "text": "How is the weather?", **CACHED},
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}},
        ]
    ),
]


def history(answer: AIMessage) -> list[BaseMessage]:
    """Return a conversation with results of every call, each marked for a cache."""
    results = [
        ToolMessage([{"type": "text", "text": "Rain.", **CACHED}], tool_call_id=call["id"])
        for call in answer.tool_calls
    ]
    return [*ASKED, answer, *results, HumanMessage("And tomorrow?")]


def served(answer: AIMessage, model_id: str) -> AIMessage:
    metadata = {**answer.response_metadata, "capability_router": {"served_by": model_id}}
    return answer.model_copy(update={"response_metadata": metadata})


def faults(target: str, messages: Sequence[BaseMessage]) -> list[str]:
    _, build, check = TARGETS[target]
    return list(check(build(messages)))


OWN = {("claude", "claude"), ("claude v1", "claude")}
CROSSINGS = [pair for pair in itertools.product(ANSWERS, TARGETS) if pair not in OWN]


@pytest.mark.parametrize(("answer", "target"), CROSSINGS)
def test_answer_of_one_account_is_taken_by_another(answer: str, target: str) -> None:
    messages = history(served(ANSWERS[answer](), "first/model"))
    told = acceptable(messages, maker=TARGETS[target][0], model_id="second/other")
    assert faults(target, told) == []


@pytest.mark.parametrize(
    ("answer", "target", "fault"),
    [
        ("audio", "chat completions", "assistant has audio"),
        ("claude", "chat completions", "type redacted_thinking"),
        ("claude", "chat completions", "text has cache_control"),
        ("claude v1", "responses", "type reasoning"),
        ("computer", "claude", "type computer_call"),
        ("gemini", "chat completions", "type executable_code"),
        ("gemini", "claude", "type thinking"),
        ("gemini v1", "responses", "type reasoning"),
        ("responses", "chat completions", "type web_search_call"),
        ("responses", "claude", "type web_search_call"),
        ("responses", "responses", "message has id"),
        ("responses v0", "responses", "type reasoning"),
    ],
)
def test_answer_as_it_is_would_be_refused(answer: str, target: str, fault: str) -> None:
    assert fault in faults(target, history(ANSWERS[answer]()))


@pytest.mark.parametrize("answer", ["claude", "claude v1"])
def test_claude_gets_its_signed_thinking_back_whatever_the_account(answer: str) -> None:
    messages = history(served(ANSWERS[answer](), "first/claude"))
    told = acceptable(messages, maker="anthropic", model_id="first/other")
    assert told[2] is messages[2]
    payload = payloads.claude(acceptable(messages, maker="anthropic", model_id="second/claude"))
    assert list(payloads.faults_of_claude(payload, payloads.CLAUDE_OWN)) == []
    assert payload[1]["content"][0]["signature"] == recorded.SIGNATURE


def test_sandbox_of_one_account_is_not_used_in_another() -> None:
    answer = served(recorded.claude(), "first/claude")
    assert answer.response_metadata["container"]["id"]
    (told,) = acceptable([answer], maker="anthropic", model_id="second/claude")
    assert "container" not in told.response_metadata
    assert told.content == answer.content


@pytest.mark.parametrize("model_id", ["first/model", None])
@pytest.mark.parametrize(
    ("answer", "maker"),
    [
        ("claude", "anthropic"),
        ("responses", "openai"),
        ("responses v0", "openai"),
        ("gemini", "google_genai"),
        ("deepseek", "deepseek"),
        ("claude through litellm", "litellm"),
    ],
)
def test_answer_of_the_same_model_is_the_same_object(
    answer: str, maker: str, model_id: str | None
) -> None:
    given = served(ANSWERS[answer](), "first/model")
    (told,) = acceptable([given], maker=maker, model_id=model_id)
    assert told is given


def test_plain_conversation_is_passed_as_the_same_objects() -> None:
    call = {"name": "radar", "args": {}, "id": "call_1"}
    given = [
        SystemMessage("Be kind."),
        HumanMessage([{"type": "text", "text": "How?"}]),
        AIMessage("Fine.", tool_calls=[call]),
        ToolMessage("Rain.", tool_call_id="call_1"),
        AIMessage([{"type": "text", "text": "Rain."}]),
    ]
    told = acceptable(given, maker="openai", model_id="first/model")
    assert [id(message) for message in told] == [id(message) for message in given]


@pytest.mark.parametrize("maker", ["anthropic", "google_genai", "litellm", "mistralai", "openai"])
@pytest.mark.parametrize("answer", ANSWERS)
def test_input_is_never_changed(answer: str, maker: str) -> None:
    messages = history(ANSWERS[answer]())
    before = copy.deepcopy(messages)
    acceptable(messages, maker=maker, model_id="second/other")
    assert messages == before


@pytest.mark.parametrize("answer", ["claude", "responses", "gemini"])
def test_text_and_calls_of_another_maker_stay(answer: str) -> None:
    given = ANSWERS[answer]()
    (told,) = acceptable([given], maker="mistralai-like")
    assert isinstance(told, AIMessage)
    assert told.content == recorded.TEXT
    assert told.tool_calls == given.tool_calls
    assert (told.additional_kwargs, told.response_metadata, told.id) == ({}, {}, None)


@pytest.mark.parametrize("answer", ["refused", "refused v0"])
def test_refusal_stays_as_text(answer: str) -> None:
    (told,) = acceptable([ANSWERS[answer]()], maker="anthropic")
    assert told.content == "I cannot help with that."


def test_words_of_an_audio_stay_as_text() -> None:
    (told,) = acceptable([ANSWERS["audio"]()], maker="anthropic")
    assert told.content == recorded.TEXT


def test_answer_of_which_nothing_is_left_goes_with_the_results_of_its_calls() -> None:
    asked, after = HumanMessage("Look."), HumanMessage("And?")
    result = ToolMessage("a picture", tool_call_id="call_MLtcEwJfNb8")
    told = acceptable([asked, ANSWERS["computer"](), result, after], maker="anthropic")
    assert told == [asked, after]


def test_call_that_is_no_json_goes_with_its_result() -> None:
    wrong = {"name": "radar", "args": "{", "id": "call_1", "error": None}
    signed = {"model_provider": "openai"}
    answer = AIMessage("Wait.", invalid_tool_calls=[wrong], response_metadata=signed)
    told = acceptable([answer, ToolMessage("No JSON.", tool_call_id="call_1")], maker="anthropic")
    assert [message.content for message in told] == ["Wait."]


@pytest.mark.parametrize(
    ("maker", "given", "allowed"),
    [
        ("anthropic", "functions.radar:0", r"[a-zA-Z0-9_-]+"),
        ("openai", "call_" + "x" * 80, r".{1,64}"),
        ("mistralai", "call_unDEHxQFwzM6UNPBBGYWxvAn", r"[a-zA-Z0-9]{9}"),
        ("litellm", "toolu_01A09q90qw90lq917835lq9", r"[a-zA-Z0-9]{9}"),
    ],
)
def test_call_and_result_get_the_same_id_that_the_api_takes(
    maker: str, given: str, allowed: str
) -> None:
    calls = [{"name": "radar", "args": {}, "id": f"{given}{n}"} for n in (1, 2)]
    signed = {"model_provider": "fireworks"}
    messages = [
        AIMessage("", tool_calls=calls, response_metadata=signed),
        *(ToolMessage("Rain.", tool_call_id=call["id"]) for call in calls),
    ]
    told = acceptable(messages, maker=maker)
    answer, *results = told
    assert isinstance(answer, AIMessage)
    ids = [call["id"] for call in answer.tool_calls]
    assert ids == [result.tool_call_id for result in results if isinstance(result, ToolMessage)]
    assert len(set(ids)) == 2
    assert all(re.fullmatch(allowed, str(call_id)) for call_id in ids)
    assert told == acceptable(messages, maker=maker)


@pytest.mark.parametrize("answer", ["claude", "responses", "responses v0", "gemini"])
def test_unsigned_answer_is_its_makers_by_what_it_holds(answer: str) -> None:
    given = ANSWERS[answer]()
    maker = given.response_metadata["model_provider"]
    unsigned = given.model_copy(update={"response_metadata": {}})
    (own,) = acceptable([unsigned], maker=maker)
    (other,) = acceptable([unsigned], maker="groq")
    assert own is unsigned
    assert other.content == recorded.TEXT


@pytest.mark.parametrize("answer", ["claude v1", "gemini v1", "responses v1"])
def test_unsigned_reasoning_in_standard_blocks_is_nobodys(answer: str) -> None:
    given = ANSWERS[answer]()
    unsigned = given.model_copy(update={"response_metadata": {}, "additional_kwargs": {}})
    (told,) = acceptable([unsigned], maker=given.response_metadata["model_provider"])
    assert told.content == recorded.TEXT


@pytest.mark.parametrize(
    ("block", "maker"),
    [
        ({"type": "text", "text": "Rain.", "citations": [{"type": "char_location"}]}, "anthropic"),
        ({"type": "code_execution_tool_result", "content": {}}, "anthropic"),
        ({"type": "mcp_call", "id": "mcp_1"}, "openai"),
        ({"type": "server_tool_call", "name": "web_search", "id": "1", "args": {}}, "unknown"),
        ({"type": "reasoning", "id": "rs_1", "summary": []}, "openai"),
        ({"type": "reasoning", "reasoning": "Hm."}, "unknown"),
        ({"type": "invented"}, "unknown"),
    ],
)
def test_one_block_tells_whose_an_unsigned_answer_is(block: dict[str, Any], maker: str) -> None:
    given = AIMessage([block, {"type": "text", "text": "Fine."}])
    for other in ("anthropic", "google_genai", "openai"):
        (told,) = acceptable([given], maker=other)
        assert (told is given) == (other == maker)


def test_name_of_the_speaker_stays() -> None:
    given = recorded.claude().model_copy(update={"name": "forecaster"})
    (told,) = acceptable([given], maker="openai")
    assert told.name == "forecaster"


def test_empty_text_beside_a_call_is_none() -> None:
    call = {"name": "radar", "args": {}, "id": "call_1"}
    given = AIMessage("\n\n", tool_calls=[call], response_metadata={"model_provider": "groq"})
    (told,) = acceptable([given], maker="anthropic")
    assert told.content == ""


def test_cache_marks_of_an_unsigned_answer_go() -> None:
    given = AIMessage([{"type": "text", "text": "Fine.", **CACHED}])
    (told,) = acceptable([given], maker="openai")
    assert told.content == [{"type": "text", "text": "Fine."}]
    assert acceptable([given], maker="anthropic")[0] is given


def test_media_of_google_stay_for_google_alone() -> None:
    given = HumanMessage([{"type": "media", "mime_type": "image/png", "data": PNG}])
    assert acceptable([given], maker="google_genai")[0] is given
    for maker in ("anthropic", "openai"):
        (told,) = acceptable([given], maker=maker)
        assert told.content == [{"type": "image", "base64": PNG, "mime_type": "image/png"}]


def test_cache_marks_go_unless_the_next_maker_reads_them() -> None:
    inner = [{"type": "text", "text": "Rain.", **CACHED}]
    given = [
        HumanMessage("How?", additional_kwargs=dict(CACHED)),
        HumanMessage([{"type": "text", "text": "How?"}, {"cachePoint": {"type": "default"}}]),
        HumanMessage([{"type": "tool_result", "tool_use_id": "1", "content": inner}]),
    ]
    assert "cache_control" not in str(acceptable(given, maker="openai"))
    assert "cachePoint" not in str(acceptable(given, maker="openai"))
    claudes = acceptable(given, maker="anthropic")
    assert claudes[0] is given[0]
    assert claudes[1].content == [{"type": "text", "text": "How?"}]
    assert claudes[2] is given[2]
    assert acceptable(given[1:2], maker="bedrock_converse")[0] is given[1]


@pytest.mark.parametrize(
    "metadata",
    [{"capability_router": "none"}, {"capability_router": {"served_by": 1}}],
)
def test_stored_metadata_of_any_shape_is_read(metadata: dict[str, Any]) -> None:
    given = AIMessage("Fine.", response_metadata={"model_provider": "openai", **metadata})
    assert acceptable([given], maker="openai", model_id="first/model") == [given]


@pytest.mark.parametrize(
    ("inner", "maker"),
    [
        (ChatOpenAI(model="m", api_key=KEY), "openai"),
        (
            AzureChatOpenAI(
                api_key=KEY, api_version="1", azure_endpoint="http://127.0.0.1", model="m"
            ),
            "openai",
        ),
        (ChatAnthropic(model="m", api_key=KEY, timeout=None, stop=None), "anthropic"),
        (ChatGoogleGenerativeAI(model="gemini-2.5-flash", api_key=KEY), "google_genai"),
    ],
)
def test_maker_is_what_the_model_signs_with(inner: BaseChatModel, maker: str) -> None:
    assert maker_of(inner) == maker


class ChatOfAProvider(FakeListChatModel):
    """Stands for chat models that are not installed here: it names its provider as they do."""

    provider: str

    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> LangSmithParams:
        return LangSmithParams(ls_provider=self.provider)


class ChatBedrockConverse(ChatOfAProvider):
    """One of two classes that name the same provider, and sign differently."""


@pytest.mark.parametrize(
    ("cls", "provider", "maker"),
    [
        (ChatBedrockConverse, "amazon_bedrock", "bedrock_converse"),
        (ChatOfAProvider, "amazon_bedrock", "bedrock"),
        (ChatOfAProvider, "mistral", "mistralai"),
        (ChatOfAProvider, "groq", "groq"),
    ],
)
def test_provider_is_put_into_the_words_that_its_answers_are_signed_with(
    cls: type[ChatOfAProvider], provider: str, maker: str
) -> None:
    assert maker_of(cls(responses=[""], provider=provider)) == maker


def test_maker_of_a_model_that_signs_nothing_is_no_other_ones() -> None:
    assert maker_of(FakeListChatModel(responses=[""])) == "fakelistchatmodel"


def test_text_in_several_blocks_is_joined_as_it_was_said() -> None:
    blocks: list[str | dict[str, Any]] = ["It ", {"type": "text", "text": "rains"}, "."]
    assert spoken(AIMessage(blocks)) == "It rains."
