"""Anthropic's Messages API: messages of content blocks, whole and as named events.

The whole message is gathered while the events are told, so that the two cannot differ.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import assert_never

from capability_router.lab.answers import Finish, FinishReason, Piece, TextPiece, ToolCallPiece
from capability_router.lab.exchanges import Exchange, Label, Part, StreamEvent
from capability_router.lab.json_values import parsed
from capability_router.lab.messages_input import chat_body
from capability_router.lab.messages_validation import check_message_request
from capability_router.lab.questions import Question, read_chat
from capability_router.lab.refusals import Refusal

__all__ = [
    "message_error",
    "message_exchange",
]

_Fields = dict[str, object]

_ERROR_TYPES: Mapping[int, str] = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    529: "overloaded_error",
}

_STOP_REASONS: Mapping[FinishReason, str] = {"content_filter": "refusal", "length": "max_tokens"}

# Clients tell these errors from others by their words.
_WORDING: Mapping[str, str] = {
    "context_length_exceeded": "prompt is too long: 4096 tokens > 2048 maximum",
    "content_filter": "Output blocked by content filtering policy",
    "content_policy_violation": "Output blocked by content filtering policy",
    "invalid_api_key": "invalid x-api-key",
}


def message_exchange(provider: str, body: Mapping[str, object]) -> Exchange:
    """Check a request for a message and prepare its answer.

    Args:
        provider: Name of the provider.
        body: Anthropic's request.

    Raises:
        RefusedError: With a 400 that names the field to blame.
    """
    check_message_request(body)
    question = replace(read_chat(provider, chat_body(body)), format_place="output_config.format")

    def events(label: Label, pieces: Iterable[Piece]) -> Iterator[StreamEvent]:
        return _Telling(question, label).events(pieces)

    def whole(label: Label, pieces: Iterable[Piece]) -> Mapping[str, object]:
        telling = _Telling(question, label)
        for _ in telling.events(pieces):
            continue
        return telling.message

    return Exchange(question, whole, events)


def message_error(refusal: Refusal) -> dict[str, object]:
    """Shape an error as Anthropic does: the place to blame stands in the message."""
    default = "invalid_request_error" if refusal.status < 500 else "api_error"
    type_ = _ERROR_TYPES.get(refusal.status, default)
    message, place = refusal.message, refusal.param
    if place is not None and place not in message:
        message = f"{place}: {message}"
    message = _WORDING.get(refusal.code or "", message)
    return {"type": "error", "error": {"type": type_, "message": message}, "request_id": None}


class _Telling:
    """Tells one answer as events and gathers the message."""

    def __init__(self, question: Question, label: Label) -> None:
        self._serial = label.serial
        self._content: list[_Fields] = []
        self.message: _Fields = {
            "id": f"msg_{label.serial}",
            "type": "message",
            "role": "assistant",
            "model": question.model,
            "content": self._content,
            "stop_reason": None,
            "stop_sequence": None,
            # A stream begins with what is known by then; its end has the source's own count.
            "usage": _usage(question.prompt_words, 0),
        }

    def events(self, pieces: Iterable[Piece]) -> Iterator[StreamEvent]:
        yield _event("message_start", message=self.message)
        yield _event("ping")
        said = ""
        for piece in pieces:
            match piece:
                case TextPiece():
                    if not said:
                        yield self._begin_block({"type": "text", "text": ""})
                    said += piece.text
                    yield self._delta({"type": "text_delta", "text": piece.text})
                case ToolCallPiece():
                    if said:
                        yield self._end_block({"type": "text", "text": said})
                        said = ""
                    yield from self._call(piece)
                case Finish():
                    if said:
                        yield self._end_block({"type": "text", "text": said})
                    yield from self._finish(piece)
                case _:
                    assert_never(piece)

    def _call(self, call: ToolCallPiece) -> Iterator[StreamEvent]:
        id_ = f"toolu_{self._serial}_{len(self._content)}"
        block: _Fields = {"type": "tool_use", "id": id_, "name": call.name}
        yield self._begin_block({**block, "input": {}})
        for part in call.argument_parts():
            yield self._delta({"type": "input_json_delta", "partial_json": part})
        yield self._end_block({**block, "input": parsed(call.arguments)})

    def _finish(self, finish: Finish) -> Iterator[StreamEvent]:
        usage = _usage(finish.prompt_tokens, finish.completion_tokens)
        end = {"stop_reason": self._stop_reason(finish), "stop_sequence": finish.stop}
        self.message |= {**end, "usage": usage}
        yield _event("message_delta", Part.FINISH, delta=end, usage=usage)
        yield _event("message_stop", Part.END)

    def _stop_reason(self, finish: Finish) -> str:
        if finish.reason in _STOP_REASONS:
            return _STOP_REASONS[finish.reason]
        if any(block["type"] == "tool_use" for block in self._content):
            return "tool_use"
        return "end_turn" if finish.stop is None else "stop_sequence"

    def _begin_block(self, block: _Fields) -> StreamEvent:
        return _event("content_block_start", index=len(self._content), content_block=block)

    def _delta(self, delta: _Fields) -> StreamEvent:
        index = len(self._content)
        return _event("content_block_delta", Part.CONTENT, index=index, delta=delta)

    def _end_block(self, block: _Fields) -> StreamEvent:
        self._content.append(block)
        return _event("content_block_stop", index=len(self._content) - 1)


def _event(kind: str, part: Part = Part.FRAME, **fields: object) -> StreamEvent:
    return StreamEvent(json.dumps({"type": kind, **fields}), kind, part)


def _usage(input_tokens: int, output_tokens: int) -> _Fields:
    return {
        "input_tokens": input_tokens,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "output_tokens": output_tokens,
    }
