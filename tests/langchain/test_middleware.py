"""Agents over four lab providers: who is asked at which step, and what the user gets to see."""

import asyncio
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import AgentMiddleware, ModelRequest
from langchain.agents.structured_output import ProviderStrategy, ToolStrategy
from langchain_core.callbacks import UsageMetadataCallbackHandler
from langchain_core.language_models import GenericFakeChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, ToolMessage
from langchain_core.tools import tool
from pydantic import BaseModel

from capability_router import AllModelsFailedError, CapabilityRouter, Model, Provider, Secret
from capability_router.lab import Lab, hang, server_error
from capability_router.testing.clock import ManualClock
from langchain_capability_router import ChatCapabilityRouter
from langchain_capability_router.middleware import CapabilityMiddleware
from tests.connections import run
from tests.langchain.pools import chat_openai

CAPABILITIES = {
    "cheap": "tool-calling",
    "spare": "tool-calling",
    "strong": "chat-completion",
    "reserve": "chat-completion",
}
QUESTION = {"messages": [{"role": "user", "content": "How is the weather in Oslo?"}]}
SMALL_TALK = {"messages": [{"role": "user", "content": "Good day."}]}
Agent = Any
Ask = Callable[[Agent, Mapping[str, Any]], dict[str, Any]]


@tool
def weather(city: str) -> str:
    """Look up the weather."""
    return f"rainy in {city or 'Oslo'}"


class Report(BaseModel):
    """A report of the weather."""

    summary: str


@pytest.fixture
def lab() -> Iterator[Lab]:
    with Lab(list(CAPABILITIES), answers="echo") as lab:
        yield lab


def chat_of(lab: Lab, **settings: object) -> ChatCapabilityRouter:
    providers = [Provider(p.name, base_url=p.base_url, api_key=Secret("lab")) for p in lab]
    router = CapabilityRouter(providers=providers, clock=ManualClock(), seed=1)
    for name, capability in CAPABILITIES.items():
        router.register(Model(f"{name}/tiny", (capability,)))
    return ChatCapabilityRouter.model_validate(
        {"router": router, "capability": "chat-completion", **settings}
    )


def two_kinds() -> CapabilityMiddleware:
    return CapabilityMiddleware(tools="tool-calling", answer="chat-completion")


def agent_of(lab: Lab, *middleware: AgentMiddleware[Any, Any, Any], **settings: Any) -> Agent:
    settings = {"model": chat_of(lab), "tools": [weather], **settings}
    return create_agent(middleware=middleware, **settings)


