"""A pool wherever LangChain takes a chat model."""

import asyncio
import gc
import subprocess
import sys
from typing import Any

import pytest
from langchain_core.caches import InMemoryCache
from langchain_core.callbacks import get_usage_metadata_callback
from langchain_core.language_models import FakeListChatModel
from langchain_core.messages import HumanMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.rate_limiters import InMemoryRateLimiter

from capability_router import (
    Model,
    UnknownCapabilityError,
    UnknownModelError,
    UnknownPoolError,
)
from capability_router.lab import Lab, server_error
from langchain_capability_router import ChatCapabilityRouter
from tests.connections import run
from tests.langchain.pools import (
    Ask,
    Build,
    chat_openai,
    collected,
    joined,
    router_of,
    through_litellm,
    through_own_models,
)


def test_metadata_names_the_model_and_the_way_to_it(lab: Lab, build: Build, ask: Ask) -> None:
    lab["alpha"].fault = server_error()
    metadata = ask(build(lab), "good day").response_metadata
    assert metadata["model_name"] == "tiny"
    assert metadata["finish_reason"] == "stop"
    assert metadata["model_provider"] in {"openai", "litellm"}
    way = metadata["capability_router"]
    assert way["capability"] == "chat-completion"
    assert way["served_by"] == "beta/tiny"
    assert [line["status"] for line in way["attempts"]] == [500, None]
    assert all(line["latency_s"] >= 0 for line in way["attempts"])


def test_way_and_usage_stand_on_one_chunk_each(lab: Lab, build: Build) -> None:
    chunks = list(build(lab).stream("good day"))
    assert [bool(c.usage_metadata) for c in chunks].count(True) == 1
    assert ["capability_router" in c.response_metadata for c in chunks].count(True) == 1
    assert [c.chunk_position for c in chunks if c.chunk_position] == ["last"]
    assert chunks[-1].chunk_position == "last"


def test_usage_is_counted_once_under_the_model_that_served(lab: Lab, build: Build) -> None:
    lab["alpha"].fault = server_error()
    chat = build(lab)
    with get_usage_metadata_callback() as counted:
        chat.invoke("good day")
    assert {name: usage["total_tokens"] for name, usage in counted.usage_metadata.items()} == {
        "tiny": 6
    }


def test_chain_batch_and_parallel_requests_are_served(lab: Lab, build: Build) -> None:
    lab["alpha"].fault = server_error()
    chat = build(lab)
    chain = ChatPromptTemplate.from_template("good {word}") | chat | StrOutputParser()
    assert chain.invoke({"word": "day"}) == "beta echoes: good day"
    words = [{"word": str(number)} for number in range(8)]
    expected = [f"beta echoes: good {number}" for number in range(8)]
    assert chain.batch(words) == expected
    assert run(chain.abatch(words)) == expected


def test_events_tell_the_same_answer(lab: Lab, build: Build) -> None:
    lab["alpha"].fault = server_error()
    chat = build(lab)

    async def ends() -> list[Any]:
        events = chat.astream_events("good day", version="v2")
        return [e["data"]["output"] async for e in events if e["event"] == "on_chat_model_end"]

    (end,) = run(ends())
    assert end.text == "beta echoes: good day"
    assert end.response_metadata["capability_router"]["served_by"] == "beta/tiny"


@pytest.mark.filterwarnings("ignore::langchain_core._api.beta_decorator.LangChainBetaWarning")
def test_protocol_events_tell_the_same_answer(lab: Lab, build: Build) -> None:
    lab["alpha"].fault = server_error()
    answer = build(lab).stream_events("good day", version="v3").output
    assert answer.text == "beta echoes: good day"
    assert answer.response_metadata["capability_router"]["served_by"] == "beta/tiny"


