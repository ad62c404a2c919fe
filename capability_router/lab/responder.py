"""Answers one request the way its fault wants it.

Plays faults and routes to the endpoints; does not choose the fault, count requests or own a port.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from http import HTTPStatus

from capability_router.lab.altered_answers import altered_pieces
from capability_router.lab.answers import AnswerSource, Piece
from capability_router.lab.embeddings import EmbeddingSource
from capability_router.lab.endpoints import Endpoints, check_route, error_payload
from capability_router.lab.exchanges import Exchange, Label
from capability_router.lab.faults import FaultKind
from capability_router.lab.prefills import echoed, heard
from capability_router.lab.questions import Question
from capability_router.lab.refusals import Refusal, RefusedError, refusal_for
from capability_router.lab.replies import json_reply
from capability_router.lab.streaming import send_stream
from capability_router.lab.turns import Turn
from capability_router.lab.whole_bodies import send_whole, source_header

__all__ = [
    "Responder",
]

_WEB_PAGE = b"<!doctype html><title>Welcome</title><h1>Please sign in to the network</h1>"


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
        fault = turn.fault
        match fault.kind:
            case FaultKind.RESET:
                turn.connection.abort()
            case FaultKind.HTML:
                turn.connection.send(HTTPStatus.OK, _WEB_PAGE, "text/html; charset=utf-8")
            case FaultKind.REDIRECT:
                location = {"location": fault.location or turn.request.path}
                turn.connection.send(fault.status, b"", "text/plain", location)
            case FaultKind.HANG | FaultKind.LATENCY:
                turn.pause(fault.seconds)
                self._reply(turn)
            case _:
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
        if isinstance(answer, Exchange):
            question = heard(answer.question, turn.prefill)
            self._spend_one()
            self._answer(turn, answer, question)
        else:
            self._spend_one()
            send_whole(turn, answer)

    def _answer(self, turn: Turn, exchange: Exchange, question: Question) -> None:
        with self._source.answer(question) as answer:
            label = Label(
                serial=f"{self._name}-{turn.number}",
                created=int(time.time()),
                fingerprint=f"lab-{self._name}-{answer.source}",
            )
            said = echoed(question, turn.prefill, answer.pieces)
            pieces = _while_wanted(turn, altered_pieces(turn.fault, question, said))
            if question.stream:
                send_stream(turn, source_header(answer.source), exchange.events(label, pieces))
            else:
                send_whole(turn, json_reply(exchange.whole(label, pieces), answer.source))

    def _spend_one(self) -> None:
        refusal = self._spend()
        if refusal is not None:
            raise RefusedError(refusal)


def _while_wanted(turn: Turn, pieces: Iterator[Piece]) -> Iterator[Piece]:
    """Stop to read an answer nobody waits for: a real model may take seconds to the end."""
    for piece in pieces:
        turn.connection.raise_if_gone()
        yield piece
