"""LiteLLM's own calls, each on the endpoint of the lab it leads to.

Some need more than a plain install of LiteLLM brings along, and are left out without it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from importlib.util import find_spec
from typing import Any

import litellm
import pytest

from capability_router.lab import (
    Lab,
    LabProvider,
    context_overflow,
    cut_stream,
    overloaded,
    rate_limited,
    unauthorized,
)
from capability_router.lab.pictures import png
from capability_router.lab.sounds import mp3, wav
from tests.connections import connections, run

needs_mcp = pytest.mark.skipif(
    find_spec("mcp") is None, reason="LiteLLM's responses need its extra proxy"
)
needs_fastapi = pytest.mark.skipif(
    find_spec("fastapi") is None, reason="LiteLLM's streamed messages need its extra proxy"
)

CLAUDE = "anthropic/claude-sonnet-4-5"
SAID = [{"role": "user", "content": "hi there"}]


@pytest.fixture
def provider() -> Iterator[LabProvider]:
    # The lab ends after the connections to it.
    with Lab(["alpha"], answers="echo") as lab, connections():
        yield lab["alpha"]


def openai_like(provider: LabProvider, model: str) -> dict[str, Any]:
    return {"model": f"openai/{model}", "api_base": provider.base_url, "api_key": "any"}


def claude(provider: LabProvider) -> dict[str, Any]:
    return {"model": CLAUDE, "api_base": provider.root_url, "api_key": "any"}


def test_images_are_drawn_and_changed(provider: LabProvider) -> None:
    asked = openai_like(provider, "gpt-image-1")
    drawn = run(litellm.aimage_generation(prompt="a cat", n=2, **asked))
    changed = run(litellm.aimage_edit(prompt="a hat", image=[png()], **asked))
    assert [image.revised_prompt for image in drawn.data] == ["alpha echoes: a cat"] * 2
    assert [image.revised_prompt for image in changed.data] == ["alpha echoes: a hat"]
    paths = [request.path for request in provider.requests]
    assert paths == ["/v1/images/generations", "/v1/images/edits"]


def test_text_is_spoken(provider: LabProvider) -> None:
    spoken = run(litellm.aspeech(input="one two", voice="alloy", **openai_like(provider, "tts-1")))
    assert spoken.content == mp3(0.2)


@pytest.mark.parametrize("model", ["whisper-1", "gpt-4o-transcribe"])
def test_sound_is_written_down(provider: LabProvider, model: str) -> None:
    told = run(litellm.atranscription(file=("a.wav", wav()), **openai_like(provider, model)))
    assert told.text == "alpha echoes: a.wav"


def test_messages_are_answered(provider: LabProvider) -> None:
    reply: Any = run(litellm.anthropic_messages(messages=SAID, max_tokens=9, **claude(provider)))
    assert reply["content"] == [{"type": "text", "text": "alpha echoes: hi there"}]
    assert provider.requests[0].path == "/v1/messages"


def test_chat_with_a_model_of_anthropic_is_answered_whole_and_streamed(
    provider: LabProvider,
) -> None:
    asked: dict[str, Any] = {"messages": SAID, "max_tokens": 9, **claude(provider)}
    reply: Any = run(litellm.acompletion(**asked))
    stream: Any = run(litellm.acompletion(**asked, stream=True))
    said = "".join(chunk.choices[0].delta.content or "" for chunk in run(drained(stream)))
    assert reply.choices[0].message.content == said == "alpha echoes: hi there"


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (rate_limited(3), litellm.RateLimitError),
        (unauthorized(), litellm.AuthenticationError),
        (overloaded(529), litellm.InternalServerError),
        (context_overflow(), litellm.ContextWindowExceededError),
    ],
    ids=str,
)
def test_errors_of_messages_are_recognised(
    provider: LabProvider, fault: Any, error: type[Exception]
) -> None:
    provider.fault = fault
    with pytest.raises(error):
        run(
            litellm.anthropic_messages(
                messages=SAID, max_tokens=9, max_retries=0, **claude(provider)
            )
        )


@needs_mcp
def test_responses_are_answered_whole_and_streamed(provider: LabProvider) -> None:
    asked = openai_like(provider, "gpt-4o")
    reply: Any = run(litellm.aresponses(input="hi there", **asked))
    stream: Any = run(litellm.aresponses(input="hi there", stream=True, **asked))
    events = run(drained(stream))
    assert reply.output[0].content[0].text == "alpha echoes: hi there"
    assert events[-1].type == "response.completed"
    assert events[-1].response.output[0].content[0].text == "alpha echoes: hi there"


@needs_mcp
def test_responses_go_on_from_an_earlier_one(provider: LabProvider) -> None:
    asked = openai_like(provider, "gpt-4o")
    first: Any = run(litellm.aresponses(input="hi there", **asked))
    run(litellm.aresponses(input="and?", previous_response_id=first.id, **asked))
    assert provider.requests[1].body is not None
    assert provider.requests[1].body["previous_response_id"] == "resp_alpha-1"


@needs_mcp
def test_stream_of_responses_cut_short_is_an_error(provider: LabProvider) -> None:
    provider.script(cut_stream(framing="close"))
    stream: Any = run(
        litellm.aresponses(input="hi there", stream=True, **openai_like(provider, "gpt-4o"))
    )
    with pytest.raises(litellm.APIConnectionError, match="before any terminal event"):
        run(drained(stream))


@needs_fastapi
@pytest.mark.filterwarnings("ignore:Items '.*' on TypedDict class:UserWarning")
def test_messages_are_streamed(provider: LabProvider) -> None:
    stream: Any = run(
        litellm.anthropic_messages(messages=SAID, max_tokens=9, stream=True, **claude(provider))
    )
    told = b"".join(run(drained(stream)))
    assert told.startswith(b"event: message_start\n")
    assert told.endswith(b'event: message_stop\ndata: {"type": "message_stop"}\n\n')


async def drained(stream: AsyncIterator[Any]) -> list[Any]:
    return [part async for part in stream]
