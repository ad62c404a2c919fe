"""The Responses API: typed output items, whole and as typed events.

The whole answer is what the last event of the stream carries, so that the two cannot differ.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import count
from typing import assert_never

from capability_router.lab.answers import Finish, FinishReason, Piece, TextPiece, ToolCallPiece
from capability_router.lab.exchanges import Exchange, Label, Part, StreamEvent
from capability_router.lab.json_values import as_mapping
from capability_router.lab.payloads import token_logprobs
from capability_router.lab.questions import Question, read_chat
from capability_router.lab.responses_history import ResponseHistory
from capability_router.lab.responses_input import chat_body, input_messages
from capability_router.lab.responses_validation import check_response

__all__ = [
    "response_exchange",
]

_Fields = dict[str, object]

_INCOMPLETE: Mapping[FinishReason, str] = {
    "content_filter": "content_filter",
    "length": "max_output_tokens",
}


def response_exchange(
    history: ResponseHistory, provider: str, body: Mapping[str, object]
) -> Exchange:
    """Check a request for a response and prepare its answer.

    Args:
        history: The provider's earlier responses; this one is added once it is complete, unless
            ``store`` is false.
        provider: Name of the provider.
        body: OpenAI's request.

    Raises:
        RefusedError: With a 400 that names the field to blame.
    """
    check_response(body)
    previous = body.get("previous_response_id")
    earlier = history.recall(str(previous)) if previous is not None else ()
    conversation = [*earlier, *input_messages(body["input"])]
    # No prefill here: the real service begins a new message after one of the assistant's.
    question = replace(
        read_chat(provider, chat_body(body, conversation)), prefill="", format_place="text.format"
    )

    def keep(id_: str, output: Sequence[Mapping[str, object]]) -> None:
        if body.get("store") is not False:
            history.remember(id_, [*conversation, *input_messages(output)])

    def events(label: Label, pieces: Iterable[Piece]) -> Iterator[StreamEvent]:
        return _Telling(question, body, label, keep).events(pieces)

    def whole(label: Label, pieces: Iterable[Piece]) -> Mapping[str, object]:
        telling = _Telling(question, body, label, keep)
        for _ in telling.events(pieces):
            continue
        return telling.response

    return Exchange(question, whole, events)


class _Telling:
    """Tells one answer as numbered events and gathers its output."""

    def __init__(
        self,
        question: Question,
        body: Mapping[str, object],
        label: Label,
        keep: Callable[[str, Sequence[Mapping[str, object]]], None],
    ) -> None:
        self._question = question
        self._label = label
        self._keep = keep
        self._numbers = count()
        self._output: list[_Fields] = []
        self.response = {**_begun(question, body), "id": f"resp_{label.serial}"}
        self.response["created_at"] = label.created

    def events(self, pieces: Iterable[Piece]) -> Iterator[StreamEvent]:
        for kind in ("response.created", "response.in_progress"):
            yield self._event(kind, response=self.response)
        said: list[TextPiece] = []
        for piece in pieces:
            match piece:
                case TextPiece():
                    if not said:
                        yield from self._begin_message()
                    said.append(piece)
                    yield self._delta(piece)
                case ToolCallPiece():
                    if said:
                        yield from self._end_message(said, "completed")
                        said = []
                    yield from self._call(piece)
                case Finish():
                    yield from self._finish(piece, said)
                case _:
                    assert_never(piece)

    def _finish(self, finish: Finish, said: list[TextPiece]) -> Iterator[StreamEvent]:
        reason = _INCOMPLETE.get(finish.reason)
        status = "completed" if reason is None else "incomplete"
        if not said and not self._output:
            yield from self._begin_message()
        if said or not self._output:
            yield from self._end_message(said, status)
        self.response |= {
            "status": status,
            "incomplete_details": reason and {"reason": reason},
            "completed_at": None if reason else self._label.created,
            "output": self._output,
            "usage": _usage(finish),
        }
        self._keep(str(self.response["id"]), self._output)
        yield self._event(f"response.{status}", None, Part.FINISH, response=self.response)

    def _begin_message(self) -> Iterator[StreamEvent]:
        item, part = self._message([], "in_progress"), _text_part("", [])
        yield self._event("response.output_item.added", self._place(), item=item)
        yield self._event("response.content_part.added", self._part_place(), part=part)

    def _delta(self, piece: TextPiece) -> StreamEvent:
        logprobs = token_logprobs(self._question, [piece])
        kind, place = "response.output_text.delta", self._part_place()
        return self._event(kind, place, Part.CONTENT, delta=piece.text, logprobs=logprobs)

    def _end_message(self, said: list[TextPiece], status: str) -> Iterator[StreamEvent]:
        text, logprobs = "".join(piece.text for piece in said), token_logprobs(self._question, said)
        place, part = self._part_place(), _text_part(text, logprobs)
        yield self._event("response.output_text.done", place, text=text, logprobs=logprobs)
        yield self._event("response.content_part.done", place, part=part)
        yield from self._end_item(self._message([part], status))

    def _call(self, call: ToolCallPiece) -> Iterator[StreamEvent]:
        place = {**self._place(), "item_id": self._id("fc")}
        item: _Fields = {
            "id": self._id("fc"),
            "type": "function_call",
            "status": "completed",
            "call_id": self._id("call"),
            "name": call.name,
            "arguments": call.arguments,
        }
        begun = {**item, "status": "in_progress", "arguments": ""}
        yield self._event("response.output_item.added", self._place(), item=begun)
        for part in call.argument_parts():
            kind = "response.function_call_arguments.delta"
            yield self._event(kind, place, Part.CONTENT, delta=part)
        told = {"name": call.name, "arguments": call.arguments}
        yield self._event("response.function_call_arguments.done", {**place, **told})
        yield from self._end_item(item)

    def _end_item(self, item: _Fields) -> Iterator[StreamEvent]:
        yield self._event("response.output_item.done", self._place(), item=item)
        self._output.append(item)

    def _message(self, content: list[_Fields], status: str) -> _Fields:
        told = {"id": self._id("msg"), "type": "message", "role": "assistant"}
        return {**told, "status": status, "content": content}

    def _id(self, kind: str) -> str:
        return f"{kind}_{self._label.serial}_{len(self._output)}"

    def _place(self) -> _Fields:
        return {"output_index": len(self._output)}

    def _part_place(self) -> _Fields:
        return {**self._place(), "item_id": self._id("msg"), "content_index": 0}

    def _event(
        self,
        kind: str,
        place: Mapping[str, object] | None = None,
        part: Part = Part.FRAME,
        /,
        **fields: object,
    ) -> StreamEvent:
        told = {"type": kind, "sequence_number": next(self._numbers), **(place or {}), **fields}
        return StreamEvent(json.dumps(told), kind, part)


def _begun(question: Question, body: Mapping[str, object]) -> _Fields:
    """Describe a response before there is any output; it repeats the request's settings."""
    config = as_mapping(body.get("text")) or {}
    defaults: _Fields = {
        "background": False,
        "instructions": None,
        "max_output_tokens": None,
        "max_tool_calls": None,
        "metadata": {},
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "prompt_cache_key": None,
        "reasoning": {"effort": None, "summary": None},
        "safety_identifier": None,
        "store": True,
        "temperature": 1.0,
        "tool_choice": "auto",
        "tools": [],
        "top_logprobs": 0,
        "top_p": 1.0,
        "truncation": "disabled",
        "user": None,
    }
    given = {field: body[field] for field in defaults if body.get(field) is not None}
    return {
        "object": "response",
        "status": "in_progress",
        "model": question.model,
        "error": None,
        "incomplete_details": None,
        "output": [],
        "usage": None,
        "service_tier": "default",
        "text": {"format": {"type": "text"}, "verbosity": "medium", **config},
        **defaults,
        **given,
    }


def _text_part(text: str, logprobs: Sequence[object]) -> _Fields:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": logprobs}


def _usage(finish: Finish) -> _Fields:
    return {
        "input_tokens": finish.prompt_tokens,
        # The lab keeps no cache and does not reason.
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": finish.completion_tokens,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": finish.prompt_tokens + finish.completion_tokens,
    }
