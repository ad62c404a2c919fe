"""What models, providers and pools have done so far, as values.

Knows no router: it is handed the counters that each of them keeps.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Self

from capability_router.engine.displaying import Displayed
from capability_router.engine.latencies import LatencyHistogram
from capability_router.engine.outcome import FailureKind
from capability_router.engine.tally import Tally

__all__ = ["RouterStatistics", "Statistics"]


@dataclass(frozen=True, slots=True)
class Statistics:
    """What one model, provider or pool has done, up to one moment.

    Attributes:
        requests: Attempts that it was chosen for. Those that neither answered nor failed are in
            progress, or ended without an outcome because the caller left.
        successes: Complete answers.
        failures: Attempts that failed, whoever was to blame, by the kind of failure.
        input_tokens: Tokens of all prompts that were answered.
        output_tokens: Tokens of all answers.
        cost_usd: What all answers cost, by the models' prices or as stated; 0 where not known.
        latency_total_s: Seconds spent on complete answers.
        latencies: How many of them took how long.
        downtime_s: Seconds in which it could not serve: a model while it was on standby in any
            pool, a provider while all of its models were, a pool that has members while none was
            active.
        standbys: How often a model left for standby; in several pools at once counts once, but
            for the statistics of a pool.
    """

    requests: int
    successes: int
    failures: Mapping[FailureKind, int]
    input_tokens: int
    output_tokens: int
    cost_usd: float
    latency_total_s: float
    latencies: LatencyHistogram
    downtime_s: float
    standbys: int

    @classmethod
    def of(cls, tally: Tally, *, requests: int, downtime_s: float, standbys: int) -> Self:
        """Return the counters of a tally as they are now, with what it does not count."""
        return cls(
            requests,
            tally.successes,
            dict(tally.failed),
            tally.input_tokens,
            tally.output_tokens,
            tally.cost_usd,
            tally.latency_total_s,
            tally.latencies.copy(),
            downtime_s,
            standbys,
        )

    @classmethod
    def merged(cls, parts: Iterable[Statistics], *, downtime_s: float) -> Self:
        """Return what several did together; when all of them were down has to be told."""
        failures, latencies, parts = dict[FailureKind, int](), LatencyHistogram(), list(parts)
        for part in parts:
            latencies.add(part.latencies)
            for kind, count in part.failures.items():
                failures[kind] = failures.get(kind, 0) + count
        return cls(
            sum(part.requests for part in parts),
            sum(part.successes for part in parts),
            failures,
            sum(part.input_tokens for part in parts),
            sum(part.output_tokens for part in parts),
            sum(part.cost_usd for part in parts),
            sum(part.latency_total_s for part in parts),
            latencies,
            downtime_s,
            sum(part.standbys for part in parts),
        )

    @property
    def latency_mean_s(self) -> float | None:
        """Mean seconds to a complete answer; None without one."""
        return self.latency_total_s / self.successes if self.successes else None

    @property
    def latency_p50_s(self) -> float | None:
        """Median seconds to a complete answer, within 1 %; None without one."""
        return self.latencies.percentile(0.5)

    @property
    def latency_p95_s(self) -> float | None:
        """Seconds that 95 % of the complete answers did not exceed, within 1 %; None without."""
        return self.latencies.percentile(0.95)

    def as_dict(self) -> dict[str, object]:
        """Return them as JSON-ready values."""
        return {
            "requests": self.requests,
            "successes": self.successes,
            "failures": {str(kind): count for kind, count in self.failures.items()},
            "input_tokens": self.input_tokens,
            "output_tokens": self.output_tokens,
            "cost_usd": self.cost_usd,
            "latency_mean_s": self.latency_mean_s,
            "latency_p50_s": self.latency_p50_s,
            "latency_p95_s": self.latency_p95_s,
            "downtime_s": self.downtime_s,
            "standbys": self.standbys,
        }


@dataclass(frozen=True, slots=True)
class RouterStatistics(Displayed):
    """What a router has done so far.

    Attributes:
        at: Monotonic seconds of the router's clock.
        wall: The same moment in seconds since 1970 UTC.
        models: What each registered model has done since it was registered, by its id.
        providers: What the registered models of each provider have done together, by its id.
        pools: What was done in each pool since it was made, by its name; for nodes that no
            declared pool serves, the name is the path of the node.
    """

    at: float
    wall: float
    models: Mapping[str, Statistics]
    providers: Mapping[str, Statistics]
    pools: Mapping[str, Statistics]

    def as_dict(self) -> dict[str, object]:
        """Return them as JSON-ready values."""
        return {
            "at": self.at,
            "wall": self.wall,
            "models": {name: each.as_dict() for name, each in self.models.items()},
            "providers": {name: each.as_dict() for name, each in self.providers.items()},
            "pools": {name: each.as_dict() for name, each in self.pools.items()},
        }
