"""Limits as people write them: ``30/minute``, ``0.5/day``, ``100/90s``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import isfinite
from typing import Literal, TypeGuard, get_args

from capability_router.calendars import Every
from capability_router.config.durations import parse_duration
from capability_router.config.refusal import RefusedError
from capability_router.engine.errors import nearest
from capability_router.engine.limits import NANO

__all__ = ["Amount", "Rate", "calendar_rate", "likely_rate", "rolling_rate"]

_NUMBER = re.compile(r"[0-9]{1,15}(?:\.[0-9]{1,9})?")
_ROLLING_S = {"second": 1.0, "minute": 60.0, "hour": 3600.0, "day": 86_400.0, "week": 604_800.0}
_CALENDAR = get_args(Every)
_TOTAL = "; a number alone is a total that is never renewed"

Amount = Literal["whole", "usd"]


@dataclass(frozen=True, slots=True)
class Rate:
    """So much in a window; with neither kind of window, for ever.

    Attributes:
        amount: How much, > 0.
        window_s: Length of a rolling window in seconds, > 0.
        every: The window of the calendar.
    """

    amount: float
    window_s: float | None = None
    every: Every | None = None


def rolling_rate(value: object, *, kind: Amount) -> Rate:
    """Read a limit with a rolling window.

    Args:
        value: ``AMOUNT/WINDOW``, where the window is a word or a duration.
        kind: ``whole`` for an amount without a fraction, ``usd`` for one of money.

    Raises:
        RefusedError: If it is anything else.
    """
    otherwise = RefusedError("rate", (*_ROLLING_S, "or a duration such as 90s"))
    amount, window = _split(value, kind, otherwise)
    window_s = _rolling_s(window)
    if window == "month":
        raise RefusedError("rate_month")
    if not window_s:
        raise otherwise
    return Rate(amount, window_s=window_s)


def calendar_rate(value: object, *, kind: Amount) -> Rate:
    """Read a limit with a window of the calendar.

    Args:
        value: ``AMOUNT/WINDOW``, where the window is a word; of money also a number alone, for
            an amount that is never renewed.
        kind: ``whole`` for an amount without a fraction, ``usd`` for one of money.

    Raises:
        RefusedError: If it is anything else.
    """
    if kind == "usd" and isinstance(value, (int, float)) and not isinstance(value, bool):
        return _total(value)
    otherwise = RefusedError("rate", _CALENDAR, _TOTAL if kind == "usd" else "")
    amount, window = _split(value, kind, otherwise)
    if not _is_calendar(window):
        raise RefusedError("rate_rolling") if _rolling_s(window) else otherwise
    return Rate(amount, every=window)


def likely_rate(value: object, windows: list[str]) -> str | None:
    """Return the closest spelling of a limit whose window is misspelt, if one is close."""
    amount, slash, window = str(value).partition("/")
    near = nearest(window.strip(), windows, most=1)
    known = slash and near and _NUMBER.fullmatch(amount.strip())
    return f"{amount.strip()}/{near[0]}" if known else None


def _total(amount: float) -> Rate:
    if not isfinite(amount):
        raise RefusedError("finite_number")
    if amount < 1 / NANO:
        raise RefusedError("rate_small")
    return Rate(float(amount))


def _split(value: object, kind: Amount, otherwise: RefusedError) -> tuple[float, str]:
    amount, slash, window = value.partition("/") if isinstance(value, str) else ("", "", "")
    if not slash or not _NUMBER.fullmatch(amount):
        raise otherwise
    if kind == "whole" and "." in amount:
        raise RefusedError("rate_whole")
    if not float(amount):
        raise RefusedError("rate_small")
    return float(amount), window


def _rolling_s(window: str) -> float:
    """Length of a rolling window; 0 if it is none."""
    try:
        return _ROLLING_S[window] if window in _ROLLING_S else parse_duration(window)
    except ValueError:
        return 0.0


def _is_calendar(window: str) -> TypeGuard[Every]:
    return window in _CALENDAR
