"""A value that satisfies a JSON schema, for answers that have to be valid JSON.

The smallest one, or one drawn from what a text mentions. Covers what model APIs accept for tools
and structured output; says so where it cannot.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from math import ceil, floor

from capability_router.lab.json_values import as_mapping, as_number, as_sequence
from capability_router.lab.mentions import Mentions

__all__ = [
    "drawn_value",
    "minimal_value",
]

# A schema that requires itself has no finite value; real ones nest far less deep than this.
_MAX_DEPTH = 40

_MAX_LENGTH = 10_000

_FORMATS = {
    "date": "2024-01-01",
    "date-time": "2024-01-01T00:00:00Z",
    "time": "00:00:00Z",
    "duration": "PT1S",
    "email": "lab@example.com",
    "hostname": "example.com",
    "ipv4": "127.0.0.1",
    "ipv6": "::1",
    "uri": "https://example.com",
    "uuid": "00000000-0000-4000-8000-000000000000",
}


def minimal_value(schema: Mapping[str, object]) -> object:
    """Make the plainest value a schema allows: required properties only, shortest arrays.

    Args:
        schema: JSON schema; ``$ref`` may point into the schema itself.

    Returns:
        A value of plain JSON types.

    Raises:
        ValueError: If the schema uses something this does not cover, such as ``pattern``.
    """
    return drawn_value(schema, "")


def drawn_value(schema: Mapping[str, object], text: str) -> object:
    """Make a value as :func:`minimal_value` does, of what a text mentions where that fits.

    Numbers take the text's numbers in their order, an ``enum`` the choice the text names first,
    and texts without a ``format`` what :class:`~capability_router.lab.mentions.Mentions` takes for
    texts. What finds no mention is as small as can be.

    Args:
        schema: JSON schema; ``$ref`` may point into the schema itself.
        text: What the values are drawn from; empty for the smallest ones.

    Returns:
        A value of plain JSON types.

    Raises:
        ValueError: If the schema uses something this does not cover, such as ``pattern``.
    """
    return _value(schema, _Source(schema, Mentions(text)), 0)


@dataclass(frozen=True, slots=True)
class _Source:
    """What a value is made from: the schema that references point into, and the mentions."""

    root: Mapping[str, object]
    mentions: Mentions


def _value(schema: Mapping[str, object], source: _Source, depth: int) -> object:
    if depth > _MAX_DEPTH:
        raise ValueError("the schema requires itself without end")
    if "const" in schema:
        return schema["const"]
    choices = as_sequence(schema.get("enum"))
    if choices:
        return source.mentions.named(choices)
    branch = _branch(schema, source.root)
    if branch is not None:
        return _value(branch, source, depth + 1)
    return _plain_value(schema, source, depth)


def _branch(schema: Mapping[str, object], root: Mapping[str, object]) -> dict[str, object] | None:
    """Give the schema with its reference, first alternative or all parts folded into it."""
    rest = {key: value for key, value in schema.items() if key not in _COMBINING}
    reference = schema.get("$ref")
    if isinstance(reference, str):
        return {**_resolved(reference, root), **rest}
    for word in ("anyOf", "oneOf"):
        alternatives = as_sequence(schema.get(word))
        if alternatives:
            return {**rest, **(as_mapping(alternatives[0]) or {})}
    parts = as_sequence(schema.get("allOf"))
    if parts:
        return _merged([rest, *(as_mapping(part) or {} for part in parts)], root)
    return None


def _merged(parts: list[Mapping[str, object]], root: Mapping[str, object]) -> dict[str, object]:
    merged: dict[str, object] = {}
    properties: dict[str, object] = {}
    required: list[object] = []
    for part in parts:
        reference = part.get("$ref")
        full = _resolved(reference, root) if isinstance(reference, str) else part
        merged.update(full)
        properties.update(as_mapping(full.get("properties")) or {})
        required.extend(as_sequence(full.get("required")) or ())
    return {**merged, "properties": properties, "required": required} if properties else merged


def _resolved(reference: str, root: Mapping[str, object]) -> Mapping[str, object]:
    found: Mapping[str, object] | None = root
    for step in reference.removeprefix("#").strip("/").split("/"):
        if step and found is not None:
            found = as_mapping(found.get(step.replace("~1", "/").replace("~0", "~")))
    if found is None or not reference.startswith("#"):
        raise ValueError(f"the schema has no {reference!r}")
    return found


def _plain_value(schema: Mapping[str, object], source: _Source, depth: int) -> object:
    kind = schema.get("type")
    kinds = as_sequence(kind)
    name = kinds[0] if kinds else kind
    if name is None:
        name = "object" if "properties" in schema else "array" if "items" in schema else "string"
    if name == "object":
        return _object(schema, source, depth)
    if name == "array":
        return _array(schema, source, depth)
    make = _SCALARS.get(name) if isinstance(name, str) else None
    if make is None:
        raise ValueError(f"the schema has the unknown type {name!r}")
    return make(schema, source.mentions)


def _object(schema: Mapping[str, object], source: _Source, depth: int) -> dict[str, object]:
    properties = as_mapping(schema.get("properties")) or {}
    value: dict[str, object] = {}
    for name in as_sequence(schema.get("required")) or ():
        described = as_mapping(properties.get(str(name))) or {}
        value[str(name)] = _value(described, source, depth + 1)
    return value


def _array(schema: Mapping[str, object], source: _Source, depth: int) -> list[object]:
    first = as_sequence(schema.get("prefixItems")) or ()
    length = _length(schema, "minItems")
    schemas = [*first[:length], *[schema.get("items")] * (length - len(first))]
    return [_value(as_mapping(item) or {}, source, depth + 1) for item in schemas]


def _string(schema: Mapping[str, object], mentions: Mentions) -> str:
    if "pattern" in schema:
        raise ValueError(f"the lab cannot make text for the pattern {schema['pattern']!r}")
    wanted = schema.get("format")
    if isinstance(wanted, str) and wanted in _FORMATS:
        return _FORMATS[wanted]
    shortest = _length(schema, "minLength")
    longest = as_number(schema.get("maxLength"))
    most = _MAX_LENGTH if longest is None else int(longest)
    drawn = mentions.take_text(lambda text: shortest <= len(text) <= most)
    return "text".ljust(shortest, "x")[:most] if drawn is None else drawn


def _length(schema: Mapping[str, object], word: str) -> int:
    length = as_number(schema.get(word)) or 0
    if length > _MAX_LENGTH:
        raise ValueError(f"{word} is {length}, more than the {_MAX_LENGTH} the lab makes")
    return int(length)


def _number(schema: Mapping[str, object], mentions: Mentions) -> float:
    drawn = mentions.take_number(lambda number: _fits(number, schema))
    if drawn is not None:
        return drawn
    for value in _candidates(schema):
        if _fits(value, schema):
            return value
    raise ValueError("the lab finds no number within the schema's bounds")


def _integer(schema: Mapping[str, object], mentions: Mentions) -> int:
    return int(_number({"multipleOf": 1, **schema}, mentions))


def _candidates(schema: Mapping[str, object]) -> Iterator[float]:
    """Offer zero, then the numbers at and next to each bound, and the middle between them."""
    yield 0
    found = [as_number(schema.get(word)) for word in _BOUNDS]
    bounds = [bound for bound in found if bound is not None]
    step = as_number(schema.get("multipleOf")) or 1
    for bound in bounds:
        yield bound
        for steps in (ceil(bound / step), floor(bound / step) + 1, ceil(bound / step) - 1):
            yield steps * step
    if bounds:
        yield sum(bounds) / len(bounds)


def _fits(value: float, schema: Mapping[str, object]) -> bool:
    step = as_number(schema.get("multipleOf"))
    if step and value % step:
        return False
    found = ((as_number(schema.get(word)), test) for word, test in _BOUNDS.items())
    return all(bound is None or test(value, bound) for bound, test in found)


_COMBINING = frozenset({"$ref", "anyOf", "oneOf", "allOf"})

_BOUNDS: Mapping[str, Callable[[float, float], bool]] = {
    "minimum": operator.ge,
    "exclusiveMinimum": operator.gt,
    "maximum": operator.le,
    "exclusiveMaximum": operator.lt,
}

_SCALARS: Mapping[str, Callable[[Mapping[str, object], Mentions], object]] = {
    "string": _string,
    "number": _number,
    "integer": _integer,
    "boolean": lambda schema, mentions: True,
    "null": lambda schema, mentions: None,
}
