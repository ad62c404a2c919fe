"""Every fault, as a client meets it."""

import json
import socket
import struct
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import aiohttp
import httpx
import openai
import pytest

from capability_router.lab import (
    Fault,
    Lab,
    LabProvider,
    bad_request,
    context_overflow,
    cut_stream,
    hang,
    html,
    latency,
    malformed_chunk,
    not_found,
    ok,
    overloaded,
    payment_required,
    policy_violation,
    quota_exhausted,
    rate_limited,
    refused,
    reset,
    server_error,
    silent_stream,
    unauthorized,
)
from tests.lab.asking import HELLO, chat, chunks, post, stream_lines, text_of

Client = Callable[[LabProvider], openai.OpenAI]

ERROR_ANSWERS = [
    (rate_limited(), openai.RateLimitError, 429, "requests", "rate_limit_exceeded"),
    (quota_exhausted(), openai.RateLimitError, 429, "insufficient_quota", "insufficient_quota"),
    (server_error(), openai.InternalServerError, 500, "server_error", None),
    (overloaded(), openai.InternalServerError, 503, "server_error", None),
    (overloaded(529), openai.InternalServerError, 529, "server_error", None),
    (unauthorized(), openai.AuthenticationError, 401, "invalid_request_error", "invalid_api_key"),
    (
        context_overflow(),
        openai.BadRequestError,
        400,
        "invalid_request_error",
        "context_length_exceeded",
    ),
    (
        policy_violation(),
        openai.BadRequestError,
        400,
        "invalid_request_error",
        "content_policy_violation",
    ),
    (
        policy_violation("content_filter"),
        openai.BadRequestError,
        400,
        "invalid_request_error",
        "content_filter",
    ),
    (bad_request(), openai.BadRequestError, 400, "invalid_request_error", None),
    (not_found(), openai.NotFoundError, 404, "invalid_request_error", "model_not_found"),
    (
        payment_required(),
        openai.APIStatusError,
        402,
        "unknown_error",
        "invalid_request_error",
    ),
]


@pytest.mark.parametrize(
    ("fault", "error", "status", "type_", "code"),
    ERROR_ANSWERS,
    ids=[str(row[0]) for row in ERROR_ANSWERS],
)
@pytest.mark.parametrize("stream", [False, True])
def test_error_answer_reaches_the_client_as_openai_would_send_it(
    provider_lab: Lab,
    openai_client: Client,
    fault: Fault,
    error: type[openai.APIStatusError],
    status: int,
    type_: str,
    code: str | None,
    stream: bool,
) -> None:
    provider_lab["alpha"].script(fault)
    client = openai_client(provider_lab["alpha"])
    with pytest.raises(error) as caught:
        client.chat.completions.create(**chat(stream=stream))
    assert caught.value.status_code == status
    body = caught.value.body
    assert isinstance(body, dict)
    assert set(body) == {"message", "type", "param", "code"}
    assert (body["type"], body["code"]) == (type_, code)


@pytest.mark.parametrize(
    ("fault", "seconds", "milliseconds"),
    [
        (rate_limited(), None, None),
        (rate_limited(2), "2", None),
        (rate_limited(0.5), "0.5", None),
        (
            rate_limited("Wed, 21 Oct 2026 07:28:00 GMT"),
            "Wed, 21 Oct 2026 07:28:00 GMT",
            None,
        ),
        (rate_limited(retry_after_ms=1500), None, "1500"),
    ],
)
def test_rate_limit_says_when_to_retry_only_if_told_to(
    provider_lab: Lab,
    raw: httpx.Client,
    fault: Fault,
    seconds: str | None,
    milliseconds: str | None,
) -> None:
    provider_lab["alpha"].script(fault)
    headers = post(raw, provider_lab["alpha"]).headers
    assert headers.get("retry-after") == seconds
    assert headers.get("retry-after-ms") == milliseconds


def test_not_found_names_the_model(provider_lab: Lab, raw: httpx.Client) -> None:
    provider_lab["alpha"].script(not_found())
    assert "some-model" in post(raw, provider_lab["alpha"]).json()["error"]["message"]


