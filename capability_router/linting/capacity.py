"""Rules about the limits, against the load that is expected."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from capability_router.engine.blueprint import PoolSpec
from capability_router.engine.model import Model, Price
from capability_router.linting.finding import Finding
from capability_router.linting.load import ExpectedLoad
from capability_router.linting.plan import Plan

__all__ = ["overloads"]


def overloads(plan: Plan, load: ExpectedLoad) -> Iterator[Finding]:
    """Find pools whose limits are below the load, as they are or without one of the providers.

    Each pool is judged as if it had the whole load, and its providers nothing else to do.
    """
    for pool in plan.pools:
        models = plan.members(pool)
        finding = _judged(plan, pool, models, load) if models else None
        if finding is not None:
            yield finding


def _judged(
    plan: Plan, pool: PoolSpec, models: tuple[Model, ...], load: ExpectedLoad
) -> Finding | None:
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


def _capacity(plan: Plan, pool: PoolSpec, models: tuple[Model, ...], load: ExpectedLoad) -> float:
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
