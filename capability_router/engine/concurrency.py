"""How many attempts of one model may be in flight: a number, or what its latency bears.

Knows durations and counts, no model and no request: that a full one is passed over is for
``lanes``.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, sqrt

from capability_router.engine.averages import FadingMean
from capability_router.engine.outcome import FailureKind, Outcome

__all__ = ["AdaptiveConcurrency", "Concurrency", "Slots", "fullness", "slots_for"]

_LONG, _SHORT = 300, 5
"""Answers that the long and the present latency remember. A window of 600, as Gradient2 has it, is
a factor of 2/601, nearly the 1/300 of this mean. The present latency is a mean of a few answers
and not the last one alone, because answers of a language model differ more than those of a server;
Netflix's ``WindowedLimit`` does the same, with 10 and more answers of a second."""
_INITIAL = 8
_LEAST_GRADIENT = 0.5
_SMOOTHING = 0.2
_DRIFT = 2.0
_DRIFT_KEPT = 0.95
_BACKOFF = 0.9
_TOKENS_BEFORE_THE_FIRST = 32
"""Output tokens that take as long as it takes to the first: 300 to 600 ms at 50 to 100 a second."""

_OVERLOAD = frozenset({FailureKind.RATE_LIMITED, FailureKind.OVERLOADED, FailureKind.TIMEOUT})


@dataclass(frozen=True, slots=True)
class AdaptiveConcurrency:
    """A limit that follows latency, as Netflix's ``Gradient2Limit`` (concurrency-limits, 2018).

    The mean latency over long is compared with the present one. While answers take as long as
    ever, the limit grows by the square root of itself, the growth that Netflix settled on
    ("Performance Under Load", 2018) and that small limits bear; once they take longer than
    ``tolerance`` allows, requests wait somewhere at the provider, and it shrinks in proportion::

        gradient = max(0.5, min(1, tolerance * long / present))
        limit = 0.8 * limit + 0.2 * (limit * gradient + sqrt(limit))

    It changes only while more than half of it is in flight: what is not used cannot show that
    more would do. Where the present latency falls below half of the long one, the long one is
    brought down by a twentieth with each answer, so that an overload that is over is forgotten
    soon. An attempt that is rate limited, overloaded or timed out takes a tenth of the limit, and
    at least 1 (additive increase, multiplicative decrease, as in ``AIMDLimit`` of the same
    library). What is in flight when a limit is lowered goes on: until it has ended there may be
    more than the limit.

    Which latency: where the answer was streamed, the seconds to the first token, because they
    show how long a request waited and what it asks for makes little difference. Else the
    seconds to the whole answer, by its length, as ``seconds / (output_tokens + 32)``: an answer
    takes as long as its tokens and, before the first of them, about as long as 32 more. Where no
    tokens are told, as of embeddings, that is the plain latency in another unit. The two are
    never compared with each other. That a long prompt takes longer to its first token is not
    weighed: with prompts of very different lengths, give a higher ``tolerance``.

    A load that never lets up teaches the long latency what it takes to wait, and the limit rises
    slowly then; ``max`` is what ends that.

    Attributes:
        initial: The limit to begin with, from ``min`` to ``max``; None for 8, or the nearest to it
            within these. The library's 20 is meant for servers that answer within milliseconds.
        min: The lowest limit, >= 1. Default 1, for a server on one's own machine that answers one
            after another.
        max: The highest limit. Default 200, as in ``Gradient2Limit``.
        tolerance: How many times the long latency is no sign of waiting, >= 1. Default 1.5, as in
            ``Gradient2Limit``.

    Raises:
        TypeError: If a limit is no whole number.
        ValueError: If a number is out of range.
    """

    initial: int | None = None
    min: int = 1
    max: int = 200
    tolerance: float = 1.5

    def __post_init__(self) -> None:
        for name in ("initial", "min", "max"):
            value = getattr(self, name)
            if type(value) is not int and not (name == "initial" and value is None):
                raise TypeError(f"{name} {value!r} must be a whole number")
        if not 1 <= self.min <= self.max:
            raise ValueError(f"min {self.min} must be at least 1 and at most max {self.max}")
        if not self.min <= self.first <= self.max:
            raise ValueError(
                f"initial {self.initial} must be between min {self.min} and max {self.max}"
            )
        if not 1 <= self.tolerance < inf:
            raise ValueError(f"tolerance {self.tolerance} must be at least 1 and finite")

    @property
    def first(self) -> int:
        """The limit to begin with."""
        if self.initial is not None:
            return self.initial
        return max(self.min, min(_INITIAL, self.max))


