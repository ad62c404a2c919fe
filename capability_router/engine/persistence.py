"""How long one call keeps at it: the same model again, or a wait for one that comes back.

Knows one failure at a time, not what else the call has tried.
"""

from __future__ import annotations

from dataclasses import replace

from capability_router.engine.outcome import Failure, FailureKind
from capability_router.engine.request import CompletionRequest
from capability_router.engine.retry import RepeatScope, RetryPolicy
from capability_router.engine.router import Router
from capability_router.engine.timing import Deadline

__all__ = ["Persistence"]

_SHORTEST_WAIT_S = 0.05


class Persistence:
    """What is left of the patience of one call.

    Args:
        router: Knows who comes back when, and what is left of a pool's repetitions.
        retry: The pool's rules.
        deadline: When the call ends.
    """

    def __init__(self, router: Router, retry: RetryPolicy, deadline: Deadline) -> None:
        self._router = router
        self._retry = retry
        self._deadline = deadline
        self._patience_s = retry.max_wait_s

    def pause_s(
        self, request: CompletionRequest, model: str, failure: Failure, so_far: int, now: float
    ) -> float | None:
        """Return the seconds after which a model that failed is asked again; None for never.

        Takes one repetition from the pool's budget.

        Args:
            request: What is asked for.
            model: Id of the model.
            failure: How it failed.
            so_far: How often it was asked in this call, >= 1.
            now: Monotonic seconds.
        """
        retry = self._retry
        if not self._is_repeatable(failure):
            return None
        pause_s = retry.pause_s(so_far - 1, failure, self._router.world.rng)
        if so_far >= retry.same_model or pause_s is None:
            return None
        # A pause that ends with the deadline would only keep the caller waiting.
        stated_s = failure.retry_after_s or 0.0
        if stated_s > self._patience_s or pause_s >= self._deadline.left(now):
            return None
        if self._is_away(request, model, pause_s) or not self._router.may_repeat(request):
            return None
        self._patience_s -= stated_s
        return pause_s

    def wait_for_return_s(self, request: CompletionRequest, now: float) -> float | None:
        """Return the seconds to wait for the first model that comes back; None not to wait."""
        if self._patience_s <= 0:
            return None
        wait_s = self._router.wait_s(request)
        if wait_s is None or wait_s > self._patience_s:
            return None
        # Never quite at once: whoever is due may be on trial for somebody else.
        wait_s = max(wait_s, _SHORTEST_WAIT_S)
        if wait_s >= self._deadline.left(now):
            return None
        self._patience_s -= wait_s
        return wait_s

    def _is_away(self, request: CompletionRequest, model: str, pause_s: float) -> bool:
        """Whether a model that others stand in for will not be back after a pause."""
        if self._retry.scope is RepeatScope.ALONE:
            return False
        back_s = self._router.wait_s(replace(request, model=model))
        return back_s is not None and back_s > pause_s + _SHORTEST_WAIT_S

    def _is_repeatable(self, failure: Failure) -> bool:
        if failure.kind is FailureKind.RATE_LIMITED:
            return failure.retry_after_s is not None and self._retry.max_wait_s > 0
        return self._router.rule(failure.kind).repeatable
