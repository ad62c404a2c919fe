"""Every fault on every path: no endpoint answers well where its provider is not."""

import json
from collections.abc import Callable, Mapping
from typing import Any

import httpx
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
    quota,
    quota_exhausted,
    rate_limited,
    refused,
    reset,
    server_error,
    silent_stream,
    unauthorized,
)
from capability_router.lab.pictures import png
from capability_router.lab.sounds import wav

HEADERS = {"x-api-key": "any", "anthropic-version": "2023-06-01"}
SAID = [{"role": "user", "content": "hi"}]

Sent = Mapping[str, Any]
Post = Callable[[LabProvider], httpx.Response]

REQUESTS: dict[str, Sent] = {
    "/chat/completions": {"json": {"model": "m", "messages": SAID}},
    "/completions": {"json": {"model": "m", "prompt": "hi"}},
    "/responses": {"json": {"model": "m", "input": "hi"}},
    "/messages": {"json": {"model": "m", "max_tokens": 9, "messages": SAID}},
    "/embeddings": {"json": {"model": "m", "input": "hi"}},
    "/moderations": {"json": {"model": "m", "input": "hi"}},
    "/rerank": {"json": {"model": "m", "query": "hi", "documents": ["hi"]}},
    "/images/generations": {"json": {"model": "m", "prompt": "hi"}},
    "/images/edits": {"data": {"model": "m", "prompt": "hi"}, "files": {"image": png()}},
    "/audio/speech": {"json": {"model": "m", "input": "hi", "voice": "v"}},
    "/audio/transcriptions": {"data": {"model": "m"}, "files": {"file": ("a.wav", wav())}},
}
REFUSALS = [
    (rate_limited(retry_after=7), 429),
    (quota_exhausted(), 429),
    (server_error(), 500),
    (overloaded(), 503),
    (overloaded(529), 529),
    (unauthorized(), 401),
    (payment_required(), 402),
    (not_found(), 404),
    (bad_request(), 400),
    (context_overflow(), 400),
    (policy_violation(), 400),
]


@pytest.fixture(params=REQUESTS.items(), ids=list(REQUESTS))
def ask(request: pytest.FixtureRequest, raw: httpx.Client) -> Post:
    path, sent = request.param

    def post(provider: LabProvider) -> httpx.Response:
        return raw.post(f"{provider.base_url}{path}", headers=HEADERS, **sent)

    return post


@pytest.mark.parametrize(("fault", "status"), REFUSALS, ids=[str(row[0]) for row in REFUSALS])
def test_error_faults_are_answered_once_and_then_all_is_well(
    provider_lab: Lab, ask: Post, fault: Fault, status: int
) -> None:
    provider = provider_lab["alpha"]
    provider.script(fault)
    response = ask(provider)
    assert response.status_code == status
    assert response.json()["error"]["message"]
    assert response.headers.get("retry-after") == ("7" if fault.retry_after else None)
    assert ask(provider).status_code == 200
    assert [request.fault for request in provider.requests] == [fault, ok()]


@pytest.mark.parametrize("fault", [reset(), cut_stream()])
def test_connections_break(provider_lab: Lab, ask: Post, fault: Fault) -> None:
    provider_lab["alpha"].script(fault)
    with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)):
        ask(provider_lab["alpha"])


@pytest.mark.parametrize(
    "fault", [html(), malformed_chunk(), malformed_chunk(extra=True), cut_stream(0, "close")]
)
def test_bodies_are_not_what_was_asked_for(provider_lab: Lab, ask: Post, fault: Fault) -> None:
    healthy = ask(provider_lab["alpha"])
    provider_lab["alpha"].script(fault)
    broken = ask(provider_lab["alpha"])
    assert broken.status_code == 200
    assert broken.content != healthy.content
    # A sound is no JSON either way; this one is half of it, or a web page.
    assert not _is_json(broken.content)


@pytest.mark.parametrize("fault", [hang(), silent_stream()])
def test_answers_come_only_once_the_provider_is_healed(
    provider_lab: Lab, raw: httpx.Client, ask: Post, fault: Fault
) -> None:
    provider = provider_lab["alpha"]
    raw.timeout = httpx.Timeout(0.05)
    provider.script(fault)
    with pytest.raises(httpx.ReadTimeout):
        ask(provider)
    raw.timeout = httpx.Timeout(10)
    provider.heal()
    assert ask(provider).status_code == 200


def test_latency_delays_the_answer(provider_lab: Lab, ask: Post) -> None:
    provider_lab["alpha"].script(latency(0.02))
    assert ask(provider_lab["alpha"]).elapsed.total_seconds() >= 0.02


def test_stopped_provider_refuses_connections(provider_lab: Lab, ask: Post) -> None:
    provider_lab["alpha"].fault = refused()
    with pytest.raises(httpx.ConnectError):
        ask(provider_lab["alpha"])


def test_quota_counts_served_requests(provider_lab: Lab, ask: Post) -> None:
    provider_lab["alpha"].quota = quota(1)
    assert [ask(provider_lab["alpha"]).status_code for _ in range(2)] == [200, 429]


def test_same_request_has_the_same_answer(provider_lab: Lab, ask: Post) -> None:
    provider = provider_lab["alpha"]
    answers: list[Any] = []
    for _ in range(2):
        response = ask(provider)
        answers.append(
            {
                name: value
                for name, value in response.json().items()
                if name not in ("created", "created_at", "completed_at")
            }
            if response.headers["content-type"] == "application/json"
            else response.content
        )
        provider.reset()
    assert answers[0] == answers[1]


def _is_json(content: bytes) -> bool:
    try:
        json.loads(content)
    except ValueError:
        return False
    return True
