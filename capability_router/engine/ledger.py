"""What a request takes of the limits, before and after it is answered."""

from __future__ import annotations

from collections.abc import Sequence

from capability_router.engine.limits import NANO
from capability_router.engine.meter import Meter
from capability_router.engine.model import Model
from capability_router.engine.outcome import Outcome, Usage
from capability_router.engine.request import CompletionRequest
from capability_router.engine.state import ModelState

__all__ = [
    "Need",
    "Reservation",
    "actual",
    "estimate",
    "give_back",
    "refusing",
    "reserve",
    "settle",
]

Need = tuple[int, int, int, int, int]
"""Amounts in the order of ``Unit``, money in parts of ``NANO``."""

Reservation = tuple[tuple[Meter, int, int], ...]
"""Meters with the bucket and the amount that was taken from each."""


def estimate(request: CompletionRequest, model: Model, state: ModelState) -> Need:
    """Return what a request is expected to take.

    Where the caller does not say how long the answer may be, it is taken to be as long as the
    model's answers are on average so far.
    """
    output = request.output_tokens or _mean_answer(state)
    return _need(model, Usage(request.input_tokens, output))


def actual(usage: Usage, model: Model) -> Need:
    """Return what an answer took."""
    return _need(model, usage)


def refusing(meters: Sequence[Meter], need: Need, now: float, wall: float) -> Meter | None:
    """Return the first meter that has not enough left; None if all have."""
    for meter in meters:
        meter.advance(now, wall)
        if meter.taken + need[meter.place] > meter.ceiling:
            return meter
    return None


def reserve(meters: Sequence[Meter], need: Need, now: float) -> Reservation:
    """Take what is needed from every meter; none refuses."""
    return tuple((meter, meter.take(need[meter.place], now), need[meter.place]) for meter in meters)


def settle(reserved: Reservation, model: Model, outcome: Outcome, now: float, wall: float) -> None:
    """Put what was really used in the place of what was reserved.

    A failed attempt has cost its request and nothing else. An answer without usage, as of code
    that does not tell it, keeps its estimate.
    """
    told = outcome.usage.total_tokens or outcome.usage.cost_usd is not None
    if outcome.failure is None and not told:
        return
    used: Need = (1, 0, 0, 0, 0) if outcome.failure else actual(outcome.usage, model)
    for meter, bucket, amount in reserved:
        meter.advance(now, wall)
        meter.correct(bucket, used[meter.place] - amount, now)


def give_back(reserved: Reservation, now: float) -> None:
    """Give everything back: nothing was used."""
    for meter, bucket, amount in reserved:
        meter.correct(bucket, -amount, now)


def _mean_answer(state: ModelState) -> int:
    return -(-state.output_tokens // state.successes) if state.successes else 0


def _need(model: Model, usage: Usage) -> Need:
    cost = round(model.cost_usd(usage) * NANO)
    return 1, usage.input_tokens, usage.output_tokens, usage.total_tokens, cost
