"""Rules about the limits, against the load that is expected."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from math import inf

from capability_router.engine.blueprint import PoolSpec
from capability_router.engine.model import Model, Price
from capability_router.linting.finding import Finding
from capability_router.linting.flow import largest_flow
from capability_router.linting.load import ExpectedLoad
from capability_router.linting.plan import Plan

__all__ = ["overloads"]


def overloads(plan: Plan, load: ExpectedLoad) -> Iterator[Finding]:
    """Find pools whose limits are below the load, as they are or without one of the providers.

    The load is that of all pools together, and each is judged as if all of it came there: where
    every pool could bear all of it, they bear any mixture too, for what serves a part of the load
    takes that part of each limit, also of a provider that several pools share.
    """
    for pool in plan.pools:
        finding = _judged(plan, pool, load) if plan.members(pool) else None
        if finding is not None:
            yield finding


def _judged(plan: Plan, pool: PoolSpec, load: ExpectedLoad) -> Finding | None:
    path, allowed = ("pools", pool.name), _capacity(plan, pool, load)
    asked = f"and {load.per_s:.3g} are expected"
    who = f"pool {pool.name}"
    if len(list(plan.fallbacks(pool))) > 1:
        who += " with those above it"
    if allowed < load.per_s:
        message = f"{who} may make at most {allowed:.3g} requests per second, {asked}"
        remedy = "add a model, or raise the limits and quotas that are the least"
        return plan.finding("overload", path, message, remedy)
    providers = plan.providers(plan.serving(pool))
    left = {name: _capacity(plan, pool, load, without=name) for name in providers}
    # Where one provider is all there is, another rule says so.
    worst = min(left, key=lambda name: left[name])
    if len(left) == 1 or left[worst] >= load.per_s:
        return None
    rest = f"at most {left[worst]:.3g} requests per second are left, {asked}"
    message = f"when {worst} is down, {who} has too little: {rest}"
    return plan.finding("no-spare", path, message, "add a model, or raise the others' limits")


def _capacity(plan: Plan, pool: PoolSpec, load: ExpectedLoad, without: str = "") -> float:
    """Requests per second of a pool, with the pools above it, which take what it cannot.

    They flow through pools, each with its limits, to models and on to their providers, of which
    pools share some.
    """
    edges: dict[tuple[str, str], float] = {}
    served: dict[str, Model] = {}
    for each, members in plan.fallbacks(pool):
        models = [model for model in members if model.provider != without]
        limits = each.policy.limits
        edges["all", f"pool {each.name}"] = load.allowed_per_s(limits, _cheapest(models))
        edges |= {(f"pool {each.name}", f"model {model.id}"): inf for model in models}
        served |= {model.id: model for model in models}
    for name, provider in plan.providers(tuple(served.values())).items():
        own = [model for model in served.values() if model.provider == name]
        for model in own:
            allowed = load.allowed_per_s(model.limits, model.price)
            edges[f"model {model.id}", f"provider {name}"] = allowed
        edges[f"provider {name}", "served"] = load.allowed_per_s(provider.limits, _cheapest(own))
    return largest_flow(edges, "all", "served")


def _cheapest(models: Iterable[Model]) -> Price | None:
    """The price with which money lasts longest; None where one is not known."""
    prices = [model.price for model in models]
    known = [price for price in prices if price is not None]
    if not known or len(known) < len(prices):
        return None
    return Price(min(price.input for price in known), min(price.output for price in known))
