"""``capability/...`` as a model name of LiteLLM's own functions."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import litellm
import pytest
from litellm.utils import custom_llm_setup

from capability_router import CapabilityRouter, Model, Priority, Provider, RotationPolicy, Secret
from capability_router.lab import Lab, bad_request, server_error, unauthorized
from capability_router.testing import ManualClock
from litellm_capability_router import CapabilityLLM, register_provider
from tests.connections import connections, run
from tests.litellm.surfaces import QUESTION

CHAT = "capability/chat-completion"
LEAVES = ("chat-completion", "text-embeddings", "text-to-image", "background-removal")


@pytest.fixture
def lab() -> Iterator[Lab]:
    with Lab(["alpha", "beta"], answers="echo") as lab, connections():
        yield lab


@pytest.fixture
def router(lab: Lab) -> CapabilityRouter:
    router = CapabilityRouter(
        providers=[Provider(p.name, base_url=p.base_url, api_key=Secret("lab-key")) for p in lab],
        policy=RotationPolicy(selection=Priority),
        clock=ManualClock(),
    )
    for provider in lab:
        # A name that LiteLLM knows, so that it has prices, and passes on a user.
        router.register(Model(f"{provider.name}/gpt-4o-mini", LEAVES))
    register_provider(router)
    return router


def asked(lab: Lab, name: str = "alpha") -> Any:
    """Return the body of the last request that a provider got."""
    return lab[name].requests[-1].body


def each_chunk(stream: bool, **arguments: Any) -> list[Any]:
    """Return the chunks of one answer, sync or async."""
    if stream:
        return list(litellm.completion(CHAT, QUESTION, stream=True, **arguments))

    async def collect() -> list[Any]:
        chunks: Any = await litellm.acompletion(CHAT, QUESTION, stream=True, **arguments)
        return [chunk async for chunk in chunks]

    return run(collect())


@pytest.mark.usefixtures("router")
def test_tools_answer_format_and_user_reach_the_model(lab: Lab) -> None:
    schema = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    tool = {"type": "function", "function": {"name": "look", "parameters": schema}}
    answer: Any = litellm.completion(
        CHAT, QUESTION, tools=[tool], tool_choice="required", user="me", seed=3, temperature=0.5
    )
    assert answer.choices[0].message.tool_calls[0].function.name == "look"
    body = asked(lab)
    assert (body["user"], body["seed"], body["temperature"]) == ("me", 3, 0.5)
    wanted = {"type": "json_schema", "json_schema": {"name": "place", "schema": schema}}
    answer = litellm.completion(CHAT, QUESTION, response_format=wanted)
    assert json.loads(answer.choices[0].message.content).keys() == {"city"}
    assert asked(lab)["response_format"] == wanted


def test_usage_cost_and_who_served_are_those_of_the_model(
    lab: Lab, router: CapabilityRouter
) -> None:
    lab["alpha"].fault = server_error()
    answer: Any = litellm.completion(CHAT, QUESTION)
    assert answer.model == "gpt-4o-mini"
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (3, 5)
    price = litellm.model_cost["gpt-4o-mini"]
    cost = 3 * price["input_cost_per_token"] + 5 * price["output_cost_per_token"]
    assert answer._hidden_params["response_cost"] == pytest.approx(cost)
    assert answer._hidden_params["capability_router"]["served_by"] == "beta/gpt-4o-mini"
    assert router.state("beta/gpt-4o-mini").output_tokens == 5


@pytest.mark.parametrize("sync", [True, False], ids=["sync", "async"])
@pytest.mark.usefixtures("router")
def test_a_stream_brings_the_name_of_the_model_and_the_providers_usage(
    lab: Lab, sync: bool
) -> None:
    lab["alpha"].fault = server_error()
    chunks = each_chunk(sync, stream_options={"include_usage": True}, user="me")
    with_choice = [chunk for chunk in chunks if chunk.choices]
    told = [chunk for chunk in with_choice if chunk.choices[0].delta.content]
    assert {chunk.model for chunk in told} == {"gpt-4o-mini"}
    reasons = [chunk.choices[0].finish_reason for chunk in with_choice]
    assert list(filter(None, reasons)) == ["stop"]
    # LiteLLM's own count of the same text is another one.
    counted = litellm.token_counter("gpt-4o-mini", messages=QUESTION)
    assert (chunks[-1].usage.prompt_tokens, chunks[-1].usage.completion_tokens) == (3, 5)
    assert counted != 3
    whole: Any = litellm.stream_chunk_builder(chunks)
    assert (whole.model, whole.usage.total_tokens) == ("gpt-4o-mini", 8)
    assert asked(lab, "beta")["user"] == "me"


@pytest.mark.parametrize("sync", [True, False], ids=["sync", "async"])
@pytest.mark.usefixtures("router")
def test_a_stream_brings_tool_calls(sync: bool) -> None:
    tool = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}
    chunks = each_chunk(sync, tools=[tool], tool_choice="required")
    whole: Any = litellm.stream_chunk_builder(chunks)
    assert whole.choices[0].message.tool_calls[0].function.name == "look"
    assert whole.choices[0].finish_reason == "tool_calls"


@pytest.mark.usefixtures("router")
def test_usage_is_not_told_in_a_stream_that_was_not_asked_for_it(lab: Lab) -> None:
    chunks = each_chunk(True)
    assert not any(getattr(chunk, "usage", None) for chunk in chunks)
    assert len(lab["alpha"].requests) == 1


@pytest.mark.parametrize("sync", [True, False], ids=["sync", "async"])
def test_a_stream_that_is_left_leaks_nothing(router: CapabilityRouter, sync: bool) -> None:
    if sync:
        chunks: Any = litellm.completion(CHAT, QUESTION, stream=True)
        next(chunks)
        chunks.completion_stream.close()
    else:

        async def leave() -> None:
            chunks: Any = await litellm.acompletion(CHAT, QUESTION, stream=True)
            await anext(chunks)
            await chunks.aclose()

        run(leave())
    assert router.state("alpha/gpt-4o-mini").in_flight == 0
    assert router.state("alpha/gpt-4o-mini").failures == 0


CALLBACKS = """
import asyncio, sys
import litellm
from litellm.integrations.custom_logger import CustomLogger
from capability_router import CapabilityRouter, Model, Provider
from litellm_capability_router import register_provider

