"""Chat models that a user gives a pool: whose they are, and what is left to themselves."""

import asyncio
import pickle
from threading import Event
from typing import Any

import pytest
from langchain_anthropic import ChatAnthropic
from langchain_core.caches import InMemoryCache
from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel, FakeListChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.rate_limiters import BaseRateLimiter
from pydantic import SecretStr

from capability_router import CapabilityRouter, Feature, Model, PoolPreferences
from capability_router.lab import Lab, not_found
from langchain_capability_router import ChatCapabilityRouter
from langchain_capability_router.tools import native_options, neutral_tool
from tests.connections import run
from tests.langchain.pools import Ask, chat_openai, joined, router_of, through_own_models


def fake(text: str) -> FakeListChatModel:
    return FakeListChatModel(responses=[text])


def one_model_router() -> CapabilityRouter:
    router = CapabilityRouter()
    router.register(Model("a/b", ("chat-completion",)))
    return router


def test_chat_models_are_those_of_the_chat_model_they_were_given_to() -> None:
    router = one_model_router()
    first = ChatCapabilityRouter(router=router, models={"a/b": fake("first")})
    second = ChatCapabilityRouter(router=router, models={"a/b": fake("second")})
    assert (first.invoke("x").text, second.invoke("x").text) == ("first", "second")
    first.models = {"a/b": fake("third")}
    assert first.invoke("x").text == "third"
    assert second.model_copy(update={"models": first.models}).invoke("x").text == "third"
    assert second.invoke("x").text == "second"


def test_pickle_takes_the_chat_models_along(tmp_path: Any) -> None:
    path = tmp_path / "router.yaml"
    path.write_text(
        "providers: {a: {}}\nmodels:\n  a/b: {capabilities: [chat-completion]}\n", encoding="utf-8"
    )
    chat = ChatCapabilityRouter.model_validate({"router": path, "models": {"a/b": fake("own")}})
    chat.invoke("x")
    again = pickle.loads(pickle.dumps(chat))
    assert again.invoke("x").text == "own"


def test_cache_tells_apart_what_is_called_elsewhere_or_otherwise(lab: Lab) -> None:
    cache, other = InMemoryCache(), chat_openai(lab["beta"])
    first = ChatCapabilityRouter.from_models({"x/y": chat_openai(lab["alpha"])}, cache=cache)
    second = ChatCapabilityRouter.from_models({"x/y": other}, cache=cache)
    third, fourth = (
        ChatCapabilityRouter.from_models({"x/y": fake(text)}, cache=cache) for text in "cd"
    )
    texts = [chat.invoke("q").text for chat in (first, second, third, fourth)]
    assert texts == ["alpha echoes: q", "beta echoes: q", "c", "d"]
    assert "lab" not in str(first.asdict())


def test_cache_asks_once_for_all_threads_of_a_graph(lab: Lab) -> None:
    chat = through_own_models(lab, cache=InMemoryCache(), deadline=9)
    for thread in ("one", "two"):
        chat.invoke("q", {"configurable": {"thread_id": thread}})
    chat.invoke("q", deadline=3)
    assert lab["alpha"].request_count == 1


def test_profile_and_cache_know_every_pool_that_may_serve() -> None:
    router = one_model_router()
    router.register(Model("c/d", ("chat-completion",), features=frozenset()))
    for name, provider in (("first", "a"), ("second", "c")):
        preferences = PoolPreferences(allowed_providers=[provider])
        router.add_pool(name, "chat-completion", preferences=preferences)
    both = ChatCapabilityRouter(router=router)
    one = ChatCapabilityRouter(router=router, pool="first")
    assert both.profile is not None
    assert both.profile.get("tool_calling") is False
    assert one.profile is None
    assert one.asdict()["models"] != both.asdict()["models"]


def test_way_of_a_pool_within_a_pool_is_told_once(lab: Lab, ask: Ask) -> None:
    outer = ChatCapabilityRouter.from_models({"inner/pool": through_own_models(lab)})
    way = ask(outer, "good day").response_metadata["capability_router"]
    assert (way["capability"], way["served_by"], len(way["attempts"])) == (
        "chat-completion",
        "inner/pool",
        1,
    )


@pytest.mark.parametrize(
    "choice", ["required", "any", True, {"type": "function", "function": {"name": "look"}}], ids=str
)
def test_forced_tool_is_forced_in_each_librarys_words(lab: Lab, choice: Any) -> None:
    anthropic = ChatAnthropic(model="claude-sonnet-4-5", api_key=SecretStr("lab"))
    tool = neutral_tool({"name": "look", "parameters": {"type": "object", "properties": {}}})
    wanted = {"tools": [tool], "tool_choice": choice}
    named = {"type": "tool", "name": "look"} if isinstance(choice, dict) else {"type": "any"}
    assert native_options(anthropic, wanted)["tool_choice"] == named
    chat = through_own_models(lab)
    bound = chat.bind_tools([tool], tool_choice=choice)
    assert bound.invoke("x").tool_calls[0]["name"] == "look"


