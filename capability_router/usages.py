"""The tokens of an answer of any client library, read by the names that they agree on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, cast

from capability_router.engine.outcome import Usage

__all__ = ["entries_of", "field_of", "usage_of"]

# OpenAI's chat completions, then Anthropic's messages and OpenAI's responses.
_INPUT = ("prompt_tokens", "input_tokens")
_OUTPUT = ("completion_tokens", "output_tokens")


def usage_of(answer: object) -> Usage:
    """Return what an answer says of its tokens under ``usage``; nothing where it says nothing."""
    usage = field_of(answer, "usage")
    return Usage() if usage is None else Usage(_count(usage, _INPUT), _count(usage, _OUTPUT))


def _count(usage: object, names: tuple[str, ...]) -> int:
    stated = (field_of(usage, name) for name in names)
    return next((n for n in stated if isinstance(n, int) and n >= 0), 0)


def field_of(value: Any, name: str) -> Any:
    """Return a field of an answer, be it an object or a mapping; None where it has none."""
    if isinstance(value, Mapping):
        return cast("Mapping[str, Any]", value).get(name)
    return getattr(value, name, None)


def entries_of(value: Any, name: str) -> list[Any]:
    """Return a list that an answer or a request has as a field; an empty one where it has none."""
    found: Any = field_of(value, name)
    return list(cast("Iterable[Any]", found)) if isinstance(found, list) else []
