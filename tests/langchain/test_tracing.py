"""One run for each call, which tells who really served and what was tried before."""

from typing import Any

import pytest
from langchain_core.caches import InMemoryCache
from langchain_core.callbacks import BaseCallbackHandler, get_usage_metadata_callback
from langchain_core.messages import HumanMessage
from langchain_core.outputs import LLMResult
from langchain_core.rate_limiters import BaseRateLimiter
from langchain_core.tracers.base import BaseTracer
from langchain_core.tracers.schemas import Run

from capability_router.lab import Lab, bad_request, server_error
from langchain_capability_router import AllChatModelsFailedError, ChatCapabilityRouter
from tests.connections import run
from tests.langchain.pools import (
    Ask,
    Build,
    chat_openai,
    collected,
    joined,
    router_of,
    through_litellm,
)


class Runs(BaseTracer):
    """Keeps the runs at the top, each with those below it."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[Run] = []

    def _persist_run(self, run: Run) -> None:
        self.found.append(run)


class Ends(BaseCallbackHandler):
    """Counts what a handler is told."""

    def __init__(self) -> None:
        self.starts = self.ends = self.errors = 0
        self.results: list[LLMResult] = []

    def on_chat_model_start(self, *_: Any, **__: Any) -> None:
        self.starts += 1

    def on_llm_end(self, response: LLMResult, **_: Any) -> None:
        self.ends += 1
        self.results.append(response)

    def on_llm_error(self, *_: Any, **__: Any) -> None:
        self.errors += 1


def traced(chat: ChatCapabilityRouter, ask: Ask) -> Run:
    runs = Runs()
    ask(chat.model_copy(update={"callbacks": [runs]}), "good day")
    (found,) = runs.found
    return found


def test_run_names_who_served_and_every_attempt(lab: Lab, build: Build, ask: Ask) -> None:
    lab["alpha"].fault = server_error()
    told = traced(build(lab), ask)
    assert (told.child_runs, told.error) == ([], None)
    metadata = told.metadata
    assert (metadata["ls_provider"], metadata["ls_model_name"]) == ("openai", "tiny")
    assert metadata["ls_model_type"] == "chat"
    info = metadata["ls_gateway_info"]
    assert (info["capability"], info["served_by"]) == ("chat-completion", "beta/tiny")
    assert [a["kind"] for a in info["attempts"]] == ["server_error", None]


def test_what_is_for_tracers_is_not_in_the_message(lab: Lab, build: Build, ask: Ask) -> None:
    assert "lc_gateway_metadata" not in ask(build(lab), "good day").response_metadata


def test_run_of_a_chain_is_the_parent(lab: Lab, build: Build) -> None:
    runs = Runs()
    chain = (lambda text: [HumanMessage(text)]) | build(lab)
    chain.invoke("good day", {"callbacks": [runs]})
    run(chain.ainvoke("good day", {"callbacks": [runs]}))
    for top in runs.found:
        (model_run,) = [child for child in top.child_runs if child.run_type != "chain"]
        assert model_run.parent_run_id == top.id


def test_handler_is_told_of_one_call_whatever_was_tried(lab: Lab, build: Build, ask: Ask) -> None:
    lab["alpha"].fault = server_error()
    ends = Ends()
    chat = build(lab, callbacks=[ends])
    ask(chat, "good day")
    assert (ends.starts, ends.ends, ends.errors) == (1, 1, 0)


def test_handler_is_told_of_one_error(lab: Lab, build: Build, ask: Ask) -> None:
    ends = Ends()
    chat = build(lab, callbacks=[ends])
    lab["alpha"].fault = bad_request()
    with pytest.raises(Exception, match="Invalid value"):
        ask(chat, "good day")
    assert (ends.starts, ends.ends, ends.errors) == (1, 0, 1)


def test_tokens_are_counted_once_under_the_name_of_who_served(lab: Lab, build: Build) -> None:
    lab["alpha"].fault = server_error()
    chat = build(lab)

    async def counted() -> dict[str, Any]:
        with get_usage_metadata_callback() as used:
            await chat.ainvoke("good day")
            await collected(chat.astream("good day"))
            return dict(used.usage_metadata)

    with get_usage_metadata_callback() as used:
        chat.invoke("good day")
        joined(chat.stream("good day"))
    for usage in (used.usage_metadata, run(counted())):
        assert {name: tokens["total_tokens"] for name, tokens in usage.items()} == {"tiny": 12}


@pytest.mark.parametrize("version", ["v0", "v1"])
def test_content_has_the_form_that_the_router_was_asked_for(
    lab: Lab, build: Build, ask: Ask, version: str
) -> None:
    answer = ask(build(lab, output_version=version), "good day")
    assert answer.text == "alpha echoes: good day"
    if version == "v0":
        assert answer.content == "alpha echoes: good day"
    else:
        assert [block["type"] for block in answer.content_blocks] == ["text"]
        assert isinstance(answer.content, list)
        assert answer.response_metadata["output_version"] == "v1"
    assert answer.response_metadata["capability_router"]["served_by"] == "alpha/tiny"


class Counting(BaseRateLimiter):
    """Lets everybody pass, and counts them."""

    def __init__(self) -> None:
        self.passed = 0

    def acquire(self, *, blocking: bool = True) -> bool:
        self.passed += 1
        return True

    async def aacquire(self, *, blocking: bool = True) -> bool:
        self.passed += 1
        return True


def test_limiter_of_the_router_counts_calls_and_that_of_a_model_its_attempts(
    lab: Lab, ask: Ask
) -> None:
    outer, first, second = Counting(), Counting(), Counting()
    models = {
        f"{provider.name}/tiny": chat_openai(provider).model_copy(update={"rate_limiter": limiter})
        for provider, limiter in zip(lab, (first, second), strict=True)
    }
    chat = ChatCapabilityRouter(router=router_of(lab), models=models, rate_limiter=outer)
    ask(chat, "good day")
    lab["alpha"].fault = server_error()
    ask(chat, "good day")
    assert (outer.passed, first.passed, second.passed) == (2, 2, 1)


def test_version_two_events_are_one_start_one_end_and_the_text_once(lab: Lab, build: Build) -> None:
    lab["alpha"].fault = server_error()
    chat = build(lab)

    async def events() -> list[Any]:
        return [event async for event in chat.astream_events("good day", version="v2")]

    told = run(events())
    kinds = [event["event"] for event in told]
    assert (kinds.count("on_chat_model_start"), kinds.count("on_chat_model_end")) == (1, 1)
    chunks = [e["data"]["chunk"] for e in told if e["event"] == "on_chat_model_stream"]
    assert joined(chunks).text == "beta echoes: good day"


def test_error_of_a_call_reaches_the_run(lab: Lab, build: Build, ask: Ask) -> None:
    lab["alpha"].fault = lab["beta"].fault = server_error()
    runs = Runs()
    with pytest.raises(AllChatModelsFailedError):
        ask(build(lab, callbacks=[runs]), "good day")
    (told,) = runs.found
    assert told.error is not None
    assert "alpha/tiny" in told.error


def test_cached_answer_costs_nothing_and_keeps_its_way(lab: Lab) -> None:
    chat = through_litellm(lab, cache=InMemoryCache())
    lab["alpha"].fault = server_error()
    first, again = chat.invoke("good day"), run(chat.ainvoke("good day"))
    assert again.response_metadata == first.response_metadata
    assert lab["beta"].request_count == 1


def test_chunks_of_a_stream_name_the_way_once(lab: Lab, build: Build) -> None:
    for chunks in (list(build(lab).stream("good day")), run(collected(build(lab).astream("x")))):
        assert sum("capability_router" in chunk.response_metadata for chunk in chunks) == 1
        assert sum(bool(chunk.usage_metadata) for chunk in chunks) == 1
