"""Answers one request the way its fault wants it.

Plays faults and routes to the endpoints; does not choose the fault, count requests or own a port.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus

from capability_router.lab.answers import AnswerSource, Piece
from capability_router.lab.embeddings import EmbeddingSource
from capability_router.lab.endpoints import Endpoints, check_route, error_payload
from capability_router.lab.exchanges import Exchange, Label, StreamEvent
from capability_router.lab.faults import Fault, FaultKind
from capability_router.lab.refusals import Refusal, RefusedError, refusal_for
from capability_router.lab.replies import Reply, json_reply
from capability_router.lab.wire import Connection, HttpRequest

__all__ = [
    "Responder",
    "Turn",
]

_BREAKS = frozenset({FaultKind.CUT_STREAM, FaultKind.SILENT_STREAM, FaultKind.MALFORMED_CHUNK})

_WEB_PAGE = b"<!doctype html><title>Welcome</title><h1>Please sign in to the network</h1>"

# How soon a waiting request notices that its client has left; the look costs microseconds.
_LOOK_SECONDS = 0.01


@dataclass(frozen=True, slots=True)
class Turn:
    """One request and how it is to be met.

    Attributes:
        connection: Where the answer goes.
        request: What came.
        body: The request's JSON object or the plain values of its form, None where it has none.
        fault: What is to happen.
        number: 1 for the provider's first request.
        healed: Set when waiting requests are to be answered.
    """

    connection: Connection
    request: HttpRequest
    body: Mapping[str, object] | None
    fault: Fault
    number: int
    healed: threading.Event

    def pause(self, seconds: float | None) -> None:
        """Wait until the time is over or the provider is healed.

        Args:
            seconds: Longest wait, >= 0; None waits for the healing alone.

        Raises:
            GoneError: As soon as the client leaves or the provider is stopped.
        """
        ends = math.inf if seconds is None else time.monotonic() + seconds
        while (left := ends - time.monotonic()) > 0:
            if self.healed.wait(min(left, _LOOK_SECONDS)):
                break
            self.connection.raise_if_gone()
        self.connection.raise_if_gone()


class Responder:
    """Answers for one provider.

    Args:
        name: The provider's name.
        source: Makes the healthy answers.
        embeddings: Makes the vectors.
        spend: Uses one request of the provider's quota, or returns the refusal.
    """

    def __init__(
        self,
        name: str,
        source: AnswerSource,
        embeddings: EmbeddingSource,
        spend: Callable[[], Refusal | None],
    ) -> None:
        self._name = name
        self._source = source
        self._spend = spend
        self._endpoints = Endpoints(name, embeddings)

    def forget(self) -> None:
        """Forget the responses that a client could go on from."""
        self._endpoints.forget()

    def respond(self, turn: Turn) -> None:
        """Answer a request, or not, as its fault says.

        Raises:
            OSError: If the client leaves or the connection is cut on purpose.
        """
        kind = turn.fault.kind
        if kind is FaultKind.RESET:
            turn.connection.abort()
        elif kind is FaultKind.HTML:
            turn.connection.send(HTTPStatus.OK, _WEB_PAGE, "text/html; charset=utf-8")
        else:
            if kind is FaultKind.HANG:
                turn.pause(None)
            elif turn.fault.seconds:
                turn.pause(turn.fault.seconds)
            self._reply(turn)

    def _reply(self, turn: Turn) -> None:
        try:
            refusal = refusal_for(turn.fault, str((turn.body or {}).get("model", "unknown")))
            if refusal is not None:
                raise RefusedError(refusal)
            self._route(turn)
        except RefusedError as error:
            told = error.refusal
            payload = error_payload(turn.request.path, told)
            turn.connection.send_json(told.status, payload, told.headers)

    def _route(self, turn: Turn) -> None:
        check_route(turn.request)
        if turn.request.path == "/v1/models":
            turn.connection.send_json(HTTPStatus.OK, self._endpoints.models())
            return
        answer = self._endpoints.answer(turn.request, turn.body, turn.number)
        self._spend_one()
        if isinstance(answer, Exchange):
            self._answer(turn, answer)
        else:
            _send_whole(turn, answer)

    def _answer(self, turn: Turn, exchange: Exchange) -> None:
        with self._source.answer(exchange.question) as answer:
            label = Label(
                serial=f"{self._name}-{turn.number}",
                created=int(time.time()),
                fingerprint=f"lab-{self._name}-{answer.source}",
            )
            pieces = _while_wanted(turn, answer.pieces)
            if exchange.question.stream:
                framing = turn.fault.framing if turn.request.chunks else "close"
                turn.connection.start_stream(_source_header(answer.source), framing)
                _send_stream(turn, exchange.events(label, pieces))
            else:
                _send_whole(turn, json_reply(exchange.whole(label, pieces), answer.source))

    def _spend_one(self) -> None:
        refusal = self._spend()
        if refusal is not None:
            raise RefusedError(refusal)


def _while_wanted(turn: Turn, pieces: Iterator[Piece]) -> Iterator[Piece]:
    """Stop to read an answer nobody waits for: a real model may take seconds to the end."""
    for piece in pieces:
        turn.connection.raise_if_gone()
        yield piece


def _send_stream(turn: Turn, events: Iterator[StreamEvent]) -> None:
    fault, connection = turn.fault, turn.connection
    unbroken = fault.kind not in _BREAKS
    sent = 0
    for event in events:
        if event.is_content and fault.seconds_per_chunk:
            turn.pause(fault.seconds_per_chunk)
        data = event.data
        # An answer shorter than the place of the break is broken before its end, never complete.
        if not unbroken and (event.is_ending or (event.is_content and sent >= fault.after)):
            if fault.kind is FaultKind.CUT_STREAM:
                connection.cut()
                return
            data = _broken(turn, data)
            unbroken = True
        connection.send_event(data, event.name)
        sent += event.is_content
    connection.end_stream()


def _broken(turn: Turn, data: str) -> str:
    """Play the break that a stream goes on after: a silence, or a chunk that is no JSON."""
    if turn.fault.kind is FaultKind.SILENT_STREAM:
        turn.pause(None)
        return data
    return data[: len(data) // 2]


def _send_whole(turn: Turn, reply: Reply) -> None:
    """Send a whole body, broken in the middle where the fault would break a stream."""
    connection, kind = turn.connection, turn.fault.kind
    body, headers = reply.body, _source_header(reply.source)
    middle = len(body) // 2
    if kind is FaultKind.MALFORMED_CHUNK:
        connection.send(HTTPStatus.OK, body[:middle], reply.content_type, headers)
    elif kind in _BREAKS:
        connection.send(HTTPStatus.OK, body, reply.content_type, headers, sent=middle)
        if kind is FaultKind.CUT_STREAM:
            connection.cut()
            return
        turn.pause(None)
        connection.write(body[middle:])
    else:
        connection.send(HTTPStatus.OK, body, reply.content_type, headers)


def _source_header(source: str) -> dict[str, str]:
    return {"x-lab-answers": source}
