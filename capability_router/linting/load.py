"""What the pools are expected to serve, and how much of it limits allow."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from math import inf

from capability_router.calendars import CalendarReset
from capability_router.engine.limits import Limit, Unit
from capability_router.engine.model import Price

__all__ = ["ExpectedLoad"]

_DAY_S = 86_400.0
_UNITS_S = {"s": 1.0, "min": 60.0, "h": 3600.0, "day": _DAY_S}
_LOAD = re.compile(r"([0-9]+(?:\.[0-9]+)?)/([a-z]+)")

_LONGEST_S = {
    "minute": 60.0,
    "hour": 3600.0,
    "day": _DAY_S,
    "week": 7 * _DAY_S,
    "month": 31 * _DAY_S,
}
"""What is allowed for a month has to last for the longest one."""


@dataclass(frozen=True, slots=True)
class ExpectedLoad:
    """What all pools together are expected to serve, in whatever mixture.

    Attributes:
        per_s: Requests per second, > 0.
        input_tokens: Tokens of the input of a request on average, >= 0; 0 leaves limits of input
            tokens out of account.
        output_tokens: Tokens of its answer on average, >= 0; as for the input.

    Raises:
        ValueError: If a number is out of range.
    """

    per_s: float
    input_tokens: int = 0
    output_tokens: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.per_s < inf:
            raise ValueError(f"a load of {self.per_s:g} requests per second must be above 0")
        if min(self.input_tokens, self.output_tokens) < 0:
            raise ValueError(
                f"input_tokens {self.input_tokens} and output_tokens {self.output_tokens} must not"
                " be below 0"
            )

    @classmethod
    def parse(cls, text: str, input_tokens: int = 0, output_tokens: int = 0) -> ExpectedLoad:
        """Return the load that a text such as ``5/s``, ``300/min`` or ``10000/day`` says.

        Raises:
            ValueError: If it is malformed or out of range.
        """
        found = _LOAD.fullmatch(text)
        if found is None or found[2] not in _UNITS_S:
            units = ", ".join(_UNITS_S)
            raise ValueError(f"the load {text!r} is malformed; write 5/s, with one of {units}")
        return cls(float(found[1]) / _UNITS_S[found[2]], input_tokens, output_tokens)

    def allowed_per_s(self, limits: Iterable[Limit], price: Price | None) -> float:
        """Return how many such requests per second limits allow in the long run.

        A limit for ever allows no rate, and is left out of account.

        Args:
            limits: The limits.
            price: What a token costs; None leaves limits in money out of account.

        Returns:
            The least of what each allows; infinity where nothing is limited.
        """
        return min((self._allowed(limit, price) for limit in limits), default=inf)

    def _allowed(self, limit: Limit, price: Price | None) -> float:
        window_s, needed = _window_s(limit), self._needed(limit.unit, price)
        return inf if window_s is None or not needed else limit.amount / window_s / needed

    def _needed(self, unit: Unit, price: Price | None) -> float:
        cost = 0.0 if price is None else price.cost_usd(self.input_tokens, self.output_tokens)
        return {
            Unit.REQUESTS: 1,
            Unit.INPUT_TOKENS: self.input_tokens,
            Unit.OUTPUT_TOKENS: self.output_tokens,
            Unit.TOKENS: self.input_tokens + self.output_tokens,
            Unit.USD: cost,
        }[unit]


def _window_s(limit: Limit) -> float | None:
    if isinstance(limit.resets, CalendarReset):
        return _LONGEST_S[limit.resets.every]
    return limit.window_s
