"""A request to the Responses API in the words of a chat request, which the sources understand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from capability_router.lab.json_values import as_mapping, as_sequence
from capability_router.lab.questions import content_text
from capability_router.lab.refusals import invalid

__all__ = [
    "chat_body",
    "input_messages",
]


def input_messages(value: object) -> list[Mapping[str, object]]:
    """Turn a checked ``input`` into messages; the parts of their contents stay as they are."""
    if isinstance(value, str):
        return [{"role": "user", "content": value}]
    return [_message(as_mapping(item) or {}) for item in as_sequence(value) or ()]


def chat_body(
    body: Mapping[str, object], conversation: Sequence[Mapping[str, object]]
) -> dict[str, object]:
    """Turn a checked request into one for a chat.

    Args:
        body: The request.
        conversation: All its messages, those of the earlier responses first.

    Raises:
        RefusedError: With a 400, if a call has no result, a result no call, or JSON is asked for
            without a word of it.
    """
    _check_calls(conversation)
    wanted = _response_format(body)
    if wanted == {"type": "json_object"}:
        _check_speaks_of_json(conversation)
    instructions = body.get("instructions")
    system = [{"role": "system", "content": instructions}] if instructions else []
    chat: dict[str, object] = {
        "model": body["model"],
        "messages": [*system, *conversation],
        "stream": body.get("stream"),
        "max_completion_tokens": body.get("max_output_tokens"),
        "parallel_tool_calls": body.get("parallel_tool_calls"),
        "response_format": wanted,
        "tools": [_tool(as_mapping(tool) or {}) for tool in as_sequence(body.get("tools")) or ()],
        "tool_choice": _tool_choice(body.get("tool_choice")),
        "temperature": body.get("temperature"),
        "top_p": body.get("top_p"),
        **_logprobs(body),
    }
    return {field: value for field, value in chat.items() if value is not None}


def _message(item: Mapping[str, object]) -> Mapping[str, object]:
    match item.get("type"):
        case "function_call":
            function = {"name": item["name"], "arguments": item["arguments"]}
            call = {"id": item["call_id"], "type": "function", "function": function}
            return {"role": "assistant", "content": None, "tool_calls": [call]}
        case "function_call_output":
            result = {"tool_call_id": item["call_id"], "content": item["output"]}
            return {"role": "tool", **result}
        case _:
            return {"role": item["role"], "content": item["content"]}


def _check_calls(conversation: Sequence[Mapping[str, object]]) -> None:
    waiting: list[object] = []
    for each in conversation:
        calls = as_sequence(each.get("tool_calls")) or ()
        waiting += [(as_mapping(call) or {}).get("id") for call in calls]
        if each["role"] != "tool":
            continue
        id_ = each["tool_call_id"]
        if id_ not in waiting:
            raise invalid(
                f"No tool call found for function call output with call_id {id_}.", "input"
            )
        waiting.remove(id_)
    if waiting:
        raise invalid(f"No tool output found for function call {waiting[0]}.", "input")


def _check_speaks_of_json(conversation: Sequence[Mapping[str, object]]) -> None:
    if not any("json" in content_text(each.get("content")).lower() for each in conversation):
        raise invalid(
            "Response input messages must contain the word 'json' in some form to use"
            " 'text.format' of type 'json_object'.",
            "input",
        )


def _response_format(body: Mapping[str, object]) -> dict[str, object] | None:
    wanted = as_mapping((as_mapping(body.get("text")) or {}).get("format")) or {}
    match wanted.get("type"):
        case "json_schema":
            described = {field: value for field, value in wanted.items() if field != "type"}
            return {"type": "json_schema", "json_schema": described}
        case "json_object":
            return {"type": "json_object"}
        case _:
            return None


def _tool(tool: Mapping[str, object]) -> dict[str, object]:
    function = {field: value for field, value in tool.items() if field != "type"}
    return {"type": "function", "function": function}


def _tool_choice(choice: object) -> object:
    wanted = as_mapping(choice)
    if wanted is None:
        return choice
    if wanted["type"] == "function":
        return _tool(wanted)
    tools = [_tool(as_mapping(tool) or {}) for tool in as_sequence(wanted["tools"]) or ()]
    return {"type": "allowed_tools", "allowed_tools": {"mode": wanted["mode"], "tools": tools}}


def _logprobs(body: Mapping[str, object]) -> dict[str, object]:
    included = as_sequence(body.get("include")) or ()
    if "message.output_text.logprobs" not in included:
        return {}
    return {"logprobs": True, "top_logprobs": body.get("top_logprobs") or 0}
