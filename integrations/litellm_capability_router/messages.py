"""Streams of Anthropic's Messages API, which LiteLLM hands out as server-sent events in bytes.

Knows the events' names and what they bring; the vendor they come from may be any.
"""

from __future__ import annotations

import json
from typing import Any, cast

from capability_router.completeness import breaks_off
from capability_router.engine.outcome import Failure, Usage
from capability_router.failures import failure_of
from capability_router.usages import usage_of
from litellm_capability_router.answers import failure_of_litellm

__all__ = ["AnthropicWatch", "StreamedError"]

_Event = dict[str, Any]


class StreamedError(Exception):
    """An ``error`` event within a stream, under the attributes that errors of HTTP have.

    Args:
        status: HTTP status that the kind of error has outside of streams, 400 to 599.
        message: The provider's words.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status_code = status


# docs.anthropic.com, "Errors": the status that each type has where it is no event.
_STATUSES = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "api_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
}


class AnthropicWatch:
    """Follows the events of one stream."""

    def __init__(self) -> None:
        self.text = ""
        self.usage = Usage()
        self.committed = False
        self.finished = False
        self._is_empty = False
        self._rest = b""

    @property
    def complete(self) -> bool:
        """True once there is a reason for the end, and one for why nothing came if nothing did."""
        something = self.committed or self.usage.output_tokens
        return self.finished and bool(something or not self._is_empty)

    def take(self, chunk: Any) -> None:
        """Note a chunk, which may end within an event.

        Raises:
            StreamedError: If the provider says within the stream that it cannot go on.
        """
        if isinstance(chunk, dict):
            self._take_event(cast("_Event", chunk))
            return
        self._rest += chunk.encode() if isinstance(chunk, str) else bytes(chunk)
        *lines, self._rest = self._rest.split(b"\n")
        for line in lines:
            if line.startswith(b"data:"):
                self._take_event(_event(line[5:]))

    def failure(self, error: Exception) -> Failure:
        """Name what an exception means."""
        return failure_of(error) if isinstance(error, StreamedError) else failure_of_litellm(error)

    def _take_event(self, event: _Event) -> None:
        match event.get("type"):
            case "error":
                raise _streamed_error(_part(event, "error"))
            case "message_start":
                self._count(_part(event, "message"))
            case "content_block_start" | "content_block_delta":
                self._take_content(event)
            case "message_delta":
                reason = _part(event, "delta").get("stop_reason")
                self.finished = self.finished or not breaks_off(reason)
                self._is_empty = reason == "end_turn"
                self._count(event)
            case _:
                pass

    def _take_content(self, event: _Event) -> None:
        block = _part(event, "delta") or _part(event, "content_block")
        text = str(block.get("text") or "")
        self.text += text
        # A block of text begins empty; one of a tool call or of thought is a beginning.
        self.committed = (
            self.committed
            or bool(text)
            or block.get("type")
            not in (
                "text",
                "text_delta",
                "thinking",
            )
        )

    def _count(self, source: _Event) -> None:
        """The end of a stream counts all output, and often no input any more."""
        found = usage_of(source)
        self.usage = Usage(
            found.input_tokens or self.usage.input_tokens,
            found.output_tokens or self.usage.output_tokens,
        )


def _part(event: _Event, name: str) -> _Event:
    part = event.get(name)
    return cast("_Event", part) if isinstance(part, dict) else {}


def _event(data: bytes) -> _Event:
    event = json.loads(data)
    return cast("_Event", event) if isinstance(event, dict) else {}


def _streamed_error(error: _Event) -> StreamedError:
    kind = str(error.get("type"))
    return StreamedError(_STATUSES.get(kind, 500), f"{kind}: {error.get('message')}")
