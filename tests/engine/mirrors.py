"""What a pool and a limit must look like, worked out from what they have told."""

from dataclasses import dataclass, field
from math import inf

from capability_router.engine.events import EventType, RoutingEvent
from capability_router.engine.lease import Lease, LeaseEnd
from capability_router.engine.limits import Limit
from capability_router.engine.pool import CapabilityPool
from capability_router.engine.reason import ERRORS
from capability_router.engine.request import CompletionRequest

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
            case EventType.PROBE_STARTED:
                assert not self.standby[model].on_trial, event
                self.standby[model].on_trial = True
            case EventType.PROBE_FAILED | EventType.PROBE_RETURNED:
                assert self.standby[model].on_trial, event
                before = self.standby[model]
                assert until >= before.until, event
                self.standby[model] = Waiting(until, before.ejected and event.reason in ERRORS)
            case EventType.MODEL_ROTATED | EventType.MODEL_SPARED:
                assert model in self.active | self.standby.keys(), event
            case _:
                raise AssertionError(event)


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
