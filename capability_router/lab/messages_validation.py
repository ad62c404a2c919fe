"""Which requests to Anthropic's Messages API are served: fields, blocks, tools and their results.

The field to blame is named in the message, for Anthropic's errors have no place of their own for
it. Unknown keys of a block are ignored, among them marks for caches.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from capability_router.lab.json_values import as_mapping, as_sequence
from capability_router.lab.refusals import Refusal, RefusedError, invalid
from capability_router.lab.validation_media import check_base64, check_web_address
from capability_router.lab.validation_tools import check_function
from capability_router.lab.validation_values import (
    Check,
    array,
    boolean,
    check_fields,
    decimal,
    filled,
    one_of,
    required,
    structure,
    text,
    whole,
)

__all__ = [
    "check_message_headers",
    "check_message_request",
]

_BLOCKS_OF_ROLE: Mapping[str, tuple[str, ...]] = {
    "user": ("text", "image", "document", "tool_result"),
    "assistant": ("text", "tool_use"),
    "tool_result": ("text", "image", "document"),
    "system": ("text",),
}


def check_message_headers(headers: Mapping[str, str]) -> None:
    """Check that a request has a key, of any value, and says which version it speaks.

    Args:
        headers: Names in lower case.

    Raises:
        RefusedError: With a 401 for a missing key, with a 400 for a missing version.
    """
    if not (headers.get("x-api-key") or headers.get("authorization")):
        raise RefusedError(Refusal(401, "x-api-key header is required"))
    if not headers.get("anthropic-version"):
        raise invalid("anthropic-version: header is required")


def check_message_request(body: Mapping[str, object]) -> None:
    """Check a request for a message.

    Raises:
        RefusedError: With a 400 that names the field to blame.
    """
    check_fields(body, _FIELDS, _UNSERVED, needed=["model", "max_tokens", "messages"])
    _check_choice(body)


def _check_messages(value: object, place: str) -> None:
    open_calls: list[object] = []
    entries = array(value, place)
    for index, entry in enumerate(entries):
        at = f"{place}.{index}"
        message = structure(entry, at)
        one_of("user", "assistant")(required(message, "role", at), f"{at}.role")
        role = str(message["role"])
        _check_content(required(message, "content", at), role, f"{at}.content")
        _check_results(message, open_calls, at)
        open_calls = _ids(message, "tool_use", "id")
    _check_results({}, open_calls, place)
    _check_prefill(structure(entries[-1], place), place)


def _check_prefill(last: Mapping[str, object], place: str) -> None:
    content = last["content"]
    blocks = as_sequence(content) or ()
    text = (as_mapping(blocks[-1]) or {}).get("text") if blocks else content
    if last["role"] == "assistant" and isinstance(text, str) and text != text.rstrip():
        message = f"{place}: final assistant content cannot end with trailing whitespace"
        raise invalid(message, place)


def _check_content(content: object, role: str, place: str) -> None:
    if isinstance(content, str):
        if not content:
            raise invalid(f"{place}: text content must be non-empty", place)
        return
    for index, value in enumerate(array(content, place)):
        at = f"{place}.{index}"
        block = structure(value, at)
        one_of(*_BLOCKS_OF_ROLE[role])(required(block, "type", at), f"{at}.type")
        _BLOCKS[str(block["type"])](block, at)


def _check_results(message: Mapping[str, object], calls: Sequence[object], place: str) -> None:
    """Check that the results of a message are those of the calls before it, all of them."""
    results = _ids(message, "tool_result", "tool_use_id")
    for id_ in results:
        if id_ not in calls:
            raise invalid(
                f"{place}: unexpected `tool_use_id` found in `tool_result` blocks: {id_}. Each"
                " `tool_result` block must have a corresponding `tool_use` block in the previous"
                " message.",
                place,
            )
    missing = [str(id_) for id_ in calls if id_ not in results]
    if missing:
        raise invalid(
            f"{place}: `tool_use` ids were found without `tool_result` blocks immediately after:"
            f" {', '.join(missing)}. Each `tool_use` block must have a corresponding `tool_result`"
            " block in the next message.",
            place,
        )


def _ids(message: Mapping[str, object], kind: str, field: str) -> list[object]:
    content = message.get("content")
    blocks = [as_mapping(block) or {} for block in as_sequence(content) or ()]
    return [block.get(field) for block in blocks if block.get("type") == kind]


def _check_text(value: object, place: str) -> None:
    filled()(required(structure(value, place), "text", place), f"{place}.text")


def _check_image(value: object, place: str) -> None:
    at = f"{place}.source"
    source = structure(required(structure(value, place), "source", place), at)
    one_of("base64", "url")(required(source, "type", at), f"{at}.type")
    if source["type"] == "url":
        check_web_address(required(source, "url", at), f"{at}.url")
        return
    kinds = one_of("image/jpeg", "image/png", "image/gif", "image/webp")
    kinds(required(source, "media_type", at), f"{at}.media_type")
    check_base64(required(source, "data", at), f"{at}.data", "image")


def _check_document(value: object, place: str) -> None:
    at = f"{place}.source"
    source = structure(required(structure(value, place), "source", place), at)
    one_of("base64", "text", "url")(required(source, "type", at), f"{at}.type")
    match source["type"]:
        case "url":
            check_web_address(required(source, "url", at), f"{at}.url")
        case "text":
            one_of("text/plain")(required(source, "media_type", at), f"{at}.media_type")
            filled()(required(source, "data", at), f"{at}.data")
        case _:
            one_of("application/pdf")(required(source, "media_type", at), f"{at}.media_type")
            check_base64(required(source, "data", at), f"{at}.data", "document")


def _check_tool_use(value: object, place: str) -> None:
    block = structure(value, place)
    for field in ("id", "name"):
        filled()(required(block, field, place), f"{place}.{field}")
    structure(required(block, "input", place), f"{place}.input")


def _check_tool_result(value: object, place: str) -> None:
    block = structure(value, place)
    filled()(required(block, "tool_use_id", place), f"{place}.tool_use_id")
    if block.get("is_error") is not None:
        boolean(block["is_error"], f"{place}.is_error")
    # A tool may return nothing at all.
    if block.get("content"):
        _check_content(block["content"], "tool_result", f"{place}.content")


_BLOCKS: Mapping[str, Check] = {
    "text": _check_text,
    "image": _check_image,
    "document": _check_document,
    "tool_use": _check_tool_use,
    "tool_result": _check_tool_result,
}


def _check_system(value: object, place: str) -> None:
    if value != "":
        _check_content(value, "system", place)


def _check_tools(value: object, place: str) -> None:
    if value == []:
        return
    for index, entry in enumerate(array(value, place)):
        at = f"{place}.{index}"
        tool = structure(entry, at)
        if tool.get("type") is not None:
            one_of("custom")(tool["type"], f"{at}.type")
        required(tool, "input_schema", at)
        check_function(tool, at, "input_schema")


def _check_choice(body: Mapping[str, object]) -> None:
    choice = as_mapping(body.get("tool_choice"))
    if choice is None:
        return
    place = "tool_choice"
    one_of("auto", "any", "tool", "none")(required(choice, "type", place), f"{place}.type")
    tools = as_sequence(body.get("tools")) or ()
    if not tools:
        raise invalid("tool_choice: may only be specified while providing tools", place)
    if choice["type"] != "tool":
        return
    name = text(required(choice, "name", place), f"{place}.name")
    if name not in {(as_mapping(tool) or {}).get("name") for tool in tools}:
        raise invalid(f"tool_choice.name: tool '{name}' not found in provided tools", place)


def _check_stops(value: object, place: str) -> None:
    for index, stop in enumerate(as_sequence(value) or ()):
        filled()(stop, f"{place}.{index}")


def _check_output_config(value: object, place: str) -> None:
    config = structure(value, place)
    if config.get("effort") is not None:
        one_of("low", "medium", "high", "xhigh", "max")(config["effort"], f"{place}.effort")
    if config.get("format") is None:
        return
    at = f"{place}.format"
    wanted = structure(config["format"], at)
    one_of("json_schema")(required(wanted, "type", at), f"{at}.type")
    structure(required(wanted, "schema", at), f"{at}.schema")


def _check_thinking(value: object, place: str) -> None:
    thinking = structure(value, place)
    one_of("enabled", "disabled", "adaptive")(required(thinking, "type", place), f"{place}.type")
    if thinking["type"] == "enabled":
        raise invalid(f"The lab does not think: set '{place}.type' to 'disabled'.", place)


_FIELDS: Mapping[str, Check] = {
    "cache_control": structure,
    "max_tokens": whole(1),
    "messages": _check_messages,
    "metadata": structure,
    "model": filled(),
    "output_config": _check_output_config,
    "service_tier": one_of("auto", "standard_only"),
    "stop_sequences": _check_stops,
    "stream": boolean,
    "system": _check_system,
    "temperature": decimal(0, 1),
    "thinking": _check_thinking,
    "tool_choice": structure,
    "tools": _check_tools,
    "top_k": whole(0),
    "top_p": decimal(0, 1),
}

_UNSERVED: Mapping[str, str] = {
    "container": "it runs no code",
    "context_management": "it keeps a conversation as it is",
    "inference_geo": "it runs on this machine",
    "mcp_servers": "it calls no servers",
    "speed": "it is fast as it is",
}
