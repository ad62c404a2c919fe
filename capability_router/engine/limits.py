"""How much may be used in a window of time, and how long that will last."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from math import inf

from capability_router.engine.reason import Reason
from capability_router.engine.timing import Schedule, spell

__all__ = ["NANO", "Forecast", "Limit", "Scope", "Unit"]

NANO = 1_000_000_000
"""Parts of a US dollar in which money is counted: whole numbers, so that what is taken and given
back a million times adds up to nothing."""


class Unit(StrEnum):
    """What is counted."""

    REQUESTS = "requests"
    INPUT_TOKENS = "input_tokens"
    OUTPUT_TOKENS = "output_tokens"
    TOKENS = "tokens"
    """Input and output together."""
    USD = "usd"


_REASONS = {Unit.REQUESTS: Reason.REQUEST_LIMIT, Unit.USD: Reason.BUDGET_EXCEEDED}


@dataclass(frozen=True, slots=True)
class Limit:
    """How much of one unit may be used in a window.

    Attributes:
        unit: What is counted.
        amount: How much is allowed, >= 1; for ``usd`` in US dollars, > 0.
        window_s: Length of a rolling window in seconds, > 0; None for a calendar window, or none.
        resets: When a calendar window ends and the next begins; None for a rolling one. With
            neither, the limit is for ever.
        reason: Recorded where it is used up; empty for the unit's own: ``request_limit``,
            ``token_limit`` or ``budget_exceeded``.
        strict: True if it must hold for all processes that share state whatever happens: each
            uses only what it has reserved of it, also while it is cut off from the store.

    Raises:
        ValueError: If a number is out of range, or both kinds of window are given.
    """

    unit: Unit
    amount: float
    window_s: float | None = None
    resets: Schedule | None = None
    reason: str = ""
    strict: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "unit", Unit(self.unit))
        least = 1 / NANO if self.unit is Unit.USD else 1
        if not least <= self.amount < inf:
            raise ValueError(f"amount {self.amount} of {self.unit} must be at least {least:g}")
        if self.window_s is not None and not 0 < self.window_s < inf:
            raise ValueError(f"window_s {self.window_s} must be above 0 and finite, or None")
        if self.window_s is not None and self.resets is not None:
            raise ValueError("a limit has a rolling window_s or calendar resets, not both")
        if not self.reason:
            object.__setattr__(self, "reason", _REASONS.get(self.unit, Reason.TOKEN_LIMIT))

    @property
    def window(self) -> tuple[object, ...]:
        """What is counted in which window; a limit of another amount on it is the same limit."""
        return self.unit, self.window_s, self.resets

    def __str__(self) -> str:
        if self.window_s is not None:
            return f"{self.amount:g} {self.unit} in {spell(self.window_s)}"
        return f"{self.amount:g} {self.unit}" + (f" until {self.resets}" if self.resets else "")


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose limit it is.

    Attributes:
        kind: ``model``, ``provider`` or ``pool``.
        name: Its id or name.
    """

    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


@dataclass(frozen=True, slots=True, repr=False)
class Forecast:
    """How long one limit will last.

    Attributes:
        scope: Whose limit it is.
        limit: The limit.
        taken: Used and reserved in the current window, in the limit's unit.
        per_s: Use per second at the present rate: an average that forgets with a minute's decay.
        runs_out_in_s: Seconds until it is used up at that rate, >= 0; None if it resets before.
        resets_in_s: Seconds until the window ends, or until the first of a rolling window's use
            is forgotten; None if nothing was used, or for a limit without a window.
    """

    scope: Scope
    limit: Limit
    taken: float
    per_s: float
    runs_out_in_s: float | None
    resets_in_s: float | None

    def __str__(self) -> str:
        taken = f"{self.scope}: {self.taken:g} of {self.limit}"
        if self.taken >= self.limit.amount:
            ends = "used up"
        elif self.runs_out_in_s is None:
            ends = "lasts"
        else:
            ends = f"runs out in {spell(self.runs_out_in_s)}"
        if self.resets_in_s is None:
            return f"{taken}, {ends}"
        how = "resets" if self.limit.window_s is None else "the first comes back"
        return f"{taken}, {ends}, {how} in {spell(self.resets_in_s)}"

    # A list of them is read by people, and the fields stand in the words.
    __repr__ = __str__
