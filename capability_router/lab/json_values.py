"""Typed views of parsed JSON, so that no ``Any`` travels further than the parser."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import cast

__all__ = [
    "as_mapping",
    "as_number",
    "as_sequence",
    "parsed",
]


def parsed(text: bytes | str) -> object:
    """Parse JSON into plain values.

    Raises:
        ValueError: If the text is no JSON, the bytes are no UTF-8, or it is nested too deep.
    """
    try:
        return cast("object", json.loads(text))
    except RecursionError as error:
        raise ValueError("the JSON is nested too deep") from error


def as_mapping(value: object) -> Mapping[str, object] | None:
    """Read a JSON object, or None where the value is none."""
    return cast("Mapping[str, object]", value) if isinstance(value, Mapping) else None


def as_sequence(value: object) -> Sequence[object] | None:
    """Read a JSON array, or None where the value is none."""
    return cast("Sequence[object]", value) if isinstance(value, list | tuple) else None


def as_number(value: object) -> float | None:
    """Read a JSON number, or None where the value is none; true and false are no numbers."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value