def test_html_is_a_web_page_with_status_200(provider_lab: Lab, raw: httpx.Client) -> None:
    provider_lab["alpha"].script(html())
    response = post(raw, provider_lab["alpha"])
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/html")
    with pytest.raises(json.JSONDecodeError):
        response.json()


def test_latency_delays_the_answer(provider_lab: Lab, raw: httpx.Client) -> None:
    provider_lab["alpha"].script(latency(0.05))
    response = post(raw, provider_lab["alpha"])
    assert response.elapsed.total_seconds() >= 0.05
    assert response.status_code == 200


def test_pace_delays_every_chunk(provider_lab: Lab, raw: httpx.Client) -> None:
    provider_lab["alpha"].script(ok(seconds_per_chunk=0.01))
    response = post(raw, provider_lab["alpha"], chat(stream=True))
    assert response.elapsed.total_seconds() >= 0.06
    assert text_of(chunks(response)) == f"alpha echoes: {HELLO}"


def test_reset_arrives_as_a_reset_connection(provider_lab: Lab, raw: httpx.Client) -> None:
    provider_lab["alpha"].script(reset())
    with pytest.raises(httpx.ReadError) as caught:
        post(raw, provider_lab["alpha"])
    assert isinstance(_root_cause(caught.value), ConnectionResetError)


def test_refused_as_standing_fault_refuses_the_connection_until_healed(
    provider_lab: Lab, raw: httpx.Client
) -> None:
    provider_lab["alpha"].fault = refused()
    with pytest.raises(httpx.ConnectError) as caught:
        post(raw, provider_lab["alpha"])
    assert isinstance(_root_cause(caught.value), ConnectionRefusedError)
    assert provider_lab["alpha"].request_count == 0
    provider_lab["alpha"].heal()
    assert post(raw, provider_lab["alpha"]).status_code == 200


def test_hanging_request_is_not_answered_before_the_client_gives_up(
    provider_lab: Lab, raw: httpx.Client
) -> None:
    provider_lab["alpha"].script(hang())
    with pytest.raises(httpx.ReadTimeout):
        raw.post(f"{provider_lab['alpha'].base_url}/chat/completions", json=chat(), timeout=0.05)
    assert provider_lab["alpha"].requests[0].fault == hang()
    assert post(raw, provider_lab["alpha"]).status_code == 200


def test_hanging_request_is_answered_once_the_provider_is_healed(
    provider_lab: Lab, raw: httpx.Client
) -> None:
    provider = provider_lab["alpha"]
    provider.script(hang())
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(post, raw, provider)
        provider.wait_for_requests(1)
        provider.heal()
        assert waiting.result(timeout=10).status_code == 200


@pytest.mark.parametrize("sent", [0, 2, 100])
def test_chunked_stream_cut_short_breaks_the_transfer(
    provider_lab: Lab, raw: httpx.Client, sent: int
) -> None:
    provider_lab["alpha"].script(cut_stream(after=sent))
    url = f"{provider_lab['alpha'].base_url}/chat/completions"
    seen: list[str] = []
    with raw.stream("POST", url, json=chat(stream=True)) as response:
        lines = response.iter_lines()
        with pytest.raises(httpx.RemoteProtocolError):
            seen.extend(line for line in lines if line)
    assert len(seen) == 1 + min(sent, 6)
    assert '"finish_reason": "stop"' not in "".join(seen)


@pytest.mark.parametrize("sent", [0, 2, 100])
def test_close_delimited_stream_cut_short_looks_complete_but_has_no_reason(
    provider_lab: Lab, raw: httpx.Client, sent: int
) -> None:
    provider_lab["alpha"].script(cut_stream(after=sent, framing="close"))
    response = post(raw, provider_lab["alpha"], chat(stream=True))
    assert "transfer-encoding" not in response.headers
    lines = [json.loads(line) for line in stream_lines(response)]
    assert len(lines) == 1 + min(sent, 6)
    assert {line["choices"][0]["finish_reason"] for line in lines} == {None}


def test_plain_answer_cut_short_is_shorter_than_its_length(
    provider_lab: Lab, raw: httpx.Client
) -> None:
    provider_lab["alpha"].script(cut_stream())
    with pytest.raises(httpx.RemoteProtocolError, match="complete message body"):
        post(raw, provider_lab["alpha"])


