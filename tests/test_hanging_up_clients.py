"""Every sync client is hung up on in time, and its connection is gone at the server."""

from __future__ import annotations

import http.client
import ssl
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import litellm
import openai
import pytest
import requests

from capability_router.lab import Lab, hang, ok, silent_stream
from tests.connections import connections
from tests.endless import CHUNKED, UNTIL_CLOSED, Certificate, Endless, endless, self_signed
from tests.pacing import hung_up_after

MESSAGES: list[Any] = [{"role": "user", "content": "one two three four five six seven"}]
LIMIT_S = 0.1
OWN_LIMIT_S = 50.0

Ask = Callable[[str], object]


def by_httpx(url: str) -> object:
    return httpx.post(url, json={}, timeout=OWN_LIMIT_S)


def by_httpx_stream(url: str) -> object:
    with httpx.stream("POST", url, json={}, timeout=OWN_LIMIT_S) as response:
        return list(response.iter_lines())


def by_urllib(url: str) -> object:
    with urllib.request.urlopen(url, b"{}", timeout=OWN_LIMIT_S) as response:
        return response.read()


def by_http_client(url: str) -> object:
    host = url.removeprefix("http://").removesuffix("/v1")
    with closing(http.client.HTTPConnection(host, timeout=OWN_LIMIT_S)) as connection:
        connection.request("POST", "/v1", b"{}")
        with connection.getresponse() as response:
            return response.read()


def by_requests(url: str) -> object:
    with requests.Session() as session:
        return session.post(url, json={}, timeout=OWN_LIMIT_S)


def by_requests_stream(url: str) -> object:
    with (
        requests.Session() as session,
        session.post(url, json={}, timeout=OWN_LIMIT_S, stream=True) as response,
    ):
        return list(response.iter_lines())


def by_openai(url: str) -> object:
    with openai_client(url) as client:
        return client.chat.completions.create(model="m", messages=MESSAGES)


def by_openai_stream(url: str) -> object:
    with openai_client(url) as client:
        return list(client.chat.completions.create(model="m", messages=MESSAGES, stream=True))


def openai_client(url: str) -> openai.OpenAI:
    return openai.OpenAI(base_url=url, api_key="k", max_retries=0, timeout=OWN_LIMIT_S)


def by_litellm(url: str) -> object:
    return litellm.completion(**litellm_request(url))


def by_litellm_stream(url: str) -> object:
    return list(litellm.completion(**litellm_request(url), stream=True))


def by_litellm_of_its_own(url: str) -> object:
    # Not by openai's client, which LiteLLM takes for some vendors only.
    return list(litellm.completion(**litellm_request(url, "anthropic"), stream=True))


def litellm_request(url: str, vendor: str = "openai") -> dict[str, Any]:
    return {
        "model": f"{vendor}/m",
        "api_base": url,
        "api_key": "k",
        "messages": MESSAGES,
        "max_retries": 0,
        "timeout": OWN_LIMIT_S,
    }


CLIENTS = [each for name, each in list(globals().items()) if name.startswith("by_")]


@pytest.fixture(autouse=True)
def no_connection_stays_open() -> Iterator[None]:
    with connections():
        yield


@pytest.mark.parametrize("ask", CLIENTS)
@pytest.mark.parametrize(
    ("head", "again"),
    [
        pytest.param(CHUNKED, b"1\r\n\n\r\n", id="trickles chunks"),
        pytest.param(UNTIL_CLOSED, b"\n", id="trickles bytes"),
        pytest.param(b"HTTP/1.1 200 OK\r\nx: ", b"x", id="trickles a header"),
        pytest.param(b"", b"", id="is silent"),
    ],
)
def test_client_is_hung_up_on_and_gone(ask: Ask, head: bytes, again: bytes) -> None:
    with endless(head, again) as server:
        with pytest.raises(TimeoutError, match=f"within {LIMIT_S} s"):
            hurried(ask, server.url)
        assert server.is_alone()


def hurried(ask: Ask, url: str) -> None:
    with hung_up_after(LIMIT_S):
        ask(url)


@pytest.mark.parametrize("ask", [by_openai_stream, by_litellm_stream])
@pytest.mark.parametrize("fault", [silent_stream(), ok(seconds_per_chunk=0.2)], ids=str)
def test_stream_that_does_not_end_is_given_up(ask: Ask, fault: Any) -> None:
    with Lab(["alpha"], answers="echo") as lab, connections():
        lab["alpha"].script(fault)
        with pytest.raises(TimeoutError):
            hurried(ask, lab["alpha"].base_url)


@pytest.mark.parametrize("ask", [by_openai, by_openai_stream, by_litellm, by_litellm_stream])
def test_answer_in_time_is_untouched(ask: Ask) -> None:
    with Lab(["alpha"], answers="echo") as lab, connections(), hung_up_after(OWN_LIMIT_S):
        assert ask(lab["alpha"].base_url)


class Hasty(openai.OpenAI):
    """Waits for nothing between two repetitions."""

    def _calculate_retry_timeout(self, *_: object) -> float:
        return 0.0


def test_each_repetition_of_a_client_is_hung_up_on() -> None:
    with endless() as server, Hasty(base_url=server.url, api_key="k", max_retries=2) as client:
        with pytest.raises(TimeoutError) as caught, hung_up_after(LIMIT_S):
            client.chat.completions.create(model="m", messages=MESSAGES)
        assert isinstance(caught.value.__cause__, openai.APIConnectionError)
        assert server.is_alone(clients=3)


def test_connection_that_was_hung_up_does_not_return_to_its_pool() -> None:
    with Lab(["alpha"], answers="echo") as lab, openai_client(lab["alpha"].base_url) as client:
        client.chat.completions.create(model="m", messages=MESSAGES)
        lab["alpha"].fault = hang()
        with pytest.raises(TimeoutError), hung_up_after(LIMIT_S):
            client.chat.completions.create(model="m", messages=MESSAGES)
        lab["alpha"].fault = ok()
        assert client.chat.completions.create(model="m", messages=MESSAGES).choices


@pytest.fixture
def certificate(tmp_path: Path) -> Certificate:
    return self_signed(tmp_path)


def httpx_tls(server: Endless, trusted: ssl.SSLContext) -> object:
    return httpx.get(server.url, verify=trusted, timeout=OWN_LIMIT_S)


def urllib_tls(server: Endless, trusted: ssl.SSLContext) -> object:
    with urllib.request.urlopen(server.url, context=trusted, timeout=OWN_LIMIT_S) as response:
        return response.read()


AskTls = Callable[[Endless, ssl.SSLContext], object]


@pytest.mark.parametrize("ask", [httpx_tls, urllib_tls])
@pytest.mark.parametrize("again", [b"1\r\n\n\r\n", b""], ids=["trickling", "silent"])
def test_encrypted_connection_is_hung_up(
    ask: AskTls, again: bytes, certificate: Certificate
) -> None:
    with endless(CHUNKED, again, tls=certificate.server()) as server:
        with pytest.raises(TimeoutError), hung_up_after(LIMIT_S):
            ask(server, certificate.client())
        assert server.is_alone()


@pytest.mark.parametrize("ask", [httpx_tls, urllib_tls])
def test_handshake_that_does_not_end_is_hung_up(ask: AskTls, certificate: Certificate) -> None:
    with endless() as server:
        with pytest.raises(TimeoutError), hung_up_after(LIMIT_S):
            ask(Endless(server.port, "https"), certificate.client())
        assert server.is_alone()
