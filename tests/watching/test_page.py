"""The live page over real HTTP, as any client sees it; how a browser shows it is beside this."""

from __future__ import annotations

import http.client
import inspect
import json
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from capability_router import CapabilityRouter, Model
from capability_router.cli.watch import watch
from capability_router.watching.page import LivePage, _Handler, serve_page


@pytest.fixture
def router() -> CapabilityRouter:
    router = CapabilityRouter()
    for number in range(3):
        router.register(Model(f"a/{number}", ("chat-completion",)))
    router.add_pool("text", "text-generation")
    return router


@pytest.fixture
def page(router: CapabilityRouter) -> Iterator[LivePage]:
    with serve_page(router) as page:
        yield page


def port_of(page: LivePage) -> int:
    port = urlsplit(page.url).port
    assert port is not None
    return port


def ask(
    page: LivePage, path: str = "/", method: str = "GET", **headers: str
) -> tuple[int, dict[str, str], str]:
    with closing(http.client.HTTPConnection("127.0.0.1", port_of(page), timeout=20)) as connection:
        connection.request(
            method, path, headers={k.replace("_", "-"): v for k, v in headers.items()}
        )
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read().decode()


class Stream:
    """One client of the stream, which reads it update by update."""

    def __init__(self, page: LivePage, since: str = "") -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port_of(page), timeout=20)
        self._connection.request("GET", "/events", headers={"Last-Event-ID": since})
        self.answer = self._connection.getresponse()
        self.position = since

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *_: object) -> None:
        self.answer.close()
        self._connection.close()

    def next(self) -> dict[str, Any]:
        while line := self.answer.readline().decode().rstrip("\n"):
            if line.startswith("id: "):
                self.position = line[4:]
            if line.startswith("data: "):
                self.answer.readline()
                update: dict[str, Any] = json.loads(line[6:])
                return update
            if line.startswith("retry: "):
                self.answer.readline()
        raise EOFError


def standings(update: dict[str, Any]) -> dict[str, str]:
    (pool,) = update["state"]["pools"]
    return {each["model"]: each["state"] for each in pool["models"]}


def test_the_page_names_no_other_host_and_runs_only_its_own_script(page: LivePage) -> None:
    status, headers, body = ask(page)
    assert status == 200
    assert headers["Content-Type"] == "text/html; charset=utf-8"
    assert not re.search(r"https?://|//[a-z]|innerHTML|\beval\(", body.replace("/* ", ""))
    policy = headers["Content-Security-Policy"]
    (nonce,) = set(re.findall(r"nonce-([\w-]+)'", policy))
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    assert set(re.findall(r'<(?:script|style) nonce="([^"]+)">', body)) == {nonce}
    assert ask(page)[1]["Content-Security-Policy"] != policy


def test_a_head_request_gets_the_headers_alone(page: LivePage) -> None:
    status, headers, body = ask(page, method="HEAD")
    assert (status, body) == (200, "")
    assert headers["Content-Length"] == str(len(ask(page)[2].encode()))
    assert ask(page, "/events", "HEAD")[0] == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_the_page_can_only_be_read(page: LivePage, method: str) -> None:
    status, headers, _ = ask(page, method=method)
    assert (status, headers["Allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize("path", ["/other", "/events/", "/../page.html", "/page.html", "/%2e%2e/"])
def test_nothing_else_is_there(page: LivePage, path: str) -> None:
    assert ask(page, path)[0] == 404


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "", "10.0.0.7", "[::1", "a@b"]
)
def test_another_sites_name_for_this_machine_is_refused(page: LivePage, host: str) -> None:
    assert ask(page, Host=host)[0] == 421
    assert ask(page, "/events", Host=host)[0] == 421


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:80", "127.0.0.1:9", "[::1]:9", "127.3.2.1"]
)
def test_every_name_of_loopback_is_answered(page: LivePage, host: str) -> None:
    assert ask(page, Host=host)[0] == 200


def test_two_host_headers_are_refused(page: LivePage) -> None:
    request = b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n"
    with socket.create_connection(("127.0.0.1", port_of(page)), timeout=20) as client:
        client.sendall(request)
        assert b" 421 " in client.makefile("rb").readline()


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org", ""])
def test_other_machines_are_let_in_only_by_a_word(router: CapabilityRouter, host: str) -> None:
    with pytest.raises(ValueError, match="allow_remote=True"):
        serve_page(router, host)


def test_a_page_for_other_machines_answers_under_addresses_and_no_names(
    router: CapabilityRouter,
) -> None:
    with serve_page(router, "0.0.0.0", allow_remote=True) as page:
        assert ask(page, Host="10.0.0.7:80")[0] == 200
        assert ask(page, Host="evil.example")[0] == 421


