"""Checks of values that come from people or from JSON, with errors that say what is allowed."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable

__all__ = [
    "checked_amount",
    "checked_count",
    "checked_flag",
    "checked_header",
    "unknown",
]


def checked_amount(name: str, value: object) -> float:
    """Pass a finite number of at least 0.

    Raises:
        ValueError: If it is something else; the message names it.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
        raise ValueError(f"{name} must be a finite number of at least 0, found {value!r}")
    return value


def checked_count(name: str, value: object, low: int = 0, high: float = math.inf) -> int:
    """Pass a whole number within bounds, both included.

    Raises:
        ValueError: If it is something else; the message names it.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        bounds = f"of at least {low}" if high == math.inf else f"from {low} to {high}"
        raise ValueError(f"{name} must be a whole number {bounds}, found {value!r}")
    return value


def checked_flag(name: str, value: object) -> bool:
    """Pass true or false.

    Raises:
        ValueError: If it is something else; the message names it.
    """
    if value is not True and value is not False:
        raise ValueError(f"{name} must be true or false, found {value!r}")
    return value is True


def checked_header(name: str, value: object) -> str:
    """Pass text that fits into one HTTP header line.

    Raises:
        ValueError: If it is no text, or has a line break or a character outside ASCII.
    """
    if not (isinstance(value, str) and value.isascii() and value.isprintable()):
        raise ValueError(f"{name} must be one line of printable ASCII, found {value!r}")
    return value


def unknown(what: str, found: object, allowed: Iterable[str]) -> str:
    """Word the error for a value outside a closed set, with the nearest spelling.

    Args:
        what: What kind of value it is, such as ``fault kind``.
        found: The value.
        allowed: Every value there is.

    Returns:
        One line for an error message.
    """
    names = list(allowed)
    near = difflib.get_close_matches(str(found), names, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return f"unknown {what} {found!r}, allowed: {', '.join(names) or 'none'}{hint}"
