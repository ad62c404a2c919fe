"""What the body of an error response says, in the form of any vendor.

Knows where vendors put their error codes and their words; not what they mean. A body is untrusted,
and may repeat what the caller wrote: only the places where codes and messages belong are read.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

__all__ = ["ErrorBody", "error_body"]

# OpenAI, Groq, Mistral and Anthropic; Google's status and reason; names of quotas; FastAPI's type.
_CODES = frozenset({"code", "type", "status", "reason", "quotaid"})
_WORDS = frozenset({"message", "msg", "detail", "raw"})
_NESTED = frozenset(
    {"error", "errors", "detail", "details", "innererror", "metadata", "raw", "violations"}
)
_DEEPEST = 8
_LONGEST = 20_000

_NAMED = re.compile(r"\b([a-z]\w*Exception) \{")
_BYTES = re.compile(r"""b(['"])(.*)\1""", re.DOTALL)


@dataclass(frozen=True, slots=True)
class ErrorBody:
    """The parts of an error's body that tell what went wrong.

    Attributes:
        codes: Codes, types, statuses and reasons, outermost first, as the vendor wrote them.
        message: The vendor's words; empty if there are none.
        retry_delay: The wait that Google's ``RetryInfo`` asks for, such as "34s"; empty if none.
    """

    codes: tuple[str, ...]
    message: str
    retry_delay: str


def error_body(error: Any, headers: Mapping[str, str]) -> ErrorBody | None:
    """Read the body of the response that an exception tells of.

    Takes the body that client libraries keep parsed (openai, anthropic, google-genai, botocore), or
    else the JSON in the exception's words, where LiteLLM leaves it.

    Args:
        error: What the client library raised.
        headers: Headers of the response, names in lower case; AWS puts its code there.

    Returns:
        What was understood; None if nothing was.
    """
    found = list(_facts(_parsed(error), 0))
    # AWS writes "ValidationException:http://…" there, and before the body of an error in a stream.
    codes = [headers.get("x-amzn-errortype", "").partition(":")[0], *_NAMED.findall(str(error))]
    codes += [value for key, value in found if key in _CODES]
    message = " ".join(dict.fromkeys(value for key, value in found if key in _WORDS))
    delays = [value for key, value in found if key == "retrydelay"]
    if not message and not any(codes):
        return None
    return ErrorBody(tuple(filter(None, codes)), message, delays[0] if delays else "")


def _parsed(error: Any) -> object:
    for name in ("body", "details", "response"):
        kept: object = getattr(error, name, None)
        if isinstance(kept, Mapping) and kept:
            return cast("object", kept)
    return _json_in(str(error))


def _json_in(text: str) -> object:
    """Return the first object in a text; None if there is none."""
    text = text[:_LONGEST]
    literal = _BYTES.search(text)
    if literal is not None:
        text = _unescaped(literal[2])
    start = text.find("{")
    try:
        return json.JSONDecoder().raw_decode(text, start)[0] if start >= 0 else None
    except (ValueError, RecursionError):
        return None


def _unescaped(literal: str) -> str:
    """Undo how Python prints bytes, in which LiteLLM leaves the body of a refused stream."""
    try:
        raw = literal.encode("latin-1", "replace").decode("unicode_escape")
        return raw.encode("latin-1", "replace").decode("utf-8", "replace")
    except UnicodeDecodeError:
        return literal


def _facts(node: object, depth: int) -> Iterator[tuple[str, str]]:
    """Iterate over the names and texts of a body, outermost first."""
    if depth > _DEEPEST:
        return
    if isinstance(node, list):
        for item in cast("list[object]", node):
            yield from _facts(item, depth + 1)
    if not isinstance(node, Mapping):
        return
    fields = {str(name).lower(): v for name, v in cast("Mapping[object, object]", node).items()}
    nested = {name: _nested(fields[name]) for name in sorted(fields.keys() & _NESTED)}
    for name, value in fields.items():
        if isinstance(value, str) and value and nested.get(name) is None:
            yield name, value
    for inner in nested.values():
        yield from _facts(inner, depth + 1)


def _nested(value: object) -> object:
    """A router passes on the body of the vendor behind it as a text."""
    return _json_in(value) if isinstance(value, str) else value
