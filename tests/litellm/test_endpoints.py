"""Every endpoint that LiteLLM routes fails over, sync and async, and each attempt is sent once."""

from __future__ import annotations

import re
from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import litellm
import openai
import pytest

from capability_router import CapabilityRouter, Model, Priority, Provider, RotationPolicy, Secret
from capability_router.lab import Lab, bad_request, cut_stream, server_error, unauthorized
from capability_router.lab.pictures import png
from capability_router.lab.sounds import wav
from capability_router.testing import ManualClock
from litellm_capability_router import CapabilityStreamError, attach
from tests.connections import connections, forget_lost_clients, run
from tests.litellm.surfaces import QUESTION


@dataclass(frozen=True)
class Endpoint:
    """One endpoint, and how to ask it.

    Attributes:
        leaf: The capability that is asked for.
        model: What the providers call their model: some of LiteLLM's code looks at the name.
        path: Where the request has to arrive.
        arguments: What is asked.
        names: Of the Router's methods, the sync ones first.
        read: What the answer says.
        repeated: True where LiteLLM lets OpenAI's client repeat what a server error has met: for
            images in 1.106, and for moderation.
        opening: Events of a stream before those with text.
    """

    leaf: str
    model: str
    path: str
    arguments: dict[str, Any]
    names: Sequence[str]
    read: Callable[[Any], str]
    repeated: bool = False
    opening: int = 0


ENDPOINTS = {
    "chat": Endpoint(
        "chat-completion",
        "tiny",
        "/v1/chat/completions",
        {"messages": QUESTION},
        ("completion", "acompletion"),
        lambda answer: answer.choices[0].message.content,
    ),
    "text": Endpoint(
        "text-completion",
        "tiny",
        "/v1/completions",
        {"prompt": "count"},
        ("text_completion", "atext_completion"),
        lambda answer: answer.choices[0].text,
    ),
    "responses": Endpoint(
        "chat-completion",
        # Of a model that it does not know, LiteLLM asks for the whole answer even for a stream.
        "gpt-4o-mini",
        "/v1/responses",
        {"input": "count"},
        ("responses", "aresponses"),
        lambda answer: answer.output[0].content[0].text,
        opening=4,
    ),
    "embeddings": Endpoint(
        "text-embeddings",
        "tiny",
        "/v1/embeddings",
        {"input": ["count"]},
        ("embedding", "aembedding"),
        lambda answer: answer.model,
    ),
    "images": Endpoint(
        "text-to-image",
        "gpt-image-1",
        "/v1/images/generations",
        {"prompt": "a sun"},
        ("image_generation", "aimage_generation"),
        lambda answer: answer.data[0].revised_prompt,
        repeated=True,
    ),
    "image edits": Endpoint(
        "background-removal",
        "gpt-image-1",
        "/v1/images/edits",
        {"image": [png()], "prompt": "a sun"},
        ("image_edit", "aimage_edit"),
        lambda answer: answer.data[0].revised_prompt,
    ),
    "speech": Endpoint(
        "text-to-speech",
        "tts-1",
        "/v1/audio/speech",
        {"input": "count", "voice": "alloy"},
        ("speech", "aspeech"),
        lambda answer: str(len(answer.content)),
    ),
    "transcription": Endpoint(
        "speech-to-text",
        "whisper-1",
        "/v1/audio/transcriptions",
        {"file": ("count.wav", wav())},
        ("transcription", "atranscription"),
        lambda answer: answer.text,
    ),
    "moderation": Endpoint(
        "content-moderation",
        "omni-moderation-latest",
        "/v1/moderations",
        {"input": "count"},
        ("moderation", "amoderation"),
        lambda answer: answer.model,
        repeated=True,
    ),
    "messages": Endpoint(
        "chat-completion",
        "claude-sonnet-4-5",
        "/v1/messages",
        {"messages": QUESTION, "max_tokens": 20},
        ("anthropic_messages", "aanthropic_messages"),
        lambda answer: answer["content"][0]["text"],
        opening=2,
    ),
    "reranking": Endpoint(
        "reranking",
        "jina-reranker-v2",
        "/v1/rerank",
        {"query": "count", "documents": ["one", "count"], "top_n": 1},
        ("rerank", "arerank"),
        lambda answer: str(answer.results[0]["index"]),
    ),
}
WAYS = [(endpoint, name) for endpoint in ENDPOINTS.values() for name in endpoint.names]


@pytest.fixture
def lab() -> Iterator[Lab]:
    with Lab(["alpha", "beta", "gamma"], answers="echo") as lab, connections():
        yield lab
    # For text completions and moderations LiteLLM makes a client each time, and closes none.
    forget_lost_clients()


def routers(lab: Lab, endpoint: Endpoint) -> tuple[Any, CapabilityRouter]:
    vendor = {"/v1/messages": "anthropic", "/v1/rerank": "jina_ai"}.get(endpoint.path, "openai")
    router = CapabilityRouter(
        providers=[
            Provider(
                each.name,
                vendor=vendor,
                base_url=each.base_url if vendor == "openai" else each.root_url,
                api_key=Secret("lab-key"),
            )
            for each in lab
        ],
        policy=RotationPolicy(selection=Priority),
        clock=ManualClock(),
    )
    for provider in lab:
        router.register(Model(f"{provider.name}/{endpoint.model}", (endpoint.leaf,)))
    host = litellm.Router(model_list=[])
    attach(host, router)
    return host, router


