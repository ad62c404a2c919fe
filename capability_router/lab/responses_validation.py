"""Which requests to the Responses API are served: fields, types, ranges and the items of an input.

Unknown keys of an item or of a part of one are ignored: clients send back what they received.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from capability_router.lab.json_values import as_mapping, as_sequence
from capability_router.lab.refusals import invalid
from capability_router.lab.validation_media import (
    check_file,
    check_image_url,
    check_web_address,
)
from capability_router.lab.validation_tools import check_function, check_json_schema
from capability_router.lab.validation_values import (
    Check,
    array,
    boolean,
    check_fields,
    decimal,
    filled,
    matching,
    one_of,
    required,
    structure,
    text,
    whole,
)

__all__ = [
    "check_response",
]

_MOST_TOOLS = 128
_MOST_ENTRIES = 16

_PARTS_OF_ROLE: Mapping[str, tuple[str, ...]] = {
    "developer": ("input_text",),
    "system": ("input_text",),
    "user": ("input_text", "input_image", "input_file"),
    "assistant": ("output_text", "refusal"),
    "function_call_output": ("input_text", "input_image", "input_file"),
}


def check_response(body: Mapping[str, object]) -> None:
    """Check a request for a response.

    Raises:
        RefusedError: With a 400 that names the field to blame.
    """
    check_fields(body, _FIELDS, _UNSERVED, needed=["model", "input"])
    if body.get("stream_options") is not None and not body.get("stream"):
        message = "The 'stream_options' parameter is only allowed when 'stream' is enabled."
        raise invalid(message, "stream_options")
    _check_choice(body)


def _check_input(value: object, place: str) -> None:
    if isinstance(value, str):
        return
    for index, item in enumerate(array(value, place)):
        _check_item(structure(item, f"{place}[{index}]"), f"{place}[{index}]")


def _check_item(item: Mapping[str, object], place: str) -> None:
    kind = item.get("type") or "message"
    one_of("message", "function_call", "function_call_output")(kind, f"{place}.type")
    if kind == "message":
        one_of("user", "assistant", "system", "developer")(
            required(item, "role", place), f"{place}.role"
        )
        _check_content(required(item, "content", place), str(item["role"]), f"{place}.content")
        return
    text(required(item, "call_id", place), f"{place}.call_id")
    if kind == "function_call":
        for field in ("name", "arguments"):
            text(required(item, field, place), f"{place}.{field}")
    else:
        _check_content(required(item, "output", place), str(kind), f"{place}.output")


def _check_content(content: object, role: str, place: str) -> None:
    if isinstance(content, str):
        return
    for index, value in enumerate(array(content, place)):
        at = f"{place}[{index}]"
        part = structure(value, at)
        one_of(*_PARTS_OF_ROLE[role])(required(part, "type", at), f"{at}.type")
        _PARTS[str(part["type"])](part, at)


def _check_text_part(value: object, place: str) -> None:
    text(required(structure(value, place), "text", place), f"{place}.text")


def _check_refusal_part(value: object, place: str) -> None:
    text(required(structure(value, place), "refusal", place), f"{place}.refusal")


def _check_image_part(value: object, place: str) -> None:
    image = structure(value, place)
    if image.get("file_id") is not None:
        raise invalid("The lab keeps no files: send the 'image_url'.", f"{place}.file_id")
    check_image_url(required(image, "image_url", place), f"{place}.image_url")
    if image.get("detail") is not None:
        one_of("auto", "low", "high", "original")(image["detail"], f"{place}.detail")


def _check_file_part(value: object, place: str) -> None:
    file = structure(value, place)
    if file.get("file_url") is None:
        check_file(file, place)
    else:
        check_web_address(file["file_url"], f"{place}.file_url")


_PARTS: Mapping[str, Check] = {
    "input_text": _check_text_part,
    "output_text": _check_text_part,
    "refusal": _check_refusal_part,
    "input_image": _check_image_part,
    "input_file": _check_file_part,
}


def _check_tools(value: object, place: str) -> None:
    if value == []:
        return
    for index, tool in enumerate(array(value, place, _MOST_TOOLS)):
        at = f"{place}[{index}]"
        described = structure(tool, at)
        one_of("function")(required(described, "type", at), f"{at}.type")
        check_function(described, at)


def _check_choice(body: Mapping[str, object]) -> None:
    choice = body.get("tool_choice")
    if choice is None or choice in ("none", "auto"):
        return
    tools = as_sequence(body.get("tools")) or ()
    if isinstance(choice, str):
        one_of("none", "auto", "required")(choice, "tool_choice")
        if not tools:
            raise invalid("Tool choice 'required' must be specified with 'tools'.", "tool_choice")
        return
    known = {(as_mapping(tool) or {}).get("name") for tool in tools}
    for place, name in _chosen(structure(choice, "tool_choice")):
        if name not in known:
            raise invalid(f"Tool choice '{name}' not found in 'tools' parameter.", place)


def _chosen(choice: Mapping[str, object]) -> Iterator[tuple[str, object]]:
    """Yield the places and the names of the functions that a choice is about."""
    place = "tool_choice"
    one_of("function", "allowed_tools")(required(choice, "type", place), f"{place}.type")
    if choice["type"] == "function":
        yield f"{place}.name", text(required(choice, "name", place), f"{place}.name")
        return
    one_of("auto", "required")(required(choice, "mode", place), f"{place}.mode")
    for index, value in enumerate(array(required(choice, "tools", place), f"{place}.tools")):
        at = f"{place}.tools[{index}]"
        tool = structure(value, at)
        one_of("function")(required(tool, "type", at), f"{at}.type")
        yield f"{at}.name", text(required(tool, "name", at), f"{at}.name")


def _check_text_config(value: object, place: str) -> None:
    config = structure(value, place)
    if config.get("verbosity") is not None:
        one_of("low", "medium", "high")(config["verbosity"], f"{place}.verbosity")
    if config.get("format") is None:
        return
    at = f"{place}.format"
    wanted = structure(config["format"], at)
    one_of("text", "json_object", "json_schema")(required(wanted, "type", at), f"{at}.type")
    if wanted["type"] == "json_schema":
        check_json_schema(wanted, at, at)


def _check_metadata(value: object, place: str) -> None:
    entries = structure(value, place)
    if len(entries) > _MOST_ENTRIES:
        raise invalid(f"Invalid '{place}': {_MOST_ENTRIES} entries at most.", place)
    for name, entry in entries.items():
        matching(r"[\s\S]*", 512)(entry, f"{place}.{name}")


def _check_include(value: object, place: str) -> None:
    for index, wanted in enumerate(as_sequence(value) or ()):
        one_of(*_INCLUDABLE)(wanted, f"{place}[{index}]")


def _check_reasoning(value: object, place: str) -> None:
    efforts = one_of("none", "minimal", "low", "medium", "high", "xhigh")
    summaries = one_of("auto", "concise", "detailed")
    checks = {"effort": efforts, "summary": summaries, "generate_summary": summaries}
    for name, option in structure(value, place).items():
        if name not in checks:
            at = f"{place}.{name}"
            raise invalid(f"Unknown parameter: '{at}'.", at, "unknown_parameter")
        if option is not None:
            checks[name](option, f"{place}.{name}")


def _check_stream_options(value: object, place: str) -> None:
    for name, option in structure(value, place).items():
        at = f"{place}.{name}"
        if name != "include_obfuscation":
            raise invalid(f"Unknown parameter: '{at}'.", at, "unknown_parameter")
        boolean(option, at)


def _check_background(value: object, place: str) -> None:
    if boolean(value, place):
        raise invalid(f"The lab answers at once: leave '{place}' out.", place)


_INCLUDABLE = (
    "code_interpreter_call.outputs",
    "computer_call_output.output.image_url",
    "file_search_call.results",
    "message.input_image.image_url",
    "message.output_text.logprobs",
    "reasoning.encrypted_content",
    "web_search_call.action.sources",
    "web_search_call.results",
)

_FIELDS: Mapping[str, Check] = {
    "background": _check_background,
    "include": _check_include,
    "input": _check_input,
    "instructions": text,
    "max_output_tokens": whole(16),
    "max_tool_calls": whole(1),
    "metadata": _check_metadata,
    "model": filled(),
    "parallel_tool_calls": boolean,
    "previous_response_id": matching(r"resp[\s\S]*", 256),
    "prompt_cache_key": text,
    "prompt_cache_options": structure,
    "prompt_cache_retention": one_of("in_memory", "24h"),
    "reasoning": _check_reasoning,
    "safety_identifier": filled(64),
    "service_tier": one_of("auto", "default", "flex", "scale", "priority", "fast"),
    "store": boolean,
    "stream": boolean,
    "stream_options": _check_stream_options,
    "temperature": decimal(0, 2),
    "text": _check_text_config,
    # Any form: which one is right depends on the tools.
    "tool_choice": lambda value, place: value,
    "tools": _check_tools,
    "top_logprobs": whole(0, 20),
    "top_p": decimal(0, 1),
    "truncation": one_of("auto", "disabled"),
    "user": text,
}

_UNSERVED: Mapping[str, str] = {
    "context_management": "it keeps a conversation as it is",
    "conversation": "use 'previous_response_id'",
    "moderation": "ask its endpoint for moderations",
    "prompt": "it keeps no prompts; use 'instructions' and 'input'",
}
