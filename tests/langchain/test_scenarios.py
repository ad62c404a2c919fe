"""One table of what may happen to a pool, in every place where a chat model goes.

What the providers received is read off the lab, so that no answer can hide a wasted call.
"""

import asyncio
import gc
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Barrier
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import (
    ModelCallLimitMiddleware,
    ModelFallbackMiddleware,
    ModelRetryMiddleware,
    SummarizationMiddleware,
)
from langchain_core.exceptions import ContextOverflowError, ModelError, ModelInvalidRequestError
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import Runnable, RunnableParallel
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, MessagesState, StateGraph

from capability_router import AllModelsFailedError
from capability_router.lab import (
    Fault,
    Lab,
    bad_request,
    context_overflow,
    ok,
    overloaded,
    rate_limited,
    refused,
    server_error,
    unauthorized,
)
from langchain_capability_router import AllChatModelsFailedError, ChatCapabilityRouter
from tests.connections import run
from tests.langchain.pools import Build, collected, joined

Place = Callable[[ChatCapabilityRouter], AIMessage]


def weather(city: str) -> str:
    """Tell the weather of a city."""
    return f"Sun in {city or 'the city'}."


def chain_of(chat: Runnable[Any, Any]) -> Runnable[Any, Any]:
    return ChatPromptTemplate.from_messages([("human", "{text}")]) | chat


def graph_of(chat: ChatCapabilityRouter) -> Any:
    graph = StateGraph(MessagesState)
    graph.add_node("talk", lambda state: {"messages": [chat.invoke(state["messages"])]})
    graph.add_edge(START, "talk")
    graph.add_edge("talk", END)
    return graph.compile()


def agraph_of(chat: ChatCapabilityRouter) -> Any:
    async def talk(state: MessagesState) -> dict[str, Any]:
        return {"messages": [await chat.ainvoke(state["messages"])]}

    graph = StateGraph(MessagesState)
    graph.add_node("talk", talk)
    graph.add_edge(START, "talk")
    graph.add_edge("talk", END)
    return graph.compile()


def question() -> Any:
    return {"messages": [HumanMessage("good day")]}


def tokens_of(graph: Any) -> AIMessage:
    """Put together what a graph streams token by token."""
    parts = [chunk for chunk, _ in graph.stream(question(), stream_mode="messages")]
    return joined([part for part in parts if isinstance(part, AIMessageChunk)])


def atokens_of(graph: Any) -> AIMessage:
    async def parts() -> list[Any]:
        stream = graph.astream(question(), stream_mode="messages")
        return [chunk async for chunk, _ in stream]

    return joined([part for part in run(parts()) if isinstance(part, AIMessageChunk)])


PLACES: dict[str, Place] = {
    "invoke": lambda chat: chat.invoke("good day"),
    "ainvoke": lambda chat: run(chat.ainvoke("good day")),
    "stream": lambda chat: joined(chat.stream("good day")),
    "astream": lambda chat: joined(run(collected(chat.astream("good day")))),
    "batch": lambda chat: chat.batch(["good day"])[0],
    "abatch": lambda chat: run(chat.abatch(["good day"]))[0],
    "chain": lambda chat: chain_of(chat).invoke({"text": "good day"}),
    "async chain": lambda chat: run(chain_of(chat).ainvoke({"text": "good day"})),
    "streamed chain": lambda chat: joined(chain_of(chat).stream({"text": "good day"})),
    "bound": lambda chat: chat.bind(stop=["END"]).invoke("good day"),
    "parallel": lambda chat: RunnableParallel(a=chat).invoke("good day")["a"],
    "agent": lambda chat: create_agent(chat, [weather]).invoke(question())["messages"][-1],
    "async agent": lambda chat: run(create_agent(chat, [weather]).ainvoke(question()))["messages"][
        -1
    ],
    "agent with middleware": lambda chat: create_agent(
        chat, [weather], middleware=[ModelCallLimitMiddleware(run_limit=3)]
    ).invoke(question())["messages"][-1],
    "agent, token by token": lambda chat: tokens_of(create_agent(chat, [weather])),
    "graph": lambda chat: graph_of(chat).invoke(question())["messages"][-1],
    "graph, token by token": lambda chat: tokens_of(graph_of(chat)),
    "async graph, token by token": lambda chat: atokens_of(agraph_of(chat)),
}


