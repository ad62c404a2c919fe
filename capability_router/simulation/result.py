"""What has come of a simulation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from math import ceil, inf, isnan

from capability_router.display.blocks import Page, Paged, Table
from capability_router.engine.timing import spell

__all__ = ["ModelResult", "SimulationResult", "percentile", "time_of"]


@dataclass(frozen=True, slots=True)
class ModelResult:
    """How one model has fared.

    Attributes:
        attempts: How often it was asked.
        served: How often it has answered as a whole, and was used.
        cost_usd: What it charges, also for what nobody used.
        standby_s: Seconds in which it was on standby in at least one pool.
    """

    attempts: int
    served: int
    cost_usd: float
    standby_s: float


@dataclass(frozen=True, slots=True)
class SimulationResult(Paged):
    """How one policy has fared in one world.

    Attributes:
        requests: How many there were, >= 1.
        success: Share of them that were answered as a whole, 0 to 1.
        latency_p50_s: Median seconds from the arrival to the end of the answer, of those that were
            answered; ``nan`` if none was. ``latency_p95_s`` and ``latency_p99_s`` likewise.
        latency_p95_s: 95th percentile.
        latency_p99_s: 99th percentile.
        first_token_p50_s: Median seconds from the arrival to the first thing that the caller sees:
            the first token of a stream, or a whole answer.
        first_token_p95_s: 95th percentile of it.
        cost_usd: What the providers charge for all of it, also for what nobody used: what was
            written before a stream broke or the time was over, or by a second attempt that was
            left.
        cost_per_1000_usd: The same for a thousand requests that were answered.
        attempts_per_request: Mean number of attempts.
        wasted_calls: Attempts that were no use, whether they failed or were left.
        leave_s: Seconds from the beginning of a whole outage to the moment at which a model was on
            standby in a pool, on average over the outages in which it was. None if there was none.
        return_s: Seconds from the end of such an outage to its return, on average over those after
            which it did. None if there was none.
        regret_success: Share of the requests that a model could have answered when they came, and
            that were not answered.
        regret_latency_s: Mean seconds above the fastest possible answer, of those that were
            answered.
        regret_cost_usd: Dollars above the cheapest possible answers, of those that were answered.
        span_s: Seconds from the start to the end of the last request.
        outages: Outages that began in that time, of all models; one of a provider counts for each
            of its models.
        unpriced: Ids of the models that have no price, and count as free in every figure of cost.
        errors: How the others ended: the names of their errors and of the last failure, with how
            many there were.
        models: How each model has fared, by its id.
    """

    requests: int
    success: float
    latency_p50_s: float
    latency_p95_s: float
    latency_p99_s: float
    first_token_p50_s: float
    first_token_p95_s: float
    cost_usd: float
    cost_per_1000_usd: float
    attempts_per_request: float
    wasted_calls: int
    leave_s: float | None
    return_s: float | None
    regret_success: float
    regret_latency_s: float
    regret_cost_usd: float
    span_s: float
    outages: int
    unpriced: tuple[str, ...]
    errors: Mapping[str, int]
    models: Mapping[str, ModelResult]

    def as_dict(self) -> dict[str, object]:
        """Return all of it as JSON-ready values."""
        told: dict[str, object] = {each.name: getattr(self, each.name) for each in fields(self)}
        told["errors"] = dict(self.errors)
        told["unpriced"] = list(self.unpriced)
        told["models"] = {
            name: {each.name: getattr(model, each.name) for each in fields(model)}
            for name, model in self.models.items()
        }
        # JSON has no word for what there is no number of.
        return {
            name: None if isinstance(value, float) and isnan(value) else value
            for name, value in told.items()
        }

    def page(self) -> Page:
        """Return the figures as tables."""
        rows = [
            ("requests", f"{self.requests:,} in {spell(self.span_s)}"),
            ("outages", f"{self.outages:,}"),
            ("success", f"{self.success:.3%}"),
            ("latency p50", time_of(self.latency_p50_s)),
            ("latency p95", time_of(self.latency_p95_s)),
            ("latency p99", time_of(self.latency_p99_s)),
            ("first token p50", time_of(self.first_token_p50_s)),
            ("first token p95", time_of(self.first_token_p95_s)),
            ("cost", f"{self.cost_usd:,.4g} USD"),
            ("cost of 1,000 answers", f"{self.cost_per_1000_usd:,.4g} USD"),
            ("attempts per request", f"{self.attempts_per_request:.3f}"),
            ("wasted calls", f"{self.wasted_calls:,}"),
            ("time to leave", time_of(self.leave_s)),
            ("time to return", time_of(self.return_s)),
            ("regret in success", f"{self.regret_success:.3%}"),
            ("regret in latency", time_of(self.regret_latency_s)),
            ("regret in cost", f"{self.regret_cost_usd:,.4g} USD"),
            *((f"ended with {name}", f"{count:,}") for name, count in sorted(self.errors.items())),
        ]
        figures = Table(("figure", "value"), rows)
        models = Table(
            ("model", "attempts", "served", "cost USD", "on standby"),
            [
                (
                    name,
                    f"{each.attempts:,}",
                    f"{each.served:,}",
                    f"{each.cost_usd:,.4g}",
                    spell(each.standby_s),
                )
                for name, each in self.models.items()
            ],
        )
        return Page("Simulation", (figures, models))


def percentile(ordered: Sequence[float], share: float) -> float:
    """Return the smallest of some ordered values that a share of them, > 0, does not pass."""
    return ordered[max(0, ceil(share * len(ordered)) - 1)] if ordered else float("nan")


def time_of(seconds: float | None) -> str:
    """Return a time for people; a dash where there is none."""
    return spell(seconds) if seconds is not None and abs(seconds) < inf else "–"
