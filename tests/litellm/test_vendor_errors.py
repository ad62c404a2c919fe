"""What the errors of eight vendors mean, as LiteLLM raises them."""

import re
from collections.abc import Iterator
from pathlib import Path

import litellm
import pytest

from capability_router import CapabilityRouter, Failure, FailureKind, Model, Try
from capability_router.engine.errors import IncompleteAnswerError
from litellm_capability_router.answers import LiteLLMJudge, failure_of_litellm
from tests.connections import connections
from tests.event_streams import event, exception
from tests.litellm.vendor_calls import (
    CALLS,
    VENDORS,
    Ask,
    acall,
    arguments,
    astream,
    call,
    stream,
)
from tests.litellm.vendor_errors import ERRORS
from tests.litellm.vendor_shapes import VendorError
from tests.vendors import ANTHROPIC, GEMINI, OPENAI, Answer, Events, Scripted, scripted

FAULTS = Path(__file__).parents[2] / "docs" / "faults.md"


@pytest.fixture
def server() -> Iterator[Scripted]:
    with scripted() as server, connections():
        yield server


def failure(ask: Ask, vendor: str, server: Scripted) -> Failure:
    with pytest.raises(Exception) as caught:  # noqa: PT011 - LiteLLM's classes are not to be relied on
        ask(vendor, server.url)
    return failure_of_litellm(caught.value)


@pytest.mark.parametrize("error", ERRORS, ids=str)
def test_refusal_means_the_same_in_every_call(server: Scripted, error: VendorError) -> None:
    server.answer = Answer(error.status, error.body, error.headers)
    # Dates are measured against the real clock, some time after the row was written down.
    wait_s = error.wait_s and pytest.approx(error.wait_s, rel=0.02)
    for ask in CALLS:
        found = failure(ask, error.vendor, server)
        assert found.kind == error.kind, ask.__name__
        assert found.retry_after_s == wait_s, ask.__name__


def within(code: object, message: str = "It broke") -> dict[str, object]:
    return {"error": {"message": message, "type": "server_error", "param": None, "code": code}}


def of_anthropic(type_: str, message: str) -> dict[str, object]:
    return {"type": "error", "error": {"type": type_, "message": message}}


def of_gemini(code: int, status: str, message: str) -> dict[str, object]:
    return {"error": {"code": code, "message": message, "status": status}}


# OpenRouter repeats the chunk around its error.
OF_OPENROUTER = {
    **OPENAI[0],
    "error": {"code": 429, "message": "Rate limit exceeded"},
    "choices": [{"index": 0, "delta": {"content": ""}, "finish_reason": "error"}],
}
TOO_LONG = "This model's maximum context length is 8192 tokens."


@pytest.mark.parametrize("ask", [stream, astream])
@pytest.mark.parametrize(
    ("vendor", "begun", "error", "kind"),
    [
        ("openai", OPENAI[:1], within(None), "server_error"),
        (
            "openai",
            [],
            within("context_length_exceeded", TOO_LONG),
            "context_overflow",
        ),
        ("openai", OPENAI[:1], within("rate_limit_exceeded", "Rate limit reached"), "rate_limited"),
        ("azure", OPENAI[:1], within(None), "server_error"),
        ("anthropic", ANTHROPIC[:3], of_anthropic("overloaded_error", "Overloaded"), "overloaded"),
        ("anthropic", ANTHROPIC[:3], of_anthropic("api_error", "Internal"), "server_error"),
        ("gemini", GEMINI[:1], of_gemini(503, "UNAVAILABLE", "Overloaded."), "overloaded"),
        ("gemini", GEMINI[:1], of_gemini(429, "RESOURCE_EXHAUSTED", "Used up."), "rate_limited"),
        ("groq", OPENAI[:1], within(503), "overloaded"),
        ("groq", OPENAI[:1], within("tool_use_failed"), "server_error"),
        ("openrouter", OPENAI[:1], OF_OPENROUTER, "rate_limited"),
        ("openrouter", OPENAI[:1], within(502), "server_error"),
        ("openrouter", OPENAI[:1], within("server_error"), "server_error"),
    ],
)
def test_error_within_a_stream_is_the_models_fault_as_a_refusal_is(
    server: Scripted, ask: Ask, vendor: str, begun: Events, error: dict[str, object], kind: str
) -> None:
    server.events = [*begun, error]
    assert failure(ask, vendor, server).kind == kind


@pytest.mark.parametrize("ask", [stream, astream])
@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("throttlingException", "rate_limited"),
        ("modelStreamErrorException", "overloaded"),
        ("serviceUnavailableException", "overloaded"),
        # LiteLLM makes a 503 of it.
        ("internalServerException", "overloaded"),
        ("validationException", "invalid_request"),
    ],
)
def test_error_within_a_stream_of_bedrock_has_its_kind(
    server: Scripted, ask: Ask, name: str, kind: str
) -> None:
    begun = event("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "Fine."}})
    body = begun + exception(name, {"message": "It broke"})
    server.answer = Answer(200, body, {"content-type": "application/vnd.amazon.eventstream"})
    assert failure(ask, "bedrock", server).kind == kind


PAGE = b"<!DOCTYPE html><html><h1>Hello</h1></html>"


@pytest.mark.parametrize("ask", [call, acall])
@pytest.mark.parametrize("vendor", VENDORS)
def test_web_page_in_the_place_of_an_answer_is_a_fault_of_protocol(
    server: Scripted, ask: Ask, vendor: str
) -> None:
    server.answer = Answer(200, PAGE, {"content-type": "text/html"})
    assert failure(ask, vendor, server).kind == "protocol"


@pytest.mark.parametrize("ask", CALLS)
@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize(
    ("status", "kind"),
    [(400, "invalid_request"), (422, "invalid_request"), (403, "forbidden"), (502, "server_error")],
)
def test_status_of_a_web_page_decides(
    server: Scripted, ask: Ask, vendor: str, status: int, kind: str
) -> None:
    server.answer = Answer(status, PAGE, {"content-type": "text/html"})
    assert failure(ask, vendor, server).kind == kind


@pytest.mark.parametrize("ask", [call, acall])
def test_error_of_openrouter_in_the_place_of_an_answer_has_the_status_that_it_names(
    server: Scripted, ask: Ask
) -> None:
    server.answer = Answer(200, {"error": {"message": "Provider returned error", "code": 502}})
    found = failure(ask, "openrouter", server)
    assert (found.kind, found.status) == (FailureKind.SERVER_ERROR, 502)


def test_error_of_openrouter_in_a_choice_is_no_answer(server: Scripted) -> None:
    failed = {
        "index": 0,
        "message": {"role": "assistant", "content": "Half of"},
        "finish_reason": "error",
        "error": {"code": 502, "message": "Provider disconnected"},
    }
    server.answer = Answer(200, {"id": "gen-1", "object": "chat.completion", "choices": [failed]})
    answer = litellm.completion(**arguments("openrouter", server.url))
    assert answer.choices[0].finish_reason == "stop"
    router = CapabilityRouter()
    router.register(Model("openrouter/m", ("chat-completion",)))
    step = router.plan("chat-completion").next()
    assert isinstance(step, Try)
    with pytest.raises(IncompleteAnswerError):
        LiteLLMJudge().usage(answer, step)


def test_the_documented_table_is_what_the_rows_show() -> None:
    documented = re.findall(r"^\| .+ \| `.+` \|$", FAULTS.read_text(), re.MULTILINE)
    assert documented == [
        f"| {error.vendor} | {error.status} | {error.shape} | `{error.kind}` |" for error in ERRORS
    ]
