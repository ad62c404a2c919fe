"""Which tools an answer calls.

The rule is simple on purpose. A tool the request names is called. Any other is called where the
request demands a call, or where it leaves the choice and the user's last message, not answered
yet, speaks of the tool: by its name or, if it names none, by a distinguishing word, one of at least
four letters that stands in the tool's name or description and in that of no other tool. Several
tools are called at once where the message names several. Knows no HTTP and makes no arguments.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from capability_router.lab.json_values import as_mapping, as_sequence

__all__ = [
    "Tool",
    "ToolChoice",
    "called_tools",
    "tool_choice",
]

# Words that say nothing of what a tool is for.
_COMMON = frozenset(
    {"about", "also", "answer", "each", "from", "function", "give", "given", "have", "into", "make"}
    | {"only", "please", "return", "returned", "returns", "some", "take", "tell", "that", "them"}
    | {"then", "there", "they", "this", "tool", "tools", "used", "user", "uses", "using", "value"}
    | {"values", "want", "what", "when", "where", "which", "will", "with", "your"}
)


@dataclass(frozen=True, slots=True)
class Tool:
    """A function a model may call.

    Attributes:
        name: Its name.
        description: What it says of itself; may be empty.
        parameters: JSON schema of its arguments.
    """

    name: str
    description: str
    parameters: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class ToolChoice:
    """What the request says of calling tools.

    Attributes:
        mode: Whether tools may, must or must not be called.
        tools: The tools in question, in the order of the request.
        by_name: True where the request named the one function to call.
        parallel: Whether one answer may call several.
    """

    mode: Literal["none", "auto", "required"]
    tools: tuple[Tool, ...]
    by_name: bool = False
    parallel: bool = True


def tool_choice(body: Mapping[str, object]) -> ToolChoice:
    """Read what a checked request says of tools."""
    tools = tuple(map(_tool, as_sequence(body.get("tools")) or ()))
    parallel = body.get("parallel_tool_calls") is not False
    every = ToolChoice("auto" if tools else "none", tools, parallel=parallel)
    choice = body.get("tool_choice")
    if choice == "none":
        return replace(every, mode="none")
    if choice == "required":
        return replace(every, mode="required")
    wanted = as_mapping(choice)
    if wanted is None:
        return every
    if wanted.get("type") == "function":
        return replace(every, mode="required", tools=_named([wanted], tools), by_name=True)
    allowed = as_mapping(wanted.get("allowed_tools")) or {}
    chosen = _named(as_sequence(allowed.get("tools")) or (), tools)
    return replace(
        every, mode="required" if allowed.get("mode") == "required" else "auto", tools=chosen
    )


def called_tools(choice: ToolChoice, text: str, is_answered: bool) -> tuple[Tool, ...]:
    """Decide which tools an answer calls, none for an answer in text.

    Args:
        choice: What the request says.
        text: Last message of the user.
        is_answered: Whether something follows that message, such as the result of a tool.
    """
    if choice.mode == "none" or (choice.mode == "auto" and is_answered):
        return ()
    meant = _meant(choice.tools, text)
    if not meant and choice.mode == "required":
        return choice.tools[:1]
    return meant if choice.parallel else meant[:1]


def _tool(described: object) -> Tool:
    function = as_mapping((as_mapping(described) or {}).get("function")) or {}
    return Tool(
        name=str(function.get("name")),
        description=str(function.get("description") or ""),
        parameters=as_mapping(function.get("parameters")) or {"type": "object"},
    )


def _named(chosen: Iterable[object], tools: Sequence[Tool]) -> tuple[Tool, ...]:
    names = {_tool(each).name for each in chosen}
    return tuple(tool for tool in tools if tool.name in names)


def _meant(tools: Sequence[Tool], text: str) -> tuple[Tool, ...]:
    named = tuple(tool for tool in tools if _stands_in(tool.name, text))
    if named:
        return named
    vocabularies = [_words(f"{tool.name} {tool.description}") for tool in tools]
    owners = Counter(word for words in vocabularies for word in words)
    asked = {word for word in _words(text) if owners[word] == 1}
    shared = [len(words & asked) for words in vocabularies]
    most = max(shared, default=0)
    return (tools[shared.index(most)],) if most else ()


def _stands_in(name: str, text: str) -> bool:
    return re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", text) is not None


def _words(text: str) -> set[str]:
    parted = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", text)
    return {word.lower() for word in re.findall(r"[^\W\d_]{4,}", parted)} - _COMMON
