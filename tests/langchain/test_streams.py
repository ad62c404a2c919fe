"""What becomes of a stream that breaks, and of those who leave early."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.exceptions import ModelError
from langchain_core.language_models import BaseChatModel, FakeListChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult

from capability_router import CapabilityRouter, Model, StreamInterruptedError
from capability_router.lab import Lab, cut_stream, hang, malformed_chunk
from langchain_capability_router import ChatCapabilityRouter, ChatStreamInterruptedError
from tests.connections import run
from tests.langchain.pools import Ask, Build, collected, invoke, joined, stream


@pytest.mark.parametrize("framing", ["chunked", "close"])
def test_stream_cut_after_some_text_is_never_taken_for_an_answer(
    lab: Lab, build: Build, ask_in_chunks: Ask, framing: Any
) -> None:
    lab["alpha"].fault = cut_stream(2, framing)
    chat = build(lab)
    with pytest.raises(ChatStreamInterruptedError) as caught:
        ask_in_chunks(chat, "good day")
    assert isinstance(caught.value, StreamInterruptedError)
    assert isinstance(caught.value, ModelError)
    assert caught.value.partial_text == "alpha echoes:"
    assert [attempt.model for attempt in caught.value.attempts] == ["alpha/tiny"]
    assert lab["beta"].request_count == 0
    assert chat.router.state("alpha/tiny").consecutive_failures == 1


@pytest.mark.parametrize("framing", ["chunked", "close"])
def test_stream_that_lacks_nothing_but_its_end_is_cut_as_well(
    lab: Lab, build: Build, ask_in_chunks: Ask, framing: Any
) -> None:
    lab["alpha"].fault = cut_stream(99, framing)
    with pytest.raises(ChatStreamInterruptedError) as caught:
        ask_in_chunks(build(lab), "good day")
    assert caught.value.partial_text == "alpha echoes: good day"


def test_no_finish_reason_is_handed_out_for_a_cut_stream(lab: Lab, build: Build) -> None:
    lab["alpha"].fault = cut_stream(2, "close")
    reasons: list[object] = []

    def read() -> None:
        chunks = build(lab).stream("good day")
        reasons.extend(chunk.response_metadata.get("finish_reason") for chunk in chunks)

    with pytest.raises(ChatStreamInterruptedError):
        read()
    assert reasons
    assert set(reasons) == {None}


def test_chunk_that_is_no_json_interrupts_a_stream(
    lab: Lab, build: Build, ask_in_chunks: Ask
) -> None:
    lab["alpha"].fault = malformed_chunk(2)
    with pytest.raises(ChatStreamInterruptedError) as caught:
        ask_in_chunks(build(lab), "good day")
    assert caught.value.attempts[-1].kind == "protocol"


def test_model_that_never_says_why_it_ends_is_taken_at_its_word(ask: Ask) -> None:
    assert ask(_chat(FakeListChatModel(responses=["Fine."])), "How are you?").text == "Fine."


def test_model_that_once_said_why_it_ended_is_held_to_it() -> None:
    chat = _chat(_Told(reasons=["stop", None]))
    assert stream(chat, "one").text == "Fine."
    with pytest.raises(ChatStreamInterruptedError):
        stream(chat, "two")


def test_model_without_a_stream_of_its_own_answers_in_one_chunk(ask: Ask) -> None:
    answer = ask(_chat(_Whole()), "How are you?")
    assert answer.text == "Fine."
    assert answer.response_metadata["model_name"] == "fake"
    assert answer.usage_metadata is not None
    assert answer.usage_metadata["total_tokens"] == 3
    assert [call["args"] for call in answer.tool_calls] == [{"where": "up"}]


def test_leaving_a_stream_early_blames_nobody(lab: Lab, build: Build) -> None:
    chat = build(lab)
    chunks = chat.stream("one two three four five")
    assert next(chunks) is not None
    assert chat.router.state("alpha/tiny").in_flight == 1
    del chunks
    state = chat.router.state("alpha/tiny")
    assert (state.in_flight, state.failures) == (0, 0)


def test_cancelling_a_request_blames_nobody(lab: Lab, build: Build) -> None:
    lab["alpha"].fault = hang()
    chat = build(lab)

    async def cancel() -> None:
        task = asyncio.create_task(chat.ainvoke("good day"))
        await asyncio.to_thread(lab["alpha"].wait_for_requests, 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(cancel())
    state = chat.router.state("alpha/tiny")
    assert (state.in_flight, state.failures) == (0, 0)
    assert lab["beta"].request_count == 0


def test_cancelling_a_stream_blames_nobody(lab: Lab, build: Build) -> None:
    lab["alpha"].fault = hang()
    chat = build(lab)

    async def cancel() -> None:
        task = asyncio.create_task(collected(chat.astream("good day")))
        await asyncio.to_thread(lab["alpha"].wait_for_requests, 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(cancel())
    state = chat.router.state("alpha/tiny")
    assert (state.in_flight, state.failures) == (0, 0)


@pytest.mark.parametrize("streamed", [False, True])
def test_attempt_that_takes_too_long_is_given_up_for_the_next_model(
    lab: Lab, build: Build, streamed: bool
) -> None:
    lab["alpha"].fault = hang()
    chat = build(lab, timeout=0.2)
    ask = chat.astream("good day") if streamed else None
    answer = joined(run(collected(ask))) if ask else run(chat.ainvoke("good day"))
    assert answer.text == "beta echoes: good day"
    assert answer.response_metadata["capability_router"]["attempts"][0]["kind"] == "timeout"


def test_invoke_under_a_streaming_field_goes_through_a_stream(lab: Lab, build: Build) -> None:
    assert invoke(build(lab, streaming=True), "good day").text == "alpha echoes: good day"
    assert lab["alpha"].requests[0].stream


def _chat(inner: BaseChatModel) -> ChatCapabilityRouter:
    router = CapabilityRouter()
    router.register(Model("local/fake", ("chat-completion",)))
    return ChatCapabilityRouter(
        router=router, capability="chat-completion", models={"local/fake": inner}
    )


class _Whole(BaseChatModel):
    """A chat model with nothing but whole answers."""

    @property
    def _llm_type(self) -> str:
        return "whole"

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        usage = {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3}
        call = {"name": "look", "args": {"where": "up"}, "id": "c1"}
        message = AIMessage.model_validate(
            {"content": "Fine.", "usage_metadata": usage, "tool_calls": [call]}
        )
        return ChatResult(generations=[ChatGeneration(message=message)])


class _Told(_Whole):
    """A chat model whose streams end with the given reasons, one after the other."""

    reasons: list[str | None]

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        yield ChatGenerationChunk(message=AIMessageChunk(content="Fine."))
        info = {"finish_reason": self.reasons.pop(0)}
        yield ChatGenerationChunk(message=AIMessageChunk(content=""), generation_info=info)
