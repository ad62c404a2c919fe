"""What another policy would have done with the requests that came."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import isnan

from capability_router.display.blocks import Page, Paged, Table
from capability_router.engine.decision import Decision
from capability_router.engine.outcome import Attempt, FailureKind
from capability_router.engine.router import Router
from capability_router.simulation.contenders import router_of
from capability_router.simulation.providers import SimulatedProvider, World
from capability_router.simulation.recorded import (
    Basis,
    Log,
    RecordedTruth,
    arrivals_of,
    decisions_of,
)
from capability_router.simulation.result import SimulationResult, percentile, time_of
from capability_router.simulation.scene import Policy, Progress, Scene, models_of

__all__ = ["Change", "Difference", "LogFigures", "Replay", "replay"]

_CANCELLED = FailureKind.CANCELLED


class Change(StrEnum):
    """How a request has gone otherwise."""

    RESCUED = "rescued"
    """It was answered now, and was not then."""
    LOST = "lost"
    """It was answered then, and is not now."""
    OTHER_MODEL = "other_model"
    """Another model has answered."""
    OTHER_ATTEMPTS = "other_attempts"
    """The same model has answered, or none, after other attempts."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One request that would have gone otherwise.

    Attributes:
        number: Its place in the log, from 0.
        at_s: Seconds since the first request.
        capability: What was asked for.
        change: What is different.
        before: What was tried: each model, with the kind of its failure.
        after: What would have been tried.
        served_before: Who answered; None for nobody.
        served_after: Who would have answered.
        latency_before_s: Seconds that it took.
        latency_after_s: Seconds that it would have taken.
        basis: What the least sure answer of the replay rests on: ``recorded``, ``nearest`` in
            time, or ``assumed``.
    """

    number: int
    at_s: float
    capability: str
    change: Change
    before: tuple[str, ...]
    after: tuple[str, ...]
    served_before: str | None
    served_after: str | None
    latency_before_s: float
    latency_after_s: float
    basis: str

    def as_dict(self) -> dict[str, object]:
        """Return it as JSON-ready values."""
        return {
            "number": self.number,
            "at_s": self.at_s,
            "capability": self.capability,
            "change": str(self.change),
            "before": list(self.before),
            "after": list(self.after),
            "served_before": self.served_before,
            "served_after": self.served_after,
            "latency_before_s": self.latency_before_s,
            "latency_after_s": self.latency_after_s,
            "basis": self.basis,
        }


@dataclass(frozen=True, slots=True)
class LogFigures:
    """The figures of the log itself, as those of a ``SimulationResult``.

    Attributes:
        requests: How many requests there were.
        success: Share of them that were answered.
        latency_p50_s: Median seconds of those; ``nan`` if there is none.
        latency_p95_s: 95th percentile.
        latency_p99_s: 99th percentile.
        cost_usd: What the answers cost, as far as that is known.
        attempts_per_request: Mean number of attempts.
        wasted_calls: Attempts that were no use.
    """

    requests: int
    success: float
    latency_p50_s: float
    latency_p95_s: float
    latency_p99_s: float
    cost_usd: float
    attempts_per_request: float
    wasted_calls: int

    @classmethod
    def of(cls, decisions: Sequence[Decision]) -> LogFigures:
        """Sum up a log."""
        served = [decision for decision in decisions if decision.served_by is not None]
        latency_s = sorted(decision.at - decision.started_at for decision in served)
        attempts = [attempt for decision in decisions for attempt in decision.attempts]
        return cls(
            len(decisions),
            len(served) / len(decisions),
            percentile(latency_s, 0.50),
            percentile(latency_s, 0.95),
            percentile(latency_s, 0.99),
            sum(attempt.cost_usd or 0.0 for attempt in attempts),
            len(attempts) / len(decisions),
            sum(attempt.kind is not None for attempt in attempts),
        )

    def as_dict(self) -> dict[str, float | None]:
        """Return it as JSON-ready values."""
        told = {name: getattr(self, name) for name in self.__slots__}
        return {name: None if isnan(value) else value for name, value in told.items()}


@dataclass(frozen=True, slots=True)
class Replay(Paged):
    """A log under another policy.

    Attributes:
        recorded: The figures of the log.
        result: Those of the other policy.
        differences: The requests that would have gone otherwise, in their order; without those
            whose callers left, of which nobody knows how they would have ended.
        rests_on: For each basis how many requests it is the least sure one of.
    """

    recorded: LogFigures
    result: SimulationResult
    differences: tuple[Difference, ...]
    rests_on: Mapping[str, int]

    @property
    def changes(self) -> Mapping[str, int]:
        """How many differences there are of each kind."""
        counts = Counter(difference.change for difference in self.differences)
        return {str(change): counts[change] for change in Change}

    def as_dict(self) -> dict[str, object]:
        """Return all of it as JSON-ready values."""
        return {
            "recorded": self.recorded.as_dict(),
            "result": self.result.as_dict(),
            "changes": dict(self.changes),
            "rests_on": dict(self.rests_on),
            "differences": [difference.as_dict() for difference in self.differences],
        }

    def page(self, most: int = 20) -> Page:
        """Return the figures and the differences as tables.

        Args:
            most: Differences to list, >= 0.
        """
        before, after = self.recorded, self.result
        figures = Table(
            ("figure", "recorded", "replayed"),
            [
                ("success", f"{before.success:.3%}", f"{after.success:.3%}"),
                ("p50", time_of(before.latency_p50_s), time_of(after.latency_p50_s)),
                ("p95", time_of(before.latency_p95_s), time_of(after.latency_p95_s)),
                ("p99", time_of(before.latency_p99_s), time_of(after.latency_p99_s)),
                ("cost USD", f"{before.cost_usd:,.4g}", f"{after.cost_usd:,.4g}"),
                (
                    "attempts",
                    f"{before.attempts_per_request:.3f}",
                    f"{after.attempts_per_request:.3f}",
                ),
                ("wasted", f"{before.wasted_calls:,}", f"{after.wasted_calls:,}"),
            ],
        )
        told = [f"{change} {count}" for change, count in self.changes.items() if count]
        rests = [f"{basis} {count}" for basis, count in self.rests_on.items() if count]
        heading = f"{before.requests:,} requests again; different: {', '.join(told) or 'none'}"
        if not self.differences:
            return Page(heading, (figures,))
        return Page(f"{heading}; rests on: {', '.join(rests)}", (figures, self._differences(most)))

    def _differences(self, most: int) -> Table:
        rows = [
            (
                str(each.number),
                time_of(each.at_s),
                str(each.change),
                " → ".join(each.before) or "nobody was asked",
                " → ".join(each.after) or "nobody is asked",
                each.basis,
            )
            for each in self.differences[:most]
        ]
        heads = ("request", "at", "change", "recorded", "replayed", "rests on")
        return Table(heads, rows, max(0, len(self.differences) - most))


def replay(
    log: Log,
    policy: Policy,
    providers: Mapping[str, SimulatedProvider] | None = None,
    seed: int = 0,
    *,
    progress: Progress | None = None,
) -> Replay:
    """Say what another policy would have done with the requests of a log.

    A model that was asked for a request says the same again. What was not tried then is taken to
    have gone as the model's recorded attempt that is nearest in time; of a model that was never
    tried ``providers`` says what it does. Each difference tells which of these it rests on, and
    ``rests_on`` how many requests do: a replay says the more, the closer it stays to the log.

    The policy begins with all models active, whatever they were when the log begins.

    Args:
        log: A file that ``JsonLines`` has written, a router, or decisions.
        policy: A YAML file, a router, or a rule; see ``simulate``.
        providers: How models behave of which the log says nothing.
        seed: Seed of the policy, and of what is assumed.
        progress: Is told how far it is.

    Raises:
        ConfigurationError: If the YAML file is wrong.
        OSError: If the log cannot be read.
        UnknownCapabilityError: If the policy's tree lacks what was asked for.
        ValueError: If the log holds no decision, or a line that is none, or ``providers`` names
            what is neither a provider nor a model.
    """
    decisions = decisions_of(log)
    arrivals = arrivals_of(decisions)
    router = router_of(models_of(policy))
    if not providers:
        _check_known(decisions, router)
    starts_at = decisions[0].wall
    truths: list[RecordedTruth] = []

    def truth() -> RecordedTruth:
        otherwise = World(providers or {}, router.models, seed, starts_at)
        truths.append(RecordedTruth(decisions, otherwise))
        return truths[-1]

    again: dict[int, Decision] = {}
    scene = Scene(router, arrivals, truth, seed, starts_at)
    result = scene.play(policy, again.__setitem__, progress)
    basis = truths[-1].basis
    counts = Counter(basis.get(number, Basis.RECORDED) for number in again)
    found = (
        _difference(number, arrivals[number].at, before, again[number], basis)
        for number, before in enumerate(decisions)
    )
    return Replay(
        LogFigures.of(decisions),
        result,
        tuple(each for each in found if each is not None),
        {each.name.lower(): counts[each] for each in Basis},
    )


def _check_known(decisions: Sequence[Decision], router: Router) -> None:
    tried = {attempt.model for decision in decisions for attempt in decision.attempts}
    if tried and not tried & {model.id for model in router.models}:
        raise ValueError(
            f"the log knows only {', '.join(sorted(tried))}, and the policy has none of these:"
            " say how its models behave by providers=, or all would be made up"
        )


def _difference(
    number: int, at_s: float, before: Decision, after: Decision, basis: Mapping[int, Basis]
) -> Difference | None:
    was, now = _path(before.attempts), _path(after.attempts)
    if _left(before) or (was == now and before.served_by == after.served_by):
        return None
    if (before.served_by is None) != (after.served_by is None):
        change = Change.RESCUED if before.served_by is None else Change.LOST
    elif before.served_by != after.served_by:
        change = Change.OTHER_MODEL
    else:
        change = Change.OTHER_ATTEMPTS
    return Difference(
        number,
        at_s,
        before.capability,
        change,
        was,
        now,
        before.served_by,
        after.served_by,
        before.at - before.started_at,
        after.at - after.started_at,
        basis.get(number, Basis.RECORDED).name.lower(),
    )


def _left(decision: Decision) -> bool:
    """Whether the caller did not wait for the end."""
    last = decision.attempts[-1].kind if decision.attempts else None
    return decision.served_by is None and last is _CANCELLED


def _path(attempts: Sequence[Attempt]) -> tuple[str, ...]:
    return tuple(
        f"{attempt.model} {attempt.kind}" if attempt.kind else attempt.model
        for attempt in attempts
        if attempt.kind is not _CANCELLED
    )
