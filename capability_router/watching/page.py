"""The live page: one read-only HTML file and a stream of updates, by the standard library alone.

It may be opened by whoever reaches its port, and so it is bound to loopback unless told otherwise,
answers only under names that no foreign site can make its own, and shows every text as text.
"""

from __future__ import annotations

import secrets
import sys
import threading
from contextlib import ExitStack
from functools import cache
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from ipaddress import ip_address
from socket import AF_INET, AF_INET6, socket
from types import TracebackType
from typing import ClassVar, Self
from urllib.parse import urlsplit

from capability_router.router import CapabilityRouter
from capability_router.watching.feed import Feed
from capability_router.watching.sources import RouterSource, Source

__all__ = ["LivePage", "serve_page", "serve_source"]

_HEARTBEAT_S = 15.0
"""Seconds without news after which a stream says that it lives; who has left is found out so."""
_MOST_STREAMS = 64
_SLOWEST_S = 10.0
"""Seconds that a client may take to read what it is sent, or to send its request."""
_POLICY = (
    "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}';"
    " connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none';"
    " frame-ancestors 'none'"
)


class LivePage:
    """A page that is being served; ``close`` it, or use it as a context manager.

    Args:
        source: What it shows.
        host: Address to listen on.
        port: Port to listen on; 0 for a free one.
        allow_remote: True to listen on an address that other machines reach.

    Raises:
        OSError: If the port is taken, or the machine has no such address.
        ValueError: If the host is not loopback and ``allow_remote`` is not True.
    """

    def __init__(self, source: Source, host: str, port: int, *, allow_remote: bool) -> None:
        if not allow_remote and not _is_loopback(host):
            raise ValueError(
                f"host {host!r} is reached from other machines, and the page asks for no password:"
                " use 127.0.0.1, or allow it with allow_remote=True (--allow-remote)"
            )
        feed = Feed(source)
        self._server = _Server(host, port, feed, allow_remote=allow_remote)
        self._stack = ExitStack()
        self._stack.callback(self._server.server_close)
        self._stack.enter_context(feed.running())
        thread = threading.Thread(
            target=self._server.serve_forever, args=(0.1,), name="live-page", daemon=True
        )
        thread.start()
        self._stack.callback(thread.join)
        self._stack.callback(self._server.shutdown)

    @property
    def url(self) -> str:
        """The address to open in a browser."""
        host, port = self._server.server_address[:2]
        shown = f"[{host!s}]" if ":" in str(host) else str(host)
        return f"http://{shown}:{port}/"

    def close(self) -> None:
        """Stop serving; open streams end. Closing twice is no error."""
        self._stack.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def serve_page(
    router: CapabilityRouter,
    host: str = "127.0.0.1",
    port: int = 0,
    *,
    allow_remote: bool = False,
) -> LivePage:
    """Show a router of this process on a page, from a thread of its own.

    The page shows names of models, pools and capabilities, reasons and times: no text of a request
    or an answer, and no key. It can change nothing.

    Args:
        router: What to show.
        host: Address to listen on.
        port: Port to listen on; 0 for a free one.
        allow_remote: True to listen on an address that other machines reach. The page asks for no
            password: whoever reaches it can read it.

    Returns:
        The page, already there: open its ``url``, and ``close`` it in the end.

    Raises:
        OSError: If the port is taken, or the machine has no such address.
        ValueError: If the host is not loopback and ``allow_remote`` is not True.

    Example:
        >>> with serve_page(CapabilityRouter()) as page:
        ...     page.url.startswith("http://127.0.0.1:")
        True
    """
    return serve_source(RouterSource(router), host, port, allow_remote=allow_remote)


