"""What attempts came to: answers, failures, tokens, money and time."""

from __future__ import annotations

from dataclasses import dataclass, field

from capability_router.engine.latencies import LatencyHistogram
from capability_router.engine.outcome import FailureKind, Usage

__all__ = ["Tally"]


@dataclass(slots=True)
class Tally:
    """Counters of attempts; a model has them, and so has a pool.

    Attributes:
        successes: Complete answers.
        failed: Attempts that failed, whoever was to blame, by the kind of failure.
        input_tokens: Tokens of all prompts that were answered.
        output_tokens: Tokens of all answers.
        cost_usd: What all answers cost, by the model's price or as stated; 0 where not known.
        latency_total_s: Seconds spent on complete answers.
        latencies: How many of them took how long.
    """

    successes: int = 0
    failed: dict[FailureKind, int] = field(default_factory=dict[FailureKind, int])
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float = 0.0
    latency_total_s: float = 0.0
    latencies: LatencyHistogram = field(default_factory=LatencyHistogram)

    @property
    def failures(self) -> int:
        """Attempts that failed, whoever was to blame."""
        return sum(self.failed.values())

    def count_answer(self, usage: Usage, cost_usd: float, latency_s: float) -> None:
        """Count a complete answer.

        Args:
            usage: Its tokens.
            cost_usd: What it cost, >= 0.
            latency_s: Seconds the attempt took, >= 0.
        """
        self.successes += 1
        self.input_tokens += usage.input_tokens
        self.output_tokens += usage.output_tokens
        self.cost_usd += cost_usd
        self.latency_total_s += latency_s
        self.latencies.note(latency_s)

    def count_failure(self, kind: FailureKind) -> None:
        """Count an attempt that failed."""
        self.failed[kind] = self.failed.get(kind, 0) + 1
