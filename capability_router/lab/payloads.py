"""OpenAI's response bodies, whole and in chunks, from the pieces of an answer.

Knows shapes only: no socket, no fault, no clock but the ``created`` stamp it is given.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import assert_never

from capability_router.lab.answers import Finish, Piece, TextPiece, ToolCallPiece
from capability_router.lab.exchanges import Exchange, Label, Part, StreamEvent
from capability_router.lab.questions import Question, chat_question, completion_question

__all__ = [
    "chat_exchange",
    "completion_exchange",
    "models_reply",
    "token_logprobs",
]

_DONE = "[DONE]"


def chat_exchange(provider: str, body: Mapping[str, object]) -> Exchange:
    """Check a chat request and prepare its answer.

    Raises:
        RefusedError: With a 400 that names the field to blame.
    """
    return _exchange(chat_question(provider, body))


def completion_exchange(provider: str, body: Mapping[str, object]) -> Exchange:
    """Check a plain completion request and prepare its answer.

    Raises:
        RefusedError: With a 400 that names the field to blame.
    """
    return _exchange(completion_question(provider, body))


def _whole_reply(question: Question, label: Label, pieces: Iterable[Piece]) -> dict[str, object]:
    """Gather an answer into one body, chat or plain completion as asked."""
    texts: list[TextPiece] = []
    calls: list[ToolCallPiece] = []
    finish = Finish("stop", 0, 0)
    for piece in pieces:
        match piece:
            case TextPiece():
                texts.append(piece)
            case ToolCallPiece():
                calls.append(piece)
            case Finish():
                finish = piece
            case _:
                assert_never(piece)
    choice: dict[str, object] = {
        "index": 0,
        "finish_reason": finish.reason,
        "logprobs": _logprobs(question, texts),
    }
    text = "".join(piece.text for piece in texts)
    if question.chat:
        choice["message"] = _message(text, calls, label)
    else:
        choice["text"] = text
    kind = "chat.completion" if question.chat else "text_completion"
    usage = _usage(question, finish)
    return {**_envelope(question, label, kind), "choices": [choice], "usage": usage}


def _stream_events(
    question: Question, label: Label, pieces: Iterable[Piece]
) -> Iterator[StreamEvent]:
    """Turn an answer into the events of a stream, from the role chunk to ``[DONE]``."""
    if question.chat:
        opening = {"role": "assistant", "content": "", "refusal": None}
        yield StreamEvent(_chunk(question, label, opening))
    calls = 0
    for piece in pieces:
        match piece:
            case TextPiece():
                delta = {"content": piece.text} if question.chat else {"text": piece.text}
                data = _chunk(question, label, delta, logprobs=_logprobs(question, [piece]))
                yield StreamEvent(data, part=Part.CONTENT)
            case ToolCallPiece():
                for part in _call_parts(piece, calls, label):
                    data = _chunk(question, label, {"tool_calls": [part]})
                    yield StreamEvent(data, part=Part.CONTENT)
                calls += 1
            case Finish():
                yield from _ending(question, label, piece)
            case _:
                assert_never(piece)


def token_logprobs(question: Question, pieces: Iterable[TextPiece]) -> list[dict[str, object]]:
    """Tell how likely the tokens were; nothing where nobody asks for it or knows it."""
    top = question.top_logprobs
    if top is None:
        return []
    return [_token(piece.text, piece.logprob, top) for piece in pieces if piece.logprob is not None]


def _exchange(question: Question) -> Exchange:
    return Exchange(question, partial(_whole_reply, question), partial(_stream_events, question))


def models_reply(provider: str, created: int) -> dict[str, object]:
    """List the one model a lab provider names; it answers to any other name too."""
    model = {"id": provider, "object": "model", "created": created, "owned_by": "lab"}
    return {"object": "list", "data": [model]}


def _ending(question: Question, label: Label, finish: Finish) -> Iterator[StreamEvent]:
    last = _chunk(question, label, {} if question.chat else {"text": ""}, finish.reason)
    yield StreamEvent(last, part=Part.FINISH)
    if question.include_usage:
        kind = "chat.completion.chunk" if question.chat else "text_completion"
        envelope = _envelope(question, label, kind)
        data = json.dumps({**envelope, "choices": [], "usage": _usage(question, finish)})
        yield StreamEvent(data, part=Part.USAGE)
    yield StreamEvent(_DONE, part=Part.END)


def _chunk(
    question: Question,
    label: Label,
    delta: Mapping[str, object],
    reason: str | None = None,
    logprobs: Mapping[str, object] | None = None,
) -> str:
    choice: dict[str, object] = {"index": 0, "finish_reason": reason, "logprobs": logprobs}
    choice.update({"delta": delta} if question.chat else delta)
    kind = "chat.completion.chunk" if question.chat else "text_completion"
    body = {**_envelope(question, label, kind), "choices": [choice]}
    # With include_usage the real service sends a null usage in every chunk before the last one.
    return json.dumps({**body, "usage": None} if question.include_usage else body)


def _envelope(question: Question, label: Label, kind: str) -> dict[str, object]:
    return {
        "id": f"{'chatcmpl' if question.chat else 'cmpl'}-{label.serial}",
        "object": kind,
        "created": label.created,
        "model": question.model,
        "system_fingerprint": label.fingerprint,
    }


def _message(text: str, calls: list[ToolCallPiece], label: Label) -> dict[str, object]:
    message: dict[str, object] = {"role": "assistant", "content": text, "refusal": None}
    if not calls:
        return message
    described = [
        {
            "id": _call_id(label, index),
            "type": "function",
            "function": {"name": call.name, "arguments": call.arguments},
        }
        for index, call in enumerate(calls)
    ]
    return {**message, "content": text or None, "tool_calls": described}


def _call_parts(call: ToolCallPiece, index: int, label: Label) -> Iterator[dict[str, object]]:
    yield {
        "index": index,
        "id": _call_id(label, index),
        "type": "function",
        "function": {"name": call.name, "arguments": ""},
    }
    for part in call.argument_parts():
        yield {"index": index, "function": {"arguments": part}}


def _call_id(label: Label, index: int) -> str:
    return f"call_{label.serial}_{index}"


def _logprobs(question: Question, pieces: Iterable[TextPiece]) -> dict[str, object] | None:
    tokens = token_logprobs(question, pieces)
    return {"content": tokens, "refusal": None} if tokens else None


def _token(text: str, logprob: float, top: int) -> dict[str, object]:
    """Describe a token; those that might have stood there instead are made up, each less likely."""
    rivals = [_likelihood(f"{text}~{rank}", logprob - rank) for rank in range(1, top)]
    chosen = _likelihood(text, logprob)
    return {**chosen, "top_logprobs": [chosen, *rivals] if top else []}


def _likelihood(token: str, logprob: float) -> dict[str, object]:
    bytes_ = list(token.encode("utf-8", "replace"))
    return {"token": token, "logprob": logprob, "bytes": bytes_}


def _usage(question: Question, finish: Finish) -> dict[str, object]:
    return {
        "prompt_tokens": finish.prompt_tokens,
        "completion_tokens": finish.completion_tokens,
        "total_tokens": finish.prompt_tokens + finish.completion_tokens,
        # The lab keeps no cache and does not reason; it hears, in a way.
        "prompt_tokens_details": {
            "cached_tokens": 0,
            "cache_write_tokens": 0,
            "audio_tokens": question.audio_parts,
        },
        "completion_tokens_details": {
            "reasoning_tokens": 0,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }
