"""Checks of single values, refused in the words and with the codes of OpenAI's API.

A check takes a value and its place, such as ``messages[0].content``, which the error names. Knows
no field by name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

from capability_router.lab.json_values import as_mapping, as_number, as_sequence
from capability_router.lab.refusals import RefusedError, invalid

__all__ = [
    "Check",
    "array",
    "boolean",
    "check_fields",
    "check_values",
    "decimal",
    "filled",
    "matching",
    "one_of",
    "required",
    "structure",
    "text",
    "unfit",
    "whole",
]

Check = Callable[[object, str], object]

# The order matters: true is an int to Python.
_KINDS: Sequence[tuple[type, str]] = (
    (bool, "a boolean"),
    (str, "a string"),
    (int, "an integer"),
    (float, "a decimal"),
    (list, "an array"),
    (dict, "an object"),
)


def text(value: object, place: str) -> str:
    """Read a text.

    Raises:
        RefusedError: If the value is none.
    """
    if not isinstance(value, str):
        raise _wrong_type(value, place, "a string")
    return value


def filled(longest: int | None = None) -> Check:
    """Make the check of a text that is not empty, of at most so many characters; None is any."""
    check_length = matching(r"[\s\S]*", longest)

    def check(value: object, place: str) -> None:
        check_length(value, place)
        if not value:
            raise invalid(
                f"Invalid '{place}': empty string. Expected a string with minimum length 1, but got"
                " an empty string instead.",
                place,
                "empty_string",
            )

    return check


def boolean(value: object, place: str) -> bool:
    """Read true or false.

    Raises:
        RefusedError: If the value is neither.
    """
    if not isinstance(value, bool):
        raise _wrong_type(value, place, "a boolean")
    return value


def structure(value: object, place: str) -> Mapping[str, object]:
    """Read an object.

    Raises:
        RefusedError: If the value is none.
    """
    found = as_mapping(value)
    if found is None:
        raise _wrong_type(value, place, "an object")
    return found


def array(value: object, place: str, longest: int | None = None) -> Sequence[object]:
    """Read an array that is not empty.

    Args:
        value: What the request holds.
        place: Where.
        longest: Most entries; None for any number.

    Raises:
        RefusedError: If the value is no array, empty or too long.
    """
    found = as_sequence(value)
    if found is None:
        raise _wrong_type(value, place, "an array")
    if not found:
        expected = "Expected an array with minimum length 1, but got an empty array instead."
        raise invalid(f"Invalid '{place}': empty array. {expected}", place, "empty_array")
    if longest is not None and len(found) > longest:
        raise invalid(
            f"Invalid '{place}': array too long. Expected an array with maximum length {longest},"
            f" but got an array with length {len(found)} instead.",
            place,
            "array_above_max_length",
        )
    return found


def required(owner: Mapping[str, object], field: str, place: str) -> object:
    """Read a field that must be there.

    Args:
        owner: The object that has the field.
        field: Name of the field.
        place: Place of the owner; empty for the body.

    Raises:
        RefusedError: If the field is missing.
    """
    if field not in owner:
        at = f"{place}.{field}" if place else field
        raise invalid(f"Missing required parameter: '{at}'.", at, "missing_required_parameter")
    return owner[field]


def decimal(low: float, high: float) -> Check:
    """Make the check of a number within bounds that belong to it."""

    def check(value: object, place: str) -> None:
        number = as_number(value)
        if number is None:
            raise _wrong_type(value, place, "a decimal")
        _check_bounds(number, place, "decimal", low, high)

    return check


def whole(low: int, high: int | None = None) -> Check:
    """Make the check of a whole number within bounds that belong to it; None is no bound."""

    def check(value: object, place: str) -> None:
        if isinstance(value, bool) or not isinstance(value, int):
            raise _wrong_type(value, place, "an integer")
        _check_bounds(value, place, "integer", low, high)

    return check


def one_of(*known: str) -> Check:
    """Make the check of a text that is one of a few."""

    def check(value: object, place: str) -> None:
        if text(value, place) not in known:
            *first, last = [f"'{each}'" for each in known]
            supported = f"{', '.join(first)} and {last}" if first else last
            message = f"Invalid value: '{value}'. Supported values are: {supported}."
            raise invalid(message, place, "invalid_value")

    return check


def matching(pattern: str, longest: int | None = None) -> Check:
    """Make the check of a text by a pattern for the whole of it, and by its length.

    Args:
        pattern: A regular expression.
        longest: Most characters; None is any number.
    """
    compiled = re.compile(pattern)

    def check(value: object, place: str) -> None:
        found = text(value, place)
        if longest is not None and len(found) > longest:
            raise invalid(
                f"Invalid '{place}': string too long. Expected a string with maximum length"
                f" {longest}, but got a string with length {len(found)} instead.",
                place,
                "string_above_max_length",
            )
        if not compiled.fullmatch(found):
            raise invalid(
                f"Invalid '{place}': string does not match pattern. Expected a string that matches"
                f" the pattern '{pattern}'.",
                place,
                "invalid_value",
            )

    return check


def check_fields(
    body: Mapping[str, object],
    known: Mapping[str, Check],
    unserved: Mapping[str, str],
    needed: Sequence[str],
) -> None:
    """Check that a request has only fields that are served, each with a right value.

    Args:
        body: The request; null stands for a field that is left out.
        known: The fields there are, with their checks.
        unserved: Fields that the real service has and the lab has not, with the reason.
        needed: Fields that must be there and not null.

    Raises:
        RefusedError: With a 400 that names the field to blame: strange ones first, then needed
            ones.
    """
    for field, value in body.items():
        if field in unserved:
            if value is not None:
                raise invalid(f"The lab does not serve '{field}': {unserved[field]}.", field)
        elif field not in known:
            raise invalid(f"Unknown parameter: '{field}'.", field, "unknown_parameter")
    for field in needed:
        known[field](required(body, field, ""), field)
    check_values(body, known)


def check_values(body: Mapping[str, object], checks: Mapping[str, Check]) -> None:
    """Check the values of some fields of a request; null stands for a field that is left out.

    Raises:
        RefusedError: With a 400 that names the field to blame.
    """
    for field, check in checks.items():
        value = body.get(field)
        if value is not None:
            check(value, field)


def unfit(place: str, expected: str) -> RefusedError:
    """Make the error for a text of the wrong form."""
    return invalid(f"Invalid '{place}'. Expected {expected}.", place, "invalid_value")


def _check_bounds(
    number: float, place: str, kind: str, low: float | None, high: float | None
) -> None:
    if low is not None and not number >= low:
        side, expected = "below_min", f"below minimum value. Expected a value >= {low}"
    elif high is not None and not number <= high:
        side, expected = "above_max", f"above maximum value. Expected a value <= {high}"
    else:
        return
    message = f"Invalid '{place}': {kind} {expected}, but got {number} instead."
    raise invalid(message, place, f"{kind}_{side}_value")


def _wrong_type(value: object, place: str, expected: str) -> RefusedError:
    found = next((name for kind, name in _KINDS if isinstance(value, kind)), "null")
    message = f"Invalid type for '{place}': expected {expected}, but got {found} instead."
    return invalid(message, place, "invalid_type")
