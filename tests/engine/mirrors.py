"""What a pool and a limit must look like, worked out from what they have told."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from math import inf
from typing import cast

from capability_router.engine.events import EventType, RoutingEvent
from capability_router.engine.lease import Lease, LeaseEnd
from capability_router.engine.limits import Limit
from capability_router.engine.pool import CapabilityPool
from capability_router.engine.reason import ERRORS
from capability_router.engine.request import CompletionRequest
from capability_router.engine.router import Router

LONGEST_S = 121.0
"""A minute's cooldown with its jitter, or the longest time that a failure states here."""
GONE = {EventType.MODEL_DEACTIVATED, EventType.PROBE_FAILED, EventType.MODEL_SPARED}


@dataclass
class Waiting:
    """A model on standby, as its events tell."""

    until: float
    ejected: bool
    on_trial: bool = False


@dataclass
class Mirror:
    """The members of one pool, replayed from its events; an event that cannot be true fails."""

    active: set[str] = field(default_factory=set[str])
    standby: dict[str, Waiting] = field(default_factory=dict[str, Waiting])
    rotations: int = 0
    closed_until: float | None = None

    def take(self, event: RoutingEvent) -> None:
        model, until = event.model, inf if event.until is None else event.until
        if event.reason in ERRORS and event.type in GONE:
            # Whoever left for errors comes back by itself: within the longest cooldown and jitter.
            assert until - event.at <= LONGEST_S, event
        if event.model:
            self._take_model(event, model, until)
        elif event.type is EventType.POOL_CLOSED:
            assert self.closed_until is None, event
            self.closed_until = until
        elif event.type is EventType.BUDGET_EXHAUSTED:
            assert (event.reason, event.until, event.details) == ("", None, {}), event
        elif event.type is EventType.STANDBY_EXTENDED:
            assert self.closed_until is not None, event
            assert until > self.closed_until, event
            self.closed_until = until
        else:
            assert event.type is EventType.POOL_OPENED, event
            assert self.closed_until is not None, event
            self.closed_until = None

    def _take_model(self, event: RoutingEvent, model: str, until: float) -> None:
        match event.type:
            case EventType.POOL_MEMBERSHIP_CHANGED if event.reason == "added":
                assert model not in self.active | self.standby.keys(), event
                self.active.add(model)
            case EventType.POOL_MEMBERSHIP_CHANGED:
                assert event.reason == "removed", event
                assert (model in self.active) != (model in self.standby), event
                self.active.discard(model)
                self.standby.pop(model, None)
            case EventType.MODEL_DEACTIVATED:
                self.active.remove(model)
                self.standby[model] = Waiting(until, event.reason in ERRORS)
                self.rotations += 1
            case EventType.MODEL_ACTIVATED:
                del self.standby[model]
                self.active.add(model)
                self.rotations += 1
            case EventType.STANDBY_EXTENDED:
                # Of two without an end, the one given last is told.
                assert until > self.standby[model].until or until == inf, event
                self.standby[model].until = until
                self.standby[model].ejected &= event.reason in ERRORS
            case EventType.STANDBY_RESTORED:
                before = self.standby[model]
                assert until < before.until, event
                ejected = before.ejected and event.reason in ERRORS
                self.standby[model] = Waiting(until, ejected, before.on_trial)
            case EventType.MODEL_ROTATED | EventType.MODEL_SPARED | EventType.DEGRADED:
                assert model in self.active | self.standby.keys(), event
            case _:
                self._take_trial(event, self.standby[model], until)

    def _take_trial(self, event: RoutingEvent, waiting: Waiting, until: float) -> None:
        assert waiting.on_trial == (event.type is not EventType.PROBE_STARTED), event
        match event.type:
            case EventType.PROBE_STARTED:
                waiting.on_trial = True
            case EventType.PROBE_FAILED | EventType.PROBE_RETURNED:
                assert until >= waiting.until, event
                ejected = waiting.ejected and event.reason in ERRORS
                self.standby[event.model] = Waiting(until, ejected)
            case EventType.PANIC:
                assert event.at < until == waiting.until, event
                assert event.reason in ERRORS, event
            case _:
                raise AssertionError(event)


