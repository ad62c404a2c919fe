"""Where records come from: a router of this process, or a configuration before the first record.

A source is asked again and again for what is new; ``log`` has the one that follows a file.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from itertools import takewhile
from typing import Protocol

from capability_router.engine.decision import Decision
from capability_router.engine.events import RoutingEvent
from capability_router.engine.model import Model
from capability_router.engine.pool import CapabilityPool
from capability_router.engine.router import Router
from capability_router.engine.state import StandbyState
from capability_router.observability.records import as_record
from capability_router.router import CapabilityRouter
from capability_router.watching.fields import Record

__all__ = ["RouterSource", "Source", "router_state"]

_WAITING = 10_000


class Source(Protocol):
    """Something that has new records now and then."""

    @property
    def title(self) -> str:
        """What is watched, in a few words."""
        ...

    def poll(self) -> list[Record]:
        """Return what is new since the last call, oldest first."""
        ...

    def close(self) -> None:
        """Stop collecting."""
        ...


class RouterSource:
    """The records of a router of this process.

    Costs the threads that route one append for each event. If more events or decisions came than
    are kept, the next ``poll`` ends with the router's state, which makes up for those dropped.

    Args:
        router: The router.
    """

    def __init__(self, router: CapabilityRouter) -> None:
        self._router = router
        self._waiting: deque[RoutingEvent] = deque(maxlen=_WAITING)
        self._has_missed = True
        self._last: Decision | None = None
        # Before its state is first asked for: what happens in between is told twice, and not never.
        router.emitter.subscribe(self._take)

    @property
    def title(self) -> str:
        """The file that the router was made from, or that it is of this process."""
        return str(self._router.path or "a router of this process")

    def poll(self) -> list[Record]:
        """Return what is new since the last call, oldest first; at first also how things stand."""
        items: list[RoutingEvent | Decision] = [*self._new_events(), *self._new_decisions()]
        items.sort(key=lambda item: item.at)
        records = [self._as_record(item) for item in items]
        if self._has_missed:
            self._has_missed = False
            # At the end: its counts have those of the decisions before it.
            records.append(router_state(self._router, self._pools()))
        return records

    def close(self) -> None:
        """Subscribe no longer."""
        self._router.emitter.unsubscribe(self._take)

    def _take(self, event: RoutingEvent) -> None:
        if len(self._waiting) == _WAITING:
            self._has_missed = True
        self._waiting.append(event)

    def _pools(self) -> list[CapabilityPool]:
        """Return the pools that were declared, and the others that served one of the last calls."""
        used = {each.pool: None for each in self._router.decisions if each.pool}
        pools = {pool.name: pool for pool in self._router.pools}
        return [*pools.values(), *(self._router.pool(name) for name in used if name not in pools)]

    def _new_events(self) -> list[RoutingEvent]:
        return [self._waiting.popleft() for _ in range(len(self._waiting))]

    def _new_decisions(self) -> list[Decision]:
        kept = self._router.decisions
        new = list(takewhile(lambda each: each is not self._last, reversed(kept)))
        if self._last is not None and len(new) == len(kept):
            self._has_missed = True
        self._last = new[0] if new else self._last
        return new[::-1]

    def _as_record(self, item: RoutingEvent | Decision) -> Record:
        return as_record(item, self._router.clock)


def router_state(router: Router, pools: Iterable[CapabilityPool]) -> Record:
    """Return how a router stands, as a record of kind ``state``.

    Args:
        router: The router; what the clock demands of its pools is done.
        pools: Those of its pools that are to be told of.
    """
    clock = router.world.clock
    wall = clock.wall()
    return {
        "record": "state",
        "wall": wall,
        "pools": [_pool(pool, wall - clock.now()) for pool in pools],
        "models": [_model(router, model) for model in router.models],
        "providers": [_provider(router, name) for name in _providers(router)],
    }


def _pool(pool: CapabilityPool, offset: float) -> Record:
    standby = {state.model: state for state in pool.get_standby()}
    models = [*pool.get_active_models(), *pool.get_standby_models()]
    ids = dict.fromkeys(model.id for model in models)
    return {
        "name": pool.name,
        "node": pool.hierarchy_node,
        "models": [_standing(model_id, standby.get(model_id), offset) for model_id in ids],
    }


def _standing(model_id: str, standby: StandbyState | None, offset: float) -> Record:
    if standby is None:
        return {"model": model_id, "state": "active"}
    return {
        "model": model_id,
        "state": "on_trial" if standby.on_trial else "standby",
        "reason": standby.reason,
        "since": standby.since + offset,
        "until": None if standby.until is None else standby.until + offset,
    }


def _providers(router: Router) -> list[str]:
    return list(dict.fromkeys(model.provider for model in router.models))


def _provider(router: Router, provider: str) -> Record:
    return {"provider": provider, "health": str(router.provider_health(provider))}


def _model(router: Router, model: Model) -> Record:
    state = router.state(model.id)
    return {
        "model": model.id,
        "provider": model.provider,
        "answers": state.successes,
        "failures": state.failures,
        "latency_s": state.latency_s or None,
    }
