"""Durations as people write them: ``250ms``, ``60s``, ``5m``, ``1h30m``, ``2d``."""

from __future__ import annotations

import re

__all__ = ["parse_duration"]

_NUMBER = r"([0-9]{1,9}(?:\.[0-9]{1,9})?)"
_UNITS_MS = {"d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1_000, "ms": 1}
_DURATION = re.compile("".join(f"(?:{_NUMBER}{unit})?" for unit in _UNITS_MS))


def parse_duration(text: str) -> float:
    """Read a duration.

    Args:
        text: Numbers with the units ``d``, ``h``, ``m``, ``s`` and ``ms``, each at most once, the
            longest first, without blanks; a number may have a fraction.

    Returns:
        Seconds, >= 0.

    Raises:
        ValueError: If the text is anything else, a number without a unit included.
    """
    found = _DURATION.fullmatch(text)
    if not text or found is None:
        raise ValueError(f"duration {text!r} is malformed; write for instance 250ms, 60s or 1h30m")
    parts = zip(found.groups(default="0"), _UNITS_MS.values(), strict=True)
    # Divided once at the end: 0.001 is no exact float, and 3 * 0.001 is not 0.003.
    return sum(float(number) * unit_ms for number, unit_ms in parts) / 1000