@dataclass(frozen=True)
class Scenario:
    """What is wrong with each provider, and what has to come of it.

    Attributes:
        alpha: What happens to the first provider's requests.
        beta: The same of the second.
        received: Requests that each has to receive.
        served_by: Who serves; None where an error is to be raised.
        error: What has to be raised.
        retryable: Whether it says that trying again may help.
    """

    alpha: Fault
    beta: Fault
    received: tuple[int, int]
    served_by: str | None = None
    error: type[Exception] | None = None
    retryable: bool = False


SCENARIOS = {
    "all well": Scenario(ok(), ok(), (1, 0), "alpha/tiny"),
    "first overloaded": Scenario(overloaded(), ok(), (1, 1), "beta/tiny"),
    "first limited": Scenario(rate_limited(retry_after=9), ok(), (1, 1), "beta/tiny"),
    "first unauthorized": Scenario(unauthorized(), ok(), (1, 1), "beta/tiny"),
    "first gone": Scenario(refused(), ok(), (0, 1), "beta/tiny"),
    "first too small": Scenario(context_overflow(), ok(), (1, 1), "beta/tiny"),
    "bad request": Scenario(bad_request(), ok(), (1, 0), error=ModelInvalidRequestError),
    "all too small": Scenario(
        context_overflow(), context_overflow(), (1, 1), error=ContextOverflowError
    ),
    "all down": Scenario(
        server_error(), overloaded(), (1, 1), error=AllChatModelsFailedError, retryable=True
    ),
    "all unauthorized": Scenario(
        unauthorized(), unauthorized(), (1, 1), error=AllChatModelsFailedError
    ),
}


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
@pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=SCENARIOS)
def test_each_place_sees_the_same(lab: Lab, build: Build, scenario: Scenario, place: Place) -> None:
    lab["alpha"].fault, lab["beta"].fault = scenario.alpha, scenario.beta
    chat = build(lab)
    if scenario.error is None:
        answer = place(chat)
        assert answer.text == f"{str(scenario.served_by).partition('/')[0]} echoes: good day"
        assert answer.response_metadata["capability_router"]["served_by"] == scenario.served_by
        assert answer.response_metadata["model_name"] == "tiny"
    else:
        with pytest.raises(scenario.error) as caught:
            place(chat)
        assert isinstance(caught.value, ModelError)
        assert caught.value.is_retryable is scenario.retryable
    assert tuple(provider.request_count for provider in lab) == scenario.received
    states = [chat.router.state(model.id) for model in chat.router.models]
    assert [state.in_flight for state in states] == [0, 0]


def test_model_that_is_down_is_not_asked_for_ever(lab: Lab, build: Build) -> None:
    lab["alpha"].fault = server_error()
    chat = build(lab)
    answers = [chat.invoke("good day") for _ in range(20)]
    assert {answer.text for answer in answers} == {"beta echoes: good day"}
    assert (lab["alpha"].request_count, lab["beta"].request_count) == (1, 20)


def test_agent_calls_tools_across_a_failover(lab: Lab, build: Build) -> None:
    lab["alpha"].script(ok(), server_error())
    agent = create_agent(build(lab), [weather])
    messages = agent.invoke({"messages": [HumanMessage("How is the weather in Oslo?")]})["messages"]
    served = [
        message.response_metadata["capability_router"]["served_by"]
        for message in messages
        if isinstance(message, AIMessage)
    ]
    assert served == ["alpha/tiny", "beta/tiny"]
    assert "Sun in" in messages[-1].text
    assert (lab["alpha"].request_count, lab["beta"].request_count) == (2, 1)


def test_retries_of_an_agent_follow_what_the_error_says(lab: Lab, build: Build) -> None:
    retry = ModelRetryMiddleware(max_retries=1, initial_delay=0.0, jitter=False, on_failure="error")
    lab["alpha"].fault = lab["beta"].fault = unauthorized()
    with pytest.raises(AllModelsFailedError):
        create_agent(build(lab), [], middleware=[retry]).invoke(question())
    assert (lab["alpha"].request_count, lab["beta"].request_count) == (1, 1)
    for provider in lab:
        provider.reset()
    lab["alpha"].script(server_error())
    lab["beta"].script(server_error())
    state = create_agent(build(lab), [], middleware=[retry]).invoke(question())
    assert state["messages"][-1].text.endswith("echoes: good day")


