"""One HTTP/1.1 connection, seen from the server, that can also break the rules on purpose.

Reads requests and writes answers; does not know what is asked or which fault is played. The
standard library's request handler hides the socket behind its own loop, and a fault needs to reset,
cut or watch it.
"""

from __future__ import annotations

import http.client
import json
import socket
import struct
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus

from capability_router.lab.faults import Framing

__all__ = [
    "Connection",
    "GoneError",
    "HttpRequest",
]

_MAX_BODY_BYTES = 64 * 1024 * 1024
_MAX_LINE_BYTES = 65536


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A request, read to its end.

    Attributes:
        method: In capitals.
        path: Without the query.
        headers: Names in lower case; of repeated ones the last.
        body: As many bytes as Content-Length said.
        keep_alive: Whether the client will use the connection again.
        chunks: Whether the client understands chunked bodies (HTTP/1.1).
    """

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    keep_alive: bool
    chunks: bool


class GoneError(ConnectionError):
    """The client left in the middle of an exchange."""


class _UnreadableError(Exception):
    def __init__(self, status: HTTPStatus, message: str) -> None:
        super().__init__(message)
        self.status = status


class Connection:
    """Reads requests from a socket and writes answers to it; belongs to one thread.

    Only :meth:`hang_up` may be called from another thread.

    Args:
        sock: A connected, blocking socket, which the connection owns from now on.
    """

    def __init__(self, sock: socket.socket) -> None:
        # Without this a small write waits up to 40 ms for the acknowledgement of the last one.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket = sock
        self._reader = sock.makefile("rb")
        self._chunked = False
        self._closing = False
        self._bodiless = False
        self._is_cut = False
        self._is_hung_up = False

    def read_request(self) -> HttpRequest | None:
        """Wait for the next request.

        Returns:
            The request, or None once the connection is over; a request that is no HTTP is answered
            here.

        Raises:
            OSError: If the connection breaks.
        """
        if self._closing:
            return None
        try:
            request = self._read()
        except _UnreadableError as error:
            self._closing = True
            details = {"message": str(error), "type": "invalid_request_error"}
            self.send_json(error.status, {"error": {**details, "param": None, "code": None}})
            return None
        if request is not None:
            self._closing = not request.keep_alive
            self._bodiless = request.method == "HEAD"
        return request

    def send_json(
        self, status: int, payload: object, headers: Mapping[str, str] | None = None
    ) -> None:
        """Write a JSON answer."""
        self.send(status, json.dumps(payload).encode(), "application/json", headers)

    def send(
        self,
        status: int,
        body: bytes,
        content_type: str,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Write an answer with its true Content-Length.

        Args:
            status: HTTP status.
            body: The whole body.
            content_type: Its media type.
            headers: More headers.
        """
        head = self._head(status, content_type, {**(headers or {}), "content-length": len(body)})
        self.write(head if self._bodiless else head + body)

    def begin(self, content_type: str, headers: Mapping[str, str], size: int) -> None:
        """Write the head of an answer whose body the caller writes, or breaks off.

        Args:
            content_type: Media type of the body.
            headers: More headers.
            size: Bytes that the body is said to have.
        """
        self.write(self._head(HTTPStatus.OK, content_type, {**headers, "content-length": size}))

    def start(self, content_type: str, headers: Mapping[str, str], framing: Framing) -> None:
        """Write the head of a body that comes in parts.

        Args:
            content_type: Its media type.
            headers: More headers.
            framing: Whether the body is chunked, or ends where the connection does.
        """
        self._chunked = framing == "chunked"
        if self._chunked:
            headers = {**headers, "transfer-encoding": "chunked"}
        else:
            self._closing = True
        self.write(self._head(HTTPStatus.OK, content_type, headers))

    def start_stream(self, headers: Mapping[str, str], framing: Framing) -> None:
        """Write the head of an event stream, as :meth:`start`."""
        self.start("text/event-stream; charset=utf-8", headers, framing)

    def send_event(self, data: str, name: str = "") -> None:
        """Write one server-sent event, with a line for its name where it has one."""
        head = f"event: {name}\n" if name else ""
        self.send_part(f"{head}data: {data}\n\n".encode())

    def send_part(self, part: bytes) -> None:
        """Write a part, not empty, of a body that was started."""
        self.write(b"%x\r\n%b\r\n" % (len(part), part) if self._chunked else part)

    def end(self) -> None:
        """End a body that was started properly."""
        if self._chunked:
            self.write(b"0\r\n\r\n")

    def write(self, data: bytes) -> None:
        """Write bytes as they are.

        Raises:
            GoneError: If the client is gone.
            ConnectionAbortedError: If :meth:`hang_up` was called.
        """
        try:
            self._socket.sendall(data)
        except OSError as error:
            raise self._ended() from error

    @property
    def is_cut(self) -> bool:
        """Whether this side has ended the connection before the answer was complete."""
        return self._is_cut

    def cut(self) -> None:
        """End the connection after what is written, whatever was promised."""
        self._closing = self._is_cut = True

    def abort(self) -> None:
        """Reset the connection: the client sees ``connection reset by peer``."""
        self._closing = self._is_cut = True
        # Linger for no time makes close send RST instead of FIN; Windows has two shorts there.
        linger = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.close()

    def raise_if_gone(self) -> None:
        """Look, without waiting, whether the client has closed its end.

        Raises:
            GoneError: If it has.
            ConnectionAbortedError: If :meth:`hang_up` was called.
        """
        self._socket.setblocking(False)
        try:
            gone = not self._socket.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            gone = False
        except OSError as error:
            raise self._ended() from error
        finally:
            self._socket.setblocking(True)
        if gone:
            raise self._ended()

    def hang_up(self) -> None:
        """End the connection from another thread; the owner finds out at its next read or write."""
        self._is_hung_up = True
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            # The owner or the client was faster: what was wanted has happened.
            return

    @property
    def is_closed(self) -> bool:
        """Whether the socket is closed; may be asked from another thread."""
        return self._socket.fileno() < 0

    def close(self) -> None:
        """Close the socket; more than once does no harm."""
        self._reader.close()
        self._socket.close()

    def _ended(self) -> ConnectionError:
        message = "the connection was closed before the answer was complete"
        return ConnectionAbortedError(message) if self._is_hung_up else GoneError(message)

    def _read(self) -> HttpRequest | None:
        line = self._reader.readline(_MAX_LINE_BYTES + 1)
        if not line:
            return None
        if len(line) > _MAX_LINE_BYTES:
            raise _UnreadableError(HTTPStatus.REQUEST_URI_TOO_LONG, "The request line is too long.")
        words = line.decode("latin-1").split()
        if len(words) != 3 or words[2] not in ("HTTP/1.1", "HTTP/1.0"):
            raise _UnreadableError(HTTPStatus.BAD_REQUEST, "The request line is no HTTP/1.1.")
        headers = self._read_headers()
        modern = words[2] == "HTTP/1.1"
        asked = headers.get("connection", "").lower()
        return HttpRequest(
            method=words[0].upper(),
            path=words[1].partition("?")[0],
            headers=headers,
            body=self._read_body(headers),
            keep_alive="close" not in asked and (modern or "keep-alive" in asked),
            chunks=modern,
        )

    def _read_headers(self) -> dict[str, str]:
        try:
            message = http.client.parse_headers(self._reader)
        except http.client.HTTPException as error:
            status = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
            raise _UnreadableError(status, "The headers are too long.") from error
        return {name.lower(): value for name, value in message.items()}

    def _read_body(self, headers: Mapping[str, str]) -> bytes:
        if "transfer-encoding" in headers:
            raise _UnreadableError(HTTPStatus.LENGTH_REQUIRED, "Send the body with Content-Length.")
        text = headers.get("content-length", "0")
        if not (text.isascii() and text.isdigit()):
            raise _UnreadableError(HTTPStatus.BAD_REQUEST, "Content-Length is no number.")
        if int(text) > _MAX_BODY_BYTES:
            raise _UnreadableError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "The body is too large.")
        if headers.get("expect", "").lower() == "100-continue":
            self.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = self._reader.read(int(text))
        if len(body) < int(text):
            raise GoneError("the connection was closed before the request was complete")
        return body

    def _head(self, status: int, content_type: str, headers: Mapping[str, object]) -> bytes:
        lines = [f"HTTP/1.1 {int(status)} {_phrase(status)}", f"content-type: {content_type}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        lines.append(f"connection: {'close' if self._closing else 'keep-alive'}")
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        # Vendors use statuses of their own, 529 for one; the phrase may be anything.
        return "Unknown"
