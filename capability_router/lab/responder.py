"""Answers one request the way its fault wants it.

Plays faults and routes to the endpoints; does not choose the fault, count requests or own a port.
"""

from __future__ import annotations

import json
import math
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus

from capability_router.lab.answers import AnswerSource, Piece
from capability_router.lab.embeddings import EmbeddingSource, embeddings_reply
from capability_router.lab.faults import Fault, FaultKind
from capability_router.lab.moderation import moderations_reply
from capability_router.lab.payloads import (
    Label,
    StreamEvent,
    models_reply,
    stream_events,
    whole_reply,
)
from capability_router.lab.questions import Question, chat_question, completion_question
from capability_router.lab.refusals import Refusal, RefusedError, invalid, refusal_for
from capability_router.lab.reranking import rerank_reply
from capability_router.lab.wire import Connection, HttpRequest

__all__ = [
    "Responder",
    "Turn",
]

_METHODS: Mapping[str, str] = {
    "/v1/models": "GET",
    "/v1/chat/completions": "POST",
    "/v1/completions": "POST",
    "/v1/embeddings": "POST",
    "/v1/moderations": "POST",
    "/v1/rerank": "POST",
}

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
        body: The request's JSON object, None where it has none.
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
        self._embeddings = embeddings
        self._spend = spend

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
            turn.connection.send_json(told.status, told.payload(), told.headers)

    def _route(self, turn: Turn) -> None:
        path = turn.request.path
        _check_route(turn.request)
        if path == "/v1/models":
            turn.connection.send_json(HTTPStatus.OK, models_reply(self._name, int(time.time())))
            return
        if turn.body is None:
            raise invalid("The body must be a JSON object.")
        plain = self._plain_reply(path, turn.body, turn.number)
        if plain is not None:
            self._spend_one()
            _send_whole(turn, *plain)
            return
        make = chat_question if path == "/v1/chat/completions" else completion_question
        self._answer(turn, make(self._name, turn.body))

    def _plain_reply(
        self, path: str, body: Mapping[str, object], number: int
    ) -> tuple[dict[str, object], str] | None:
        """Return the reply of an endpoint that is no text endpoint, and who made it."""
        match path:
            case "/v1/embeddings":
                return embeddings_reply(body, self._embeddings), self._embeddings.name
            case "/v1/rerank":
                identity = f"rerank-{self._name}-{number}"
                return rerank_reply(body, self._embeddings, identity), self._embeddings.name
            case "/v1/moderations":
                return moderations_reply(body, f"modr-{self._name}-{number}"), "words"
            case _:
                return None

    def _answer(self, turn: Turn, question: Question) -> None:
        self._spend_one()
        with self._source.answer(question) as answer:
            label = Label(
                id=f"{'chatcmpl' if question.chat else 'cmpl'}-{self._name}-{turn.number}",
                created=int(time.time()),
                fingerprint=f"lab-{self._name}-{answer.source}",
            )
            pieces = _while_wanted(turn, answer.pieces)
            if question.stream:
                framing = turn.fault.framing if turn.request.chunks else "close"
                turn.connection.start_stream(_source_header(answer.source), framing)
                _send_stream(turn, stream_events(question, label, pieces))
            else:
                _send_whole(turn, whole_reply(question, label, pieces), answer.source)

    def _spend_one(self) -> None:
        refusal = self._spend()
        if refusal is not None:
            raise RefusedError(refusal)


def _check_route(request: HttpRequest) -> None:
    method = _METHODS.get(request.path)
    if method is None:
        message = f"Invalid URL ({request.method} {request.path})"
        raise RefusedError(Refusal(HTTPStatus.NOT_FOUND, message))
    if request.method != method:
        message = f"Not allowed to {request.method} on {request.path}, only {method}"
        status = HTTPStatus.METHOD_NOT_ALLOWED
        raise RefusedError(Refusal(status, message, headers={"allow": method}))


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
        connection.send_event(data)
        sent += event.is_content
    connection.end_stream()


def _broken(turn: Turn, data: str) -> str:
    """Play the break that a stream goes on after: a silence, or a chunk that is no JSON."""
    if turn.fault.kind is FaultKind.SILENT_STREAM:
        turn.pause(None)
        return data
    return data[: len(data) // 2]


def _send_whole(turn: Turn, payload: Mapping[str, object], source: str) -> None:
    """Send a plain body, broken in the middle where the fault would break a stream."""
    connection, kind = turn.connection, turn.fault.kind
    body, headers = json.dumps(payload).encode(), _source_header(source)
    middle = len(body) // 2
    if kind is FaultKind.MALFORMED_CHUNK:
        connection.send(HTTPStatus.OK, body[:middle], "application/json", headers)
    elif kind in _BREAKS:
        connection.send(HTTPStatus.OK, body, "application/json", headers, sent=middle)
        if kind is FaultKind.CUT_STREAM:
            connection.cut()
            return
        turn.pause(None)
        connection.write(body[middle:])
    else:
        connection.send(HTTPStatus.OK, body, "application/json", headers)


def _source_header(source: str) -> dict[str, str]:
    return {"x-lab-answers": source}
