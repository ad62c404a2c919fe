"""Rules about what is left when something fails."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from capability_router.engine.blueprint import PoolSpec
from capability_router.engine.model import Model, Provider
from capability_router.linting.finding import Finding
from capability_router.linting.plan import Plan

__all__ = ["lone_features", "lone_windows", "shared_hosts", "shared_keys", "single_providers"]


def single_providers(plan: Plan) -> Iterator[Finding]:
    """Find pools that one provider's outage, or one refused key, empties."""
    for pool, models in _pools(plan):
        providers = plan.providers(models)
        if len(providers) == 1:
            (name,) = providers
            rests = f"{models[0].id} rests" if len(models) == 1 else f"{name} is down"
            message = f"pool {pool.name} has no other provider than {name}: when {rests}, nobody is"
            remedy = "add a model of another provider"
            yield plan.finding("single-provider", _at(pool), f"{message} left", remedy)


def shared_hosts(plan: Plan) -> Iterator[Finding]:
    """Find pools whose several providers are names for one server."""
    for pool, models in _pools(plan):
        providers = list(plan.providers(models).values())
        hosts = {_host(provider) for provider in providers}
        if len(providers) > 1 and len(hosts) == 1:
            message = f"all {len(providers)} providers of pool {pool.name} are at {hosts.pop()}"
            remedy = "add a model of a provider that does not fail with them"
            yield plan.finding("shared-host", _at(pool), message, remedy)


def shared_keys(plan: Plan) -> Iterator[Finding]:
    """Find pools whose several providers have one key, and so one account and one quota."""
    for pool, models in _pools(plan):
        providers = list(plan.providers(models).values())
        keys = {None if p.api_key is None else p.api_key.reveal() for p in providers}
        if len(providers) > 1 and len(keys) == 1 and None not in keys:
            message = f"all {len(providers)} providers of pool {pool.name} have the same API key"
            remedy = "give one of them a key of another account"
            yield plan.finding("shared-key", _at(pool), message, remedy)


def lone_features(plan: Plan) -> Iterator[Finding]:
    """Find features for which a pool has one model, and others that cannot stand in for it."""
    for pool, models in _pools(plan):
        for model in models if len(models) > 1 else ():
            others = [other for other in models if other is not model]
            alone = [
                feature
                for feature in sorted(model.features or ())
                if all(other.missing(frozenset([feature])) for other in others)
            ]
            if alone:
                what = ", ".join(alone)
                message = f"in pool {pool.name} only {model.id} has {what}"
                remedy = (
                    "add another model that has it, or requests that need it fail with this one"
                )
                yield plan.finding("lone-feature", _at(pool), message, remedy)


def lone_windows(plan: Plan) -> Iterator[Finding]:
    """Find pools of which one model alone takes the longest requests."""
    for pool, models in _pools(plan):
        windows = {model.context_window for model in models}
        known = sorted(window for window in windows if window is not None)
        # One whose window is not known is refused no request.
        if None in windows or len(known) < 2:
            continue
        (largest, *more) = [model for model in models if model.context_window == known[-1]]
        if not more:
            message = f"in pool {pool.name} only {largest.id} takes more than {known[-2]:,} tokens"
            remedy = f"add another model with a window of {known[-1]:,} if requests are that long"
            yield plan.finding("lone-window", _at(pool), message, remedy)


def _pools(plan: Plan) -> Iterator[tuple[PoolSpec, tuple[Model, ...]]]:
    """Each pool that has models, with all that can serve its node."""
    for pool in plan.pools:
        if plan.members(pool):
            yield pool, plan.serving(pool)


def _host(provider: Provider) -> str:
    if provider.base_url is None:
        return f"{provider.vendor}'s own address"
    return urlsplit(provider.base_url).hostname or provider.base_url


def _at(pool: PoolSpec) -> tuple[str, str]:
    return ("pools", pool.name)
