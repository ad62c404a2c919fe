"""Which conversations are served: roles, content and the order of calls and their results.

Unknown keys of a message or of a part of one are ignored: clients send along what other services
understand, such as marks for their caches.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from capability_router.lab.json_values import as_mapping, as_sequence
from capability_router.lab.refusals import RefusedError, invalid
from capability_router.lab.validation_media import check_audio, check_file, check_image_url
from capability_router.lab.validation_values import (
    Check,
    array,
    matching,
    one_of,
    required,
    structure,
    text,
)

__all__ = [
    "check_messages",
]

# Media in results of tools is what newer models of OpenAI and compatible servers take; older ones
# refuse it.
_PARTS_OF_ROLE: Mapping[str, tuple[str, ...]] = {
    "developer": ("text",),
    "system": ("text",),
    "user": ("text", "image_url", "input_audio", "file"),
    "assistant": ("text", "refusal"),
    "tool": ("text", "image_url", "file"),
    "function": ("text",),
}

# What an assistant may say instead of a text.
_INSTEAD_OF_TEXT = ("tool_calls", "function_call", "refusal", "audio")


def check_messages(value: object, place: str) -> None:
    """Check a conversation.

    Raises:
        RefusedError: With a 400 that names the message and the part to blame.
    """
    messages = [
        structure(message, f"{place}[{index}]") for index, message in enumerate(array(value, place))
    ]
    for index, message in enumerate(messages):
        _check_message(message, f"{place}[{index}]")
    _check_results(messages, place)


def _check_message(message: Mapping[str, object], place: str) -> None:
    one_of(*_PARTS_OF_ROLE)(required(message, "role", place), f"{place}.role")
    role = str(message["role"])
    if message.get("name") is not None:
        matching(r"[^\s<|\\/>]+", 64)(message["name"], f"{place}.name")
    if role == "tool":
        text(required(message, "tool_call_id", place), f"{place}.tool_call_id")
    elif role == "function":
        required(message, "name", place)
    elif role == "assistant" and message.get("tool_calls") is not None:
        for index, call in enumerate(array(message["tool_calls"], f"{place}.tool_calls")):
            _check_call(call, f"{place}.tool_calls[{index}]")
    _check_content(message, role, place)


def _check_call(value: object, place: str) -> None:
    call = structure(value, place)
    text(required(call, "id", place), f"{place}.id")
    one_of("function")(required(call, "type", place), f"{place}.type")
    function = structure(required(call, "function", place), f"{place}.function")
    for field in ("name", "arguments"):
        text(required(function, field, f"{place}.function"), f"{place}.function.{field}")


def _check_content(message: Mapping[str, object], role: str, place: str) -> None:
    content, at = message.get("content"), f"{place}.content"
    if isinstance(content, str):
        return
    if content is None:
        if role == "assistant" and any(message.get(other) for other in _INSTEAD_OF_TEXT):
            return
        raise invalid("Invalid value for 'content': expected a string, got null.", at)
    for index, part in enumerate(array(content, at)):
        _check_part(structure(part, f"{at}[{index}]"), role, place, f"{at}[{index}]")


def _check_part(part: Mapping[str, object], role: str, message: str, place: str) -> None:
    kind = text(required(part, "type", place), f"{place}.type")
    allowed = _PARTS_OF_ROLE[role]
    if kind == "image_url" and kind not in allowed:
        raise invalid(
            f"Invalid '{message}'. Image URLs are only allowed for messages with role 'user', but"
            f" this message with role '{role}' contains an image URL.",
            message,
            "invalid_value",
        )
    one_of(*allowed)(kind, f"{place}.type")
    _PARTS[kind](required(part, kind, place), f"{place}.{kind}")


def _check_image(value: object, place: str) -> None:
    image = structure(value, place)
    check_image_url(required(image, "url", place), f"{place}.url")
    if image.get("detail") is not None:
        one_of("auto", "low", "high", "original")(image["detail"], f"{place}.detail")


_PARTS: Mapping[str, Check] = {
    "text": text,
    "refusal": text,
    "image_url": _check_image,
    "input_audio": check_audio,
    "file": check_file,
}


def _check_results(messages: Sequence[Mapping[str, object]], place: str) -> None:
    """Check that each call is followed by its result, and each result follows its call."""
    called: list[str] = []
    waiting: list[str] = []
    for index, message in enumerate(messages):
        if message["role"] != "tool":
            _check_answered(waiting, f"{place}.[{index}].role")
            called = _call_ids(message)
            waiting = list(called)
            continue
        id_ = str(message["tool_call_id"])
        if id_ not in waiting:
            raise _stray_result(id_, called, f"{place}.[{index}]")
        waiting.remove(id_)
    _check_answered(waiting, f"{place}.[{len(messages) - 1}].role")


def _call_ids(message: Mapping[str, object]) -> list[str]:
    if message["role"] != "assistant":
        return []
    calls = as_sequence(message.get("tool_calls")) or ()
    return [str((as_mapping(call) or {}).get("id")) for call in calls]


def _check_answered(waiting: Sequence[str], place: str) -> None:
    if waiting:
        raise invalid(
            "An assistant message with 'tool_calls' must be followed by tool messages responding"
            " to each 'tool_call_id'. The following tool_call_ids did not have response messages:"
            f" {', '.join(waiting)}",
            place,
        )


def _stray_result(id_: str, called: Sequence[str], place: str) -> RefusedError:
    if not called:
        return invalid(
            "Invalid parameter: messages with role 'tool' must be a response to a preceeding"
            " message with 'tool_calls'.",
            f"{place}.role",
        )
    return invalid(
        f"Invalid parameter: 'tool_call_id' of '{id_}' not found in 'tool_calls' of previous"
        " message.",
        f"{place}.tool_call_id",
    )