def test_another_model_of_an_agent_follows_when_the_pool_is_down(lab: Lab, build: Build) -> None:
    first, second = build(lab), build(lab)
    first.router.deactivate("beta/tiny")
    lab["alpha"].fault = server_error()
    agent = create_agent(first, [], middleware=[ModelFallbackMiddleware(second)])
    assert agent.invoke(question())["messages"][-1].text == "beta echoes: good day"


def test_summary_is_made_shorter_when_no_model_can_take_it(lab: Lab, build: Build) -> None:
    chat = build(lab)
    lab["alpha"].script(context_overflow(), ok(), ok())
    lab["beta"].script(context_overflow())
    short = SummarizationMiddleware(chat, trigger=("messages", 2), keep=("messages", 1))
    history: list[Any] = [HumanMessage("word " * 20), AIMessage("yes"), HumanMessage("good day")]
    state = create_agent(chat, [], middleware=[short]).invoke({"messages": history})
    assert state["messages"][-1].text.endswith("good day")


def test_graph_with_a_memory_sends_the_whole_conversation(lab: Lab, build: Build) -> None:
    agent = create_agent(build(lab), [], checkpointer=InMemorySaver())
    config: Any = {"configurable": {"thread_id": "seven"}}
    for _ in range(2):
        agent.invoke(question(), config)
    bodies: list[Any] = [request.body for request in lab["alpha"].requests]
    assert [len(body["messages"]) for body in bodies] == [1, 3]


def test_items_of_a_batch_fail_over_one_by_one(lab: Lab, build: Build) -> None:
    lab["alpha"].script(ok(), server_error(), ok())
    answers = build(lab).batch(["one", "two", "three"], {"max_concurrency": 1})
    assert [answer.text.partition(" ")[0] for answer in answers] == ["alpha", "beta", "beta"]
    lab["alpha"].script(bad_request())
    results = build(lab).batch(["one", "two"], {"max_concurrency": 1}, return_exceptions=True)
    assert isinstance(results[0], ModelInvalidRequestError)
    assert isinstance(results[1], AIMessage)


def test_fallbacks_around_a_pool_keep_its_tools(lab: Lab, build: Build) -> None:
    lab["alpha"].fault = lab["beta"].fault = server_error()
    first, second = build(lab), build(lab)
    bound: Any = first.with_fallbacks([second]).bind_tools([weather])
    assert [list(each.kwargs) for each in (bound.runnable, *bound.fallbacks)] == [["tools"]] * 2
    structured: Any = first.with_fallbacks([second]).with_structured_output(weather_schema())
    assert len(structured.fallbacks) == 1


def weather_schema() -> dict[str, Any]:
    return {"title": "weather", "type": "object", "properties": {"city": {"type": "string"}}}


def test_threads_share_what_they_learn(lab: Lab, build: Build) -> None:
    lab["alpha"].fault = server_error()
    chat = build(lab)
    # LiteLLM makes a client for each thread that asks first, and loses all but one of them.
    chat.invoke("good day")
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: chat.invoke("good day"), range(40)))
    assert {answer.text for answer in answers} == {"beta echoes: good day"}
    assert (lab["alpha"].request_count, lab["beta"].request_count) == (1, 41)
    assert [chat.router.state(model.id).in_flight for model in chat.router.models] == [0, 0]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("streamed", [False, True])
def test_event_loops_side_by_side_find_the_same_pool(
    lab: Lab, build: Build, streamed: bool
) -> None:
    chat = build(lab)
    all_there = Barrier(3)

    async def ask(number: int) -> str:
        # The first asks before the others do, so that it has connections they must not touch.
        texts = [await answer()] if number == 0 else []
        await asyncio.to_thread(all_there.wait, 10)
        texts += await asyncio.gather(*(answer() for _ in range(3)))
        return texts[-1]

    async def answer() -> str:
        if streamed:
            return joined(await collected(chat.astream("good day"))).text
        return (await chat.ainvoke("good day")).text

    with ThreadPoolExecutor(3) as threads:
        texts = set(threads.map(lambda number: asyncio.run(ask(number)), range(3)))
    # The connections of the loops that are over; nobody could close them any more.
    gc.collect()
    assert texts == {"alpha echoes: good day"}
    assert chat.router.pool("chat-completion").get_state().standby_count == 0
    assert (lab["alpha"].request_count, lab["beta"].request_count) == (10, 0)