class Told(CustomLogger):
    def log_success_event(self, kwargs, response_obj, start_time, end_time):
        # In one piece: two threads may tell at once.
        sys.stdout.write(f"{kwargs['model']} {kwargs['response_cost'] > 0}\\n")
    async def async_log_success_event(self, kwargs, response_obj, start_time, end_time):
        self.log_success_event(kwargs, response_obj, start_time, end_time)
    log_failure_event = log_success_event
    async_log_failure_event = async_log_success_event

litellm.callbacks = [Told()]
router = CapabilityRouter(providers=[
    Provider("alpha", base_url=sys.argv[1]), Provider("beta", base_url=sys.argv[2])
])
for provider in ("alpha", "beta"):
    router.register(Model(provider + "/gpt-4o-mini", ("chat-completion",)))
register_provider(router)
ask = {"model": "capability/chat-completion", "messages": [{"role": "user", "content": "x"}]}

async def ask_both():
    await litellm.acompletion(**ask)
    async for _ in await litellm.acompletion(**ask, stream=True):
        pass
    await litellm.litellm_core_utils.logging_worker.GLOBAL_LOGGING_WORKER.flush()

litellm.completion(**ask)
for _ in litellm.completion(**ask, stream=True):
    pass
asyncio.run(ask_both())
"""


@pytest.mark.usefixtures("router")
def test_each_call_is_told_to_litellms_callbacks_once_with_its_cost(lab: Lab) -> None:
    lab["alpha"].fault = server_error()
    # In a process of its own: LiteLLM keeps what other tests have left among its callbacks.
    told = subprocess.run(
        [sys.executable, "-c", CALLBACKS, lab["alpha"].base_url, lab["beta"].base_url],
        capture_output=True,
        text=True,
        check=True,
        timeout=50,
    )
    assert told.stdout.split("\n")[:-1] == ["chat-completion True"] * 4


@pytest.mark.usefixtures("router")
def test_a_callers_fault_is_litellms_own_error(lab: Lab) -> None:
    lab["alpha"].fault = bad_request()
    with pytest.raises(litellm.BadRequestError) as caught:
        litellm.completion(CHAT, QUESTION)
    assert "alpha" not in str(caught.value.llm_provider)
    assert (lab["alpha"].request_count, lab["beta"].request_count) == (1, 0)


@pytest.mark.parametrize("sync", [True, False], ids=["sync", "async"])
@pytest.mark.usefixtures("router")
def test_vectors_fail_over(lab: Lab, sync: bool) -> None:
    lab["alpha"].fault = server_error()
    name, texts = "capability/text-embeddings", ["one", "two"]
    made: Any = litellm.embedding(name, texts) if sync else run(litellm.aembedding(name, texts))
    assert len(made.data) == 2
    assert (lab["alpha"].request_count, lab["beta"].request_count) == (1, 1)


@pytest.mark.parametrize("sync", [True, False], ids=["sync", "async"])
@pytest.mark.usefixtures("router")
def test_what_litellm_does_not_tell_about_vectors_is_asked_for_all_the_same(
    lab: Lab, sync: bool
) -> None:
    name = "capability/text-embeddings"
    # Without this LiteLLM refuses the call before any provider hears of it.
    more: Any = {"encoding_format": "float", "user": "me", "drop_params": True}
    made: Any = (
        litellm.embedding(name, ["one"], **more)
        if sync
        else run(litellm.aembedding(name, ["one"], **more))
    )
    assert made.data
    assert (asked(lab)["encoding_format"], asked(lab)["user"]) == ("float", "me")


@pytest.mark.parametrize("sync", [True, False], ids=["sync", "async"])
@pytest.mark.usefixtures("router")
def test_images_fail_over_with_all_that_was_asked_for(lab: Lab, sync: bool) -> None:
    # LiteLLM 1.106 lets the client repeat what a server error has met, for images only.
    lab["alpha"].fault = unauthorized()
    ask: Any = {"model": "capability/text-to-image", "prompt": "a sun", "n": 2, "size": "256x256"}
    made: Any = litellm.image_generation(**ask) if sync else run(litellm.aimage_generation(**ask))
    assert len(made.data) == 2
    assert (asked(lab, "beta")["n"], asked(lab, "beta")["size"]) == (2, "256x256")
    assert (lab["alpha"].request_count, lab["beta"].request_count) == (1, 1)


def test_a_group_of_a_router_falls_back_into_a_capability(
    lab: Lab, router: CapabilityRouter
) -> None:
    dead = {"model": "openai/m", "api_base": lab["alpha"].base_url, "api_key": "k"}
    host: Any = litellm.Router(
        model_list=[
            {"model_name": "mine", "litellm_params": dead},
            {"model_name": "any", "litellm_params": {"model": CHAT}},
        ],
        num_retries=0,
        fallbacks=[{"mine": ["any"]}],
    )
    lab["alpha"].fault = server_error()
    answer = host.completion(model="mine", messages=QUESTION)
    assert "beta" in answer.choices[0].message.content
    assert router.decisions[-1].served_by == "beta/gpt-4o-mini"


@pytest.mark.parametrize("sync", [True, False], ids=["sync", "async"])
@pytest.mark.usefixtures("router")
def test_a_wildcard_of_a_router_serves_every_capability(lab: Lab, sync: bool) -> None:
    everything = {"model_name": "capability/*", "litellm_params": {"model": "capability/*"}}
    host: Any = litellm.Router(model_list=[everything], num_retries=0)
    lab["alpha"].fault = server_error()
    ask = {"model": CHAT, "messages": QUESTION}
    answer = host.completion(**ask) if sync else run(host.acompletion(**ask))
    assert "beta" in answer.choices[0].message.content


def test_the_router_that_was_registered_last_is_used(lab: Lab, router: CapabilityRouter) -> None:
    other = CapabilityRouter(providers=[Provider("gamma", base_url=lab["beta"].base_url)])
    other.register(Model("gamma/m", ("chat-completion",)))
    register_provider(other)
    litellm.completion(CHAT, QUESTION)
    assert (len(other.decisions), len(router.decisions)) == (1, 0)
    assert [each["provider"] for each in litellm.custom_provider_map].count("capability") == 1


def test_without_a_router_the_file_of_the_environment_is_used(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    url = lab["beta"].base_url
    file = tmp_path / "router.yaml"
    file.write_text(
        f"providers: {{beta: {{base_url: '{url}'}}}}\n"
        "models: {beta/m: {capabilities: [chat-completion]}}\n"
    )
    monkeypatch.setenv("CAPABILITY_ROUTER_CONFIG", str(file))
    provider = CapabilityLLM()
    monkeypatch.setattr(
        litellm, "custom_provider_map", [{"provider": "capability", "custom_handler": provider}]
    )
    custom_llm_setup()  # type: ignore[no-untyped-call]  # LiteLLM's
    answer: Any = litellm.completion(CHAT, QUESTION)
    assert "beta" in answer.choices[0].message.content