@dataclass
class Overall:
    """The models and providers of a router, replayed from what it tells of no pool."""

    models: set[str] = field(default_factory=set[str])
    health: dict[str, str] = field(default_factory=dict[str, str])
    sent_away: set[str] = field(default_factory=set[str])
    told: list[RoutingEvent] = field(default_factory=list[RoutingEvent])

    def replay(self, events: list[RoutingEvent]) -> None:
        for event in events[len(self.told) :]:
            self.told.append(event)
            self.take(event)

    def take(self, event: RoutingEvent) -> None:
        match event.type:
            case EventType.MODELS_UPDATED:
                added, removed = self._ids(event, "added"), self._ids(event, "removed")
                assert added | removed, event
                assert removed <= self.models, event
                assert not added & (self.models - removed), event
                self.models = self.models - removed | added
            case EventType.PROVIDER_HEALTH_CHANGED:
                provider, to = event.details["provider"], event.details["to"]
                assert self.health.get(str(provider), "healthy") == event.details["from"] != to
                self.health[str(provider)] = str(to)
            case EventType.PROVIDER_DEACTIVATED:
                assert event.details["provider"] not in self.sent_away, event
                self.sent_away.add(str(event.details["provider"]))
            case EventType.PROVIDER_RECOVERED:
                self.sent_away.remove(str(event.details["provider"]))
            case _:
                raise AssertionError(event)

    def _ids(self, event: RoutingEvent, which: str) -> set[str]:
        told = event.details[which]
        assert isinstance(told, list)
        return set(cast("list[str]", told))

    def check(self, router: Router, pools: Iterable[Mirror]) -> None:
        """See that providers were told to be as their models in the pools are."""
        assert self.models == {model.id for model in router.models}
        assert all(map(router._topology.is_held, self.sent_away)), self.sent_away
        away = {model for pool in pools for model in pool.standby}
        for provider in {model[0] for model in self.models} | self.health.keys():
            own = {model for model in self.models if model[0] == provider}
            health = "healthy" if not own & away else "degraded" if own - away else "down"
            assert self.health.get(provider, "healthy") == health, provider


class Quota:
    """What was admitted under one limit of requests, counted by hand."""

    def __init__(self, limit: Limit) -> None:
        self._limit = limit
        self._admitted: list[tuple[float, int, Lease]] = []
        self._day = 0

    def observe(self, wall: float) -> None:
        # The latest day it has seen: a clock that is set back opens no second one.
        self._day = max(self._day, int(wall // 86_400))

    def admit(self, lease: Lease, now: float, wall: float) -> None:
        self.observe(wall)
        self._admitted.append((now, self._day, lease))

    def check(self, now: float) -> None:
        held = [each for each in self._admitted if each[2].end is not LeaseEnd.RELEASED]
        if self._limit.window_s is None:
            assert sum(day == self._day for _, day, _ in held) <= self._limit.amount
        else:
            since = now - self._limit.window_s
            assert sum(at > since for at, _, _ in held) <= self._limit.amount


def ready(
    pool: CapabilityPool, request: CompletionRequest, tried: set[str], now: float
) -> set[str]:
    """Return the active models of a pool that could serve a request, and need not be spared."""
    serving = pool._roster.members.values()
    here = {member.model.id for member in serving if request.capability in member.places}
    barred = {*pool.reasons(request, request.capability, tried), *pool._roster.avoiding((), now)}
    return here - barred


def preferred_to(lease: Lease, others: set[str]) -> set[str]:
    """Return the models that a request prefers, by their provider, to the one that it got."""
    prefers = [*lease.request.prefers, lease.model.provider]
    return {each for each in others if each[0] in prefers[: prefers.index(lease.model.provider)]}
