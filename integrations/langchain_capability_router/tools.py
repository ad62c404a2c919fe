"""Tools and answer formats: neutral in a binding, in the model's own form when it is asked.

Which model will serve is open while a chain is built, so a binding holds OpenAI's form, and each
chat model is asked for its own when its turn comes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from langchain_core.language_models import BaseChatModel
from langchain_core.runnables import RunnableBinding
from langchain_core.tools import BaseTool
from langchain_core.utils.function_calling import convert_to_openai_tool

from langchain_capability_router.errors import UnsupportedByModelError

__all__ = ["Tool", "has_provider_tools", "native_options", "neutral_tool"]

Tool = dict[str, Any] | type | Callable[..., Any] | BaseTool

_STEERING = ("tool_choice", "parallel_tool_calls")

# What a dictionary must have one of to describe a function, in any of the forms LangChain reads.
_DESCRIBES_FUNCTION = frozenset({"function", "parameters", "input_schema", "toolSpec", "title"})

# Told to tracers alone; no model takes them.
_FOR_TRACERS = frozenset({"ls_structured_output_format", "structured_output_format"})

# Stands for any object; a model that would be held to it gives empty ones.
_ANY_OBJECT: dict[str, Any] = {"title": "any_object", "type": "object", "properties": {}}


def neutral_tool(tool: Tool, strict: bool | None = None) -> dict[str, Any]:
    """Return a function in OpenAI's format; a tool that a provider runs itself stays as it is.

    Args:
        tool: A function, a pydantic class, a tool, or a dictionary.
        strict: True if arguments must match the schema exactly; None leaves it to the model.
    """
    given: Any = tool
    if isinstance(tool, dict) and _is_the_providers_own(given):
        return cast("dict[str, Any]", given)
    return convert_to_openai_tool(given, strict=strict)


def has_provider_tools(options: Mapping[str, Any]) -> bool:
    """Return whether a call offers tools that a provider runs itself."""
    tools: Sequence[dict[str, Any]] = options.get("tools") or ()
    return _functions(tools) < len(tools)


def native_options(inner: BaseChatModel, options: Mapping[str, Any]) -> dict[str, Any]:
    """Put tools and answer format of a call into a chat model's own form.

    Args:
        inner: The chat model that is asked next.
        options: Parameters of the call by OpenAI's names.

    Raises:
        UnsupportedByModelError: If the model takes no such tools, or cannot hold the format.
    """
    native = dict(options)
    tools, wanted = native.pop("tools", None), native.pop("response_format", None)
    if tools:
        steering = {name: native.pop(name) for name in _STEERING if name in native}
        native = {**_tools_of(inner, tools, steering), **native}
    if wanted is not None:
        native |= _format_of(inner, wanted)
    return native


def _is_the_providers_own(tool: Mapping[str, Any]) -> bool:
    if _DESCRIBES_FUNCTION & tool.keys():
        return False
    return "name" not in tool or tool.get("type", "function") != "function"


def _tools_of(
    inner: BaseChatModel, tools: Sequence[dict[str, Any]], steering: Mapping[str, Any]
) -> Mapping[str, Any]:
    name = type(inner).__name__
    if "tool_choice" in steering:
        steering = {**steering, "tool_choice": _plain_choice(steering["tool_choice"])}
    try:
        bound = inner.bind_tools(tools, **steering)
    except NotImplementedError as error:
        raise UnsupportedByModelError(f"{name} takes no tools") from error
    except (KeyError, TypeError, ValueError) as error:
        # Functions were well when they were bound: this is a tool that only others run.
        raise UnsupportedByModelError(f"{name} does not take these tools: {error}") from error
    kwargs = _kwargs_of(bound, f"{name} hides the format of its tools")
    if _functions(kwargs.get("tools", ())) > _functions(tools):
        # Whose own tool it is would run it; this model would call it and wait for an answer.
        raise UnsupportedByModelError(f"{name} takes another provider's tool for a function")
    if kwargs.get("tool_choice") == {"type": "tool", "name": "none"}:
        # ChatAnthropic takes the word for the name of a tool; Anthropic has this for it.
        return {**kwargs, "tool_choice": {"type": "none"}}
    return kwargs


def _plain_choice(choice: Any) -> object:
    """Return a choice in the one form that all chat models take: a word, or a tool's name."""
    if choice is True or choice == "required":
        return "any"
    if isinstance(choice, dict) and "function" in choice:
        return cast("dict[str, Any]", choice)["function"]["name"]
    return cast("object", choice)


def _functions(tools: Sequence[Any]) -> int:
    return sum(isinstance(tool, dict) and "function" in tool for tool in tools)


def _format_of(inner: BaseChatModel, wanted: Any) -> Mapping[str, Any]:
    name = type(inner).__name__
    schema, settings = _asked_format(wanted)
    if schema is None:
        return settings
    try:
        first = getattr(inner.with_structured_output(schema, **settings), "first", None)
    except (KeyError, NotImplementedError, TypeError, ValueError) as error:
        raise UnsupportedByModelError(f"{name} gives no {settings['method']}: {error}") from error
    kwargs = _kwargs_of(first, f"{name} hides the format of its answers")
    if "tools" in kwargs or (schema is _ANY_OBJECT and str(_ANY_OBJECT["title"]) in str(kwargs)):
        raise UnsupportedByModelError(f"{name} gives no {settings['method']}")
    return {key: value for key, value in kwargs.items() if key not in _FOR_TRACERS}


def _asked_format(wanted: Any) -> tuple[Any, dict[str, Any]]:
    """Return schema and settings for ``with_structured_output``, or None and plain parameters."""
    if isinstance(wanted, type):
        return wanted, {"method": "json_schema"}
    form = cast("Mapping[str, Any]", wanted)
    if form.get("type") == "json_object":
        return form.get("schema", _ANY_OBJECT), {"method": "json_mode"}
    if form.get("type") != "json_schema":
        return None, ({} if form.get("type") == "text" else {"response_format": wanted})
    told = form["json_schema"]
    schema = {"title": told["name"], **told["schema"]}
    if told.get("description"):
        schema["description"] = told["description"]
    strict = {} if told.get("strict") is None else {"strict": told["strict"]}
    return schema, {"method": "json_schema", **strict}


def _kwargs_of(bound: object, otherwise: str) -> Mapping[str, Any]:
    if not isinstance(bound, RunnableBinding):
        raise UnsupportedByModelError(otherwise)
    kwargs: Mapping[str, Any] = bound.kwargs
    return kwargs
