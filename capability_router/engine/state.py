"""What is known right now of a model, and of a pool as a whole.

A model has one record, shared by all of its pools: whether it is active or on standby belongs to
its membership in each.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from math import exp, inf

from capability_router.engine.concurrency import Slots
from capability_router.engine.downtime import Downtime
from capability_router.engine.faults import FaultRule, Health
from capability_router.engine.outcome import Failure, FailureKind, Usage
from capability_router.engine.provider_health import ProviderState
from capability_router.engine.statistics import Statistics
from capability_router.engine.tally import Tally
from capability_router.engine.throttling import Acceptance

__all__ = ["SLOW_KINDS", "Experience", "ModelState", "PoolState", "StandbyState"]

SLOW_KINDS = (FailureKind.TIMEOUT, FailureKind.STALLED)
"""Failures that say how slow a model is: it took at least that long."""

_LATENCY_DECAY_S = 60.0
"""Longer than the 10 s of Finagle's peak EWMA, because a model gets a request in seconds where a
server gets thousands."""
_TURNED_AWAY = (FailureKind.RATE_LIMITED, FailureKind.OVERLOADED)
_LONGEST_LOOK_S = 0.25
_REMEMBERED = 256
_MASK = (1 << _REMEMBERED) - 1


@dataclass(slots=True)
class Experience:
    """What the outcomes at one node have shown of a model; older ones count less.

    Attributes:
        succeeded: Answers, faded, >= 0.
        failed: Failures that the model is to blame for, faded, >= 0.
        latency_s: Mean seconds to an answer, faded likewise; 0 before the first.
        cost_usd: Mean cost of an answer, faded likewise; 0 where no price is known.
        above: The same at the parent node, whose outcomes include these; None at the topmost.
    """

    succeeded: float = 0.0
    failed: float = 0.0
    latency_s: float = 0.0
    cost_usd: float = 0.0
    above: Experience | None = None


@dataclass(slots=True)
class ModelState(Tally):
    """Counters and health of one model since it was registered.

    Attributes:
        in_flight: Leases open now, >= 0.
        abandoned: Leases that ended without an outcome, because the caller left or they expired.
        consecutive_failures: Counted failures since the last success.
        last_success_at: Monotonic seconds of the last answer; ``-inf`` before the first.
        latency_s: Peak-sensitive moving average of the seconds to a complete answer: it jumps up
            with a slow one and comes down within a minute (Finagle's peak EWMA); 0 if not known.
        first_token_s: The same of the seconds to the first token of a stream.
        experience: What was learnt at each node, by its full path; None before the first strategy
            that learns.
        slots: How many may be in flight; None for any number.
        acceptance: What the provider makes of its requests; None before a pool throttles them.
        provider: What is known of its provider; None where a pool was built by hand.
        standbys: How often it has left for standby, in however many pools at once.
        downtime: How long it was on standby in at least one pool.
    """

    in_flight: int = 0
    abandoned: int = 0
    consecutive_failures: int = 0
    last_success_at: float = -inf
    latency_s: float = 0.0
    first_token_s: float = 0.0
    experience: dict[str, Experience] | None = None
    slots: Slots | None = None
    acceptance: Acceptance | None = None
    provider: ProviderState | None = None
    standbys: int = 0
    downtime: Downtime = field(default_factory=Downtime)
    _standby_pools: int = 0
    _timed_at: float = -inf
    _first_token_at: float = -inf
    # One bit for each of the last outcomes that say something, the newest lowest; 1 is a failure.
    _recent: int = 0
    _remembered: int = 0
    _failed_at: deque[float] | None = None

    @property
    def is_full(self) -> bool:
        """Whether no further attempt may be in flight."""
        return self.slots is not None and self.in_flight >= self.slots.limit

    @property
    def room_in_s(self) -> float:
        """Seconds in which it is worth looking for room again, 0 to 0.25; 0 if it is not full.

        Of ``n`` attempts in flight one ends in an ``n``-th of the time that each takes, on average.
        """
        return min(_LONGEST_LOOK_S, self.latency_s / self.in_flight) if self.is_full else 0.0

    @property
    def requests(self) -> int:
        """Leases that were handed out."""
        return self.successes + self.failures + self.abandoned + self.in_flight

    def succeed(
        self,
        usage: Usage,
        latency_s: float,
        first_token_s: float | None,
        now: float,
        cost_usd: float = 0.0,
    ) -> None:
        """Note a complete answer.

        Args:
            usage: Its tokens.
            latency_s: Seconds the attempt took, >= 0.
            first_token_s: Seconds to its first token, >= 0; None if it was not streamed.
            now: Monotonic seconds.
            cost_usd: What it cost, >= 0.
        """
        self.in_flight -= 1
        self.count_answer(usage, cost_usd, latency_s)
        self.consecutive_failures = 0
        self.last_success_at = now
        self._recent = self._recent << 1 & _MASK
        self._remembered += 1
        self._time(latency_s, first_token_s, now)
        if self.acceptance is not None:
            self.acceptance.note(now, accepted=True)

    def fail(self, failure: Failure, rule: FaultRule, latency_s: float, now: float) -> None:
        """Note a failure.

        Args:
            failure: What happened.
            rule: Its row of the fault table.
            latency_s: Seconds the attempt took, >= 0.
            now: Monotonic seconds.
        """
        self.in_flight -= 1
        self.count_failure(failure.kind)
        if self.acceptance is not None and failure.kind in _TURNED_AWAY:
            self.acceptance.note(now, accepted=False)
        if rule.health is not Health.COUNTS:
            return
        self.consecutive_failures += 1
        self._recent = (self._recent << 1 | 1) & _MASK
        self._remembered += 1
        if self._failed_at is None:
            self._failed_at = deque(maxlen=_REMEMBERED)
        self._failed_at.append(now)
        if failure.kind in SLOW_KINDS:
            self._time(latency_s, None, now)

    def recent_failures(self, of_last: int, since: float) -> tuple[int, int]:
        """Count counted failures among the last outcomes.

        Args:
            of_last: How many outcomes to look back, 1 to 256.
            since: Monotonic seconds before which a failure is forgotten.

        Returns:
            The failures, and the outcomes they are among: at most ``of_last``.
        """
        failed = (self._recent & ((1 << of_last) - 1)).bit_count()
        times = self._failed_at or ()
        young = sum(1 for at in list(times)[len(times) - failed :] if at > since)
        return young, min(of_last, self._remembered)

    def leave(self, now: float) -> None:
        """Note that it is on standby in one more pool.

        Args:
            now: Monotonic seconds.
        """
        self._standby_pools += 1
        if self._standby_pools == 1:
            self.standbys += 1
            self._stands_by(1, now)

    def come_back(self, now: float) -> None:
        """Note that it is on standby in one pool less."""
        self._standby_pools -= 1
        self._stands_by(-1 if self._standby_pools == 0 else 0, now)

    def statistics(self, now: float) -> Statistics:
        """Return what the model has done since it was registered."""
        return Statistics.of(
            self,
            requests=self.requests,
            downtime_s=self.downtime.total_s(now),
            standbys=self.standbys,
        )

    def orders_changed(self) -> None:
        """Note that other orders hold it on standby, which may end those for its provider."""
        if self.provider is not None:
            self.provider.count()

    def _stands_by(self, more: int, now: float) -> None:
        self.downtime.note(now, down=self._standby_pools > 0)
        if self.provider is not None:
            self.provider.count(on_standby=more)

    def forgive(self) -> None:
        """Forget the failures: the model is taken back and starts with a clean record."""
        self.consecutive_failures = 0
        self._recent = self._remembered = 0
        self._failed_at = None

    def forget_latency(self) -> None:
        """Forget how slow it was: what is measured from now on counts."""
        self.latency_s = self.first_token_s = 0.0
        self._timed_at = self._first_token_at = -inf

    def latency_now(self, now: float) -> float:
        """Return the moving average as it has faded since the last answer, in seconds.

        Fading lets a model that was slow once be tried again.
        """
        return self.latency_s * exp((self._timed_at - now) / _LATENCY_DECAY_S)

    def first_token_now(self, now: float) -> float:
        """Return the same for the first token, as it has faded since the last stream."""
        return self.first_token_s * exp((self._first_token_at - now) / _LATENCY_DECAY_S)

    def hear_latency(
        self, latency_s: float, first_token_s: float, age_s: float, now: float
    ) -> None:
        """Take over how slow another process has found it, where this one has not measured lately.

        Args:
            latency_s: The moving average there, > 0; 0 if not known.
            first_token_s: The same for the first token.
            age_s: Seconds since it was measured, >= 0.
            now: Monotonic seconds.
        """
        measured_at = now - age_s
        if latency_s and self._timed_at < min(measured_at, now - _LATENCY_DECAY_S):
            self.latency_s, self._timed_at = latency_s, measured_at
        if first_token_s and self._first_token_at < min(measured_at, now - _LATENCY_DECAY_S):
            self.first_token_s, self._first_token_at = first_token_s, measured_at

    @property
    def timed_at(self) -> float:
        """Monotonic seconds of the last measurement of latency; ``-inf`` before the first."""
        return self._timed_at

    def _time(self, latency_s: float, first_token_s: float | None, now: float) -> None:
        kept = exp((self._timed_at - now) / _LATENCY_DECAY_S)
        self._timed_at = now
        old = self.latency_s
        self.latency_s = latency_s if latency_s >= old else old * kept + latency_s * (1 - kept)
        if first_token_s is not None:
            # By its own clock: answers that were not streamed must not keep an old peak alive.
            kept = exp((self._first_token_at - now) / _LATENCY_DECAY_S)
            self._first_token_at = now
            old = self.first_token_s
            self.first_token_s = (
                first_token_s if first_token_s >= old else old * kept + first_token_s * (1 - kept)
            )


@dataclass(frozen=True, slots=True)
class StandbyState:
    """Why a model is on standby in a pool, at one moment.

    Attributes:
        model: Id of the model.
        reason: Why it left, of ``Reason`` or in a person's words.
        since: Monotonic seconds when it left.
        until: Monotonic seconds of its return or trial; None if only a person brings it back.
        on_trial: True while its single trial request is in flight.
    """

    model: str
    reason: str
    since: float
    until: float | None
    on_trial: bool


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
