"""A request to the Messages API in the words of a chat request, which the sources understand."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from capability_router.lab.json_values import as_mapping, as_sequence

__all__ = [
    "chat_body",
]


def chat_body(body: Mapping[str, object]) -> dict[str, object]:
    """Turn a checked request into one for a chat; blocks of a content stay as they are."""
    system = body.get("system")
    opening: list[Mapping[str, object]] = [{"role": "system", "content": system}] if system else []
    messages = as_sequence(body["messages"]) or ()
    told = [part for each in messages for part in _messages(as_mapping(each) or {})]
    choice = as_mapping(body.get("tool_choice")) or {}
    chat: dict[str, object] = {
        "model": body["model"],
        "messages": [*opening, *told],
        "stream": body.get("stream"),
        "max_tokens": body["max_tokens"],
        "stop": body.get("stop_sequences"),
        "temperature": body.get("temperature"),
        "top_p": body.get("top_p"),
        "response_format": _response_format(body),
        "tools": [_tool(as_mapping(tool) or {}) for tool in as_sequence(body.get("tools")) or ()],
        "tool_choice": _tool_choice(choice),
        "parallel_tool_calls": choice.get("disable_parallel_tool_use") is not True,
    }
    return {field: value for field, value in chat.items() if value is not None}


def _messages(message: Mapping[str, object]) -> Iterator[Mapping[str, object]]:
    """Part a message: a chat has the results of tools and their calls outside of the content."""
    role, content = message["role"], message["content"]
    if isinstance(content, str):
        yield {"role": role, "content": content}
        return
    blocks = [as_mapping(block) or {} for block in as_sequence(content) or ()]
    for block in blocks:
        if block["type"] == "tool_result":
            result = {"tool_call_id": block["tool_use_id"], "content": block.get("content")}
            yield {"role": "tool", **result}
    rest = [block for block in blocks if block["type"] not in ("tool_use", "tool_result")]
    calls = [_call(block) for block in blocks if block["type"] == "tool_use"]
    if calls:
        yield {"role": role, "content": rest, "tool_calls": calls}
    elif rest:
        yield {"role": role, "content": rest}


def _call(block: Mapping[str, object]) -> dict[str, object]:
    function = {"name": block["name"], "arguments": json.dumps(block["input"])}
    return {"id": block["id"], "type": "function", "function": function}


def _response_format(body: Mapping[str, object]) -> dict[str, object] | None:
    wanted = as_mapping((as_mapping(body.get("output_config")) or {}).get("format"))
    if wanted is None:
        return None
    described = {"name": "output", "schema": wanted["schema"], "strict": True}
    return {"type": "json_schema", "json_schema": described}


def _tool(tool: Mapping[str, object]) -> dict[str, object]:
    named = {"name": tool["name"], "description": tool.get("description")}
    return {"type": "function", "function": {**named, "parameters": tool["input_schema"]}}


def _tool_choice(choice: Mapping[str, object]) -> object:
    match choice.get("type"):
        case "any":
            return "required"
        case "tool":
            return {"type": "function", "function": {"name": choice["name"]}}
        case kind:
            return kind