def test_configuration_switches_the_capability_of_one_call(lab: Lab, ask: Ask) -> None:
    chat = through_litellm(lab)
    chat.router.register(Model("beta/coder", ("code-generation",)))
    switch: Any = {"configurable": {"capability": "code-generation"}}
    answer = chat.invoke("good day", config=switch)
    assert answer.response_metadata["capability_router"]["served_by"] == "beta/coder"
    assert ask(chat, "good day").response_metadata["model_name"] == "tiny"
    bound = chat.bind_tools([], tool_choice="none")
    assert bound.invoke("x", config=switch).response_metadata["model_name"] == "coder"
    switched = joined(run(collected(chat.astream("x", switch))))
    assert switched.response_metadata["model_name"] == "coder"


def test_arguments_of_a_call_win_over_fields_and_configuration(lab: Lab) -> None:
    chat = through_litellm(lab)
    chat.router.register(Model("beta/coder", ("code-generation",)))
    chat.router.add_pool("first", "chat-completion")
    switch: Any = {"configurable": {"capability": "chat-completion"}}
    assert (
        chat.bind(capability="code-generation")
        .invoke("x", config=switch)
        .response_metadata["model_name"]
        == "coder"
    )
    assert chat.invoke("x", model="code-generation").response_metadata["model_name"] == "coder"
    chat.invoke("x", pool="first", deadline=5, requires=["vision"])
    assert chat.router.decisions[-1].pool == "first"


def test_parameters_reach_the_provider(lab: Lab, build: Build) -> None:
    chat = build(lab, temperature=0.5, max_tokens=3, stop=["END"])
    chat.invoke("good day", seed=7)
    body = lab["alpha"].requests[0].body
    assert body is not None
    assert (body["temperature"], body["seed"], body["stop"]) == (0.5, 7, ["END"])
    assert 3 in (body.get("max_tokens"), body.get("max_completion_tokens"))
    assert body["model"] == "tiny"
    assert not {"capability", "pool", "requires", "deadline", "timeout"} & set(body)
    chat.invoke("good day", stop=["STOP"])
    assert (lab["alpha"].requests[1].body or {})["stop"] == ["STOP"]


def test_names_that_nobody_knows_are_refused_at_once(lab: Lab) -> None:
    router = router_of(lab)
    with pytest.raises(UnknownCapabilityError, match="chat-completion"):
        ChatCapabilityRouter(router=router, capability="chat-completon")
    with pytest.raises(UnknownPoolError):
        ChatCapabilityRouter(router=router, capability="chat-completion", pool="nowhere")
    models = {"alpha/tony": FakeListChatModel(responses=["x"])}
    with pytest.raises(UnknownModelError, match="alpha/tiny"):
        ChatCapabilityRouter(router=router, capability="chat-completion", models=models)
    with pytest.raises(ValueError, match="capabilty"):
        through_litellm(lab, capabilty="chat-completion")


def test_routers_that_differ_share_no_cache_and_no_secret(lab: Lab) -> None:
    cache = InMemoryCache()
    chat = through_litellm(lab, cache=cache)
    assert chat.invoke("x").text == chat.invoke("x").text
    assert lab["alpha"].request_count == 1
    through_litellm(lab, cache=cache, requires={"vision"}).invoke("x")
    assert lab["alpha"].request_count == 2
    told = repr(chat) + str(chat.asdict())
    assert "lab" not in told
    models = chat.asdict()["models"]
    chat.router.unregister("beta/tiny")
    assert chat.asdict()["models"] != models
    assert chat.asdict()["_type"] == "capability-router"


def test_pool_may_be_a_model_of_another_pool(lab: Lab) -> None:
    inner = through_litellm(lab)
    outer = ChatCapabilityRouter.from_models({"inner/pool": inner})
    answer = outer.invoke("good day")
    history = [HumanMessage("good day"), answer, HumanMessage("and again")]
    assert outer.invoke(history).text == "alpha echoes: and again"
    assert lab["alpha"].requests[1].body == inner_body(lab, inner, history)


def inner_body(lab: Lab, inner: ChatCapabilityRouter, history: list[Any]) -> Any:
    inner.invoke(history)
    return lab["alpha"].requests[-1].body


def test_traces_name_the_capability_and_its_override(lab: Lab) -> None:
    chat = through_litellm(lab, temperature=0.5)
    told = chat._get_ls_params(stop=["END"])
    assert told.get("ls_provider") == "capability_router"
    assert told.get("ls_model_name") == "chat-completion"
    assert (told.get("ls_temperature"), told.get("ls_stop")) == (0.5, ["END"])
    assert chat._get_ls_params(model="code-generation").get("ls_model_name") == "code-generation"


