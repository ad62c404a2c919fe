"""A client for the providers of the lab: a few lines, so that a demo needs no client library."""

from __future__ import annotations

import json
from collections.abc import Generator, Mapping
from dataclasses import dataclass, replace
from http.client import HTTPResponse
from typing import Any, cast
from urllib.error import HTTPError
from urllib.request import ProxyHandler, Request, build_opener

from capability_router.engine.outcome import Failure, Usage
from capability_router.failures import failure_of

__all__ = ["JoinedPieces", "Piece", "PieceWatch", "ask", "ask_streamed"]

Messages = list[dict[str, str]]


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of a streamed answer.

    Attributes:
        text: What it brings, maybe nothing.
        finished: Whether the provider has said that the answer ends with it.
    """

    text: str
    finished: bool = False


def ask(base_url: str, model: str, messages: Messages) -> dict[str, Any]:
    """Return a whole answer, in OpenAI's form.

    Raises:
        OSError, http.client.HTTPException: If none came.
    """
    with _opened(base_url, {"model": model, "messages": messages}) as response:
        return cast("dict[str, Any]", json.load(response))


def ask_streamed(base_url: str, model: str, messages: Messages) -> Generator[Piece, None, None]:
    """Return the pieces of an answer while they come; as ``ask``."""
    body = {"model": model, "messages": messages, "stream": True}
    with _opened(base_url, body) as response:
        for line in response:
            data = line.decode().removeprefix("data:").strip()
            if data.startswith("{"):
                yield from _pieces(json.loads(data))


def _pieces(chunk: Mapping[str, Any]) -> Generator[Piece, None, None]:
    for choice in chunk["choices"]:
        yield Piece(choice["delta"].get("content") or "", bool(choice["finish_reason"]))


def _opened(base_url: str, body: Mapping[str, object]) -> HTTPResponse:
    headers = {"Content-Type": "application/json"}
    request = Request(f"{base_url}/chat/completions", json.dumps(body).encode(), headers)
    try:
        # A proxy of the environment does not know this machine's own addresses.
        opened = build_opener(ProxyHandler({})).open(request)
    except HTTPError as error:
        error.close()
        raise
    return cast("HTTPResponse", opened)


class PieceWatch:
    """Follows the pieces of one attempt; see ``driving.reading.Watch``."""

    def __init__(self) -> None:
        self.usage = Usage()
        self.text = ""
        self.finished = False

    @property
    def committed(self) -> bool:
        """Whether there is any text."""
        return bool(self.text)

    @property
    def complete(self) -> bool:
        """Whether the provider has said that the answer ends."""
        return self.finished

    def take(self, chunk: Piece) -> None:
        """Note a piece."""
        self.text += chunk.text
        self.finished = self.finished or chunk.finished

    def failure(self, error: Exception) -> Failure:
        """Name what an exception means."""
        return failure_of(error)


class JoinedPieces:
    """Lets the pieces of two models be one answer; see ``driving.joining.Splice``."""

    def begin(self, chunk: Piece) -> None:
        """Do nothing: pieces have no identity."""

    def adopt(self, chunk: Piece) -> Piece:
        """Return the piece as it is."""
        return chunk

    def text(self, chunk: Piece) -> str:
        """Return the text of a piece."""
        return chunk.text

    def cut(self, chunk: Piece, characters: int) -> Piece:
        """Return a piece without the first characters of its text."""
        return replace(chunk, text=chunk.text[characters:])

    def holds_only_text(self, chunk: Piece) -> bool:
        """Return True: they are nothing else."""
        del chunk
        return True

    def restart(self, chunk: Piece) -> Piece:
        """Return a piece that says that the answer begins anew."""
        del chunk
        return Piece("\n(again, from the beginning) ")