def test_a_port_that_is_taken_is_told_and_leaves_nothing_behind(
    page: LivePage, router: CapabilityRouter
) -> None:
    before = threading.active_count()
    with pytest.raises(OSError, match="in use"):
        serve_page(router, port=port_of(page))
    assert threading.active_count() == before


def test_the_stream_begins_with_all_that_is_known(page: LivePage, router: CapabilityRouter) -> None:
    with Stream(page) as stream:
        update = stream.next()
        assert update["is_whole"]
        assert standings(update) == dict.fromkeys(["a/0", "a/1", "a/2"], "active")
        assert stream.answer.headers["Content-Type"] == "text/event-stream"


def test_what_happens_is_told_at_once(page: LivePage, router: CapabilityRouter) -> None:
    with Stream(page) as stream:
        stream.next()
        router.deactivate("a/1", "billing")
        update = stream.next()
        assert standings(update)["a/1"] == "standby"
        assert [(row["type"], row["reason"]) for row in update["rows"]] == [
            ("model_deactivated", "billing"),
            ("provider_health_changed", ""),
        ]
        router.call("chat-completion", lambda model: model.id)
        assert [row["served_by"] for row in stream.next()["rows"]] == ["a/0"]


def test_who_comes_back_gets_what_was_missed(page: LivePage, router: CapabilityRouter) -> None:
    with Stream(page) as stream:
        stream.next()
        position = stream.position
    router.deactivate("a/1")
    with Stream(page, position) as stream:
        update = stream.next()
        assert not update["is_whole"]
        assert [row["model"] for row in update["rows"] if row["model"]] == ["a/1"]


@pytest.mark.parametrize("since", ["", "x", "abcd.1.1", "1.2", ".", "\u00b2.1.1", "9" * 5000])
def test_a_position_that_is_not_of_this_feed_gets_everything(page: LivePage, since: str) -> None:
    with Stream(page, since.encode("utf-8").decode("latin-1")) as stream:
        assert stream.next()["is_whole"]


def test_many_clients_get_the_same(page: LivePage, router: CapabilityRouter) -> None:
    streams = [Stream(page) for _ in range(30)]
    try:
        for stream in streams:
            stream.next()
        router.deactivate("a/2")
        assert {standings(stream.next())["a/2"] for stream in streams} == {"standby"}
    finally:
        for stream in streams:
            stream.__exit__()


def test_more_streams_than_are_kept_are_sent_away(page: LivePage) -> None:
    streams = [Stream(page) for _ in range(64)]
    try:
        assert ask(page, "/events")[0] == 503
        assert ask(page)[0] == 200
    finally:
        for stream in streams:
            stream.__exit__()


def test_a_client_that_does_not_read_is_dropped_and_holds_up_nobody(
    router: CapabilityRouter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_Handler, "timeout", 0.2)
    for number in range(3000):
        router.register(Model(f"b/{number}", ("chat-completion",)))
    before = set(threading.enumerate())
    with serve_page(router) as page, socket.socket() as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.connect(("127.0.0.1", port_of(page)))
        slow.sendall(b"GET /events HTTP/1.0\r\nHost: localhost\r\n\r\n")
        assert slow.recv(8) == b"HTTP/1.0"
        (serving,) = (
            thread
            for thread in set(threading.enumerate()) - before
            if "process_request" in thread.name
        )
        with Stream(page) as other:
            while serving.is_alive():
                other.next()
                router.deactivate("a/1")
                router.recover("a/1")
            router.deactivate("a/2")
            while standings(other.next())["a/2"] != "standby":
                pass


def test_closing_ends_open_streams_and_every_thread(router: CapabilityRouter) -> None:
    before = set(threading.enumerate())
    page = serve_page(router)
    with Stream(page) as stream:
        stream.next()
        page.close()
        page.close()
        assert stream.answer.read() in {b"", b": nothing new\n\n"}
    for thread in set(threading.enumerate()) - before:
        thread.join(20)
        assert not thread.is_alive()


def test_no_key_is_on_the_page(router: CapabilityRouter) -> None:
    secret = "sk-" + "verysecret0123456789"
    with serve_page(router) as page, Stream(page) as stream:
        stream.next()
        router.deactivate("a/1", f"key {secret} is refused")
        assert secret not in json.dumps(stream.next())


def test_the_documented_options_are_those_of_the_command() -> None:
    documented = Path(__file__).parents[2].joinpath("docs", "watching.md").read_text("utf-8")
    told = set(re.findall(r"`(--[a-z-]+)", documented))
    parameters = inspect.signature(watch, eval_str=False).parameters
    named = {"as_json": "json"}
    options = {f"--{named.get(each, each).replace('_', '-')}" for each in parameters}
    assert told == options - {"--log"}
