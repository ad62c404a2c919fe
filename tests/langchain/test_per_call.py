"""What is switched for a single call: by configuration, by binding, and as an argument."""

from typing import Any

import pytest
from langchain.agents import create_agent
from langchain_core.exceptions import ModelError
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.runnables import Runnable, RunnableLambda

from capability_router import Feature, Model, NoAvailableModelError, PoolPreferences
from capability_router.lab import Lab, hang, server_error
from langchain_capability_router import AllChatModelsFailedError, ChatCapabilityRouter
from tests.connections import run
from tests.langchain.pools import Ask, Build, collected, joined, through_litellm


def weather(city: str) -> str:
    """Tell the weather of a city."""
    return f"Sun in {city or 'the city'}."


def served_by(answer: Any) -> str:
    told: str = answer.response_metadata["capability_router"]["served_by"]
    return told


def ways_of(chat: Runnable[Any, Any], settings: dict[str, Any]) -> list[Any]:
    """Ask in every way that takes a configuration."""
    config: Any = {"configurable": settings}
    messages: Runnable[Any, Any] = RunnableLambda(lambda text: [HumanMessage(str(text))])
    chain = messages | chat
    return [
        chat.invoke("x", config),
        run(chat.ainvoke("x", config)),
        joined(chat.stream("x", config)),
        joined(run(collected(chat.astream("x", config)))),
        *chat.batch(["x", "y"], config),
        *run(chat.abatch(["x", "y"], config)),
        chain.invoke("x", config),
        run(chain.ainvoke("x", config)),
        chat.with_config(config).invoke("x"),
    ]


@pytest.mark.parametrize("bound", [False, True], ids=["plain", "with tools"])
@pytest.mark.parametrize(
    "settings",
    [
        {"capability": "code-generation"},
        {"pool": "betas"},
        {"requires": ["vision"]},
        {"prefers": ["beta"]},
    ],
    ids=str,
)
def test_configuration_reaches_the_call_however_it_is_made(
    lab: Lab, settings: dict[str, Any], bound: bool
) -> None:
    chat = through_litellm(lab)
    switched(chat)
    asked: Runnable[Any, Any] = chat.bind_tools([weather], tool_choice="none") if bound else chat
    assert {served_by(answer) for answer in ways_of(asked, settings)} <= {"beta/tiny", "beta/coder"}
    assert served_by(asked.invoke("x")) == "alpha/tiny"


@pytest.mark.filterwarnings("ignore::langchain_core._api.beta_decorator.LangChainBetaWarning")
def test_configuration_reaches_protocol_events(lab: Lab) -> None:
    chat = through_litellm(lab)
    config: Any = {"configurable": {"prefers": ["beta"]}}
    assert served_by(chat.stream_events("x", config, version="v3").output) == "beta/tiny"

    async def aoutput() -> AIMessage:
        stream = await chat.astream_events("x", config, version="v3")
        output: AIMessage = await stream.output
        return output

    assert served_by(run(aoutput())) == "beta/tiny"


def test_configuration_of_a_graph_reaches_the_model_within_an_agent(lab: Lab, build: Build) -> None:
    chat = build(lab)
    agent = create_agent(chat, [weather])
    config: Any = {"configurable": {"prefers": ["beta"], "model": "whatever the graph calls so"}}
    question: Any = {"messages": [HumanMessage("Good day")]}
    assert served_by(agent.invoke(question, config)["messages"][-1]) == "beta/tiny"
    assert served_by(run(agent.ainvoke(question, config))["messages"][-1]) == "beta/tiny"


def test_binding_wins_over_configuration_and_an_argument_over_both(lab: Lab) -> None:
    chat = through_litellm(lab)
    switched(chat)
    config: Any = {"configurable": {"capability": "chat-completion"}}
    bound = chat.bind(capability="code-generation")
    assert served_by(bound.invoke("x", config)) == "beta/coder"
    assert served_by(bound.invoke("x", config, capability="chat-completion")) == "alpha/tiny"


def test_switches_are_not_told_to_the_provider(lab: Lab, build: Build) -> None:
    given: dict[str, Any] = {
        "requires": [],
        "prefers": ["alpha"],
        "session": 7,
        "deadline": 9.0,
        "timeout": 8.0,
    }
    build(lab).invoke("x", pool=None, model="tiny", **given)
    assert set(lab["alpha"].requests[0].body or {}) - {"stream"} == {"messages", "model"}


def test_preferred_provider_goes_first_and_another_serves_where_it_fails(
    lab: Lab, build: Build, ask: Ask
) -> None:
    chat = build(lab, prefers=["beta"])
    assert served_by(ask(chat, "x")) == "beta/tiny"
    lab["beta"].fault = server_error()
    assert served_by(ask(chat, "x")) == "alpha/tiny"


@pytest.mark.parametrize("name", ["beta/small", "small"])
def test_named_model_alone_is_asked(lab: Lab, name: str) -> None:
    chat = through_litellm(lab)
    chat.router.register(Model("beta/small", ("chat-completion",)))
    answer = chat.invoke("x", model=name)
    assert (served_by(answer), answer.response_metadata["model_name"]) == ("beta/small", "small")
    lab["beta"].fault = server_error()
    with pytest.raises(AllChatModelsFailedError) as caught:
        chat.invoke("x", model=name)
    assert {attempt.model for attempt in caught.value.attempts} == {"beta/small"}


