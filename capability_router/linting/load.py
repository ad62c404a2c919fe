"""What is expected of the pools, against what the limits allow."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import inf

from capability_router.calendars import CalendarReset
from capability_router.engine.blueprint import PoolSpec
from capability_router.engine.limits import Limit, Unit
from capability_router.engine.model import Model, Price
from capability_router.linting.finding import Finding
from capability_router.linting.plan import Plan

__all__ = ["Load", "overloads"]

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
class Load:
    """What each pool is expected to serve.

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
    def parse(cls, text: str, input_tokens: int = 0, output_tokens: int = 0) -> Load:
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


def overloads(plan: Plan, load: Load) -> Iterator[Finding]:
    """Find pools whose limits are below the load, as they are or without one of the providers.

    Each pool is judged as if it had the whole load, and its providers nothing else to do.
    """
    for pool in plan.pools:
        models = plan.members(pool)
        finding = _judged(plan, pool, models, load) if models else None
        if finding is not None:
            yield finding


def _judged(plan: Plan, pool: PoolSpec, models: tuple[Model, ...], load: Load) -> Finding | None:
    path, allowed = ("pools", pool.name), _capacity(plan, pool, models, load)
    asked = f"and {load.per_s:.3g} are expected"
    if allowed < load.per_s:
        message = f"pool {pool.name} may make at most {allowed:.3g} requests per second, {asked}"
        remedy = "add a model, or raise the limits and quotas that are the least"
        return plan.finding("overload", path, message, remedy)
    left = {
        name: _capacity(plan, pool, tuple(m for m in models if m.provider != name), load)
        for name in plan.providers(models)
    }
    # Where one provider is all there is, another rule says so.
    worst = min(left, key=lambda name: left[name])
    if len(left) == 1 or left[worst] >= load.per_s:
        return None
    rest = f"at most {left[worst]:.3g} requests per second are left, {asked}"
    message = f"when {worst} is down, pool {pool.name} has too little: {rest}"
    return plan.finding("no-spare", path, message, "add a model, or raise the others' limits")


def _capacity(plan: Plan, pool: PoolSpec, models: tuple[Model, ...], load: Load) -> float:
    """Requests per second: a pool's limits hold all, a provider's those of its models."""
    total = 0.0
    for name, provider in plan.providers(models).items():
        own = [model for model in models if model.provider == name]
        together = sum(load.allowed_per_s(model.limits, model.price) for model in own)
        total += min(together, load.allowed_per_s(provider.limits, _cheapest(own)))
    return min(total, load.allowed_per_s(pool.policy.limits, _cheapest(models)))


def _cheapest(models: Iterable[Model]) -> Price | None:
    """The price with which money lasts longest; None where one is not known."""
    prices = [model.price for model in models]
    known = [price for price in prices if price is not None]
    if not known or len(known) < len(prices):
        return None
    return Price(min(price.input for price in known), min(price.output for price in known))


def _window_s(limit: Limit) -> float | None:
    if isinstance(limit.resets, CalendarReset):
        return _LONGEST_S[limit.resets.every]
    return limit.window_s
