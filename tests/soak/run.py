"""A soak from its beginning to its end, and what it has shown."""

from __future__ import annotations

import gc
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from capability_router import EventEmitter
from tests.soak.books import Decisions, Events
from tests.soak.callers import Crowd
from tests.soak.hosts import Hosts, Surface
from tests.soak.leftovers import close_clients, sockets, threads
from tests.soak.lost_errors import LostErrors
from tests.soak.memory import Memory, rss_kb
from tests.soak.providers import Providers, providers
from tests.soak.routing import soaked_router
from tests.soak.verdicts import Verdicts

__all__ = ["Plan", "Soak", "soak"]

STUCK_S = 20.0
"""Seconds beyond its deadline after which a question counts as one that hangs. The machine may be
slow; no limit of the router or of a client is nearly as long."""
_LONGEST_S = STUCK_S * 2
_MEASURED_S = 300.0
"""Up to then caches of clients fill up, among them the last 1,000 decisions of the router."""
_LOOK_S = 0.5
_REST_EVERY_S = 10.0
_SETTLES_S = 30.0
_WARM_UP_S = 3.0

Say = Callable[[str], object]
Tally = Mapping[str, Mapping[str, int]]


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do.

    Attributes:
        seconds: How long callers ask.
        callers: How many in threads, and in each of the two event loops.
        seed: Of chance.
        sync: The ways to ask in threads.
        async_: The ways to ask in tasks.
    """

    seconds: float
    callers: int
    seed: int
    sync: Sequence[Surface]
    async_: Sequence[Surface]


class Soak:
    """One router under fire.

    Args:
        plan: What to do.
        lab: Who is asked.
        say: Takes a line now and then.

    Attributes:
        verdicts: What became of the questions.
        decisions: What the router tells of its calls.
        events: What it tells of its pools.
        memory: What the process holds.
        tally: What the providers were asked, in the end.
        checks: What was looked at.
        faults: All that must not be, by the check that has found it.
    """

    def __init__(self, plan: Plan, lab: Providers, say: Say) -> None:
        self.plan = plan
        self._lab = lab
        self._say = say
        emitter = EventEmitter()
        self.events = Events(emitter)
        self.router = soaked_router(lab.urls, emitter)
        self.decisions = Decisions(self.router)
        self.verdicts = Verdicts()
        self.memory = Memory()
        self.tally: Tally = {}
        self.checks: list[str] = []
        self.faults: dict[str, list[str]] = {}
        self._stuck: dict[int, str] = {}
        self._open_leases: list[str] = []
        self._lost = LostErrors()

    def run(self) -> None:
        """Do it all."""
        with self._lost:
            self._run()

    def _run(self) -> None:
        # Under fair weather first: what is imported and made once is no leak.
        self._ask("first", min(_WARM_UP_S, self.plan.seconds / 4))
        before = threads(), sockets()
        gc.collect()
        # So that what stays is counted no more, which would take a second each time.
        gc.freeze()
        self.memory = Memory()
        self._lab.storm()
        left = self._ask("then", self.plan.seconds)
        self._lab.calm()
        self._close_books(before, left)

    def _ask(self, name: str, seconds: float) -> list[str]:
        """Let callers ask for some seconds; return the tasks that are left."""
        hosts = Hosts(self.router, self._lab.urls)
        plan = self.plan
        crowd = Crowd(
            hosts, plan.sync, plan.async_, plan.callers, f"{plan.seed} {name}", self.verdicts
        )
        crowd.start()
        end = time.monotonic() + seconds
        while (left_s := end - time.monotonic()) > 0:
            self._watch(crowd, min(_REST_EVERY_S, left_s), lambda: False)
            self._rest(crowd)
        crowd.go_home()
        self._watch(crowd, _LONGEST_S, lambda: crowd.is_gone)
        hosts.close()
        close_clients()
        return crowd.tasks_left

    def _watch(self, crowd: Crowd, seconds: float, is_over: Callable[[], bool]) -> None:
        """Follow what happens for some seconds, or until it is over."""
        end = time.monotonic() + seconds
        while (now := time.monotonic()) < end and not is_over():
            self.decisions.follow()
            self.events.follow(now)
            for asked in crowd.open:
                if asked.beyond_s(now) > STUCK_S and asked.question.number not in self._stuck:
                    self._stuck[asked.question.number] = f"{asked} in:\n{_stacks()}"
            time.sleep(_LOOK_S)

    def _rest(self, crowd: Crowd) -> None:
        """Let all have their answers, and look at what is there when nothing is to be done."""
        crowd.rest()
        # Who was about to ask has asked by then.
        time.sleep(_LOOK_S)
        self._watch(crowd, _LONGEST_S, lambda: not crowd.open)
        # What nobody holds any more is closed when it is collected.
        gc.collect()
        self._watch(crowd, _SETTLES_S, lambda: not self._in_flight())
        self._open_leases += [f"{each} at rest" for each in self._in_flight()]
        self.memory.look(self.verdicts.total, self._kept())
        self._say(self._line())
        crowd.go_on()

    def _in_flight(self) -> list[str]:
        states = {model.id: self.router.state(model.id).in_flight for model in self.router.models}
        return [f"{name} has {count} attempts in flight" for name, count in states.items() if count]

    def _kept(self) -> int:
        """Count what the router and these books keep for a while."""
        decisions = self.router.decisions
        return sum(1 + len(each.attempts) for each in decisions) + self.events.waiting

    def _line(self) -> str:
        outcomes = Counter[str]()
        for (_, outcome), count in self.verdicts.outcomes.items():
            outcomes[outcome if outcome in {"answered", "left"} else "failed"] += count
        return (
            f"{self.verdicts.total} asked, {outcomes['answered']} answered,"
            f" {outcomes['failed']} failed, {outcomes['left']} left;"
            f" {sum(self.decisions.attempts.values())} attempts, {self.events.count} events;"
            f" {rss_kb() / 1000:.0f} MB, {len(threads())} threads, {sockets()} sockets"
        )

    def _close_books(self, before: tuple[list[str], int], left: list[str]) -> None:
        self.decisions.follow()
        self.events.compare(self.router)
        self.tally = self._settled_tally()
        found = {
            "every answer is whole and every error documented": self.verdicts.faults,
            "every request ends in time": list(self._stuck.values()),
            "every call has one decision": list(self._uncounted()),
            "every lease has ended": self._open_leases + self._in_flight(),
            "every attempt is counted": list(self.decisions.faults()),
            "every attempt is one request": list(self.decisions.faults_to(self.tally)),
            "every event is a change": self.events.faults,
            "no error is lost": self._lost.faults,
            "no task is left": left,
            "no thread is left": _more_threads(before[0]),
            "no socket is left": _more_sockets(before[1]),
            "no connection is left at a provider": list(self._connected()),
        }
        if self.plan.seconds >= _MEASURED_S:
            found["memory does not grow"] = list(self.memory.faults())
        self.faults = {name: faults for name, faults in found.items() if faults}
        self.checks = list(found)

    def _uncounted(self) -> Iterator[str]:
        left = sum(n for (_, how), n in self.verdicts.outcomes.items() if how == "left")
        calls, asked = self.decisions.calls, self.verdicts.total
        # Who left at once may have left before the call began.
        if not asked - left <= calls <= asked:
            yield f"{calls} decisions for {asked} questions, of which {left} were left"

    def _settled_tally(self) -> Tally:
        end = time.monotonic() + _SETTLES_S
        while True:
            tally = self._lab.tally()
            if not any(map(_is_busy, tally.values())) or time.monotonic() > end:
                return tally
            time.sleep(_LOOK_S)

    def _connected(self) -> Iterator[str]:
        for name, told in self.tally.items():
            if _is_busy(told):
                yield f"{name} has {dict(told)}"


def _is_busy(told: Mapping[str, int]) -> bool:
    return bool(told["open_connections"] or told.get("under way"))


def _more_threads(before: list[str]) -> list[str]:
    """Say which threads have come and stay; who has been let go has some seconds to end."""
    end = time.monotonic() + _SETTLES_S
    while more := Counter(threads()) - Counter(before):
        if time.monotonic() > end:
            break
        time.sleep(_LOOK_S)
    return sorted(more.elements())


def _more_sockets(before: int) -> list[str]:
    gc.collect()
    after = sockets()
    return [f"{after} sockets, {before} before"] if after > before else []


def _stacks() -> str:
    """Show where every thread is."""
    frames = sys._current_frames()  # pyright: ignore[reportPrivateUsage] - public in all but name
    return "\n".join("".join(traceback.format_stack(frame)[-8:]) for frame in frames.values())


def soak(plan: Plan, say: Say) -> Soak:
    """Run a soak; what it has found is in ``faults``."""
    with providers(plan.seed) as lab:
        run = Soak(plan, lab, say)
        run.run()
        return run
