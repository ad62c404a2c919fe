"""What a pool can do whichever model serves, and what agents make of it."""

from typing import Any

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import SummarizationMiddleware
from langchain_core.language_models import FakeListChatModel
from langchain_core.messages import AIMessage, HumanMessage
from langchain_openai import ChatOpenAI
from pydantic import BaseModel, SecretStr

from capability_router import CapabilityRouter, Feature, Model
from capability_router.lab import Lab, server_error
from langchain_capability_router import ChatCapabilityRouter
from tests.langchain.pools import Ask, chat_openai, router_of


class City(BaseModel):
    """A city."""

    name: str


def declared(*models: Model) -> ChatCapabilityRouter:
    router = CapabilityRouter()
    for model in models:
        router.register(model)
    return ChatCapabilityRouter(router=router)


def a_model(name: str, *features: Feature, window: int | None = None) -> Model:
    told = frozenset(features)
    return Model(name, ("chat-completion",), features=told, context_window=window)


def test_pool_can_what_each_of_its_models_can() -> None:
    profile: Any = declared(
        a_model("a/x", Feature.TOOL_CALLING, Feature.VISION, window=8000),
        a_model("b/y", Feature.TOOL_CALLING, Feature.STRUCTURED_OUTPUT, window=2000),
    ).profile
    assert profile["tool_calling"]
    assert not profile["image_inputs"]
    assert not profile["structured_output"]
    assert profile["max_input_tokens"] == 2000


def test_nothing_is_said_where_nothing_is_known() -> None:
    assert declared(Model("a/x", ("chat-completion",))).profile is None
    profile: Any = declared(
        Model("a/x", ("chat-completion",)), a_model("b/y", Feature.TOOL_CALLING)
    ).profile
    assert "tool_calling" not in profile
    assert profile["image_inputs"] is False


def test_declaration_wins_over_what_a_chat_model_says_of_itself(lab: Lab) -> None:
    inner = chat_openai(lab["alpha"], "gpt-4o-mini")
    router = router_of(lab, [])
    router.register(Model("alpha/gpt-4o-mini", ("chat-completion",), context_window=900))
    profile: Any = ChatCapabilityRouter(router=router, models={"alpha/gpt-4o-mini": inner}).profile
    assert (profile["max_input_tokens"], profile["tool_calling"]) == (900, True)


def test_given_profile_is_kept() -> None:
    router = CapabilityRouter()
    router.register(Model("a/x", ("chat-completion",)))
    chat = ChatCapabilityRouter(router=router, profile={"max_input_tokens": 10})
    assert chat.profile == {"max_input_tokens": 10}


def test_agent_takes_the_format_that_all_models_hold(lab: Lab) -> None:
    router = router_of(lab, [])
    for name in ("alpha/tiny", "beta/tiny"):
        router.register(Model(name, ("chat-completion",), features=frozenset(Feature)))
    agent = create_agent(ChatCapabilityRouter(router=router), [], response_format=City)
    state = agent.invoke({"messages": [HumanMessage("Which city?")]})
    assert isinstance(state["structured_response"], City)
    body: Any = lab["alpha"].requests[0].body
    assert body["response_format"]["type"] == "json_schema"


def test_conversation_is_summarized_by_share_of_the_smallest_window(lab: Lab) -> None:
    router = router_of(lab, [])
    for name, window in (("alpha/tiny", 900), ("beta/tiny", 2000)):
        router.register(Model(name, ("chat-completion",), context_window=window))
    chat = ChatCapabilityRouter(router=router)
    short = SummarizationMiddleware(chat, trigger=("fraction", 0.5), keep=("messages", 1))
    agent = create_agent(chat, [], middleware=[short])
    history: list[Any] = [HumanMessage("word " * 400), AIMessage("yes"), HumanMessage("Good day")]
    agent.invoke({"messages": history})
    # One for the summary, one for the answer.
    assert sum(provider.request_count for provider in lab) == 2


def test_pool_of_chat_models_needs_no_more_than_them(lab: Lab) -> None:
    first, second = (chat_openai(provider, "gpt-4o-mini") for provider in lab)
    chat = ChatCapabilityRouter.from_models([first, second])
    assert [model.id for model in chat.router.models] == [
        "openai/gpt-4o-mini",
        "openai-2/gpt-4o-mini",
    ]
    lab["alpha"].stop()
    assert chat.invoke("Good day").text == "beta echoes: Good day"
    assert chat.with_structured_output(City).invoke("Which city?")
    features = chat.router.models[0].features
    assert features is not None
    assert {Feature.TOOL_CHOICE, Feature.JSON_MODE, Feature.VISION, Feature.STREAMING} <= features
    assert Feature.AUDIO_INPUT not in features
    assert chat.router.models[0].context_window == 128_000


