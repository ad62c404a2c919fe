"""Answers as objects: three methods, whichever kind of model serves, and models that have none."""

from typing import Any, TypedDict

import pytest
from langchain_anthropic import ChatAnthropic
from langchain_core.language_models import BaseChatModel, FakeListChatModel
from langchain_core.messages import AIMessage
from langchain_google_genai import ChatGoogleGenerativeAI
from langchain_openai import ChatOpenAI
from pydantic import BaseModel, Field, SecretStr

from capability_router import AllModelsFailedError, Feature, Model, NoAvailableModelError
from capability_router.lab import Lab, server_error
from langchain_capability_router import ChatCapabilityRouter
from langchain_capability_router.errors import UnsupportedByModelError
from langchain_capability_router.tools import native_options, neutral_tool
from tests.connections import run
from tests.langchain.pools import Build, router_of

METHODS = ("function_calling", "json_schema", "json_mode")
PROMPT = "Tell a joke as JSON."


class Joke(BaseModel):
    """A joke."""

    setup: str = Field(description="First line")
    laughs: int


def bodies(lab: Lab) -> list[Any]:
    return [request.body for request in lab["alpha"].requests]


class Verse(TypedDict):
    """A verse."""

    line: str


def a_schema() -> dict[str, Any]:
    return {
        "title": "Verse",
        "description": "A verse.",
        "type": "object",
        "properties": {"line": {"type": "string"}},
        "required": ["line"],
    }


@pytest.fixture
def anthropic() -> BaseChatModel:
    return ChatAnthropic(model="claude-sonnet-4-5", api_key=SecretStr("lab"))


@pytest.fixture
def google() -> BaseChatModel:
    return ChatGoogleGenerativeAI(model="gemini-2.5-flash", google_api_key=SecretStr("lab"))


@pytest.mark.parametrize("method", ["function_calling", "json_schema"])
def test_object_comes_from_the_second_model_when_the_first_fails(
    lab: Lab, build: Build, method: Any
) -> None:
    lab["alpha"].fault = server_error()
    chat = build(lab)
    structured = chat.with_structured_output(Joke, method=method)
    answers = [structured.invoke(PROMPT), run(structured.ainvoke(PROMPT))]
    answers.append(list(structured.stream(PROMPT))[-1])
    assert all(isinstance(answer, Joke) for answer in answers)
    assert {d.served_by for d in chat.router.decisions} == {"beta/tiny"}


@pytest.mark.parametrize("schema", [Verse, a_schema()], ids=["TypedDict", "JSON schema"])
@pytest.mark.parametrize("method", ["function_calling", "json_schema"])
def test_what_is_no_class_is_answered_by_a_dictionary(
    lab: Lab, build: Build, schema: Any, method: Any
) -> None:
    assert set(build(lab).with_structured_output(schema, method=method).invoke(PROMPT)) == {"line"}


def test_json_mode_asks_for_json_and_reads_any(lab: Lab, build: Build) -> None:
    structured = build(lab).with_structured_output(a_schema(), method="json_mode")
    assert structured.invoke(PROMPT) == {}
    body: Any = lab["alpha"].requests[0].body
    assert body["response_format"] == {"type": "json_object"}


@pytest.mark.parametrize("method", METHODS)
def test_raw_answer_tells_the_way_beside_the_object(lab: Lab, build: Build, method: Any) -> None:
    told = build(lab).with_structured_output(Joke, method=method, include_raw=True).invoke(PROMPT)
    assert set(told) == {"raw", "parsed", "parsing_error"}
    assert isinstance(told["raw"], AIMessage)
    assert told["raw"].response_metadata["capability_router"]["served_by"] == "alpha/tiny"
    # The lab's smallest object lacks what the class demands: the error is handed out, not raised.
    assert (
        (told["parsed"] is None) == (told["parsing_error"] is not None) == (method == "json_mode")
    )


@pytest.mark.parametrize("strict", [True, False, None])
def test_strictness_reaches_the_provider(lab: Lab, build: Build, strict: bool | None) -> None:
    chat = build(lab)
    chat.with_structured_output(Joke, method="json_schema", strict=strict).invoke(PROMPT)
    chat.with_structured_output(Joke, strict=strict).invoke(PROMPT)
    wanted, called = bodies(lab)
    for place in (wanted["response_format"]["json_schema"], called["tools"][0]["function"]):
        assert bool(place.get("strict")) == bool(strict)


def test_tracers_are_told_of_the_schema_and_models_are_not(lab: Lab, build: Build) -> None:
    bound: Any = build(lab).with_structured_output(Joke, method="json_schema").first  # type: ignore[attr-defined]  # a sequence
    told = bound.kwargs["ls_structured_output_format"]
    assert (told["kwargs"]["method"], told["schema"]) == ("json_schema", Joke)
    bound.invoke(PROMPT)
    assert "ls_structured_output_format" not in (lab["alpha"].requests[0].body or {})