def test_every_provider_of_a_named_model_is_asked(lab: Lab) -> None:
    lab["alpha"].fault = server_error()
    chat = through_litellm(lab)
    chat.router.register(Model("alpha/other", ("chat-completion",)))
    assert served_by(chat.invoke("x", model="tiny")) == "beta/tiny"
    assert lab["alpha"].request_count == 1


def test_model_that_nobody_has_is_refused_by_name(lab: Lab) -> None:
    with pytest.raises(NoAvailableModelError, match="is not 'tony'"):
        through_litellm(lab).invoke("x", model="tony")


def test_deadline_of_a_call_ends_its_attempt(lab: Lab, build: Build) -> None:
    chat = build(lab, deadline=40.0)
    lab["alpha"].fault = hang()
    answer = run(chat.ainvoke("x", deadline=0.5, config={"configurable": {"deadline": 30.0}}))
    # The router's clock stands still here, so that the next model has its time as well.
    first, second = answer.response_metadata["capability_router"]["attempts"]
    assert (first["kind"], second["model"]) == ("timeout", "beta/tiny")
    assert chat.router.state("alpha/tiny").consecutive_failures == 0


def test_one_name_instead_of_a_list_is_refused(lab: Lab) -> None:
    chat = through_litellm(lab)
    with pytest.raises(TypeError, match=r"requires 'vision' must be a list of names: \['vision'\]"):
        chat.invoke("x", requires="vision")
    with pytest.raises(TypeError, match="prefers 'beta'"):
        chat.invoke("x", prefers="beta")


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"deadline": "5"}, "deadline_s '5' must be a number of seconds"),
        ({"deadline": -3}, "deadline_s -3 must not be below 0"),
        ({"timeout": "x"}, "timeout_s 'x' must be a number"),
        ({"pool": 3}, "pool 3 must be a name"),
        ({"model": ["tiny"]}, r"model \['tiny'\] must be a name"),
        ({"requires": ["tools"]}, "unknown feature 'tools'; there are: assistant_prefill"),
        ({"requires": ["tool_caling"]}, "nearest: tool_calling"),
    ],
)
def test_values_that_make_no_sense_are_named(lab: Lab, given: dict[str, Any], told: str) -> None:
    with pytest.raises((TypeError, ValueError), match=told):
        through_litellm(lab).invoke("x", **given)
    assert lab["alpha"].request_count == 0


def test_vendor_that_nobody_knows_is_passed_over(lab: Lab, ask: Ask) -> None:
    chat = through_litellm(lab)
    chat.router.deactivate("alpha/tiny")
    chat.router.register(Model("nosuch/tiny", ("chat-completion",)))
    chat.router.add_pool(
        "text", "chat-completion", preferences=PoolPreferences(model_priority=["nosuch/tiny"])
    )
    assert served_by(ask(chat, "x")) == "beta/tiny"
    assert chat.router.decisions[-1].attempts[0].kind == "not_found"


def test_text_that_cannot_be_sent_is_the_callers_fault(lab: Lab, ask: Ask) -> None:
    chat = through_litellm(lab)
    for _ in range(4):
        with pytest.raises(ModelError, match="surrogates"):
            ask(chat, "\ud800")
    assert [provider.request_count for provider in lab] == [0, 0]
    assert chat.router.pool("chat-completion").get_state().active_count == 2


def test_parameter_that_cannot_be_sent_is_the_callers_fault(lab: Lab) -> None:
    chat = through_litellm(lab)
    for _ in range(4):
        with pytest.raises(ModelError, match="serializable"):
            chat.invoke("x", logit_bias={1: object()})
    assert chat.router.pool("chat-completion").get_state().active_count == 2


@pytest.mark.parametrize("name", ["base_url", "api_base", "api_key", "custom_llm_provider"])
def test_call_sends_no_key_elsewhere(lab: Lab, name: str) -> None:
    given: dict[str, Any] = {name: lab["beta"].base_url}
    with pytest.raises(ValueError, match=f"{name} is the provider's"):
        through_litellm(lab).invoke("x", **given)
    assert [provider.request_count for provider in lab] == [0, 0]


def test_probabilities_of_tokens_are_told(lab: Lab, build: Build, ask: Ask) -> None:
    answer = ask(build(lab).bind(logprobs=True), "good day")  # type: ignore[arg-type]  # a binding asks alike
    told = answer.response_metadata["logprobs"]["content"]
    assert "".join(token["token"] for token in told) == "alpha echoes: good day"


def switched(chat: ChatCapabilityRouter) -> None:
    """Let ``beta`` be the only one for another capability, a pool and a feature."""
    router = chat.router
    everything = frozenset(Feature)
    router.unregister("alpha/tiny")
    router.unregister("beta/tiny")
    no_vision = everything - {Feature.VISION}
    router.register(Model("alpha/tiny", ("chat-completion",), features=no_vision))
    router.register(Model("beta/tiny", ("chat-completion",), features=everything))
    router.register(Model("beta/coder", ("code-generation",)))
    router.add_pool("all", "chat-completion")
    router.add_pool(
        "betas", "chat-completion", preferences=PoolPreferences(allowed_providers=["beta"])
    )
