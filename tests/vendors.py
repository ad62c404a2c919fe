"""Servers that speak as other vendors do, for what reads them through LiteLLM."""

import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Events = list[dict[str, Any]]

OPENAI: Events = [
    {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, "delta": delta, "finish_reason": reason}],
    }
    for delta, reason in [({"role": "assistant", "content": "Fine."}, None), ({}, "stop")]
]
ANTHROPIC: Events = [
    {"type": "message_start", "message": {"usage": {"input_tokens": 3, "output_tokens": 1}}},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Fine."}},
    {"type": "content_block_stop", "index": 0},
    {
        "type": "message_delta",
        "delta": {"stop_reason": "end_turn"},
        "usage": {"output_tokens": 2},
    },
    {"type": "message_stop"},
]
GEMINI: Events = [
    {"candidates": [{"content": {"parts": [{"text": "Fine"}], "role": "model"}}]},
    {
        "candidates": [
            {"content": {"parts": [{"text": "."}], "role": "model"}, "finishReason": "STOP"}
        ],
        "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 2, "totalTokenCount": 5},
    },
]


@dataclass(frozen=True)
class Answer:
    """A whole response that is no stream.

    Attributes:
        status: HTTP status.
        body: JSON of the response, or its bytes.
        headers: Headers besides the usual.
    """

    status: int
    body: Mapping[str, Any] | bytes
    headers: Mapping[str, str] = field(default_factory=dict)


class Scripted(ThreadingHTTPServer):
    """Answers every request alike: with ``answer``, or with a stream of ``events``.

    A stream ends with its connection; if ``chunked``, in chunks of which the last never comes.
    """

    answer: Answer | None = None
    events: Sequence[Mapping[str, Any] | bytes] = ()
    chunked = False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        assert isinstance(self.server, Scripted)
        if self.server.answer is not None:
            self._send(self.server.answer)
        else:
            self._stream(self.server)

    def _send(self, answer: Answer) -> None:
        sent = answer.body
        body = sent if isinstance(sent, bytes) else json.dumps(sent).encode()
        self.send_response(answer.status)
        usual = {"content-type": "application/json", "content-length": str(len(body))}
        for name, value in (usual | dict(answer.headers)).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def _stream(self, server: Scripted) -> None:
        if server.chunked:
            # Without chunks no length is known before HTTP/1.1, and the connection ends the body.
            self.protocol_version = "HTTP/1.1"
            self.close_connection = True
        self.send_response(200)
        is_binary = any(isinstance(event, bytes) for event in server.events)
        kind = "application/vnd.amazon.eventstream" if is_binary else "text/event-stream"
        self.send_header("content-type", kind)
        if server.chunked:
            self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for event in server.events:
            # Bedrock's are no text.
            line = event if isinstance(event, bytes) else f"data: {json.dumps(event)}\n\n".encode()
            self.wfile.write(b"%x\r\n%b\r\n" % (len(line), line) if server.chunked else line)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def scripted() -> Iterator[Scripted]:
    with Scripted(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()
