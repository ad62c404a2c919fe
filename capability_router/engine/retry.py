"""How hard one call tries: attempts, time, pauses, and how much repeating a pool can bear."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from math import inf
from random import Random
from typing import Self

from capability_router.engine.outcome import Failure, FailureKind

__all__ = ["Backoff", "Interruption", "RepeatScope", "RetryBudget", "RetryPolicy"]

_THROTTLED = (FailureKind.RATE_LIMITED, FailureKind.OVERLOADED)
_BUDGET_WINDOW_S = 10.0


class Backoff(StrEnum):
    """How long the pause before a repetition is."""

    FIXED = "fixed"
    """Always the base delay."""
    EXPONENTIAL_JITTER = "exponential-jitter"
    """A random share of a delay that doubles each time (AWS Architecture Blog, "Exponential
    Backoff And Jitter", full jitter)."""
    RETRY_AFTER = "retry-after"
    """To the letter what the provider stated, which the others take for the least; where it
    stated nothing, ``exponential-jitter``."""


class RepeatScope(StrEnum):
    """When the same model is asked again."""

    ALONE = "alone"
    """When no other model is left."""
    FIRST = "first"
    """Before another model is tried."""


class Interruption(StrEnum):
    """How a call goes on when a stream breaks after a part of the answer was handed out."""

    ERROR = "error"
    """With an error that holds the part."""
    CONTINUE = "continue"
    """With another model that takes the part as the beginning of its own answer, or else with the
    same model again; only where the part is nothing but text, and no object was asked for."""
    RESTART = "restart"
    """With a chunk that says so, and then a whole answer from the beginning."""


@dataclass(frozen=True, slots=True)
class RetryBudget:
    """How many repetitions a pool allows, so that they do not multiply the load of an outage.

    Going on with another model is not limited by it.

    Attributes:
        share: Repetitions per request, >= 0. Default 0.2, Finagle's ``percentCanRetry``.
        per_s: Repetitions per second on top of that, >= 0. Default 1: a pool with little traffic
            must be able to repeat as well; Finagle's 10 is meant for servers.
    """

    share: float = 0.2
    per_s: float = 1.0

    def __post_init__(self) -> None:
        if self.share < 0 or self.per_s < 0:
            raise ValueError(f"share {self.share} and per_s {self.per_s} must not be below 0")


class RetryAccount:
    """What is left of a retry budget; a pool has one.

    It saves up for ten seconds, the window of Finagle's budget, and begins full.

    Args:
        budget: What is allowed.
        now: Monotonic seconds.

    Attributes:
        is_exhausted: True if the last repetition that was asked for was refused.
    """

    def __init__(self, budget: RetryBudget, now: float) -> None:
        self._budget = budget
        self._saved = budget.per_s * _BUDGET_WINDOW_S
        self._at = now
        self._requests = 0
        self.is_exhausted = False

    def withdraw(self, requests: int, now: float) -> bool:
        """Take one repetition, if there is one left.

        Args:
            requests: Calls that have begun with this pool so far.
            now: Monotonic seconds.
        """
        seconds, self._at = now - self._at, now
        came, self._requests = requests - self._requests, requests
        # Of the requests since the last time, those of the window; assumed to come evenly.
        came_lately = came * min(1.0, _BUDGET_WINDOW_S / seconds) if seconds > 0 else came
        earned = came_lately * self._budget.share
        most = max(1.0, self._budget.per_s * _BUDGET_WINDOW_S + earned)
        self._saved = min(most, self._saved + seconds * self._budget.per_s + earned)
        self.is_exhausted = self._saved < 1.0
        if not self.is_exhausted:
            self._saved -= 1.0
        return not self.is_exhausted


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Limits of one call.

    Attributes:
        max_attempts: Attempts at most over all models, >= 1. Default 10: every model of a usual
            pool once.
        deadline_s: Seconds after which no attempt starts and none goes on, > 0; None for no
            limit. A caller's own deadline goes before it.
        attempt_timeout_s: Seconds to a whole answer, or to the first token of a stream, > 0; None
            for 60, a tenth of the OpenAI client's 600 because another model is waiting, or for
            half of ``deadline_s`` where that is shorter, so that another model has its turn.
        same_model: Attempts on one model at most, >= 1, where its failure may be repeated as the
            fault table says. Default 2, which with ``scope`` means: once more if it is alone.
        scope: Whether the same model is repeated when it is alone, or before all others.
            Default ``alone``: another model is the better repetition.
        backoff: How long the pause before a repetition is. Default ``exponential-jitter``.
        base_s: First pause in seconds, >= 0. Default 0.05, the base of AWS SDK retries for
            transient errors.
        throttled_s: The same where the provider was too busy, >= 0. Default 1, the base of AWS
            SDK retries for throttling.
        max_backoff_s: Longest pause in seconds that doubling leads to, >= 0. Default 20, the
            cap of AWS SDK retries.
        max_wait_s: Longest time in seconds that a call waits for a stated ``Retry-After``, or
            for the first model that comes back when none is left, >= 0. Default 0: it fails at
            once, and says when to come again.
        wait_for: Reasons of standby that are waited for, of ``Reason``; empty for all.
        budget: How many repetitions and hedges the pool allows.
        first_token_timeout_s: Seconds to the first text, tool call or reasoning of a stream, > 0;
            None for ``attempt_timeout_s``. Models that think without a sign need minutes.
        stall_timeout_s: Seconds that a stream may be silent after that, > 0. Default 15: a
            healthy one brings something several times a second.
        trial_timeout_s: Seconds to the first token of a trial's stream, > 0, or the 99th
            percentile of the pool where that is larger; it holds for models that have streamed
            before. Default 5: whoever takes a trial should not pay a whole timeout for a model
            that is still down.
        on_interruption: What to do when a stream breaks after a part of the answer was handed
            out, in the order of preference; where none of it can be done, ``error``.

    Raises:
        TypeError: If ``on_interruption`` is no tuple.
        ValueError: If a number is out of its range.
    """

    max_attempts: int = 10
    deadline_s: float | None = None
    attempt_timeout_s: float | None = None
    same_model: int = 2
    scope: RepeatScope = RepeatScope.ALONE
    backoff: Backoff = Backoff.EXPONENTIAL_JITTER
    base_s: float = 0.05
    throttled_s: float = 1.0
    max_backoff_s: float = 20.0
    max_wait_s: float = 0.0
    wait_for: frozenset[str] = frozenset()
    budget: RetryBudget = field(default_factory=RetryBudget)
    first_token_timeout_s: float | None = None
    stall_timeout_s: float = 15.0
    trial_timeout_s: float = 5.0
    on_interruption: tuple[Interruption, ...] = (Interruption.CONTINUE,)

    @classmethod
    def patient(cls) -> Self:
        """Return the profile for callers who would rather wait than change the model.

        A model that states a short ``Retry-After``, or fails with a 5xx or a lost connection, is
        asked once more before another one is; one that is silent is not.

        Returns:
            Repetition first, of what the fault table calls repeatable; at most 5 s of waiting, the
            usual order of a per-minute limit's last seconds; 10 s to the first token, so that one
            model that hangs and the next one that serves fit into 15 s; 30 s to a whole answer.
        """
        return cls(
            scope=RepeatScope.FIRST,
            max_wait_s=5.0,
            first_token_timeout_s=10.0,
            attempt_timeout_s=30.0,
        )

    def __post_init__(self) -> None:
        if self.max_attempts < 1 or self.same_model < 1:
            raise ValueError(
                f"max_attempts {self.max_attempts} and same_model {self.same_model} must be at"
                " least 1"
            )
        for name in ("attempt_timeout_s", "deadline_s", "first_token_timeout_s"):
            limit: float | None = getattr(self, name)
            if limit is not None and limit <= 0:
                raise ValueError(f"{name} {limit} must be above 0, or None")
        for name in ("stall_timeout_s", "trial_timeout_s"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} {getattr(self, name)} must be above 0")
        for name in ("base_s", "throttled_s", "max_backoff_s", "max_wait_s"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} {getattr(self, name)} must not be below 0")
        if not isinstance(self.on_interruption, tuple):  # pyright: ignore[reportUnnecessaryIsInstance] - of callers without types
            raise TypeError(f"on_interruption {self.on_interruption!r} must be a tuple")

    @property
    def attempt_limit_s(self) -> float:
        """Seconds that one attempt may take, > 0."""
        if self.attempt_timeout_s is not None:
            return self.attempt_timeout_s
        return min(60.0, inf if self.deadline_s is None else self.deadline_s / 2)

    def is_too_short(self, seconds: float) -> bool:
        """Whether a caller gave an attempt so little time that its end shows nothing.

        Less than a quarter of the pool's own limit: a model that hangs is found out all the same
        by callers who are merely a little less patient than the pool.
        """
        return seconds < self.attempt_limit_s / 4

    def pause_s(self, repeats: int, failure: Failure, rng: Random) -> float | None:
        """Return the seconds to wait before the same model is repeated.

        Args:
            repeats: Repetitions of it so far, >= 0.
            failure: How it failed.
            rng: Source of jitter.

        Returns:
            Seconds, >= 0; None if the provider wants more patience than ``max_wait_s``.
        """
        stated = failure.retry_after_s
        if stated is not None and stated > self.max_wait_s:
            return None
        if stated is not None and self.backoff is Backoff.RETRY_AFTER:
            return stated
        base = self.throttled_s if failure.kind in _THROTTLED else self.base_s
        if self.backoff is not Backoff.FIXED:
            base = min(self.max_backoff_s, base * 2.0 ** min(repeats, 16)) * rng.random()
        # Never earlier than the provider has asked for: it would only refuse again.
        return max(base, stated or 0.0)