def test_further_parameters_go_with_the_request(lab: Lab, build: Build) -> None:
    build(lab).with_structured_output(Joke, pool=None, seed=3).invoke(PROMPT)
    assert (lab["alpha"].requests[0].body or {})["seed"] == 3


def test_unknown_method_and_strict_json_mode_are_refused(lab: Lab, build: Build) -> None:
    with pytest.raises(ValueError, match="'functional' must be 'function_calling'"):
        build(lab).with_structured_output(Joke, method="functional")  # type: ignore[arg-type]  # that is the point
    with pytest.raises(ValueError, match="strict"):
        build(lab).with_structured_output(Joke, method="json_mode", strict=True)


@pytest.mark.parametrize(
    ("method", "feature"),
    [
        ("function_calling", Feature.TOOL_CHOICE),
        ("json_schema", Feature.STRUCTURED_OUTPUT),
        ("json_mode", Feature.JSON_MODE),
    ],
)
def test_models_without_the_feature_are_no_candidates(
    lab: Lab, method: Any, feature: Feature
) -> None:
    router = router_of(lab, [])
    router.register(Model("alpha/tiny", ("chat-completion",), features=frozenset(Feature)))
    without = frozenset(Feature) - {feature}
    router.register(Model("beta/tiny", ("chat-completion",), features=without))
    chat = ChatCapabilityRouter(router=router)
    router.deactivate("alpha/tiny")
    with pytest.raises(NoAvailableModelError, match=f"lacks {feature}"):
        chat.with_structured_output(Joke, method=method).invoke(PROMPT)


def test_format_is_each_librarys_own(anthropic: BaseChatModel, google: BaseChatModel) -> None:
    wanted = {"type": "json_schema", "json_schema": {"name": "verse", "schema": a_schema()}}
    assert native_options(anthropic, {"response_format": wanted}).keys() == {"output_config"}
    assert native_options(google, {"response_format": wanted}).keys() == {
        "response_mime_type",
        "response_json_schema",
    }
    assert native_options(anthropic, {"response_format": {"type": "text"}}) == {}


@pytest.mark.filterwarnings("ignore:Unrecognized structured output method 'json_mode'")
def test_json_mode_without_a_schema_is_not_asked_of_who_needs_one(anthropic: BaseChatModel) -> None:
    with pytest.raises(UnsupportedByModelError, match="ChatAnthropic gives no json_mode"):
        native_options(anthropic, {"response_format": {"type": "json_object"}})
    told = native_options(
        anthropic, {"response_format": {"type": "json_object", "schema": a_schema()}}
    )
    assert "line" in str(told)


@pytest.mark.parametrize(
    "tool",
    [
        {"type": "web_search_20250305", "name": "web_search"},
        {"google_search": {}},
        {"type": "mcp", "server_label": "x", "server_url": "http://127.0.0.1:9"},
    ],
)
def test_tool_that_a_provider_runs_is_bound_as_it_is(tool: dict[str, Any]) -> None:
    assert neutral_tool(tool) == tool


def test_tool_of_one_provider_is_kept_from_the_others(
    anthropic: BaseChatModel, google: BaseChatModel
) -> None:
    openai = ChatOpenAI(model="gpt-4o-mini", api_key=SecretStr("lab"))
    search = {"type": "web_search_20250305", "name": "web_search"}
    assert native_options(anthropic, {"tools": [search]})["tools"] == [search]
    for other in (openai, google):
        with pytest.raises(UnsupportedByModelError):
            native_options(other, {"tools": [search]})
    with pytest.raises(UnsupportedByModelError):
        native_options(anthropic, {"tools": [{"google_search": {}}]})


def test_choice_of_no_tool_is_no_name_of_one(anthropic: BaseChatModel) -> None:
    tool = neutral_tool({"name": "look", "parameters": {"type": "object", "properties": {}}})
    options = native_options(anthropic, {"tools": [tool], "tool_choice": "none"})
    assert options["tool_choice"] == {"type": "none"}


def test_model_that_takes_no_format_is_passed_over(lab: Lab) -> None:
    router = router_of(lab)
    plain = FakeListChatModel(responses=["Fine."])
    chat = ChatCapabilityRouter(router=router, models={"alpha/tiny": plain})
    assert isinstance(chat.with_structured_output(Joke, method="json_schema").invoke(PROMPT), Joke)
    assert router.decisions[-1].served_by == "beta/tiny"
    both = dict.fromkeys(["alpha/tiny", "beta/tiny"], plain)
    chat = ChatCapabilityRouter(router=router, models=both)
    with pytest.raises(AllModelsFailedError) as caught:
        chat.with_structured_output(Joke, method="json_schema").invoke(PROMPT)
    assert [attempt.kind for attempt in caught.value.attempts] == ["unsupported", "unsupported"]
