"""What exceptions of client libraries, and the caller's own, mean."""

import json
import socket
from email.message import Message
from http.client import HTTPMessage, IncompleteRead
from pathlib import Path
from types import SimpleNamespace
from urllib.error import HTTPError, URLError

import httpx
import openai
import pytest

from capability_router.engine.errors import IncompleteAnswerError
from capability_router.failures import failure_of, response_headers
from tests.engine.building import DRIVERS, Driver, ProviderError, Rig, Script

REQUEST = httpx.Request("POST", "https://provider.example/v1")


def httpx_status(status: int, **headers: str) -> httpx.HTTPStatusError:
    response = httpx.Response(status, headers=headers, request=REQUEST)
    return httpx.HTTPStatusError(f"HTTP {status}", request=REQUEST, response=response)


def openai_status(status: int, code: str | None = None, **headers: str) -> openai.APIStatusError:
    response = httpx.Response(status, headers=headers, request=REQUEST)
    body = {"code": code, "message": "words"}
    return openai.APIStatusError("words", response=response, body=body)


class ClientError(Exception):
    """As aiohttp names the root of all its errors."""


class ClientResponseError(ClientError):
    def __init__(self, status: int, headers: dict[str, str]) -> None:
        self.status, self.headers = status, headers


class ClientPayloadError(ClientError):
    """As aiohttp names a body that was cut."""


class ServerError(Exception):
    """As Google's libraries raise it: the status is an integer named code."""

    code = 503
    status = "UNAVAILABLE"


def urllib_status(status: int, retry_after: str) -> HTTPError:
    headers = HTTPMessage()
    headers["Retry-After"] = retry_after
    return HTTPError("https://provider.example", status, "words", headers, None)


def caused(error: Exception, cause: BaseException) -> Exception:
    error.__cause__ = cause
    return error


def in_context(error: Exception, context: BaseException) -> Exception:
    error.__context__ = context
    return error


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (httpx_status(400), "invalid_request"),
        (httpx_status(401), "auth"),
        (httpx_status(404), "not_found"),
        (httpx_status(503), "overloaded"),
        (httpx.ConnectError("refused"), "connection"),
        (httpx.ReadError("reset"), "connection"),
        (httpx.ConnectTimeout("slow"), "timeout"),
        (httpx.ReadTimeout("slow"), "timeout"),
        (httpx.PoolTimeout("slow"), "timeout"),
        (httpx.RemoteProtocolError("peer closed"), "protocol"),
        (openai_status(400), "invalid_request"),
        (openai_status(400, "context_length_exceeded"), "context_overflow"),
        (openai_status(400, "content_policy_violation"), "content_policy"),
        (openai_status(429), "rate_limited"),
        (openai_status(429, "insufficient_quota"), "quota_exhausted"),
        (openai_status(500), "server_error"),
        (openai.APIConnectionError(request=REQUEST), "connection"),
        (openai.APITimeoutError(request=REQUEST), "timeout"),
        (ClientResponseError(400, {}), "invalid_request"),
        (ClientResponseError(503, {}), "overloaded"),
        (ClientPayloadError(), "protocol"),
        (ServerError(), "overloaded"),
        (urllib_status(400, "1"), "invalid_request"),
        (urllib_status(503, "1"), "overloaded"),
        (URLError(ConnectionRefusedError()), "connection"),
        (ProviderError(529), "overloaded"),
        (ConnectionResetError(), "connection"),
        (socket.gaierror("no such host"), "connection"),
        (OSError("network is unreachable"), "connection"),
        (TimeoutError(), "timeout"),
        (IncompleteRead(b""), "protocol"),
        (IncompleteAnswerError(), "protocol"),
        (json.JSONDecodeError("not JSON", "<html>", 0), "protocol"),
        (TypeError("a bug of the caller"), "invalid_request"),
        (ValueError("a bug of the caller"), "invalid_request"),
        (KeyError("a bug of the caller"), "invalid_request"),
        (FileNotFoundError(2, "No such file", "prompt.txt"), "invalid_request"),
        (PermissionError(13, "Permission denied", "prompt.txt"), "invalid_request"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_exception_means(error: Exception, kind: str) -> None:
    failure = failure_of(error)
    assert failure.kind == kind
    assert failure.error is error


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (caused(RuntimeError("gave up"), ConnectionRefusedError()), "connection"),
        (caused(RuntimeError("gave up"), httpx.ReadTimeout("slow")), "timeout"),
        (in_context(RuntimeError("gave up"), httpx.ConnectError("refused")), "connection"),
        (caused(caused(RuntimeError(), ValueError()), TimeoutError()), "timeout"),
        (caused(RuntimeError(), caused(ValueError(), TimeoutError())), "timeout"),
        (caused(httpx.ReadError(""), httpx.RemoteProtocolError("")), "protocol"),
        (caused(RuntimeError("gave up"), ValueError("of the caller")), "invalid_request"),
    ],
)
def test_bottom_of_the_chain_of_causes_decides_where_no_response_came(
    error: Exception, kind: str
) -> None:
    assert failure_of(error).kind == kind


