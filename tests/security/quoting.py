"""A provider that refuses every key, and quotes whatever it was sent."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class _Quoting(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("content-length", 0)))
        keys = [self.headers.get(name, "") for name in ("authorization", "x-api-key")]
        sent = " ".join(key.removeprefix("Bearer ") for key in keys).strip()
        told = f"\x1b[31mIncorrect API key provided: {sent}\x1b[0m\nYou sent {sent}"
        error = {"message": told, "type": "invalid_request_error", "code": "invalid_api_key"}
        body = json.dumps({"error": error}).encode()
        self.send_response(401)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.send_header("x-you-sent", sent)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the host's own name
        """Say nothing."""


@contextmanager
def quoting_provider() -> Iterator[str]:
    """Run the provider; yield the root of its API."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Quoting)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
