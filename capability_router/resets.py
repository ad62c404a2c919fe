"""When a limit ends, as providers state it: in reset headers, and in the words of an error.

Needs the wall clock, so it is no part of the engine. All of it is untrusted text: what cannot be
understood, has passed already or lies more than 366 days ahead says nothing. A moment that has
passed is no invitation to try at once: the provider has just refused, so its clock or ours is
wrong.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping

__all__ = ["duration_s", "reset_after_s", "stated_reset_s"]

_LONGEST_S = 366 * 86_400
# Below the first a number is a wait, below the second a date in seconds: 2001 and 5138.
_FIRST_DATE_S, _FIRST_DATE_MS = 1e9, 1e11

_NUMBER = re.compile(r"-?[0-9]{1,15}(?:\.[0-9]{1,15})?")
_PART = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)(ms|[dhms])")
_DURATION = re.compile(rf"(?:{_PART.pattern})+")
_UNIT_S = {"d": 86_400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}

_SAID_DATE = re.compile(
    r"(?:reset|regain|available|until).{0,40}?([0-9]{4}-[0-9]{2}-[0-9]{2})"
    r"(?:(?:t| |, | at )([0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,9})?)?)"
    r"(?: ?(?:utc|gmt|z)|([+-][0-9]{2}:?[0-9]{2}))?)?",
    re.IGNORECASE,
)
_SAID_NUMBER = re.compile(
    r"reset(?:s?_at)?[\"'\\]{0,2} ?: ?[\"'\\]{0,2}([0-9]{10,13})\b", re.IGNORECASE
)


def reset_after_s(headers: Mapping[str, str], wall_s: float | None = None) -> float | None:
    """Read how long it takes until the limits that a response says are used up are renewed.

    A limit is used up if its header with ``remaining`` in the name is 0 or below; when it is
    renewed stands in the header with ``reset`` instead:

    - OpenAI and Groq ("Rate limits"): ``x-ratelimit-reset-requests`` and ``-tokens``, as a
      duration: ``6m0s``, ``2m59.56s``, ``120ms``. Azure and Cerebras write plain seconds.
    - Anthropic ("Rate limits"): ``anthropic-ratelimit-requests-reset``, ``-tokens-``,
      ``-input-tokens-`` and ``-output-tokens-`` likewise, as a date of RFC 3339.
    - OpenRouter ("Limits"): ``X-RateLimit-Reset`` in milliseconds since 1970; others write seconds
      since 1970 or from now there.

    Args:
        headers: Response headers, names in lower case or case-insensitive.
        wall_s: Seconds since 1970 UTC, to measure a date against; None reads the clock.

    Returns:
        Seconds from now, 0 to 366 days, until the last of them; None if none is used up, or no
        header says when it is renewed.
    """
    used_up = [name.lower() for name, left in headers.items() if _is_used_up(name, left)]
    stated = (headers.get(name.replace("remaining", "reset")) for name in used_up)
    now_s = time.time() if wall_s is None else wall_s
    waits = (_wait_s(reset.strip(), now_s) for reset in stated if reset is not None)
    return max((wait for wait in waits if wait is not None), default=None)


def stated_reset_s(text: str, wall_s: float | None = None) -> float | None:
    """Read how long it takes until the moment at which an error says that its limit ends.

    Takes a date of ISO 8601 near a word like "reset" or "regain": "You will regain access on
    2026-12-01 at 00:00 UTC" (Anthropic), "resets at 2026-12-01T00:00:00Z". Without a zone it is
    UTC, without a time its first moment. Otherwise the ``X-RateLimit-Reset`` that OpenRouter
    repeats in the body, or a ``resets_at``, both in seconds or milliseconds since 1970.

    Args:
        text: The provider's words, or all of the body.
        wall_s: Seconds since 1970 UTC, to measure a date against; None reads the clock.

    Returns:
        Seconds from now, 0 to 366 days; None if the text does not say or cannot be understood.
    """
    now_s = time.time() if wall_s is None else wall_s
    said = _SAID_DATE.search(text)
    if said is not None:
        day, clock, offset = said.groups()
        return _wait_s(f"{day}T{clock or '00:00'}{offset or 'Z'}", now_s)
    number = _SAID_NUMBER.search(text)
    return None if number is None else _wait_s(number[1], now_s)


def duration_s(stated: str) -> float | None:
    """Read a duration such as ``34s``, ``6m0s`` or ``120ms``.

    Returns:
        Seconds, 0 to 366 days; None if it is no duration or a longer one.
    """
    return _wait_s(stated, 0.0) if _DURATION.fullmatch(stated) else None


def _is_used_up(name: str, left: str) -> bool:
    told = name.lower()
    number = _NUMBER.fullmatch(left.strip())
    return "ratelimit" in told and "remaining" in told and number is not None and float(left) <= 0


def _wait_s(stated: str, now_s: float) -> float | None:
    """Read a duration, a number or a date; None if it is none, has passed or is absurd."""
    if _DURATION.fullmatch(stated):
        wait_s = sum(float(number) * _UNIT_S[unit] for number, unit in _PART.findall(stated))
    elif _NUMBER.fullmatch(stated):
        wait_s = _number_s(float(stated), now_s)
    else:
        wait_s = _date_s(stated) - now_s
    return wait_s if 0 <= wait_s <= _LONGEST_S else None


def _number_s(number: float, now_s: float) -> float:
    if number < _FIRST_DATE_S:
        return number
    return (number if number < _FIRST_DATE_MS else number / 1000) - now_s


def _date_s(stated: str) -> float:
    """Return seconds since 1970 UTC; NaN, which no comparison holds for, if it is no date."""
    # Here and not above: dates are rare, and the module takes its time to import.
    from datetime import UTC, datetime  # noqa: PLC0415 - dates are rare

    try:
        found = datetime.fromisoformat(stated)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return float("nan")
