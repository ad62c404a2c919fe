"""Whether the books agree: decisions, counters, events, and what the providers were asked."""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping

from capability_router import (
    Attempt,
    CapabilityRouter,
    Decision,
    EventEmitter,
    FailureKind,
    RoutingEvent,
)
from tests.engine.mirrors import Mirror, Overall
from tests.soak.routing import HASTY

__all__ = ["Decisions", "Events"]

_LATE_S = 5.0
"""Two threads may hand out their events in any order, but none so much later than its time."""


class Decisions:
    """Follows the decisions of a router, and adds up their attempts.

    Args:
        router: The router.

    Attributes:
        calls: Calls that ended.
        attempts: How many attempts there were, by model and kind; None is an answer.
        excused: Attempts, by model, that only ended because the caller had no time.
        unheard: Attempts, by provider, of which it may not have heard.
        hedged: Attempts that ran beside another one.
        missed: Whether there were more decisions at a time than a router keeps.
    """

    def __init__(self, router: CapabilityRouter) -> None:
        self._router = router
        self._last: Decision | None = None
        self.calls = 0
        self.attempts: Counter[tuple[str, FailureKind | None]] = Counter()
        self.excused: Counter[str] = Counter()
        self.unheard: Counter[str] = Counter()
        self.hedged = 0
        self.missed = False

    def follow(self) -> None:
        """Take in those that are new."""
        for decision in self._new():
            self.calls += 1
            for attempt in decision.attempts:
                self.attempts[attempt.model, attempt.kind] += 1
                self.hedged += attempt.hedge
                self.excused[attempt.model] += _is_excused(decision, attempt)
                self.unheard[attempt.provider] += not _was_heard(attempt)

    def _new(self) -> list[Decision]:
        decisions = self._router.decisions
        known = [place for place, each in enumerate(decisions) if each is self._last]
        self.missed = self.missed or (self._last is not None and not known)
        self._last = decisions[-1] if decisions else None
        return decisions[known[-1] + 1 :] if known else decisions

    def faults(self) -> Iterator[str]:
        """Say which counters of models differ from the attempts; all calls have ended."""
        if self.missed:
            yield "some decisions were not seen: look more often"
        for model in self._router.models:
            state = self._router.state(model.id)
            kinds = {
                kind: count for (name, kind), count in self.attempts.items() if name == model.id
            }
            served, cancelled = kinds.pop(None, 0), kinds.pop(FailureKind.CANCELLED, 0)
            failed = sum(kinds.values()) - self.excused[model.id]
            if (state.successes, state.failures) != (served, failed):
                yield (
                    f"{model.id} counts {state.successes} answers and {state.failures} failures;"
                    f" its attempts were {served} and {failed}, and {cancelled} cancelled"
                )

    def faults_to(self, tally: Mapping[str, Mapping[str, int]]) -> Iterator[str]:
        """Say whose requests differ in number from the attempts.

        Clients follow redirects, so that a request which was redirected has another one after it.
        What was refused, or was given up before it was sent, no provider has heard of.
        """
        for name, told in tally.items():
            heard = told["requests"] - told["redirects"]
            attempts = sum(n for (model, _), n in self.attempts.items() if _of(model) == name)
            if not attempts - self.unheard[name] <= heard <= attempts:
                yield (
                    f"{name} was asked {heard} times for {attempts} attempts, of which"
                    f" {self.unheard[name]} may not have reached it"
                )


def _is_excused(decision: Decision, attempt: Attempt) -> bool:
    hasty = decision.pool == HASTY and attempt.kind is FailureKind.TIMEOUT
    return hasty and attempt.status is None


def _was_heard(attempt: Attempt) -> bool:
    return attempt.kind is None or attempt.status is not None


def _of(model: str) -> str:
    return model.partition("/")[0]


class Events:
    """Replays the events of a router, and compares the end with its pools; safe for threads.

    Args:
        emitter: The router's, before anything is registered at that.

    Attributes:
        count: How many there were.
        faults: Events that cannot be true, in words.
    """

    def __init__(self, emitter: EventEmitter) -> None:
        self._guard = threading.Lock()
        self._waiting: list[RoutingEvent] = []
        self._mirrors: defaultdict[str, Mirror] = defaultdict(Mirror)
        self._overall = Overall()
        self.count = 0
        self.faults: list[str] = []
        emitter.subscribe(self._take)

    @property
    def waiting(self) -> int:
        """How many are not replayed yet."""
        with self._guard:
            return len(self._waiting)

    def follow(self, now: float) -> None:
        """Replay what has happened up to some seconds ago, in the order of its happening."""
        with self._guard:
            ready = [event for event in self._waiting if event.at <= now - _LATE_S]
            self._waiting = [event for event in self._waiting if event.at > now - _LATE_S]
        self._replay(ready)

    def compare(self, router: CapabilityRouter) -> None:
        """Replay all; compare each pool with what it has told."""
        states = {pool.name: pool.get_state() for pool in router.pools}
        with self._guard:
            ready, self._waiting = self._waiting, []
        self._replay(ready)
        for pool in router.pools:
            mirror, state = self._mirrors[pool.name], states[pool.name]
            found = (state.active_count, state.standby_count, state.rotation_events)
            told = (len(mirror.active), len(mirror.standby), mirror.rotations)
            if found != told:
                self.faults.append(f"{pool.name} is at {found}, its events make it {told}")

    def _take(self, event: RoutingEvent) -> None:
        with self._guard:
            self._waiting.append(event)

    def _replay(self, events: list[RoutingEvent]) -> None:
        self.count += len(events)
        for event in sorted(events, key=lambda event: event.at):
            try:
                (self._mirrors[event.pool] if event.pool else self._overall).take(event)
            except (AssertionError, KeyError) as error:
                self.faults.append(f"{event} cannot be: {error!r}")
