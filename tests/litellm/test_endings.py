"""Why an answer ended, as eight vendors say it: what LiteLLM makes up is no answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import litellm
import pytest

from capability_router import CapabilityRouter, Model, Provider, Secret
from capability_router.engine.errors import IncompleteAnswerError
from langchain_capability_router import AllChatModelsFailedError, ChatCapabilityRouter
from litellm_capability_router import (
    CapabilityStreamError,
    CapabilityUnavailableError,
    attach,
)
from litellm_capability_router.endings import Original
from tests.connections import connections, run
from tests.event_streams import event
from tests.litellm.surfaces import Surface, astream, async_, stream, sync
from tests.litellm.vendor_calls import VENDORS
from tests.vendors import ANTHROPIC, GEMINI, OPENAI, Answer, Scripted, scripted

Json = dict[str, Any]
MISSING = "missing"


def openais(reason: str | None) -> Json:
    choice = {"index": 0, "message": {"role": "assistant", "content": "Fine."}}
    told = {} if reason == MISSING else {"finish_reason": reason}
    usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    head = {"id": "x", "object": "chat.completion", "created": 1, "model": "m", "usage": usage}
    # LiteLLM stumbles over an answer of Groq without a tier.
    return {**head, "choices": [choice | told], "service_tier": "on_demand"}


def anthropics(reason: str | None) -> Json:
    told = {} if reason == MISSING else {"stop_reason": reason}
    usage = {"input_tokens": 3, "output_tokens": 2}
    content = [{"type": "text", "text": "Fine."}]
    head = {"id": "x", "type": "message", "role": "assistant", "model": "m"}
    return {**head, "content": content, "usage": usage, **told}


def geminis(reason: str | None) -> Json:
    told = {} if reason == MISSING else {"finishReason": reason}
    candidate = {"content": {"role": "model", "parts": [{"text": "Fine."}]}, **told}
    usage = {"promptTokenCount": 3, "candidatesTokenCount": 2, "totalTokenCount": 5}
    return {"candidates": [candidate], "usageMetadata": usage}


def bedrocks(reason: str | None) -> Json:
    told = {} if reason == MISSING else {"stopReason": reason}
    message = {"role": "assistant", "content": [{"text": "Fine."}]}
    usage = {"inputTokens": 3, "outputTokens": 2, "totalTokens": 5}
    return {"output": {"message": message}, "usage": usage, "metrics": {"latencyMs": 1}, **told}


OPENAI_LIKE = ("openai", "azure", "groq", "mistral", "openrouter")
BODIES: dict[str, Callable[[str | None], Json]] = {
    **dict.fromkeys(OPENAI_LIKE, openais),
    "anthropic": anthropics,
    "gemini": geminis,
    "bedrock": bedrocks,
}
OWN_WORD = {"anthropic": "end_turn", "gemini": "STOP", "bedrock": "end_turn"}
ERRORS = {"gemini": "FINISH_REASON_UNSPECIFIED", "bedrock": "malformed_model_output"}
BEDROCK = [
    event("messageStart", {"role": "assistant"}),
    event("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "Fine."}}),
    event("messageStop", {"stopReason": "end_turn"}),
    event("metadata", {"usage": {"inputTokens": 3, "outputTokens": 2, "totalTokens": 5}}),
]
Events = Sequence[Json | bytes]
STREAMS: dict[str, Events] = {
    **dict.fromkeys(OPENAI_LIKE, OPENAI),
    "anthropic": ANTHROPIC,
    "gemini": GEMINI,
    "bedrock": BEDROCK,
}
CUT_AFTER = {"anthropic": 3, "bedrock": 2}


def chunk(reason: str | None) -> Json:
    return {**OPENAI[1], "choices": [{"index": 0, "delta": {}, "finish_reason": reason}]}


@pytest.fixture
def server() -> Iterator[Scripted]:
    with scripted() as server, connections():
        yield server


@pytest.fixture(autouse=True)
def accounts(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "AZURE_API_VERSION": "2024-10-21",
        "AWS_ACCESS_KEY_ID": "AKIANOBODY",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_REGION_NAME": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)


def router_of(server: Scripted, vendor: str) -> CapabilityRouter:
    key = None if vendor == "bedrock" else Secret("key")
    provider = Provider("lab", vendor=vendor, base_url=server.url, api_key=key)
    router = CapabilityRouter(providers=[provider])
    _, _, name = VENDORS[vendor]["model"].partition("/")
    router.register(Model(f"lab/{name}", ("chat-completion",)))
    return router


def host_of(server: Scripted, vendor: str) -> Any:
    host = litellm.Router(model_list=[])
    attach(host, router_of(server, vendor))
    return host


@pytest.mark.parametrize("vendor", BODIES)
def test_whole_answer_is_one_whoever_gave_it(server: Scripted, vendor: str) -> None:
    server.answer = Answer(200, BODIES[vendor](OWN_WORD.get(vendor, "stop")))
    host = host_of(server, vendor)
    assert [ask(host) for ask in (sync, async_)] == ["Fine.", "Fine."]


@pytest.mark.parametrize("vendor", BODIES)
@pytest.mark.parametrize("reason", [None, MISSING, "error"], ids=str)
def test_whole_answer_without_a_reason_or_with_an_error_in_its_place_is_none(
    server: Scripted, vendor: str, reason: str | None
) -> None:
    word = ERRORS.get(vendor, "error") if reason == "error" else reason
    server.answer = Answer(200, BODIES[vendor](word))
    for ask in (sync, async_):
        with pytest.raises(CapabilityUnavailableError) as caught:
            ask(host_of(server, vendor))
        (attempt,) = caught.value.attempts
        assert attempt.kind == "protocol", ask.__name__


@pytest.mark.parametrize("vendor", BODIES)
def test_chat_of_langchain_takes_none_of_them_either(server: Scripted, vendor: str) -> None:
    server.answer = Answer(200, BODIES[vendor](None))
    chat = ChatCapabilityRouter(router=router_of(server, vendor), capability="chat-completion")
    with pytest.raises(AllChatModelsFailedError):
        chat.invoke("x")
    with pytest.raises(AllChatModelsFailedError):
        run(chat.ainvoke("x"))


@pytest.mark.parametrize("ask", [stream, astream])
@pytest.mark.parametrize("vendor", STREAMS)
def test_stream_with_a_reason_is_whole(server: Scripted, ask: Surface, vendor: str) -> None:
    server.events = STREAMS[vendor]
    assert ask(host_of(server, vendor)) == "Fine."


@pytest.mark.parametrize("ask", [stream, astream])
@pytest.mark.parametrize("chunked", [True, False], ids=["chunked", "close"])
@pytest.mark.parametrize("vendor", STREAMS)
def test_stream_that_is_cut_is_none_whatever_litellm_ends_it_with(
    server: Scripted, ask: Surface, vendor: str, chunked: bool
) -> None:
    server.events, server.chunked = STREAMS[vendor][: CUT_AFTER.get(vendor, 1)], chunked
    with pytest.raises(CapabilityStreamError) as caught:
        ask(host_of(server, vendor))
    assert "Fine.".startswith(caught.value.partial_text)


ENDS: dict[str, tuple[str, Events]] = {
    **{
        f"{vendor} with an error": (vendor, [OPENAI[0], chunk("error")])
        for vendor in ("groq", "mistral", "openrouter")
    },
    "request that a server gave up": ("openai", [OPENAI[0], chunk("abort")]),
    "reason that is empty": ("openai", [OPENAI[0], chunk("")]),
    "end of a message without a reason": (
        "anthropic",
        [*ANTHROPIC[:4], {"type": "message_delta", "delta": {"stop_reason": None}, "usage": {}}],
    ),
    "reason that Google calls unspecified": (
        "gemini",
        [{"candidates": [{**GEMINI[1]["candidates"][0], "finishReason": ERRORS["gemini"]}]}],
    ),
}


@pytest.mark.parametrize("ask", [stream, astream])
@pytest.mark.parametrize(("vendor", "events"), ENDS.values(), ids=ENDS)
def test_reason_that_is_none_does_not_end_a_stream(
    server: Scripted, ask: Surface, vendor: str, events: Events
) -> None:
    server.events = events
    with pytest.raises(CapabilityStreamError):
        ask(host_of(server, vendor))


@pytest.mark.parametrize(
    "body",
    [
        {**openais("stop"), "choices": None},
        {**openais("stop"), "choices": []},
        {**openais("stop"), "choices": [{"finish_reason": "stop", "message": None}]},
    ],
    ids=["null", "none", "without a message"],
)
@pytest.mark.parametrize("vendor", OPENAI_LIKE)
def test_answer_without_a_message_is_none(server: Scripted, vendor: str, body: Json) -> None:
    server.answer = Answer(200, body)
    for ask in (sync, async_):
        with pytest.raises(CapabilityUnavailableError):
            ask(host_of(server, vendor))


def test_callers_own_logger_is_told_as_well(server: Scripted) -> None:
    server.answer = Answer(200, openais("stop"))
    told: list[object] = []
    sync(host_of(server, "openai"), logger_fn=lambda details: told.append(details["model"]))
    assert set(told) == {"gpt-4o-mini"}


def test_what_comes_from_elsewhere_than_a_provider_is_taken_as_it_is() -> None:
    original = Original()
    original.check(litellm.ModelResponse())
    original({"original_response": "first stream response received"})
    original.check(litellm.ModelResponse())
    later = Original()
    later({"original_response": '{"choices": [{"finish_reason": null}]}'})
    with pytest.raises(IncompleteAnswerError):
        later.check(litellm.ModelResponse())
