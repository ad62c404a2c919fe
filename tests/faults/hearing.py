"""What a caller sees of an answer, whichever surface it comes through."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from langchain_core.messages import AIMessage, AIMessageChunk
from openai import BadRequestError

from capability_router import AllModelsFailedError, StreamInterruptedError
from capability_router.driving.joining import RESTARTED

__all__ = ["Piece", "Seen", "bare", "of_chunk", "of_completion", "of_message"]

Tokens = tuple[int, int]
"""Tokens of the prompt and of the answer."""


@dataclass(frozen=True)
class Piece:
    """A whole answer or one chunk of it.

    Attributes:
        text: Its text.
        finish: Why the answer ends, if it says so.
        usage: The tokens that it tells.
        served_by: Who serves, in the words of the surface: an id or a name.
        calls: Parts of tool calls: place in the list, name and arguments.
        restarts: Whether the answer begins anew after it.
    """

    text: str = ""
    finish: str | None = None
    usage: Tokens | None = None
    served_by: str | None = None
    calls: tuple[tuple[int, str, str], ...] = ()
    restarts: bool = False


@dataclass
class Seen:
    """All that the caller of one call has seen, up to its end."""

    text: str = ""
    finishes: list[str] = field(default_factory=list[str])
    usage: Tokens | None = None
    served_by: str | None = None
    calls: dict[int, tuple[str, str]] = field(default_factory=dict[int, tuple[str, str]])
    error: BaseException | None = None
    has_left: bool = False
    restarts: int = 0

    def take(self, piece: Piece) -> None:
        if piece.restarts:
            self.text, self.restarts = "", self.restarts + 1
        self.text += piece.text
        if piece.finish is not None:
            self.finishes.append(piece.finish)
        self.usage = piece.usage or self.usage
        self.served_by = piece.served_by or self.served_by
        for place, name, arguments in piece.calls:
            known, before = self.calls.get(place, ("", ""))
            self.calls[place] = (known + name, before + arguments)

    @property
    def ending(self) -> str:
        """How the call ended, in the words of the table."""
        error = self.error
        if error is None:
            if self.has_left:
                return "left"
            return "restarted" if self.restarts else "complete"
        if isinstance(error, StreamInterruptedError):
            return "interrupted"
        if isinstance(error, AllModelsFailedError):
            return "all failed"
        # LiteLLM's are of this class too.
        return "refused" if isinstance(error, BadRequestError) else type(error).__name__


def bare(error: BaseException) -> BaseException:
    """Return what LiteLLM puts an error of its own around, in the streams of a custom provider."""
    original = getattr(error, "original_exception", None)
    return original if isinstance(original, BaseException) else error


def of_message(message: AIMessage) -> Piece:
    """Read a message of LangChain."""
    counted, told = message.usage_metadata, message.response_metadata
    return Piece(
        text=message.text,
        finish=told.get("finish_reason"),
        usage=(counted["input_tokens"], counted["output_tokens"]) if counted else None,
        served_by=told.get("capability_router", {}).get("served_by"),
        calls=_calls_of_message(message),
        restarts=bool(told.get(RESTARTED)),
    )


def _calls_of_message(message: AIMessage) -> tuple[tuple[int, str, str], ...]:
    if isinstance(message, AIMessageChunk):
        return tuple(
            (part["index"] or 0, part["name"] or "", part["args"] or "")
            for part in message.tool_call_chunks
        )
    return tuple(
        (place, call["name"], json.dumps(call["args"]))
        for place, call in enumerate(message.tool_calls)
    )


def of_completion(answer: Any) -> Piece:
    """Read a whole answer of LiteLLM."""
    choice = answer.choices[0]
    return Piece(
        text=choice.message.content or "",
        finish=choice.finish_reason,
        usage=_usage(answer),
        served_by=_signed(answer) or answer.model,
        calls=_calls(enumerate(choice.message.tool_calls or ())),
    )


def of_chunk(chunk: Any) -> Piece:
    """Read a chunk of LiteLLM."""
    if not chunk.choices:
        return Piece(usage=_usage(chunk), served_by=chunk.model)
    choice = chunk.choices[0]
    parts = choice.delta.tool_calls or ()
    told: Mapping[str, Any] = getattr(choice.delta, "provider_specific_fields", None) or {}
    return Piece(
        text=choice.delta.content or "",
        finish=choice.finish_reason,
        usage=_usage(chunk),
        served_by=chunk.model,
        calls=_calls((part.index, part) for part in parts),
        restarts=bool(told.get(RESTARTED)),
    )


def _calls(parts: Any) -> tuple[tuple[int, str, str], ...]:
    return tuple(
        (place, part.function.name or "", part.function.arguments or "") for place, part in parts
    )


def _usage(answer: Any) -> Tokens | None:
    usage = getattr(answer, "usage", None)
    return (usage.prompt_tokens, usage.completion_tokens) if usage else None


def _signed(answer: Any) -> str | None:
    hidden: Mapping[str, Any] = getattr(answer, "_hidden_params", None) or {}
    way: Mapping[str, Any] = hidden.get("capability_router") or {}
    return way.get("served_by")
