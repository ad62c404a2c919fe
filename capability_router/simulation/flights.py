"""One request in a simulation, from its arrival to its end; drives a plan as the drivers do.

What ``driving`` does in threads and tasks happens here on the agenda: limits of time, pauses, a
second attempt beside the first, streams that break. No decision is made here.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import Any, Generic, Protocol, TypeVar

from capability_router.engine.outcome import Failure, FailureKind, Usage
from capability_router.engine.steps import Stop, Wait
from capability_router.simulation.agenda import Agenda, SimulatedClock
from capability_router.simulation.contenders import Ask, Plan
from capability_router.simulation.providers import Answer, Truth
from capability_router.simulation.workload import Arrival

__all__ = ["Flight", "Landed", "Leg"]

Step = TypeVar("Step", bound=Ask)

_LATE = Failure(FailureKind.TIMEOUT)
_SILENT = Failure(FailureKind.STALLED)


class Leg(Generic[Step]):
    """One attempt under way.

    Args:
        step: The attempt.
        answer: What it comes to if nobody ends it before.
        started_at: When it began.

    Attributes:
        over: Whether it has ended, or was left.
        seen: Whether its first token has come.
    """

    __slots__ = ("answer", "over", "seen", "started_at", "step")

    def __init__(self, step: Step, answer: Answer, started_at: float) -> None:
        self.step = step
        self.answer = answer
        self.started_at = started_at
        self.over = False
        self.seen = False

    def written(self, now: float) -> int:
        """Return how many tokens the model has written by now, before its end."""
        answer = self.answer
        flowed_s = now - self.started_at - answer.first_s
        flows_s = answer.whole_s - answer.first_s
        if not answer.written or flowed_s <= 0 or not flows_s:
            return 0
        return int(answer.written * min(1.0, flowed_s / flows_s))

    def ends(self) -> tuple[float, Failure | None]:
        """Return after how many seconds a stream that has begun ends, and what it breaks with."""
        step, answer = self.step, self.answer
        after_s, failure = answer.whole_s, answer.failure
        if answer.gap_s > step.stall_s:
            after_s, failure = answer.first_s + step.stall_s, _SILENT
        return (step.ends_s, _LATE) if after_s > step.ends_s else (after_s, failure)


class Landed(Protocol):
    """Takes note of what has come of a request."""

    def attempt(self, leg: Leg[Any], *, served: bool, cost_usd: float) -> None:
        """Note an attempt that has ended."""
        ...

    def request(self, flight: Flight[Any], error: BaseException | None) -> None:
        """Note a request that has ended; without an error it was answered."""
        ...


class Flight(Generic[Step]):
    """One request under way.

    Args:
        arrival: The request.
        plan: Decides each step.
        truth: The providers as they are.
        clock: The time.
        agenda: What is to happen.
        landed: Takes note.

    Attributes:
        first_at: When the caller saw something; None if that has not happened.
        cost_usd: What the providers charge for it.
    """

    __slots__ = (
        "_agenda",
        "_clock",
        "_had",
        "_landed",
        "_legs",
        "_plan",
        "_tries",
        "_truth",
        "arrival",
        "cost_usd",
        "first_at",
    )

    def __init__(
        self,
        arrival: Arrival,
        plan: Plan[Step],
        truth: Truth,
        clock: SimulatedClock,
        agenda: Agenda,
        landed: Landed,
    ) -> None:
        self.arrival = arrival
        self.first_at: float | None = None
        self.cost_usd = 0.0
        self._plan = plan
        self._truth = truth
        self._clock = clock
        self._agenda = agenda
        self._landed = landed
        self._legs: list[Leg[Step]] = []
        self._tries: dict[str, int] = {}
        self._had = 0

    def go_on(self) -> None:
        """Do what the plan says now."""
        step = self._plan.next()
        if isinstance(step, Wait):
            self._agenda.after(step.seconds, self.go_on)
        elif isinstance(step, Stop):
            self._landed.request(self, step.error)
        else:
            leg = self._begin(step)
            after_s = self._plan.hedge_after_s(streamed=self.arrival.streamed)
            if after_s is not None:
                self._agenda.after(after_s, self._hedge, leg)

    def _begin(self, step: Step) -> Leg[Step]:
        model = step.model
        again = self._tries.get(model.id, 0)
        self._tries[model.id] = again + 1
        if not step.prefill:
            self._had = 0
        asked = self.arrival if not self._had else self._rest()
        now = self._clock.at
        leg = Leg(step, self._truth.answer(model, asked, again, now), now)
        self._legs.append(leg)
        self._set_going(leg)
        return leg

    def _rest(self) -> Arrival:
        """Return the request for what the caller does not have of the answer yet."""
        told = self.arrival
        return Arrival(
            told.number,
            told.at,
            told.request,
            told.input_tokens + self._had,
            max(1, told.output_tokens - self._had),
            told.streamed,
        )

    def _set_going(self, leg: Leg[Step]) -> None:
        """Note when something comes of an attempt, or when it has taken too long."""
        step, answer = leg.step, leg.answer
        if self.arrival.streamed and answer.written:
            comes_s, then = answer.first_s, self._first
            limit_s = min(step.first_token_s, step.ends_s)
        else:
            comes_s, then = answer.whole_s, self._whole
            limit_s = step.first_token_s if self.arrival.streamed else step.timeout_s
            limit_s = min(limit_s, step.ends_s)
        if comes_s > limit_s:
            self._after(leg, limit_s, self._fails, _LATE)
        elif comes_s < inf:
            self._after(leg, comes_s, then)
        else:
            raise ValueError(
                f"model {step.model.id!r} never answers request {self.arrival.number}, and nothing"
                " ends the attempt: set attempt_timeout_s"
            )

    def _after(
        self, leg: Leg[Step], seconds: float, then: Callable[..., object], *given: object
    ) -> None:
        self._agenda.at(leg.started_at + seconds, self._unless_over, leg, then, given)

    def _unless_over(
        self, leg: Leg[Step], then: Callable[..., object], given: tuple[object, ...]
    ) -> None:
        if not leg.over:
            then(leg, *given)

    def _whole(self, leg: Leg[Step]) -> None:
        """An answer that comes as a whole, or the error in its place."""
        if leg.answer.failure is not None:
            self._fails(leg, leg.answer.failure)
        else:
            self._serves(leg)

    def _first(self, leg: Leg[Step]) -> None:
        """The first token of a stream: from now on this attempt is the one that counts."""
        leg.seen = True
        self._leave_others(leg)
        self._plan.won(leg.step)
        self._plan.first_token(leg.step)
        if self.first_at is None:
            self.first_at = self._clock.at
        after_s, failure = leg.ends()
        if failure is None:
            self._after(leg, after_s, self._serves)
        else:
            self._after(leg, after_s, self._breaks, failure)

    def _serves(self, leg: Leg[Step]) -> None:
        self._leave_others(leg)
        told = self.arrival
        usage = Usage(told.input_tokens + self._had, leg.answer.written)
        self._end(leg, written=leg.answer.written, served=True)
        self._plan.succeeded(usage, leg.step)
        if self.first_at is None:
            self.first_at = self._clock.at
        self._landed.request(self, None)

    def _fails(self, leg: Leg[Step], failure: Failure) -> None:
        """An attempt that has brought nothing; another one beside it may go on."""
        goes_on = len(self._legs) == 1 or self._plan.ends_with(failure, leg.step)
        if goes_on:
            self._leave_others(leg)
            self._plan.won(leg.step)
        self._end(leg, written=leg.written(self._clock.at))
        self._plan.failed(failure, leg.step)
        if goes_on:
            self.go_on()

    def _breaks(self, leg: Leg[Step], failure: Failure) -> None:
        """A stream that ends after its beginning and before its end."""
        cut = failure is leg.answer.failure
        written = max(1, leg.answer.written if cut else leg.written(self._clock.at))
        self._end(leg, written=written)
        self._plan.failed(failure, leg.step)
        # What it says is nothing to the plan, but that it is there and goes on.
        self._plan.interrupted("word " * written, only_text=True)
        self._had += written
        self.go_on()

    def _hedge(self, leg: Leg[Step]) -> None:
        if leg.over or leg.seen or len(self._legs) != 1:
            return
        beside = self._plan.hedge()
        if beside is not None:
            self._begin(beside)

    def _leave_others(self, leg: Leg[Step]) -> None:
        for other in self._legs.copy():
            if other is not leg:
                self._end(other, written=other.written(self._clock.at))

    def _end(self, leg: Leg[Step], *, written: int, served: bool = False) -> None:
        leg.over = True
        self._legs.remove(leg)
        cost_usd = 0.0
        if written:
            prompt = self.arrival.input_tokens + self._had
            cost_usd = leg.step.model.cost_usd(Usage(prompt, written))
        self.cost_usd += cost_usd
        self._landed.attempt(leg, served=served, cost_usd=cost_usd)
