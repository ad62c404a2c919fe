"""A receiver of webhooks on loopback, which answers as it is told and keeps what it was sent."""

import json
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Condition, Event, Thread
from typing import Any


class Receiver:
    """Answers 200, unless ``answers`` holds something else for the next requests.

    Attributes:
        answers: Status and headers of the next answers, first come first served.
        requests: Path and headers of each request.
        records: All records of the bodies that were answered with 200.
        bodies: These bodies.
        open: While it is not set, no request is answered.
    """

    def __init__(self) -> None:
        self.url = ""
        self.answers: deque[tuple[int, Mapping[str, str]]] = deque()
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.bodies: list[dict[str, Any]] = []
        self.open = Event()
        self.open.set()
        self._changed = Condition()

    @property
    def records(self) -> list[dict[str, Any]]:
        return [record for body in self.bodies for record in body["records"]]

    def wait_for(self, requests: int) -> None:
        """Return when so many requests have come."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.requests) >= requests, 30)

    def take(
        self, path: str, headers: dict[str, str], body: bytes
    ) -> tuple[int, Mapping[str, str]]:
        with self._changed:
            self.requests.append((path, headers))
            self._changed.notify_all()
        self.open.wait(30)
        status, answered = self.answers.popleft() if self.answers else (200, {})
        if status == 200:
            self.bodies.append(json.loads(body))
        return status, answered


@contextmanager
def receiving() -> Iterator[Receiver]:
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            status, answered = receiver.take(self.path, headers, body)
            self.send_response(status)
            for name, value in answered.items():
                self.send_header(name, value)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        receiver.url = f"http://127.0.0.1:{server.server_port}"
        try:
            yield receiver
        finally:
            receiver.open.set()
            server.shutdown()
            thread.join()