Concurrency = int | AdaptiveConcurrency
"""Attempts at most, >= 1, or how to find out."""


class Slots:
    """How many attempts of one model may be in flight now; used under the router's guard.

    Args:
        concurrency: The number, or how to find out.

    Attributes:
        limit: Attempts at most, >= 1.
    """

    __slots__ = ("_adaptive", "_estimate", "_first_token", "_whole", "limit")

    def __init__(self, concurrency: Concurrency) -> None:
        self._first_token, self._whole = _Latency(), _Latency()
        self._estimate = 0.0
        self.change(concurrency)

    def change(self, concurrency: Concurrency) -> None:
        """Go by another number, or find it out in another way; what was learnt so far stays."""
        if isinstance(concurrency, int):
            self._adaptive = None
            self._set(concurrency)
        else:
            self._adaptive = concurrency
            self._set(self._estimate or concurrency.first)

    def answered(self, outcome: Outcome, latency_s: float, in_flight: int) -> None:
        """Learn from an answer.

        Args:
            outcome: The answer.
            latency_s: Seconds it took, >= 0.
            in_flight: Attempts that were in flight, this one among them.
        """
        adaptive = self._adaptive
        if adaptive is None:
            return
        if outcome.first_token_s is not None:
            gradient = self._first_token.gradient(outcome.first_token_s, adaptive.tolerance)
        else:
            length = outcome.usage.output_tokens + _TOKENS_BEFORE_THE_FIRST
            gradient = self._whole.gradient(latency_s / length, adaptive.tolerance)
        if in_flight > self._estimate / 2:
            wanted = self._estimate * gradient + sqrt(self._estimate)
            self._set(self._estimate + _SMOOTHING * (wanted - self._estimate))

    def failed(self, kind: FailureKind) -> None:
        """Learn from a failure: of those that tell of too much load there shall be fewer."""
        if self._adaptive is not None and kind in _OVERLOAD:
            self._set(min(self._estimate - 1, self._estimate * _BACKOFF))

    def _set(self, estimate: float) -> None:
        if self._adaptive is not None:
            estimate = max(self._adaptive.min, min(self._adaptive.max, estimate))
        self._estimate = float(estimate)
        self.limit = int(estimate)


class _Latency:
    """How long answers take over long, and at present."""

    __slots__ = ("_long", "_present")

    def __init__(self) -> None:
        self._long, self._present = FadingMean(_LONG), FadingMean(_SHORT)

    def gradient(self, measured: float, tolerance: float) -> float:
        """Take in one more; return by which factor the limit should change, at most 1."""
        long, present = self._long, self._present
        long.note(measured)
        present.note(measured)
        if long.mean > _DRIFT * present.mean:
            long.mean *= _DRIFT_KEPT
        if present.mean <= 0:
            return 1.0
        return max(_LEAST_GRADIENT, min(1.0, tolerance * long.mean / present.mean))


def slots_for(concurrency: Concurrency | None, before: Slots | None) -> Slots | None:
    """Return the slots of a model; those it had before go on, with what they have learnt.

    Args:
        concurrency: How many attempts may be in flight; None for any number.
        before: The slots so far, if there were any.
    """
    if concurrency is None:
        return None
    if before is None:
        return Slots(concurrency)
    before.change(concurrency)
    return before


def fullness(in_flight: int, limit: int | None) -> str | None:
    """Say that no further attempt may be in flight, for people; None if one may."""
    if limit is None or in_flight < limit:
        return None
    return f"full: {in_flight} of {limit} in flight"
