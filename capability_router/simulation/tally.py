"""Counts what comes of the requests of one simulation, and sums it up at the end."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import inf, isfinite, nan
from operator import itemgetter
from statistics import fmean
from typing import Any

from capability_router.engine.events import EventType, RoutingEvent
from capability_router.engine.model import Model
from capability_router.engine.outcome import Attempt
from capability_router.simulation.agenda import SimulatedClock
from capability_router.simulation.flights import Flight, Leg
from capability_router.simulation.oracle import Oracle
from capability_router.simulation.outages import Outage
from capability_router.simulation.providers import Truth
from capability_router.simulation.result import ModelResult, SimulationResult, percentile

__all__ = ["Standbys", "Tally"]

_UNANSWERED = inf


@dataclass(slots=True)
class _Counts:
    attempts: int = 0
    served: int = 0
    cost_usd: float = 0.0


class Tally:
    """Takes note of attempts and requests as they end.

    Args:
        clock: The time of the simulation.
        requests: How many requests there are.
        models: All models.
    """

    def __init__(self, clock: SimulatedClock, requests: int, models: Iterable[Model]) -> None:
        self._clock = clock
        known = list(models)
        self._models = {model.id: _Counts() for model in known}
        self._unpriced = tuple(model.id for model in known if model.price is None)
        self._latency_s = array("d", [_UNANSWERED]) * requests
        self._first_s = array("d", [_UNANSWERED]) * requests
        self._cost_usd = array("d", [0.0]) * requests
        self._errors: Counter[str] = Counter()
        self._attempts = 0
        self._served = 0
        # When the last request ended; what is due after it happens to nobody.
        self._ended_at = 0.0
        self.done = 0

    def attempt(self, leg: Leg[Any], *, served: bool, cost_usd: float) -> None:
        """Note an attempt that has ended."""
        counts = self._models[leg.step.model.id]
        counts.attempts += 1
        counts.served += served
        counts.cost_usd += cost_usd
        self._attempts += 1
        self._served += served

    def request(self, flight: Flight[Any], error: BaseException | None) -> None:
        """Note a request that has ended."""
        self.done += 1
        self._ended_at = self._clock.at
        number, came_at = flight.arrival.number, flight.arrival.at
        self._cost_usd[number] = flight.cost_usd
        if flight.first_at is not None:
            self._first_s[number] = flight.first_at - came_at
        if error is None:
            self._latency_s[number] = self._clock.at - came_at
        else:
            self._errors[_named(error)] += 1

    def result(self, oracle: Oracle, standbys: Standbys, truth: Truth) -> SimulationResult:
        """Sum everything up."""
        requests = len(self._latency_s)
        latency_s = sorted(filter(isfinite, self._latency_s))
        first_s = sorted(filter(isfinite, self._first_s))
        cost_usd = sum(self._cost_usd)
        answered = len(latency_s)
        leave_s, return_s = standbys.delays(truth)
        return SimulationResult(
            requests=requests,
            success=answered / requests,
            latency_p50_s=percentile(latency_s, 0.50),
            latency_p95_s=percentile(latency_s, 0.95),
            latency_p99_s=percentile(latency_s, 0.99),
            first_token_p50_s=percentile(first_s, 0.50),
            first_token_p95_s=percentile(first_s, 0.95),
            cost_usd=cost_usd,
            cost_per_1000_usd=cost_usd / answered * 1000 if answered else nan,
            attempts_per_request=self._attempts / requests,
            wasted_calls=self._attempts - self._served,
            leave_s=leave_s,
            return_s=return_s,
            span_s=self._ended_at,
            outages=sum(
                outage.start_s <= self._ended_at
                for model_id in self._models
                for outage in truth.outages(model_id)
            ),
            unpriced=self._unpriced,
            errors=dict(self._errors),
            models={
                name: ModelResult(
                    counts.attempts,
                    counts.served,
                    counts.cost_usd,
                    standbys.total_s(name, self._ended_at),
                )
                for name, counts in self._models.items()
            },
            **self._regret(oracle),
        )

    def _regret(self, oracle: Oracle) -> dict[str, float]:
        lost = late_s = dear_usd = 0.0
        answered = 0
        figures = zip(
            self._latency_s, self._cost_usd, oracle.latency_s, oracle.cost_usd, strict=True
        )
        for latency_s, cost_usd, best_s, least_usd in figures:
            if latency_s == _UNANSWERED:
                lost += best_s < inf
            elif best_s < inf:
                answered += 1
                late_s += latency_s - best_s
                dear_usd += cost_usd - least_usd
        return {
            "regret_success": lost / len(self._latency_s),
            "regret_latency_s": late_s / answered if answered else nan,
            "regret_cost_usd": dear_usd,
        }


def _named(error: BaseException) -> str:
    """Return the name of an error, with how the last attempt failed."""
    attempts: Sequence[Attempt] = getattr(error, "attempts", ())
    name = type(error).__name__
    return f"{name} after {attempts[-1].kind}" if attempts else name


class Standbys:
    """When each model was on standby in at least one pool.

    A subscriber of events, and quiet for rules that have no standby.
    """

    def __init__(self) -> None:
        self._away: dict[str, set[str]] = {}
        self._spans: dict[str, list[tuple[float, float]]] = {}
        self._since: dict[str, float] = {}

    def __call__(self, event: RoutingEvent) -> None:
        """Note a model that leaves or comes back."""
        if event.type is EventType.MODEL_DEACTIVATED:
            pools = self._away.setdefault(event.model, set())
            if not pools:
                self._since[event.model] = event.at
            pools.add(event.pool)
        elif event.type is EventType.MODEL_ACTIVATED:
            pools = self._away.get(event.model, set())
            pools.discard(event.pool)
            if not pools and event.model in self._since:
                start = self._since.pop(event.model)
                self._spans.setdefault(event.model, []).append((start, event.at))

    def total_s(self, model_id: str, now: float) -> float:
        """Return the seconds that a model was away up to now."""
        return sum(min(end, now) - start for start, end in self._of(model_id))

    def delays(self, truth: Truth) -> tuple[float | None, float | None]:
        """Return the mean seconds to leave in an outage, and to return after it."""
        leave_s: list[float] = []
        return_s: list[float] = []
        for model_id in self._spans.keys() | self._since.keys():
            spans = self._of(model_id)
            for outage in truth.outages(model_id):
                if outage.share >= 1:
                    self._delay(outage, spans, leave_s, return_s)
        return fmean(leave_s) if leave_s else None, fmean(return_s) if return_s else None

    def _delay(
        self,
        outage: Outage,
        spans: list[tuple[float, float]],
        leave_s: list[float],
        return_s: list[float],
    ) -> None:
        first = bisect_right(spans, outage.start_s, key=itemgetter(1))
        within = spans[first : bisect_left(spans, outage.end_s, key=itemgetter(0))]
        if not within:
            return
        leave_s.append(max(0.0, within[0][0] - outage.start_s))
        last = within[-1][1]
        if outage.end_s <= last < inf:
            return_s.append(last - outage.end_s)

    def _of(self, model_id: str) -> list[tuple[float, float]]:
        since = self._since.get(model_id)
        open_span = [] if since is None else [(since, inf)]
        return [*self._spans.get(model_id, []), *open_span]