def serve_source(source: Source, host: str, port: int, *, allow_remote: bool) -> LivePage:
    """Show any source of records; see ``serve_page``. The source is closed with the page."""
    try:
        return LivePage(source, host, port, allow_remote=allow_remote)
    except BaseException:
        source.close()
        raise


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, host: str, port: int, feed: Feed, *, allow_remote: bool) -> None:
        self.address_family = AF_INET6 if ":" in host else AF_INET
        self.feed = feed
        self.streams = threading.BoundedSemaphore(_MOST_STREAMS)
        self._host = host.lower()
        self._allow_remote = allow_remote
        super().__init__((host, port), _Handler)

    def answers_to(self, header: str) -> bool:
        """Return whether a ``Host`` header is one that no foreign site can have.

        A site may let its own name point to this machine, and its scripts would then read the page
        as their own (DNS rebinding). It cannot do so with an address, nor with localhost.
        """
        try:
            name = urlsplit(f"//{header}").hostname or ""
        except ValueError:
            return False
        if _is_loopback(name):
            return True
        return self._allow_remote and (name == self._host or _is_address(name))

    def handle_error(self, request: socket | tuple[bytes, socket], client_address: object) -> None:
        """Pass over a client that left or took too long; anything else is a defect, and told."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    # Only such a server makes one.
    server: _Server  # type: ignore[mutable-override]  # pyright: ignore[reportIncompatibleVariableOverride] - see above
    server_version = "capability-router"
    sys_version = ""
    timeout: ClassVar[float | None] = _SLOWEST_S

    def do_GET(self) -> None:
        hosts: list[str] = self.headers.get_all("Host") or []
        if len(hosts) != 1 or not self.server.answers_to(hosts[0]):
            told = "this page answers only under the address that it listens on\n"
            self._answer(HTTPStatus.MISDIRECTED_REQUEST, told)
            return
        match self.path.partition("?")[0]:
            case "/":
                self._send_page()
            case "/events":
                self._send_stream()
            case _:
                self._answer(HTTPStatus.NOT_FOUND, "only / and /events are here\n")

    do_HEAD = do_GET  # noqa: N815 - the standard library's name

    def _refuse(self) -> None:
        told = "this page can only be read\n"
        self._answer(HTTPStatus.METHOD_NOT_ALLOWED, told, {"Allow": "GET, HEAD"})

    do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _refuse  # noqa: N815 - as above

    def _send_page(self) -> None:
        nonce = secrets.token_urlsafe(18)
        headers = {
            "Content-Type": "text/html; charset=utf-8",
            "Content-Security-Policy": _POLICY.format(nonce=nonce),
        }
        self._answer(HTTPStatus.OK, _html().replace("{nonce}", nonce), headers)

    def _send_stream(self) -> None:
        if not self.server.streams.acquire(blocking=False):
            told = f"{_MOST_STREAMS} pages are open already; close one\n"
            self._answer(HTTPStatus.SERVICE_UNAVAILABLE, told, {"Retry-After": "5"})
            return
        try:
            self._begin(HTTPStatus.OK, {"Content-Type": "text/event-stream"})
            if self.command == "GET":
                self._stream(self.headers.get("Last-Event-ID", ""))
        finally:
            self.server.streams.release()

    def _stream(self, since: str) -> None:
        feed = self.server.feed
        self._write("retry: 1000\n\n")
        while not feed.is_over:
            update = feed.update(since, _HEARTBEAT_S)
            if update is None:
                self._write(": nothing new\n\n")
            else:
                since, data = update
                self._write(f"id: {since}\ndata: {data}\n\n")

    def _answer(self, status: HTTPStatus, body: str, headers: dict[str, str] | None = None) -> None:
        content = body.encode()
        plain = {"Content-Type": "text/plain; charset=utf-8", "Content-Length": str(len(content))}
        self._begin(status, plain | (headers or {}))
        if self.command != "HEAD":
            self.wfile.write(content)

    def _begin(self, status: HTTPStatus, headers: dict[str, str]) -> None:
        always = {
            "Cache-Control": "no-store",
            "Cross-Origin-Resource-Policy": "same-origin",
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
        }
        self.send_response(status)
        for name, value in (always | headers).items():
            self.send_header(name, value)
        self.end_headers()

    def _write(self, text: str) -> None:
        self.wfile.write(text.encode())

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        """Say nothing: who looks at the page is no news for the program that routes."""


@cache
def _html() -> str:
    return files("capability_router.watching").joinpath("page.html").read_text("utf-8")


def _is_loopback(name: str) -> bool:
    return name.lower() == "localhost" or (_is_address(name) and ip_address(name).is_loopback)


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