@pytest.mark.parametrize(
    ("profile", "text"),
    [({"image_inputs": False}, "x"), ({"max_input_tokens": 100}, "one two three " * 100)],
)
def test_chat_model_is_not_asked_for_what_its_profile_denies(
    lab: Lab, ask: Ask, profile: Any, text: str
) -> None:
    router = router_of(lab)
    models = {"alpha/tiny": chat_openai(lab["alpha"]).model_copy(update={"profile": profile})}
    chat = ChatCapabilityRouter(router=router, models=models, requires=["vision"])
    assert ask(chat, text).text.startswith("beta echoes")
    assert router.decisions[-1].attempts[0].kind == "unsupported"
    assert lab["alpha"].request_count == 0


def test_models_of_one_account_share_their_provider() -> None:
    inner = [
        ChatOpenAI(model=name, api_key=SecretStr(key))
        for name, key in (
            ("gpt-4o", "one"),
            ("gpt-4o-mini", "one"),
            ("gpt-4o", "two"),
            ("o3", "two"),
        )
    ]
    chat = ChatCapabilityRouter.from_models(inner)
    assert [model.id for model in chat.router.models] == [
        "openai/gpt-4o",
        "openai/gpt-4o-mini",
        "openai-2/gpt-4o",
        "openai-2/o3",
    ]


def test_chat_models_are_named_by_hand_and_settings_go_to_the_class() -> None:
    fake = FakeListChatModel(responses=["Fine."])
    chat = ChatCapabilityRouter.from_models(
        {"here/fake": fake, "there/fake": fake}, prefers=["there"], temperature=0.5
    )
    answer = chat.invoke("x")
    assert answer.response_metadata["capability_router"]["served_by"] == "there/fake"
    assert chat.temperature == 0.5


def test_first_model_serves_again_when_it_is_well_unless_another_strategy_is_asked_for(
    lab: Lab,
) -> None:
    inner = {f"{provider.name}/tiny": chat_openai(provider) for provider in lab}
    for strategy, served in ((None, "alpha"), ("stick-until-failure", "beta")):
        chat = ChatCapabilityRouter.from_models(inner, strategy=strategy)
        lab["alpha"].script(server_error())
        assert chat.invoke("x").text == "beta echoes: x"
        assert chat.invoke("x").text == f"{served} echoes: x"


@pytest.mark.parametrize(
    ("models", "error", "told"),
    [
        ([], ValueError, "at least one chat model"),
        ("gpt-4o", TypeError, "a list of chat models, found a str"),
        (FakeListChatModel(responses=["x"]), TypeError, "found a FakeListChatModel"),
        (["gpt-4o"], TypeError, "holds a str, which is no chat model"),
        ([FakeListChatModel(responses=["x"]).bind(stop=["y"])], TypeError, "bind or wrap the pool"),
        ({"a/b": FakeListChatModel(responses=["x"]).with_retry()}, TypeError, "RunnableRetry"),
    ],
)
def test_what_is_no_list_of_chat_models_is_refused(
    models: Any, error: type[Exception], told: str
) -> None:
    router = CapabilityRouter()
    with pytest.raises(error, match=told):
        ChatCapabilityRouter.from_models(models, router=router)
    assert router.models == []


def test_nothing_is_registered_where_anything_is_wrong() -> None:
    router, fake = CapabilityRouter(), FakeListChatModel(responses=["x"])
    with pytest.raises(ValueError, match="tools"):
        ChatCapabilityRouter.from_models([fake], router=router, requires=["tools"])
    with pytest.raises(ValueError, match="the one given has its own"):
        ChatCapabilityRouter.from_models([fake], router=router, strategy="priority")
    with pytest.raises(ValueError, match="nearest: priority"):
        ChatCapabilityRouter.from_models([fake], strategy="prioroty")
    assert router.models == []


def test_chat_model_shows_where_it_asks() -> None:
    fake = FakeListChatModel(responses=["x"])
    chat = ChatCapabilityRouter.from_models({"here/fake": fake}, temperature=0.5, prefers=["here"])
    assert repr(chat) == (
        "ChatCapabilityRouter(router=CapabilityRouter(1 models, pools: none),"
        " capability='chat-completion', prefers=('here',), temperature=0.5)"
    )


@pytest.mark.parametrize("same", [2, 3])
def test_same_chat_model_twice_is_two_providers(same: int) -> None:
    fake = FakeListChatModel(responses=["Fine."])
    chat = ChatCapabilityRouter.from_models([fake] * same)
    assert len({model.provider for model in chat.router.models}) == same
