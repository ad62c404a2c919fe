"""Takes the usage out of an answer, wherever its dialect has it."""

from __future__ import annotations

from collections.abc import Mapping

from capability_router.lab.json_values import as_mapping

__all__ = [
    "without_usage",
]

# The events of a stream have the whole answer below one of these.
_ENVELOPES = ("response", "message")


def without_usage(payload: Mapping[str, object]) -> dict[str, object]:
    """Copy a body or an event without what it says of usage."""
    kept = {field: value for field, value in payload.items() if field != "usage"}
    for field in _ENVELOPES:
        inner = as_mapping(kept.get(field))
        if inner is not None:
            kept[field] = without_usage(inner)
    return kept
