"""A provider that refuses every key but one, and quotes whatever it was sent."""

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ANSWER = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "welcome"},
            "finish_reason": "stop",
        }
    ],
    "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
}


@dataclass
class Keyed:
    """The provider.

    Attributes:
        url: Root of its API.
        key: The only key that it takes; empty for none.
    """

    url: str = ""
    key: str = ""

    def answer(self, headers: Mapping[str, str]) -> tuple[int, str, dict[str, object]]:
        """Return status, what was sent as keys, and the body."""
        keys = [headers.get(name, "") for name in ("authorization", "x-api-key")]
        sent = " ".join(key.removeprefix("Bearer ") for key in keys).strip()
        if sent == self.key:
            return 200, sent, ANSWER
        told = f"\x1b[31mIncorrect API key provided: {sent}\x1b[0m\nYou sent {sent}"
        error = {"message": told, "type": "invalid_request_error", "code": "invalid_api_key"}
        return 401, sent, {"error": error}


@contextmanager
def keyed_provider() -> Iterator[Keyed]:
    """Run the provider."""
    keyed = Keyed()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("content-length", 0)))
            status, sent, answer = keyed.answer({k.lower(): v for k, v in self.headers.items()})
            body = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.send_header("x-you-sent", sent)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the host's name
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    keyed.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield keyed
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