def test_status_that_a_library_made_up_for_a_lost_connection_is_not_believed() -> None:
    error = caused(RuntimeError("litellm.APIConnectionError"), ConnectionResetError())
    error.status_code = 500  # type: ignore[attr-defined]  # as libraries do
    failure = failure_of(error)
    assert (failure.kind, failure.status) == ("connection", None)


def test_status_without_a_response_is_believed_where_no_transport_failed() -> None:
    error = RuntimeError("wrapped")
    error.status_code = 404  # type: ignore[attr-defined]  # as libraries do
    assert failure_of(error).kind == "not_found"


def test_status_of_a_response_outweighs_any_cause() -> None:
    error = caused(ProviderError(400), TimeoutError())
    assert failure_of(error).kind == "invalid_request"


@pytest.mark.parametrize("status", [200, 399, 600, 1011, "503", None, True])
def test_number_that_is_no_error_status_is_none(status: object) -> None:
    error = RuntimeError()
    error.status_code = status  # type: ignore[attr-defined]  # as libraries do
    assert failure_of(error).kind == "invalid_request"


def test_circle_of_causes_ends() -> None:
    first, second = RuntimeError(), RuntimeError()
    first.__cause__, second.__cause__ = second, first
    assert failure_of(first).kind == "invalid_request"


