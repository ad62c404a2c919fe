"""What is known right now of a model, and of a pool as a whole.

A model has one record, shared by all of its pools: whether it is active or on standby belongs to
its membership in each.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

from capability_router.engine.faults import FaultRule, Health
from capability_router.engine.outcome import Outcome

__all__ = ["ModelState", "PoolState"]


@dataclass(slots=True)
class ModelState:
    """Counters and health of one model since it was registered.

    Attributes:
        in_flight: Leases open now, >= 0.
        successes: Complete answers.
        failures: Attempts that failed, whoever was to blame.
        consecutive_failures: Counted failures since the last success.
        input_tokens: Tokens of all prompts that were answered.
        output_tokens: Tokens of all answers.
        latency_total_s: Seconds spent on complete answers.
        last_success_at: Monotonic seconds of the last answer; ``-inf`` before the first.
    """

    in_flight: int = 0
    successes: int = 0
    failures: int = 0
    consecutive_failures: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    latency_total_s: float = 0.0
    last_success_at: float = -inf

    def start(self) -> None:
        """Note that an attempt begins."""
        self.in_flight += 1

    def abandon(self) -> None:
        """Note that an attempt ended without saying anything about the model."""
        self.in_flight -= 1

    def finish(
        self, outcome: Outcome, rule: FaultRule | None, latency_s: float, now: float
    ) -> None:
        """Note how an attempt ended.

        Args:
            outcome: The end of the attempt.
            rule: Row of the fault table for its failure; None for an answer.
            latency_s: Seconds the attempt took, >= 0.
            now: Monotonic seconds.
        """
        self.in_flight -= 1
        if rule is None:
            self.successes += 1
            self.consecutive_failures = 0
            self.input_tokens += outcome.usage.input_tokens
            self.output_tokens += outcome.usage.output_tokens
            self.latency_total_s += latency_s
            self.last_success_at = now
            return
        self.failures += 1
        if rule.health is Health.COUNTS:
            self.consecutive_failures += 1


@dataclass(frozen=True, slots=True)
class PoolState:
    """A pool at one moment.

    Attributes:
        name: Name of the pool.
        hierarchy_node: Node it targets.
        active_count: Models eligible now.
        standby_count: Models excluded now.
        total_requests: Models handed out since the pool was made.
        rotation_events: Deactivations and recoveries since the pool was made.
    """

    name: str
    hierarchy_node: str
    active_count: int
    standby_count: int
    total_requests: int
    rotation_events: int