def test_tokens_are_estimated_without_any_model(lab: Lab) -> None:
    chat = through_litellm(lab)
    assert chat.get_num_tokens("twelve chars") == 3
    assert chat.get_num_tokens_from_messages([HumanMessage("twelve chars")]) > 3


def test_request_that_is_too_long_goes_to_a_model_with_room(lab: Lab) -> None:
    chat = through_litellm(lab)
    chat.router.unregister("alpha/tiny")
    chat.router.unregister("beta/tiny")
    for name, window in (("alpha/small", 16), ("beta/large", 100_000)):
        chat.router.register(Model(name, ("chat-completion",), context_window=window))
    served = chat.invoke("word " * 40).response_metadata["capability_router"]
    assert served["served_by"] == "beta/large"
    assert len(served["attempts"]) == 1


def test_rate_limiter_of_an_own_model_is_honoured(lab: Lab, ask: Ask) -> None:
    class Counting(InMemoryRateLimiter):
        taken = 0

        def acquire(self, *, blocking: bool = True) -> bool:
            self.taken += 1
            return blocking

        async def aacquire(self, *, blocking: bool = True) -> bool:
            return self.acquire(blocking=blocking)

    limiter = Counting(requests_per_second=1000)
    inner = chat_openai(lab["alpha"])
    inner.rate_limiter = limiter
    ask(through_litellm(lab, models={"alpha/tiny": inner}), "good day")
    assert limiter.taken == 1


def test_fallbacks_keep_working_after_tools_are_bound(lab: Lab) -> None:
    lab["alpha"].fault = server_error()
    lab["beta"].script(server_error())
    chat = through_own_models(lab).with_fallbacks([chat_openai(lab["beta"])])
    assert chat.bind_tools([lookup]).invoke("good day").text == "beta echoes: good day"
    assert lab["beta"].request_count == 2


@pytest.mark.parametrize("module", ["litellm", "openai", "langchain_openai"])
def test_import_does_not_bring_a_client_library(module: str) -> None:
    script = f"import langchain_capability_router, sys; print({module!r} in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"


def test_model_with_an_own_chat_model_needs_no_litellm() -> None:
    script = (
        "import sys; sys.modules['litellm'] = None\n"
        "from capability_router import CapabilityRouter, Model\n"
        "from langchain_capability_router import ChatCapabilityRouter\n"
        "from langchain_core.language_models import FakeListChatModel\n"
        "router = CapabilityRouter()\n"
        "for name in ('a/b', 'c/d'): router.register(Model(name, ('chat-completion',)))\n"
        "own = {'a/b': FakeListChatModel(responses=['Fine.'])}\n"
        "chat = ChatCapabilityRouter(router=router, capability='chat-completion', models=own)\n"
        "print(chat.invoke('How are you?').text)\n"
        "router.unregister('a/b')\n"
        "try: chat.invoke('How are you?')\n"
        "except ImportError as error: print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    answer, hint = done.stdout.splitlines()
    assert answer == "Fine."
    assert "capability-router[litellm]" in hint


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("streamed", [False, True])
def test_event_loop_that_is_over_leaves_no_trace(lab: Lab, build: Build, streamed: bool) -> None:
    chat = build(lab)

    async def ask_four() -> list[str]:
        return await asyncio.gather(*[told(chat, streamed) for _ in range(4)])

    for _ in range(3):
        assert set(asyncio.run(ask_four())) == {"alpha echoes: good day"}
    # The connections of the loops that are over; nobody could close them any more.
    gc.collect()
    assert chat.router.state("alpha/tiny").failures == 0


def lookup(word: str) -> str:
    """Look a word up."""
    return word


async def told(chat: ChatCapabilityRouter, streamed: bool) -> str:
    if not streamed:
        return str((await chat.ainvoke("good day")).text)
    return str(joined(await collected(chat.astream("good day"))).text)
