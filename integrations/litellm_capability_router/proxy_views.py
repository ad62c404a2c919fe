"""What the proxy's endpoints tell of a router, as JSON-ready values.

Names, counts and kinds of failures only: no text of a request, an answer or a provider, and no
credential. Times are seconds before or after now, for clocks differ.
"""

from __future__ import annotations

import re
from typing import Any

from capability_router import CapabilityPool, CapabilityRouter, Model, StandbyState

__all__ = ["decisions_view", "health_view", "pools_view"]

_COUNTERS = (
    "in_flight",
    "successes",
    "failures",
    "consecutive_failures",
    "input_tokens",
    "output_tokens",
    "cost_usd",
    "latency_s",
    "first_token_s",
)
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")

View = dict[str, Any]


def health_view(router: CapabilityRouter) -> list[View]:
    """Return every model with its counters, and why and until when it rests in which pool."""
    resting = {pool.name: _standby(pool, router) for pool in _pools(router)}
    return [_model(model, router, resting) for model in router.models]


def pools_view(router: CapabilityRouter) -> list[View]:
    """Return every declared pool, and that of each capability which has none but has a model."""
    return [_pool(pool, router) for pool in _pools(router)]


def decisions_view(router: CapabilityRouter, limit: int) -> list[View]:
    """Return the last calls, newest first.

    Args:
        router: Whose calls.
        limit: How many at most, >= 1.
    """
    now = router.clock.now()
    newest = router.decisions[: -limit - 1 : -1]
    return [{"ago_s": round(now - each.at, 3), **each.as_dict()} for each in newest]


def _pools(router: CapabilityRouter) -> list[CapabilityPool]:
    leaves = dict.fromkeys(leaf for model in router.models for leaf in model.capabilities)
    pools = [*router.pools, *(router.pool(leaf) for leaf in leaves)]
    return list({pool.name: pool for pool in pools}.values())


def _model(model: Model, router: CapabilityRouter, resting: dict[str, list[View]]) -> View:
    state = router.state(model.id)
    standby = [
        {"pool": pool, **{name: value for name, value in each.items() if name != "model"}}
        for pool, views in resting.items()
        for each in views
        if each["model"] == model.id
    ]
    return {
        "id": model.id,
        "provider": model.provider,
        "capabilities": list(model.capabilities),
        "state": "standby" if standby else "active",
        "standby": standby,
        **{name: getattr(state, name) for name in _COUNTERS},
    }


def _pool(pool: CapabilityPool, router: CapabilityRouter) -> View:
    state = pool.get_state()
    return {
        "name": pool.name,
        "capability": pool.hierarchy_node,
        "strategy": _strategy(pool),
        "active": [model.id for model in pool.get_active_models()],
        "standby": _standby(pool, router),
        "requests": state.total_requests,
        "rotations": state.rotation_events,
    }


def _standby(pool: CapabilityPool, router: CapabilityRouter) -> list[View]:
    now = router.clock.now()
    return [_rest(state, now) for state in pool.get_standby()]


def _rest(state: StandbyState, now: float) -> View:
    return {
        "model": state.model,
        "reason": state.reason,
        "for_s": round(now - state.since, 3),
        "returns_in_s": None if state.until is None else round(max(0.0, state.until - now), 3),
        "on_trial": state.on_trial,
    }


def _strategy(pool: CapabilityPool) -> str:
    """As a configuration names it: ``StickUntilFailure`` is ``stick-until-failure``."""
    chosen = pool.rotation_policy.selection
    make: Any = getattr(chosen, "make", chosen)
    name = str(getattr(make, "__name__", type(make).__name__))
    return _HUMP.sub("-", name).lower()
