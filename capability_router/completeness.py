"""Whether an answer of any client library is whole, read by the forms that they agree on.

The forms are those of OpenAI's and Anthropic's APIs, as objects or as mappings. Knows no client
library, and takes what has none of these forms as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from capability_router.engine.errors import IncompleteAnswerError
from capability_router.usages import entries_of, field_of, usage_of

__all__ = ["OTHER_PARTS", "breaks_off", "check_complete"]

OTHER_PARTS = (
    "tool_calls",
    "function_call",
    "reasoning_content",
    "audio",
    "images",
    "refusal",
)
"""What a message or a delta of a chat completion may bring beside text."""

# Vendors' names for an end that the model did not come to; in lower case.
_BROKEN = frozenset(
    {
        "",
        # vLLM and SGLang, of a request that was given up.
        "abort",
        "aborted",
        "cancelled",
        # OpenRouter, Mistral and Cohere.
        "error",
        "failed",
        # Google, where it has not said anything.
        "finish_reason_unspecified",
        # DeepSeek.
        "insufficient_system_resource",
        # Google and Bedrock, of an answer that could not be read.
        "malformed_function_call",
        "malformed_model_output",
        "malformed_response",
        "malformed_tool_use",
        # Zhipu.
        "network_error",
        # Cohere.
        "timeout",
        "user_cancel",
    }
)

# The Responses API: those of a request in the background are what was asked for.
_UNDER_WAY = frozenset({"queued", "in_progress"})


def breaks_off(reason: object) -> bool:
    """Return whether a finish reason is none, or says that whoever answered has failed.

    A limit of tokens or a content filter ends an answer as well as the model itself does.

    Args:
        reason: As the vendor wrote it, in upper or lower case; None where it wrote none.
    """
    return reason is None or str(reason).lower() in _BROKEN


def check_complete(answer: object) -> None:
    """Refuse an answer that says of itself that it is none.

    Args:
        answer: What a client library returned: a chat or text completion, an answer of the
            Responses API or of Anthropic's, vectors, or pictures. All else is taken as it is.

    Raises:
        IncompleteAnswerError: If it has no finish reason or an error in the place of one, has
            failed, or holds nothing: no message, vector or picture, or an empty message for which
            not even a token was counted.
    """
    for is_so_formed, is_whole in _FORMS:
        if is_so_formed(answer):
            if not is_whole(answer):
                raise IncompleteAnswerError
            return


def _is_completion(answer: object) -> bool:
    if field_of(answer, "object") in ("chat.completion", "text_completion"):
        return True
    choices = entries_of(answer, "choices")
    # A quiz may have choices as well.
    return bool(choices) and all(_has(each, "message", "finish_reason") for each in choices)


def _is_whole_completion(answer: object) -> bool:
    choices = entries_of(answer, "choices")
    if not choices or any(breaks_off(field_of(each, "finish_reason")) for each in choices):
        return False
    return _has_output(answer) or any(map(_brings, choices))


def _brings(choice: object) -> bool:
    """Whether a choice holds anything, or has ended in a way that explains why not."""
    if field_of(choice, "finish_reason") != "stop":
        return True
    message = field_of(choice, "message")
    if message is None:
        return bool(field_of(choice, "text"))
    return any(field_of(message, part) for part in ("content", *OTHER_PARTS))


def _is_message(answer: object) -> bool:
    return (field_of(answer, "type"), field_of(answer, "role")) == ("message", "assistant")


def _is_whole_message(answer: object) -> bool:
    reason = field_of(answer, "stop_reason")
    if breaks_off(reason):
        return False
    return bool(entries_of(answer, "content")) or _has_output(answer) or reason != "end_turn"


def _is_response(answer: object) -> bool:
    return field_of(answer, "object") == "response" and _has(answer, "output")


def _is_whole_response(answer: object) -> bool:
    status = field_of(answer, "status")
    if status in _UNDER_WAY:
        return field_of(answer, "background") is True
    if breaks_off(status):
        return False
    return bool(entries_of(answer, "output")) or _has_output(answer) or status != "completed"


def _is_embedding(answer: object) -> bool:
    # Lists of models, files and so on have no usage.
    if field_of(answer, "object") != "list" or not _has(answer, "usage"):
        return False
    entries = entries_of(answer, "data")
    return not entries or _has(entries[0], "embedding")


def _is_whole_embedding(answer: object) -> bool:
    entries = entries_of(answer, "data")
    return bool(entries) and all(_is_there(field_of(entry, "embedding")) for entry in entries)


def _is_picture(answer: object) -> bool:
    if not (_has(answer, "created") and _has(answer, "data")) or _has(answer, "object"):
        return False
    entries = entries_of(answer, "data")
    return not entries or _has(entries[0], "b64_json", "url", "revised_prompt")


def _is_whole_picture(answer: object) -> bool:
    entries = entries_of(answer, "data")
    return bool(entries) and all(
        field_of(entry, "b64_json") or field_of(entry, "url") for entry in entries
    )


_FORMS: Sequence[tuple[Callable[[object], bool], Callable[[object], bool]]] = (
    (_is_completion, _is_whole_completion),
    (_is_message, _is_whole_message),
    (_is_response, _is_whole_response),
    (_is_embedding, _is_whole_embedding),
    (_is_picture, _is_whole_picture),
)


def _has_output(answer: object) -> bool:
    """Whether it took the model a token: one that has chosen to say nothing has taken one."""
    return usage_of(answer).output_tokens > 0


def _is_there(vector: Any) -> bool:
    """Whether a vector, which may be an array or a text in base64, has any length."""
    return vector is not None and bool(len(vector))


def _has(value: Any, *names: str) -> bool:
    if isinstance(value, Mapping):
        return any(name in value for name in names)
    return any(hasattr(value, name) for name in names)