def answer_of(host: Any, name: str, endpoint: Endpoint, **more: Any) -> Any:
    given = getattr(host, name)(model=endpoint.leaf, **endpoint.arguments, **more)
    return run(given) if isinstance(given, Coroutine) else given


@pytest.mark.parametrize(("endpoint", "name"), WAYS, ids=[name for _, name in WAYS])
def test_each_endpoint_fails_over_and_sends_each_attempt_once(
    lab: Lab, endpoint: Endpoint, name: str
) -> None:
    host, router = routers(lab, endpoint)
    lab["alpha"].fault = unauthorized() if endpoint.repeated else server_error()
    answer = answer_of(host, name, endpoint)
    assert endpoint.read(answer)
    assert [provider.request_count for provider in lab] == [1, 1, 0]
    assert {request.path for provider in lab for request in provider.requests} == {endpoint.path}
    attempts = router.decisions[-1].attempts
    assert [attempt.model.partition("/")[0] for attempt in attempts] == ["alpha", "beta"]
    assert [router.state(model.id).in_flight for model in router.models] == [0, 0, 0]


@pytest.mark.parametrize(("endpoint", "name"), WAYS, ids=[name for _, name in WAYS])
def test_a_callers_fault_is_the_same_at_each_endpoint(
    lab: Lab, endpoint: Endpoint, name: str
) -> None:
    host, router = routers(lab, endpoint)
    lab["alpha"].fault = bad_request()
    # Of some sync functions LiteLLM lets OpenAI's errors through as they are.
    with pytest.raises(openai.BadRequestError):
        answer_of(host, name, endpoint)
    assert [provider.request_count for provider in lab] == [1, 0, 0]
    assert router.pool(endpoint.leaf).get_state().standby_count == 0


STREAMED = [way for way in WAYS if way[0].leaf in ("chat-completion", "text-completion")]


def chunks_of(host: Any, name: str, endpoint: Endpoint, **more: Any) -> list[Any]:
    """Return all chunks of a stream, sync or async."""

    async def collected(stream: Any) -> list[Any]:
        return [chunk async for chunk in await stream]

    given = getattr(host, name)(model=endpoint.leaf, **endpoint.arguments, stream=True, **more)
    return run(collected(given)) if isinstance(given, Coroutine) else list(given)


@pytest.mark.filterwarnings("ignore:Items '.*' on TypedDict class:UserWarning")
@pytest.mark.parametrize(("endpoint", "name"), STREAMED, ids=[name for _, name in STREAMED])
def test_each_stream_fails_over_before_its_first_text(
    lab: Lab, endpoint: Endpoint, name: str
) -> None:
    host, router = routers(lab, endpoint)
    lab["alpha"].fault = server_error()
    lab["beta"].fault = cut_stream(after=0)
    asked = {"stream_options": {"include_usage": True}} if "completion" in name else {}
    chunks = chunks_of(host, name, endpoint, **asked)
    assert "gamma echoes" in said(chunks)
    assert [provider.request_count for provider in lab] == [1, 1, 1]
    served = router.state(f"gamma/{endpoint.model}")
    assert (served.successes, served.in_flight) == (1, 0)
    assert served.output_tokens > 0


@pytest.mark.filterwarnings("ignore:Items '.*' on TypedDict class:UserWarning")
@pytest.mark.parametrize("framing", ["chunked", "close"])
@pytest.mark.parametrize(("endpoint", "name"), STREAMED, ids=[name for _, name in STREAMED])
def test_no_stream_that_was_cut_passes_for_an_answer(
    lab: Lab, endpoint: Endpoint, name: str, framing: Any
) -> None:
    host, router = routers(lab, endpoint)
    lab["alpha"].fault = cut_stream(after=endpoint.opening + 2, framing=framing)
    with pytest.raises(CapabilityStreamError) as caught:
        chunks_of(host, name, endpoint)
    assert caught.value.partial_text
    assert "alpha echoes: count to three".startswith(caught.value.partial_text)
    assert router.state(f"alpha/{endpoint.model}").failures == 1
    assert lab["beta"].request_count == 0


def said(chunks: list[Any]) -> str:
    """Put together the text of whatever a stream is made of."""
    if isinstance(chunks[0], bytes):
        return "".join(re.findall(r'"text": ?"([^"]*)"', b"".join(chunks).decode()))
    return "".join(map(_text, chunks))


def _text(chunk: Any) -> str:
    if hasattr(chunk, "type"):
        return str(chunk.delta) if chunk.type.endswith("output_text.delta") else ""
    if not chunk.choices:
        return ""
    choice = chunk.choices[0]
    return str(choice.text if hasattr(choice, "text") else choice.delta.content or "")
