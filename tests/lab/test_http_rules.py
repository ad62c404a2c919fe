"""What HTTP/1.1 asks of a server, seen on the bare socket."""

import json
import socket

import httpx
import pytest

from capability_router.lab import Lab, LabProvider, server_error
from tests.lab.asking import chat, post

BODY = json.dumps(chat()).encode()


def exchange(provider: LabProvider, sent: bytes) -> bytes:
    """Send bytes and read until the provider closes the connection."""
    with socket.create_connection(("127.0.0.1", provider.port), timeout=10) as client:
        client.sendall(sent)
        received = b""
        while data := client.recv(65536):
            received += data
    return received


def request(*headers: str, version: str = "1.1", body: bytes = BODY) -> bytes:
    lines = [f"POST /v1/chat/completions HTTP/{version}", "Host: localhost", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def test_connection_is_kept_and_used_again_also_after_an_error(
    provider_lab: Lab, raw: httpx.Client
) -> None:
    provider_lab["alpha"].script(server_error())
    ports = set[object]()
    for body in (chat(), chat(stream=True), {"model": "m"}, chat()):
        response = post(raw, provider_lab["alpha"], body)
        ports.add(response.extensions["network_stream"].get_extra_info("client_addr"))
    assert len(ports) == 1


def test_two_requests_sent_at_once_are_answered_in_order(provider_lab: Lab) -> None:
    first = request(f"Content-Length: {len(BODY)}")
    last = request(f"Content-Length: {len(BODY)}", "Connection: close")
    received = exchange(provider_lab["alpha"], first + last)
    assert received.index(b"alpha-1") < received.index(b"alpha-2")
    assert received.count(b"HTTP/1.1 200 OK") == 2


def test_answer_to_head_has_no_body(provider_lab: Lab) -> None:
    sent = b"HEAD /v1/models HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    received = exchange(provider_lab["alpha"], sent)
    assert received.startswith(b"HTTP/1.1 405 ")
    assert received.endswith(b"\r\n\r\n")


def test_old_client_gets_a_close_delimited_stream(provider_lab: Lab) -> None:
    body = json.dumps(chat(stream=True)).encode()
    sent = request(f"Content-Length: {len(body)}", version="1.0", body=body)
    received = exchange(provider_lab["alpha"], sent)
    assert b"chunked" not in received
    assert received.endswith(b"data: [DONE]\n\n")


def test_expectation_is_met_before_the_body_is_read(provider_lab: Lab) -> None:
    head = request(f"Content-Length: {len(BODY)}", "Expect: 100-continue", "Connection: close")
    received = exchange(provider_lab["alpha"], head)
    assert received.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n")


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GET\r\n\r\n", b"400"),
        (b"GET / HTTP/2.0\r\n\r\n", b"400"),
        (b"\x16\x03\x01\x02\x00\r\n\r\n", b"400"),
        (b"GET /" + b"a" * 70000 + b" HTTP/1.1\r\n\r\n", b"414"),
        (b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 200 + b"\r\n", b"431"),
        (request("Content-Length: many"), b"400"),
        (request("Content-Length: 99999999999"), b"413"),
        (request("Transfer-Encoding: chunked"), b"411"),
    ],
)
def test_unreadable_request_is_answered_and_not_counted(
    provider_lab: Lab, sent: bytes, status: bytes
) -> None:
    with socket.create_connection(("127.0.0.1", provider_lab["alpha"].port), timeout=10) as client:
        client.sendall(sent)
        assert client.recv(65536).startswith(b"HTTP/1.1 " + status)
    assert provider_lab["alpha"].request_count == 0


def test_request_that_breaks_off_is_not_counted(provider_lab: Lab, raw: httpx.Client) -> None:
    with socket.create_connection(("127.0.0.1", provider_lab["alpha"].port)) as client:
        client.sendall(request("Content-Length: 5000"))
    post(raw, provider_lab["alpha"])
    assert provider_lab["alpha"].request_count == 1