class Closed(BaseRateLimiter):
    """Lets nobody pass."""

    def acquire(self, *, blocking: bool = True) -> bool:
        return False

    async def aacquire(self, *, blocking: bool = True) -> bool:
        await asyncio.Event().wait()
        return True


def test_limiter_that_lets_nothing_pass_holds_nobody_up_and_blames_nobody(lab: Lab) -> None:
    chat = through_own_models(lab, timeout=0.05)
    limited = chat_openai(lab["alpha"]).model_copy(update={"rate_limiter": Closed()})
    chat.models = {**chat.models, "alpha/tiny": limited}
    answer = run(chat.ainvoke("x"))
    assert answer.text == "beta echoes: x"
    assert chat.router.state("alpha/tiny").consecutive_failures == 0
    assert chat.router.pool("chat-completion").get_state().standby_count == 0


def test_opting_out_of_streams_holds_within_a_pool(lab: Lab) -> None:
    for opted_out in ({"disable_streaming": "tool_calling"}, {"streaming": False}):
        inner = chat_openai(lab["alpha"]).model_validate(
            {"model": "tiny", "base_url": lab["alpha"].base_url, "api_key": "lab", **opted_out}
        )
        chat = ChatCapabilityRouter.from_models({"alpha/tiny": inner})
        tool = {"name": "look", "parameters": {"type": "object", "properties": {}}}
        joined(chat.bind_tools([tool], tool_choice="any").stream("x"))  # type: ignore[arg-type]  # chunks, in fact
        assert not lab["alpha"].requests[-1].stream


class AsyncOnly(BaseChatModel):
    """A chat model without a sync call."""

    @property
    def _llm_type(self) -> str:
        return "async only"

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        raise NotImplementedError

    async def _agenerate(self, *_: Any, **__: Any) -> ChatResult:
        return ChatResult(generations=[ChatGeneration(message=AIMessage("Fine."))])


def test_model_without_a_sync_call_serves_in_every_event_loop() -> None:
    chat = ChatCapabilityRouter.from_models({"a/b": AsyncOnly()})
    loop, other = asyncio.new_event_loop(), asyncio.new_event_loop()
    try:
        # The first is alive, and has the clients, while the second asks.
        texts = [each.run_until_complete(chat.ainvoke("x")).text for each in (loop, other)]
    finally:
        loop.close()
        other.close()
    assert texts == ["Fine.", "Fine."]


class Constant(AsyncOnly):
    """Returns one and the same result."""

    def _generate(self, *_: Any, **__: Any) -> ChatResult:
        return _RESULT


_RESULT = ChatResult(generations=[ChatGeneration(message=AIMessage("Fine."))])


def test_result_of_a_chat_model_stays_as_it_made_it() -> None:
    chat = ChatCapabilityRouter.from_models({"p/a": Constant(), "q/b": Constant()})
    assert chat.invoke("x").response_metadata["model_name"] == "a"
    chat.router.deactivate("p/a")
    assert chat.invoke("x").response_metadata["model_name"] == "b"
    assert "capability_router" not in _RESULT.generations[0].message.response_metadata


def test_pictures_that_a_model_has_drawn_need_no_eyes(lab: Lab) -> None:
    router = router_of(lab, [])
    blind = frozenset({Feature.STREAMING})
    router.register(Model("alpha/tiny", ("chat-completion",), features=blind))
    picture = {"type": "image", "base64": "aGk=", "mime_type": "image/png"}
    drawn = AIMessage(
        [{"type": "text", "text": "Here."}, picture], response_metadata={"model_provider": "openai"}
    )
    chat = ChatCapabilityRouter(router=router)
    assert chat.invoke([HumanMessage("draw"), drawn, HumanMessage("thanks")]).text.endswith(
        "thanks"
    )


def test_missing_address_of_a_providers_own_tool_is_not_the_models_fault(lab: Lab) -> None:
    lab["alpha"].fault = lab["beta"].fault = not_found()
    chat = through_own_models(lab)
    with pytest.raises(Exception, match="unsupported"):
        chat.bind_tools([{"type": "web_search"}]).invoke("x")
    for provider in lab:
        provider.heal()
    assert chat.invoke("x").text == "alpha echoes: x"


def test_objects_of_a_graph_under_the_same_names_are_left_alone(lab: Lab) -> None:
    config: Any = {"configurable": {"pool": object(), "session": Event(), "deadline": Event()}}
    assert through_own_models(lab).invoke("x", config).text == "alpha echoes: x"