def invoke(agent: Agent, given: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = agent.invoke(given)
    return found


def ainvoke(agent: Agent, given: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = run(agent.ainvoke(given))
    return found


@pytest.fixture(params=[invoke, ainvoke], ids=["sync", "async"])
def ask(request: pytest.FixtureRequest) -> Ask:
    ask: Ask = request.param
    return ask


def calls(lab: Lab) -> dict[str, int]:
    return {provider.name: provider.request_count for provider in lab if provider.request_count}


def bodies(lab: Lab, name: str) -> list[Mapping[str, Any]]:
    return [request.body or {} for request in lab[name].requests]


def in_flight(chat: ChatCapabilityRouter) -> list[int]:
    return [chat.router.state(model.id).in_flight for model in chat.router.models]


def test_cheap_model_calls_the_tools_and_the_strong_one_answers(lab: Lab, ask: Ask) -> None:
    found = ask(agent_of(lab, two_kinds()), QUESTION)
    assert found["messages"][-1].text.startswith("strong echoes: rainy in")
    assert calls(lab) == {"cheap": 2, "strong": 1}
    assert [message.type for message in found["messages"]] == ["human", "ai", "tool", "ai"]
    assert "cheap echoes" not in str(found)


def test_strong_model_gets_the_whole_conversation_and_may_call_no_tool(lab: Lab, ask: Ask) -> None:
    ask(agent_of(lab, two_kinds(), system_prompt="Be brief."), QUESTION)
    _, last = bodies(lab, "cheap")
    (answer,) = bodies(lab, "strong")
    assert [message["role"] for message in answer["messages"]] == [
        "system",
        "user",
        "assistant",
        "tool",
    ]
    said, heard = ([message["content"] for message in body["messages"]] for body in (last, answer))
    assert said == heard
    assert (answer["tools"], answer["tool_choice"]) == (last["tools"], "none")
    assert "tool_choice" not in last


def test_answer_without_a_tool_costs_one_more_call(lab: Lab, ask: Ask) -> None:
    found = ask(agent_of(lab, two_kinds()), SMALL_TALK)
    assert found["messages"][-1].text == "strong echoes: Good day."
    assert calls(lab) == {"cheap": 1, "strong": 1}


def test_agent_without_tools_asks_the_strong_model_alone(lab: Lab, ask: Ask) -> None:
    found = ask(agent_of(lab, two_kinds(), tools=[]), SMALL_TALK)
    assert found["messages"][-1].text == "strong echoes: Good day."
    assert calls(lab) == {"strong": 1}


def test_each_kind_fails_over_by_itself(lab: Lab, ask: Ask) -> None:
    lab["cheap"].stop()
    lab["strong"].fault = server_error()
    agent = agent_of(lab, two_kinds())
    found = ask(agent, QUESTION)
    assert found["messages"][-1].text.startswith("reserve echoes: rainy")
    assert calls(lab) == {"spare": 2, "strong": 1, "reserve": 1}


def test_cheap_model_never_answers_in_place_of_a_strong_one_that_failed(lab: Lab, ask: Ask) -> None:
    lab["strong"].stop()
    lab["reserve"].stop()
    chat = chat_of(lab)
    with pytest.raises(AllModelsFailedError) as caught:
        ask(agent_of(lab, two_kinds(), model=chat), QUESTION)
    assert caught.value.capability == "chat-completion"
    assert in_flight(chat) == [0, 0, 0, 0]


def test_kind_that_is_not_chosen_is_left_to_the_agents_model(lab: Lab, ask: Ask) -> None:
    found = ask(agent_of(lab, CapabilityMiddleware(tools="tool-calling")), QUESTION)
    assert found["messages"][-1].text.startswith("strong echoes")
    assert calls(lab) == {"cheap": 2, "strong": 1}
    cheap_by_default = chat_of(lab, capability="tool-calling")
    other = agent_of(lab, CapabilityMiddleware(answer="chat-completion"), model=cheap_by_default)
    assert ask(other, QUESTION)["messages"][-1].text.startswith("strong echoes")
    assert calls(lab) == {"cheap": 4, "strong": 2}


FORMATS: dict[str, object] = {
    "schema": Report,
    "tool": ToolStrategy(Report),
    "provider": ProviderStrategy(Report),
}


@pytest.mark.parametrize("wanted", FORMATS.values(), ids=FORMATS)
def test_structured_answer_is_asked_of_the_strong_model_alone(
    lab: Lab, ask: Ask, wanted: object
) -> None:
    found = ask(agent_of(lab, two_kinds(), response_format=wanted), QUESTION)
    assert isinstance(found["structured_response"], Report)
    assert calls(lab) == {"cheap": 2, "strong": 1}
    for body in bodies(lab, "cheap"):
        assert "response_format" not in body
        assert [entry["function"]["name"] for entry in body["tools"]] == ["weather"]
    (answer,) = bodies(lab, "strong")
    assert "weather" not in [entry["function"]["name"] for entry in answer.get("tools", ())]


def test_settings_of_other_middleware_are_kept(lab: Lab, ask: Ask) -> None:
    class Cooler(AgentMiddleware[Any, Any, Any]):
        def wrap_model_call(self, request: ModelRequest[Any], handler: Any) -> Any:
            return handler(request.override(model_settings={"temperature": 0.5}))

        async def awrap_model_call(self, request: ModelRequest[Any], handler: Any) -> Any:
            return await handler(request.override(model_settings={"temperature": 0.5}))

    ask(agent_of(lab, Cooler(), two_kinds()), QUESTION)
    sent = [*bodies(lab, "cheap"), *bodies(lab, "strong")]
    assert [body["temperature"] for body in sent] == [0.5] * 3


def streamed(agent: Agent) -> list[BaseMessage]:
    return [message for message, _ in agent.stream(QUESTION, stream_mode="messages")]


def astreamed(agent: Agent) -> list[BaseMessage]:
    async def collect() -> list[BaseMessage]:
        stream = agent.astream(QUESTION, stream_mode="messages")
        return [message async for message, _ in stream]

    return run(collect())


@pytest.mark.parametrize("follow", [streamed, astreamed])
def test_stream_shows_the_tools_whole_and_the_answer_in_chunks_and_no_thrown_away_word(
    lab: Lab, follow: Callable[[Agent], list[BaseMessage]]
) -> None:
    shown = follow(agent_of(lab, two_kinds()))
    text = "".join(message.text for message in shown if isinstance(message, AIMessage))
    assert text.startswith("strong echoes: rainy in")
    assert "cheap" not in text
    assert len([message for message in shown if isinstance(message, AIMessageChunk)]) > 3
    called = [m for m in shown if isinstance(m, AIMessage) and m.tool_calls]
    assert [call["name"] for message in called for call in message.tool_calls] == ["weather"]
    assert calls(lab) == {"cheap": 2, "strong": 1}


@pytest.mark.filterwarnings("ignore:The v3 streaming protocol")
def test_event_stream_tells_the_answer_alone_as_text(lab: Lab) -> None:
    events = agent_of(lab, two_kinds()).stream_events(QUESTION, version="v3")
    texts = ["".join(message.text) for message in events.messages]
    assert texts == ["", "strong echoes: rainy in Oslo"]


def test_own_chat_models_are_asked_in_the_same_way(lab: Lab, ask: Ask) -> None:
    chat = chat_of(lab, models={f"{p.name}/tiny": chat_openai(p) for p in lab})
    lab["cheap"].stop()
    found = ask(agent_of(lab, two_kinds(), model=chat), QUESTION)
    assert found["messages"][-1].text.startswith("strong echoes: rainy")
    assert calls(lab) == {"spare": 2, "strong": 1}
    assert bodies(lab, "strong")[0]["tool_choice"] == "none"


def test_callbacks_count_the_call_that_is_thrown_away_too(lab: Lab) -> None:
    chat, counter = chat_of(lab), UsageMetadataCallbackHandler()
    agent_of(lab, two_kinds(), model=chat).invoke(QUESTION, {"callbacks": [counter]})
    cheap, strong = (chat.router.state(f"{name}/tiny") for name in ("cheap", "strong"))
    assert min(cheap.output_tokens, strong.output_tokens) > 0
    (usage,) = counter.usage_metadata.values()
    assert usage["output_tokens"] == cheap.output_tokens + strong.output_tokens


ONLY_CHEAP = {"capability": "tool-calling", "pool": "only-cheap"}
CHOICES: dict[str, object] = {
    "capability": "tool-calling",
    "switches": {"capability": "tool-calling"},
    "pool": ONLY_CHEAP,
    "function of a capability": lambda request: "tool-calling",
    "function of switches": lambda request: ONLY_CHEAP,
}


@pytest.mark.parametrize("choice", CHOICES.values(), ids=CHOICES)
def test_one_choice_holds_for_every_step(lab: Lab, ask: Ask, choice: Any) -> None:
    chat = chat_of(lab)
    chat.router.add_pool("only-cheap", "tool-calling")
    found = ask(agent_of(lab, CapabilityMiddleware(choice), model=chat), QUESTION)
    assert found["messages"][-1].text.startswith("cheap echoes")
    assert calls(lab) == {"cheap": 2}


def test_function_chooses_by_what_is_known_before_the_step(lab: Lab, ask: Ask) -> None:
    seen: list[str] = []

    def by_step(request: ModelRequest[Any]) -> dict[str, str] | None:
        seen.append(request.messages[-1].type)
        after_tools = isinstance(request.messages[-1], ToolMessage)
        return {"capability": "tool-calling"} if after_tools else None

    found = ask(agent_of(lab, CapabilityMiddleware(by_step)), QUESTION)
    assert seen == ["human", "tool"]
    assert calls(lab) == {"strong": 1, "cheap": 1}
    assert found["messages"][-1].text.startswith("cheap echoes")


def test_preferred_provider_is_asked_first(lab: Lab, ask: Ask) -> None:
    choice = {"capability": "tool-calling", "prefers": ["spare"]}
    ask(agent_of(lab, CapabilityMiddleware(choice)), SMALL_TALK)
    assert calls(lab) == {"spare": 1}


def test_cancelled_agent_leaves_nothing_in_flight(lab: Lab) -> None:
    lab["strong"].fault = hang()
    chat = chat_of(lab)
    agent = agent_of(lab, two_kinds(), model=chat)

    async def cancel() -> None:
        task = asyncio.create_task(agent.ainvoke(QUESTION))
        await asyncio.to_thread(lab["strong"].wait_for_requests, 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(cancel())
    assert in_flight(chat) == [0, 0, 0, 0]
    assert "reserve" not in calls(lab)


def test_other_chat_model_is_refused_by_name_with_the_remedy(lab: Lab, ask: Ask) -> None:
    other = GenericFakeChatModel(messages=iter(["hello"]))
    agent = agent_of(lab, CapabilityMiddleware("tool-calling"), model=other, tools=[])
    with pytest.raises(TypeError, match=r"found GenericFakeChatModel: pass one to create_agent"):
        ask(agent, SMALL_TALK)


@pytest.mark.parametrize(
    ("settings", "error", "told"),
    [
        ({}, ValueError, "either choose, or tools and answer"),
        ({"choose": "a", "tools": "b"}, ValueError, "either choose, or tools and answer"),
        (
            {"choose": {"capabilty": "a"}},
            ValueError,
            r"\['capabilty'\]; there are capability",
        ),
        ({"tools": 3, "answer": "a"}, TypeError, "found 3"),
    ],
)
def test_wrong_choice_is_refused_at_once(
    settings: dict[str, Any], error: type[Exception], told: str
) -> None:
    with pytest.raises(error, match=told):
        CapabilityMiddleware(**settings)


@pytest.mark.parametrize(
    ("chosen", "error"), [({"pol": "x"}, ValueError), (3, TypeError), ("no-such", KeyError)]
)
def test_wrong_choice_of_a_function_is_refused_at_its_step(
    lab: Lab, ask: Ask, chosen: Any, error: type[Exception]
) -> None:
    agent = agent_of(lab, CapabilityMiddleware(lambda request: chosen))
    with pytest.raises(error):
        ask(agent, SMALL_TALK)
    assert calls(lab) == {}


def test_package_does_without_langchain_and_the_middleware_says_what_to_install() -> None:
    program = """
import sys
sys.modules["langchain"] = None
import langchain_capability_router
try:
    import langchain_capability_router.middleware
except ImportError as error:
    print(error)
"""
    told = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)
    assert "pip install langchain" in told.stdout.decode()
