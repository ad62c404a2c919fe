"""What a provider can tell of a request afterwards: when it came, and how it ended."""

import http.client
import json
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from capability_router.lab import (
    Fault,
    Lab,
    LabProvider,
    cut_stream,
    hang,
    late_first_token,
    malformed_chunk,
    ok,
    overloaded,
    oversized,
    pings,
    reset,
    silent_stream,
)
from tests.lab.asking import chat, post


def endings(provider: LabProvider) -> list[str | None]:
    provider.wait_until_idle()
    return [request.ended for request in provider.requests]


def test_requests_bear_the_time_of_the_lab_when_they_came(raw: httpx.Client) -> None:
    now = [100.0]
    with Lab(["alpha"], answers="echo", clock=lambda: now[0]) as lab:
        for gap in (0.0, 2.5, 30.0):
            now[0] += gap
            post(raw, lab["alpha"])
        assert [request.at for request in lab["alpha"].requests] == [100.0, 102.5, 132.5]


def test_answers_and_errors_are_answered(provider_lab: Lab, raw: httpx.Client) -> None:
    provider = provider_lab["alpha"]
    provider.script(ok(), overloaded(), malformed_chunk(), ok())
    for _ in range(3):
        post(raw, provider)
    post(raw, provider, chat(stream=True))
    assert endings(provider) == ["answered"] * 4


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("fault", [reset(), cut_stream(), cut_stream(framing="close")], ids=str)
def test_answer_that_the_provider_breaks_off_is_cut_and_its_connection_closed(
    provider_lab: Lab, raw: httpx.Client, fault: Fault, stream: bool
) -> None:
    provider = provider_lab["alpha"]
    provider.script(fault)
    try:
        post(raw, provider, chat(stream=stream))
    except httpx.TransportError:
        assert fault.framing == "chunked"
    assert endings(provider) == ["cut"]
    assert provider.open_connections == 0


def test_request_of_a_provider_that_is_stopped_is_cut(provider_lab: Lab, raw: httpx.Client) -> None:
    provider = provider_lab["alpha"]
    provider.script(hang())
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(post, raw, provider)
        provider.wait_for_requests(1)
        provider.stop()
        assert isinstance(waiting.exception(timeout=10), httpx.TransportError)
    assert endings(provider) == ["cut"]


@pytest.mark.parametrize(
    "fault",
    [hang(), silent_stream(), late_first_token(3600), pings(3600, every=0.01), oversized(1 << 40)],
    ids=str,
)
@pytest.mark.parametrize("stream", [False, True])
def test_client_that_leaves_is_noticed_whatever_the_provider_does(
    provider_lab: Lab, fault: Fault, stream: bool
) -> None:
    provider = provider_lab["alpha"]
    provider.script(fault)
    client = http.client.HTTPConnection("127.0.0.1", provider.port)
    client.request("POST", "/v1/chat/completions", json.dumps(chat(stream=stream)))
    provider.wait_for_requests(1)
    assert provider.requests[0].ended is None
    client.close()
    assert endings(provider) == ["client left"]
    assert provider.open_connections == 0


def test_wait_for_a_request_that_does_not_end_says_so(provider_lab: Lab, raw: httpx.Client) -> None:
    provider = provider_lab["alpha"]
    provider.wait_until_idle()
    provider.script(hang())
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(post, raw, provider)
        provider.wait_for_requests(1)
        with pytest.raises(TimeoutError, match="'alpha' still has 1 requests under way"):
            provider.wait_until_idle(timeout=0.01)
        provider.heal()
        assert waiting.result(timeout=10).status_code == 200
    assert endings(provider) == ["answered"]


def test_connection_stays_open_between_answers(provider_lab: Lab, raw: httpx.Client) -> None:
    provider = provider_lab["alpha"]
    assert provider.open_connections == 0
    for _ in range(2):
        post(raw, provider)
        assert provider.open_connections == 1


@pytest.mark.parametrize("later", [0, 1])
def test_request_that_ends_after_a_reset_changes_no_record(
    provider_lab: Lab, raw: httpx.Client, later: int
) -> None:
    provider = provider_lab["alpha"]
    provider.script(oversized(1 << 40))
    with raw.stream("POST", f"{provider.base_url}/chat/completions", json=chat(stream=True)):
        provider.reset()
        for _ in range(later):
            post(raw, provider)
    assert endings(provider) == ["answered"] * later
