"""What a provider's response headers say; needs the wall clock, so it is no part of the engine."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping

__all__ = ["retry_after_s"]


def retry_after_s(headers: Mapping[str, str], wall_s: float | None = None) -> float | None:
    """Read how long a provider asks to wait.

    Takes ``retry-after-ms`` (milliseconds), then ``retry-after`` as seconds, with fractions, or
    as an HTTP date (RFC 9110, section 10.2.3).

    Args:
        headers: Response headers, names in lower case or case-insensitive.
        wall_s: Seconds since 1970 UTC, to measure a date against; None reads the clock.

    Returns:
        Seconds from now, >= 0; None if the headers do not say or cannot be understood.
    """
    millis = _number(headers.get("retry-after-ms"))
    if millis is not None:
        return max(0.0, millis / 1000)
    stated = headers.get("retry-after")
    seconds = _number(stated)
    if seconds is not None or stated is None:
        return None if seconds is None else max(0.0, seconds)
    return _until(stated, time.time() if wall_s is None else wall_s)


def _until(date: str, wall_s: float) -> float | None:
    # Here and not above: dates are rare, and the modules take 10 ms to import.
    from datetime import UTC  # noqa: PLC0415 - dates are rare
    from email.utils import parsedate_to_datetime  # noqa: PLC0415 - dates are rare

    try:
        stated = parsedate_to_datetime(date)
    except ValueError:
        return None
    # Left naive, a date without a zone would be taken for local time; RFC 9110 means UTC.
    aware = stated if stated.tzinfo else stated.replace(tzinfo=UTC)
    # A moment that has passed, perhaps by our own clock only, is no invitation to try at once.
    return aware.timestamp() - wall_s if aware.timestamp() > wall_s else None


def _number(text: str | None) -> float | None:
    try:
        value = float(text) if text is not None else math.nan
    except ValueError:
        return None
    return value if math.isfinite(value) else None
