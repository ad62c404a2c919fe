"""What a provider serves: every path with the module that answers it.

Knows no fault, no quota and no connection.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial
from http import HTTPStatus

from capability_router.lab.embeddings import EmbeddingSource, embeddings_reply
from capability_router.lab.exchanges import Exchange
from capability_router.lab.images import edit_reply, generation_reply
from capability_router.lab.messages import message_error, message_exchange
from capability_router.lab.messages_validation import check_message_headers
from capability_router.lab.moderation import moderations_reply
from capability_router.lab.multipart import Form, form_of, is_form
from capability_router.lab.payloads import chat_exchange, completion_exchange, models_reply
from capability_router.lab.refusals import Refusal, RefusedError, invalid
from capability_router.lab.replies import Reply, json_reply
from capability_router.lab.reranking import rerank_reply
from capability_router.lab.responses import response_exchange
from capability_router.lab.responses_history import ResponseHistory
from capability_router.lab.speech import speech_reply
from capability_router.lab.transcriptions import transcription_reply
from capability_router.lab.wire import HttpRequest

__all__ = [
    "Endpoints",
    "check_route",
    "error_payload",
]

_MESSAGES = "/v1/messages"

_METHODS: Mapping[str, str] = {
    "/v1/models": "GET",
    "/v1/chat/completions": "POST",
    "/v1/completions": "POST",
    "/v1/responses": "POST",
    _MESSAGES: "POST",
    "/v1/embeddings": "POST",
    "/v1/moderations": "POST",
    "/v1/rerank": "POST",
    "/v1/images/generations": "POST",
    "/v1/images/edits": "POST",
    "/v1/audio/speech": "POST",
    "/v1/audio/transcriptions": "POST",
}


class Endpoints:
    """The endpoints of one provider.

    Args:
        name: The provider's name.
        embeddings: Makes the vectors.
    """

    def __init__(self, name: str, embeddings: EmbeddingSource) -> None:
        self._name = name
        self._embeddings = embeddings
        self._history = ResponseHistory()
        self._exchanges: Mapping[str, Callable[[str, Mapping[str, object]], Exchange]] = {
            "/v1/chat/completions": chat_exchange,
            "/v1/completions": completion_exchange,
            "/v1/responses": partial(response_exchange, self._history),
            _MESSAGES: message_exchange,
        }
        self._forms: Mapping[str, Callable[[Form], Reply]] = {
            "/v1/images/edits": self._edit,
            "/v1/audio/transcriptions": partial(transcription_reply, name),
        }
        self._replies: Mapping[str, Callable[[Mapping[str, object], int], Reply]] = {
            "/v1/embeddings": self._embed,
            "/v1/moderations": self._moderate,
            "/v1/rerank": self._rerank,
            "/v1/images/generations": self._draw,
            "/v1/audio/speech": lambda body, number: speech_reply(body),
        }

    def models(self) -> dict[str, object]:
        """List the models, for the path ``/v1/models``."""
        return models_reply(self._name, int(time.time()))

    def answer(
        self, request: HttpRequest, body: Mapping[str, object] | None, number: int
    ) -> Reply | Exchange:
        """Check a request and answer it, or prepare an answer by the source.

        Args:
            request: What came, on a path other than ``/v1/models``.
            body: Its JSON object, None where it has none.
            number: 1 for the provider's first request.

        Raises:
            RefusedError: With a 400 that names the field to blame, or a 401.
        """
        path = request.path
        if path == _MESSAGES:
            check_message_headers(request.headers)
        if path in self._forms:
            return self._forms[path](form_of(request.headers, request.body))
        if body is None or is_form(request.headers):
            raise invalid("The body must be a JSON object.")
        if path in self._exchanges:
            return self._exchanges[path](self._name, body)
        return self._replies[path](body, number)

    def forget(self) -> None:
        """Forget the responses that a client could go on from."""
        self._history.forget()

    def _embed(self, body: Mapping[str, object], _: int) -> Reply:
        return json_reply(embeddings_reply(body, self._embeddings), self._embeddings.name)

    def _moderate(self, body: Mapping[str, object], number: int) -> Reply:
        return json_reply(moderations_reply(body, f"modr-{self._name}-{number}"), "words")

    def _rerank(self, body: Mapping[str, object], number: int) -> Reply:
        source, identity = self._embeddings, f"rerank-{self._name}-{number}"
        return json_reply(rerank_reply(body, source, identity), source.name)

    def _draw(self, body: Mapping[str, object], _: int) -> Reply:
        return json_reply(generation_reply(self._name, body, int(time.time())), "pixels")

    def _edit(self, form: Form) -> Reply:
        return json_reply(edit_reply(self._name, form, int(time.time())), "pixels")


def check_route(request: HttpRequest) -> None:
    """Check that a path is served, and by this method.

    Raises:
        RefusedError: With a 404 or a 405.
    """
    method = _METHODS.get(request.path)
    if method is None:
        message = f"Invalid URL ({request.method} {request.path})"
        raise RefusedError(Refusal(HTTPStatus.NOT_FOUND, message))
    if request.method != method:
        message = f"Not allowed to {request.method} on {request.path}, only {method}"
        status = HTTPStatus.METHOD_NOT_ALLOWED
        raise RefusedError(Refusal(status, message, headers={"allow": method}))


def error_payload(path: str, refusal: Refusal) -> dict[str, object]:
    """Shape an error as the clients of a path expect it."""
    return message_error(refusal) if path == _MESSAGES else refusal.payload()