def test_plain_answer_without_a_length_looks_complete_where_it_is_cut(
    provider_lab: Lab, raw: httpx.Client
) -> None:
    provider_lab["alpha"].script(cut_stream(framing="close"))
    response = post(raw, provider_lab["alpha"])
    assert "content-length" not in response.headers
    assert response.text.startswith('{"id": ')
    assert not _is_json(response.text)


def test_silent_stream_sends_nothing_more_until_healed(
    provider_lab: Lab, raw: httpx.Client
) -> None:
    provider = provider_lab["alpha"]
    provider.script(silent_stream(after=2))
    url = f"{provider.base_url}/chat/completions"
    with raw.stream("POST", url, json=chat(stream=True)) as response:
        lines = response.iter_lines()
        first = [line for line in (next(lines) for _ in range(6)) if line]
        assert len(first) == 3
        provider.heal()
        assert [line for line in lines if line][-1] == "data: [DONE]"


@pytest.mark.parametrize("stream", [False, True])
def test_silence_within_an_answer_outlasts_the_patience_of_the_client(
    provider_lab: Lab, raw: httpx.Client, stream: bool
) -> None:
    provider_lab["alpha"].script(silent_stream())
    url = f"{provider_lab['alpha'].base_url}/chat/completions"
    with pytest.raises(httpx.ReadTimeout):
        raw.post(url, json=chat(stream=stream), timeout=0.05)


def test_malformed_chunk_stands_in_place_of_a_good_one(
    provider_lab: Lab, raw: httpx.Client
) -> None:
    provider_lab["alpha"].script(malformed_chunk(after=2))
    lines = stream_lines(post(raw, provider_lab["alpha"], chat(stream=True)))
    bad = [index for index, line in enumerate(lines) if not _is_json(line)]
    assert bad == [3, len(lines) - 1]
    assert lines[-1] == "[DONE]"


def test_malformed_chunk_makes_a_plain_answer_no_json(provider_lab: Lab, raw: httpx.Client) -> None:
    provider_lab["alpha"].script(malformed_chunk())
    response = post(raw, provider_lab["alpha"])
    assert response.headers["content-type"] == "application/json"
    assert not _is_json(response.text)


async def test_asynchronous_client_meets_the_same_faults(provider_lab: Lab) -> None:
    provider = provider_lab["alpha"]
    provider.script(ok(), rate_limited(3), cut_stream(after=1), ok())
    url = f"{provider.base_url}/chat/completions"
    async with aiohttp.ClientSession() as session:
        async with session.post(url, json=chat()) as reply:
            assert (await reply.json())["model"] == "some-model"
        async with session.post(url, json=chat()) as reply:
            assert (reply.status, reply.headers["retry-after"]) == (429, "3")
        with pytest.raises(aiohttp.ClientPayloadError):
            async with session.post(url, json=chat(stream=True)) as reply:
                await reply.read()
        async with session.post(url, json=chat(stream=True)) as reply:
            assert (await reply.read()).endswith(b"data: [DONE]\n\n")


def test_client_that_resets_in_the_middle_leaves_the_provider_well(
    provider_lab: Lab, raw: httpx.Client, capfd: pytest.CaptureFixture[str]
) -> None:
    provider = provider_lab["alpha"]
    provider.script(hang())
    with socket.create_connection(("127.0.0.1", provider.port)) as client:
        body = json.dumps(chat()).encode()
        head = f"POST /v1/chat/completions HTTP/1.1\r\nContent-Length: {len(body)}\r\n\r\n"
        client.sendall(head.encode() + body)
        provider.wait_for_requests(1)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    for thread in threading.enumerate():
        if thread.name == "lab-alpha-connection":
            thread.join(timeout=10)
            assert not thread.is_alive()
    assert post(raw, provider).status_code == 200
    assert capfd.readouterr() == ("", "")


def _root_cause(error: BaseException) -> BaseException:
    while (cause := error.__cause__ or error.__context__) is not None:
        error = cause
    return error


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True
