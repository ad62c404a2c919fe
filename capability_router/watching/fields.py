"""Fields of a record, which anybody may have written: read by their type, made fit to be shown."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import cast

from capability_router.engine.untrusted import shown

__all__ = ["Record", "mapping", "mappings", "number", "text"]

Record = Mapping[str, object]
"""One line of the log, or what a router of this process has told, as JSON-ready values."""


def text(record: Record, key: str) -> str:
    """Return a text as it can be shown, at most 300 characters; empty if there is none."""
    value = record.get(key)
    return shown(value) if isinstance(value, str) else ""


def number(record: Record, key: str) -> float | None:
    """Return a finite number; None if there is none."""
    value = record.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    # A whole number of any length is JSON, and isfinite raises for one that is no float.
    return float(value) if abs(value) < 1e300 and isfinite(value) else None


def mapping(record: Record, key: str) -> Record:
    """Return an object; an empty one if there is none."""
    value = record.get(key)
    return cast("Record", value) if isinstance(value, Mapping) else {}


def mappings(record: Record, key: str) -> list[Record]:
    """Return the objects of a list; none if there is no list."""
    value = record.get(key)
    items = cast("list[object]", value) if isinstance(value, list | tuple) else []
    return [cast("Record", item) for item in items if isinstance(item, Mapping)]
