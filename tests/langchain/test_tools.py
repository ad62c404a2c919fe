"""Tools go out in the backend's own format and come back as LangChain's tool calls."""

from typing import Any

import pytest
from langchain.agents import create_agent
from langchain_core.language_models import FakeListChatModel
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.runnables import Runnable, RunnableBinding
from pydantic import BaseModel, Field

from capability_router import (
    AllModelsFailedError,
    CapabilityRouter,
    Feature,
    Model,
    NoAvailableModelError,
    Provider,
    Secret,
)
from capability_router.lab import Lab, server_error
from langchain_capability_router import ChatCapabilityRouter
from tests.connections import run
from tests.langchain.pools import Ask, Build, collected, joined


def weather(city: str) -> str:
    """Tell the weather of a city."""
    return f"Sun in {city or 'the city'}."


class Joke(BaseModel):
    """A joke."""

    setup: str = Field(description="First line")
    laughs: int


def ways_of(bound: Runnable[Any, AIMessage]) -> list[AIMessage]:
    return [
        bound.invoke("How is it?"),
        run(bound.ainvoke("How is it?")),
        joined(bound.stream("How is it?")),  # type: ignore[arg-type]  # chunks, in fact
        joined(run(collected(bound.astream("How is it?")))),  # type: ignore[arg-type]  # chunks, in fact
    ]


@pytest.mark.parametrize("choice", ["any", "weather"])
def test_tool_is_called_after_a_failover(lab: Lab, build: Build, choice: str) -> None:
    lab["alpha"].fault = server_error()
    for answer in ways_of(build(lab).bind_tools([weather], tool_choice=choice)):
        (call,) = answer.tool_calls
        assert (call["name"], list(call["args"])) == ("weather", ["city"])
        assert call["id"]
        assert answer.response_metadata["capability_router"]["served_by"] == "beta/tiny"


def test_binding_holds_neutral_tools(lab: Lab, build: Build) -> None:
    bound = build(lab).bind_tools([weather, Joke], tool_choice="any")
    assert isinstance(bound, RunnableBinding)
    assert [tool["function"]["name"] for tool in bound.kwargs["tools"]] == ["weather", "Joke"]


def test_history_with_tool_calls_reaches_the_provider(lab: Lab, build: Build) -> None:
    call = {"name": "weather", "args": {"city": "Oslo"}, "id": "call-1"}
    build(lab).invoke(
        [
            HumanMessage("How is it in Oslo?"),
            AIMessage.model_validate({"content": "", "tool_calls": [call]}),
            ToolMessage("Sun in Oslo.", tool_call_id="call-1"),
        ]
    )
    body: Any = lab["alpha"].requests[0].body
    _, asked, answered = body["messages"]
    assert asked["tool_calls"][0]["id"] == answered["tool_call_id"] == "call-1"
    assert asked["tool_calls"][0]["function"]["name"] == "weather"


def test_request_with_tools_holds_nothing_of_the_client_library(lab: Lab, build: Build) -> None:
    build(lab).bind_tools([weather], parallel_tool_calls=False).invoke("How is it?")
    body = lab["alpha"].requests[0].body
    assert body is not None
    assert set(body) - {"stream"} == {"model", "messages", "tools", "parallel_tool_calls"}


def test_structured_output_comes_through_tools(lab: Lab, build: Build) -> None:
    structured = build(lab).with_structured_output(Joke)
    assert isinstance(structured.invoke("A joke, please."), Joke)


def test_agent_uses_a_tool_and_survives_a_dead_model(lab: Lab, build: Build) -> None:
    lab["alpha"].stop()
    agent = create_agent(build(lab), [weather])
    state = agent.invoke({"messages": [HumanMessage("How is it?")]})
    assert state["messages"][-1].text == "beta echoes: How is it?"
    state = run(agent.ainvoke({"messages": [HumanMessage("How is it?")]}))
    assert state["messages"][-1].text == "beta echoes: How is it?"


def test_only_models_that_can_call_tools_are_asked() -> None:
    router = CapabilityRouter()
    router.register(Model("a/b", ("chat-completion",), features=frozenset({Feature.STREAMING})))
    chat = ChatCapabilityRouter(router=router, capability="chat-completion")
    with pytest.raises(NoAvailableModelError, match="lacks tool_calling"):
        chat.bind_tools([weather]).invoke("How is it?")


def test_images_need_vision_and_formats_need_structured_output() -> None:
    router = CapabilityRouter()
    router.register(Model("a/b", ("chat-completion",), features=frozenset()))
    chat = ChatCapabilityRouter(router=router, capability="chat-completion")
    image = {"type": "image", "url": "http://127.0.0.1/cat.png"}
    with pytest.raises(NoAvailableModelError, match="lacks vision"):
        chat.invoke([HumanMessage([image])])
    with pytest.raises(NoAvailableModelError, match="lacks structured_output"):
        chat.invoke("A joke.", response_format={"type": "json_schema", "json_schema": {}})


def test_model_that_cannot_stream_serves_a_stream_in_one_piece(
    lab: Lab, ask_in_chunks: Ask
) -> None:
    provider = Provider("alpha", base_url=lab["alpha"].base_url, api_key=Secret("lab"))
    router = CapabilityRouter(providers=[provider])
    router.register(Model("alpha/tiny", ("chat-completion",), features=frozenset()))
    chat = ChatCapabilityRouter(router=router, capability="chat-completion")
    assert ask_in_chunks(chat, "good day").text == "alpha echoes: good day"
    assert not lab["alpha"].requests[0].stream


def test_chat_model_that_takes_no_tools_is_passed_over_and_not_blamed(lab: Lab) -> None:
    router = CapabilityRouter()
    for name in ("local/plain", "local/other"):
        router.register(Model(name, ("chat-completion",)))
    plain = FakeListChatModel(responses=["Fine."])
    models = {"local/plain": plain, "local/other": plain}
    chat = ChatCapabilityRouter(router=router, capability="chat-completion", models=models)
    with pytest.raises(AllModelsFailedError) as caught:
        chat.bind_tools([weather]).invoke("How is it?")
    assert [attempt.kind for attempt in caught.value.attempts] == ["unsupported", "unsupported"]
    assert router.state("local/plain").consecutive_failures == 0
    assert chat.invoke("How is it?").text == "Fine."
