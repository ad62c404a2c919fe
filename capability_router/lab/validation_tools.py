"""Which tools and which forms of an answer are served, and what a strict schema has to say."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping

from capability_router.lab.json_values import as_mapping, as_sequence
from capability_router.lab.refusals import RefusedError, invalid
from capability_router.lab.validation_values import (
    array,
    boolean,
    matching,
    one_of,
    required,
    structure,
    text,
)

__all__ = [
    "check_function",
    "check_json_schema",
    "check_response_format",
    "check_tool_choice",
    "check_tools",
]

_MOST_TOOLS = 128

_check_name = matching("^[a-zA-Z0-9_-]+$", 64)


def check_tools(value: object, place: str) -> None:
    """Check the tools a model may call.

    Raises:
        RefusedError: With a 400 that names the tool and its field to blame.
    """
    for index, tool in enumerate(array(value, place, _MOST_TOOLS)):
        at = f"{place}[{index}]"
        described = structure(tool, at)
        one_of("function")(required(described, "type", at), f"{at}.type")
        at = f"{at}.function"
        check_function(structure(required(described, "function", f"{place}[{index}]"), at), at)


def check_tool_choice(body: Mapping[str, object]) -> None:
    """Check that what the choice names is among the tools.

    Args:
        body: Has checked tools, or none.

    Raises:
        RefusedError: With a 400 that names the part of the choice to blame.
    """
    choice = body.get("tool_choice")
    if choice is None:
        return
    if body.get("tools") is None:
        message = "'tool_choice' is only allowed when 'tools' are specified."
        raise invalid(f"Invalid value for 'tool_choice': {message}", "tool_choice")
    if isinstance(choice, str):
        one_of("none", "auto", "required")(choice, "tool_choice")
        return
    known = {_name(tool) for tool in as_sequence(body["tools"]) or ()}
    for place, name in _chosen(structure(choice, "tool_choice")):
        if name not in known:
            raise invalid(f"Tool choice '{name}' not found in 'tools' parameter.", place)


def check_response_format(value: object, place: str) -> None:
    """Check the form an answer is to have.

    Raises:
        RefusedError: With a 400 that names the field to blame.
    """
    wanted = structure(value, place)
    one_of("text", "json_object", "json_schema")(required(wanted, "type", place), f"{place}.type")
    if wanted["type"] != "json_schema":
        return
    at = f"{place}.json_schema"
    check_json_schema(structure(required(wanted, "json_schema", place), at), at, place)


def check_json_schema(described: Mapping[str, object], place: str, param: str) -> None:
    """Check a named schema for an answer.

    Args:
        described: Has the ``name``, the ``schema`` and perhaps ``strict``.
        place: Where it is.
        param: The field to blame where a strict schema says too little.

    Raises:
        RefusedError: With a 400 that names the field to blame.
    """
    name = required(described, "name", place)
    _check_name(name, f"{place}.name")
    schema = structure(required(described, "schema", place), f"{place}.schema")
    if _is_strict(described, place):
        _check_strict(schema, f"response_format '{name}'", param, None)


def check_function(
    function: Mapping[str, object], place: str, schema_field: str = "parameters"
) -> None:
    """Check the description of one function.

    Args:
        function: Has a ``name``, and perhaps a ``description``, a schema and ``strict``.
        place: Where it is.
        schema_field: What the schema of the arguments is called.

    Raises:
        RefusedError: With a 400 that names the field to blame.
    """
    name = required(function, "name", place)
    _check_name(name, f"{place}.name")
    if function.get("description") is not None:
        text(function["description"], f"{place}.description")
    strict = _is_strict(function, place)
    if function.get(schema_field) is None:
        return
    at = f"{place}.{schema_field}"
    parameters = structure(function[schema_field], at)
    _check_object(parameters, f"function '{name}'", at)
    if strict:
        _check_strict(parameters, f"function '{name}'", at, "invalid_function_parameters")


def _is_strict(described: Mapping[str, object], place: str) -> bool:
    strict = described.get("strict")
    return strict is not None and boolean(strict, f"{place}.strict")


def _chosen(choice: Mapping[str, object]) -> Iterator[tuple[str, object]]:
    """Yield the places and the names of the functions that a choice is about."""
    place = "tool_choice"
    one_of("function", "allowed_tools")(required(choice, "type", place), f"{place}.type")
    if choice["type"] == "function":
        yield _chosen_function(choice, place)
        return
    at = f"{place}.allowed_tools"
    allowed = structure(required(choice, "allowed_tools", place), at)
    one_of("auto", "required")(required(allowed, "mode", at), f"{at}.mode")
    for index, tool in enumerate(array(required(allowed, "tools", at), f"{at}.tools")):
        yield _chosen_function(structure(tool, f"{at}.tools[{index}]"), f"{at}.tools[{index}]")


def _chosen_function(tool: Mapping[str, object], place: str) -> tuple[str, object]:
    at = f"{place}.function"
    function = structure(required(tool, "function", place), at)
    return f"{at}.name", text(required(function, "name", at), f"{at}.name")


def _name(tool: object) -> object:
    return (as_mapping((as_mapping(tool) or {}).get("function")) or {}).get("name")


def _check_object(schema: Mapping[str, object], owner: str, param: str) -> None:
    kind = schema.get("type")
    if kind != "object":
        reason = f"schema must be a JSON Schema of 'type: \"object\"', got 'type: \"{kind}\"'"
        message = f"Invalid schema for {owner}: {reason}."
        raise invalid(message, param, "invalid_function_parameters")


def _check_strict(schema: Mapping[str, object], owner: str, param: str, code: str | None) -> None:
    """Check that every object in a schema is closed and requires all it describes."""
    for path, part in _parts(schema):
        properties = as_mapping(part.get("properties"))
        if part.get("type") != "object" and properties is None:
            continue
        demanded = as_sequence(part.get("required")) or ()
        missing = [name for name in properties or {} if name not in demanded]
        if part.get("additionalProperties") is not False:
            reason = "'additionalProperties' is required to be supplied and to be false"
        elif missing:
            reason = (
                "'required' is required to be supplied and to be an array including every key in"
                f" properties. Missing '{missing[0]}'"
            )
        else:
            continue
        raise _bad_schema(owner, path, reason, param, code)


def _bad_schema(
    owner: str, path: tuple[str, ...], reason: str, param: str, code: str | None
) -> RefusedError:
    return invalid(f"Invalid schema for {owner}: In context={path}, {reason}.", param, code)


def _parts(schema: Mapping[str, object]) -> Iterator[tuple[tuple[str, ...], Mapping[str, object]]]:
    """Yield a schema and all within it, each with the way to it, outer ones first.

    No recursion: a client's schema may be nested deeper than Python's stack.
    """
    open_ = deque[tuple[tuple[str, ...], Mapping[str, object]]]([((), schema)])
    while open_:
        path, part = open_.popleft()
        yield path, part
        for word in ("properties", "$defs", "definitions"):
            for name, inner in (as_mapping(part.get(word)) or {}).items():
                open_.append(((*path, word, name), as_mapping(inner) or {}))
        for word in ("anyOf", "prefixItems"):
            for index, inner in enumerate(as_sequence(part.get(word)) or ()):
                open_.append(((*path, word, str(index)), as_mapping(inner) or {}))
        items = as_mapping(part.get("items"))
        if items is not None:
            open_.append(((*path, "items"), items))