@pytest.mark.parametrize(
    "error",
    [
        httpx_status(429, **{"Retry-After": "7"}),
        openai_status(429, **{"Retry-After": "7"}),
        ProviderError(429, headers={"retry-after": "7"}),
        ClientResponseError(429, {"Retry-After": "7"}),
        urllib_status(429, "7"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_wait_that_the_response_asks_for_is_read(error: Exception) -> None:
    failure = failure_of(error)
    assert (failure.kind, failure.status, failure.retry_after_s) == ("rate_limited", 429, 7.0)


def test_library_with_its_own_place_for_headers_is_read_there() -> None:
    error = RuntimeError("slow down")
    error.status_code = 429  # type: ignore[attr-defined]  # as libraries do
    assert failure_of(error, lambda _: {"retry-after": "3"}).retry_after_s == 3.0


NOVEMBER_S = 1793491200.0
"""2026-11-01T00:00:00Z."""

OPENAI_RESET = {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "6m0s"}
ANTHROPIC_RESET = {
    "anthropic-ratelimit-tokens-remaining": "0",
    "anthropic-ratelimit-tokens-reset": "2026-11-01T00:01:00Z",
}
OPENROUTER_RESET = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1793491260000"}
SPENT = "You have reached your specified API usage limits. You will regain access on"


@pytest.mark.parametrize(
    ("status", "text", "headers", "kind", "wait_s"),
    [
        (429, "Slow down", OPENAI_RESET, "rate_limited", 360.0),
        (429, "Slow down", ANTHROPIC_RESET, "rate_limited", 60.0),
        (429, "Rate limit exceeded: free-models-per-day", OPENROUTER_RESET, "rate_limited", 60.0),
        # OpenRouter has often put them only into the body.
        (429, f"{{'metadata': {{'headers': {OPENROUTER_RESET}}}}}", {}, "rate_limited", 60.0),
        (429, "Slow down", {**OPENAI_RESET, "Retry-After": "7"}, "rate_limited", 7.0),
        (429, "Slow down", {**OPENAI_RESET, "retry-after-ms": "700"}, "rate_limited", 0.7),
        (429, "Please try again in 20s.", OPENAI_RESET, "rate_limited", 20.0),
        (400, f"{SPENT} 2026-11-02 at 00:00 UTC.", {}, "quota_exhausted", 86_400.0),
        (400, f"{SPENT} 2026-11-02 at 00:00 UTC.", ANTHROPIC_RESET, "quota_exhausted", 86_400.0),
        (403, f"{SPENT} 2026-11-02 at 00:00 UTC.", {}, "quota_exhausted", 86_400.0),
        (429, f"{SPENT} 2026-11-02 at 00:00 UTC.", {}, "quota_exhausted", 86_400.0),
        # A past moment says nothing: what is known of the kind decides how long to wait.
        (400, f"{SPENT} 2026-10-01 at 00:00 UTC.", {}, "quota_exhausted", None),
        (429, "insufficient_quota", OPENROUTER_RESET, "quota_exhausted", 60.0),
        (402, "Your credits reset at 2026-11-01T00:01:00Z", {}, "billing", 60.0),
        (400, "No such parameter", OPENAI_RESET, "invalid_request", None),
        (401, "Bad key", OPENAI_RESET, "auth", None),
        (404, "The model is not available until 2026-11-02", {}, "not_found", None),
        (500, "Out of order", OPENAI_RESET, "server_error", None),
    ],
)
def test_end_of_a_limit_is_the_wait_and_leaves_the_kind_alone(
    status: int, text: str, headers: dict[str, str], kind: str, wait_s: float | None
) -> None:
    response = httpx.Response(status, headers=headers, request=REQUEST)
    error = openai.APIStatusError(text, response=response, body=None)
    failure = failure_of(error, wall_s=NOVEMBER_S)
    assert (failure.kind, failure.retry_after_s) == (kind, wait_s)


def test_end_of_a_limit_is_read_where_a_library_keeps_its_headers() -> None:
    error = RuntimeError("slow down")
    error.status_code = 429  # type: ignore[attr-defined]  # as libraries do
    assert failure_of(error, lambda _: httpx.Headers(OPENAI_RESET)).retry_after_s == 360.0


def test_end_of_a_limit_is_read_from_the_words_where_no_response_is_kept() -> None:
    error = RuntimeError(f"{SPENT} 2026-11-02 at 00:00 UTC.")
    error.status_code = 400  # type: ignore[attr-defined]  # as libraries do
    failure = failure_of(error, wall_s=NOVEMBER_S)
    assert (failure.kind, failure.retry_after_s) == ("quota_exhausted", 86_400.0)


def test_response_without_headers_is_no_response() -> None:
    error = RuntimeError()
    error.response = SimpleNamespace(status_code=500)  # type: ignore[attr-defined]  # as libraries do
    assert response_headers(error) is None
    assert response_headers(RuntimeError()) is None
    assert response_headers(ProviderError(500)) == {}


def test_headers_of_an_email_message_are_headers_too() -> None:
    error = RuntimeError()
    headers = Message()
    headers["Retry-After"] = "2"
    error.headers = headers  # type: ignore[attr-defined]  # as urllib does
    assert response_headers(error) == {"retry-after": "2"}


def test_long_words_are_cut() -> None:
    assert len(failure_of(RuntimeError("x" * 1000)).message) == 300


@pytest.mark.parametrize("drive", DRIVERS)
@pytest.mark.parametrize("bug", [TypeError("bug"), FileNotFoundError(2, "No such file", "x.txt")])
def test_bug_in_the_callers_code_is_raised_as_it_is_and_harms_no_model(
    drive: Driver, bug: Exception
) -> None:
    rig, script = Rig("a/x", "b/y"), Script(bug)
    with pytest.raises(type(bug)) as caught:
        drive(rig, script, "chat-completion")
    assert caught.value is bug
    assert script.tried == ["a/x"]
    assert rig.health() == {"a/x": (0, False), "b/y": (0, False)}


def test_missing_file_opened_in_the_callers_code_is_no_lost_connection(tmp_path: Path) -> None:
    rig = Rig("a/x", "b/y")
    with pytest.raises(FileNotFoundError):
        rig.router.call("chat-completion", lambda _: (tmp_path / "missing").read_text())
    assert rig.health() == {"a/x": (0, False), "b/y": (0, False)}
