"""One request from first attempt to last: what was tried, and what comes next.

Decides, and does nothing: a driver performs each step and tells how it went. Knows no provider.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import inf

from capability_router.engine.decision import Decision
from capability_router.engine.errors import AllModelsFailedError, NoAvailableModelError
from capability_router.engine.lease import Lease
from capability_router.engine.model import Model
from capability_router.engine.outcome import Attempt, Failure, FailureKind, Outcome, Usage
from capability_router.engine.request import CompletionRequest
from capability_router.engine.retry import RepeatScope
from capability_router.engine.router import Router
from capability_router.engine.timing import Deadline

__all__ = ["Call", "Step", "Stop", "Try", "Wait"]


@dataclass(frozen=True, slots=True)
class Try:
    """Call this model now, then report ``succeeded``, ``failed`` or ``cancelled``.

    Attributes:
        lease: The permit; the call ends it.
        timeout_s: Seconds the attempt may take, > 0.
    """

    lease: Lease
    timeout_s: float

    @property
    def model(self) -> Model:
        """The model to call."""
        return self.lease.model


@dataclass(frozen=True, slots=True)
class Wait:
    """Pause, then ask again.

    Attributes:
        seconds: How long, >= 0.
    """

    seconds: float


@dataclass(frozen=True, slots=True)
class Stop:
    """Give up.

    Attributes:
        error: What to raise: the provider's own error where the caller is at fault.
    """

    error: BaseException


Step = Try | Wait | Stop

_SHORTEST_WAIT_S = 0.05


class Call:
    """The plan of one request. Not for use by two threads at once.

    Args:
        router: Where models come from and outcomes go.
        request: What is asked for.
        record: Takes the decision when the call has ended.

    Raises:
        UnknownCapabilityError: If the tree has no such node.
        UnknownPoolError: If the request names a pool that does not exist.
    """

    def __init__(
        self,
        router: Router,
        request: CompletionRequest,
        record: Callable[[Decision], object] = lambda _: None,
    ) -> None:
        self._router = router
        self._request = request
        self._record = record
        self._retry = router.begin_call(request).retry
        own = self._retry.deadline_s if request.deadline_s is None else request.deadline_s
        self._deadline = Deadline.after(self._now(), own)
        self._attempts: list[Attempt] = []
        # In the order of trying; a set's would differ from process to process.
        self._tried: dict[str, None] = {}
        self._lease: Lease | None = None
        self._pool: str | None = None
        self._granted_s = inf
        self._last: Failure | None = None
        self._again: str | None = None
        self._try_anyone = False
        self._patience_s = self._retry.max_wait_s
        self._first_token_s: float | None = None
        self._panic = False
        self._degraded_to: str | None = None
        self._ended = False

    @property
    def request(self) -> CompletionRequest:
        """What is asked for; a prompt that was too long has raised the window it needs."""
        return self._request

    @property
    def attempts(self) -> tuple[Attempt, ...]:
        """What was tried so far, oldest first."""
        return tuple(self._attempts)

    @property
    def lease(self) -> Lease | None:
        """The attempt in progress; None between attempts."""
        return self._lease

    def next(self) -> Step:
        """Return what to do now.

        Raises:
            RuntimeError: If the attempt in progress was not reported, or the call has ended.
        """
        if self._ended:
            raise RuntimeError("the call has ended; start another one")
        if self._lease is not None:
            raise RuntimeError(f"report how {self._lease.model.id!r} went before asking for more")
        if self._last is not None and not self._router.rule(self._last.kind).next_model:
            return self._stop(self._last.error or self._exhausted(str(self._last.kind)))
        if self._deadline.passed(self._now()):
            return self._stop(self._exhausted("the deadline has passed"))
        if len(self._attempts) >= self._retry.max_attempts:
            return self._stop(self._exhausted(f"max_attempts is {self._retry.max_attempts}"))
        if self._retry.scope is RepeatScope.FIRST and self._again is None:
            pause_s = self._pause_before_repeat_s()
            if pause_s is not None:
                return Wait(pause_s)
        try:
            self._lease = self._select()
        except NoAvailableModelError as nobody:
            return self._without_candidate(nobody)
        self._panic = self._panic or self._lease.panic
        if self._lease.degraded:
            self._degraded_to = self._lease.node
        return Try(self._lease, self._timeout_s())

    def first_token(self) -> None:
        """Note that a stream has brought its first text, tool call or reasoning."""
        if self._lease is not None and self._first_token_s is None:
            self._first_token_s = max(0.0, self._now() - self._lease.started_at)

    def succeeded(self, usage: Usage | None = None) -> None:
        """Report a complete answer; the call has ended."""
        lease = self._close(None)
        outcome = Outcome(usage=usage or Usage(), first_token_s=self._first_token_s)
        self._router.report(lease, outcome)
        self._end(lease)

    def failed(self, failure: Failure) -> None:
        """Report that the attempt gave no answer; ``next`` says what follows."""
        lease = self._close(failure)
        self._last, self._first_token_s = failure, None
        self._tried[lease.model.id] = None
        if failure.kind is FailureKind.CONTEXT_OVERFLOW:
            self._ask_for_more_than(lease.model.context_window)
        if self._was_cut_short_by_the_caller(failure):
            self._router.release(lease, sent=True)
        else:
            self._router.report(lease, Outcome(failure))

    def cancelled(self) -> None:
        """Report that the caller has left; no model is to blame, and the call has ended."""
        if self._lease is not None:
            lease = self._close(Failure(FailureKind.CANCELLED))
            self._router.release(lease, sent=True)
        self._end(None)

    def give_up(self) -> None:
        """End the call though other models are left; the caller has part of an answer."""
        self._end(None)

    def _select(self) -> Lease:
        again, self._again = self._again, None
        if again is not None and self._retry.scope is RepeatScope.FIRST:
            lease = self._router.select_model(again, self._request)
            if lease is not None:
                return lease
        anyone, self._try_anyone = self._try_anyone, False
        try:
            # Whoever came back during the pause goes before the model that was alone.
            return self._router.select(self._request, self._tried)
        except NoAvailableModelError:
            if not (again or anyone):
                raise
            return self._router.select(self._request)

    def _without_candidate(self, nobody: NoAvailableModelError) -> Step:
        """Repeat the only model there is, or wait for one to come back, or give up."""
        last = self._last
        if last is not None and last.kind is FailureKind.CONTEXT_OVERFLOW:
            return self._stop(last.error or self._exhausted("no larger model", nobody))
        if len(self._tried) == 1 and self._retry.scope is RepeatScope.ALONE:
            pause_s = self._pause_before_repeat_s()
            if pause_s is not None:
                return Wait(pause_s)
        if (wait_s := self._wait_for_return_s()) is not None:
            return Wait(wait_s)
        if last is None:
            return self._stop(nobody)
        return self._stop(self._exhausted("no other model is left", nobody))

    def _pause_before_repeat_s(self) -> float | None:
        """Work out whether the model that failed last is asked again, and after which pause."""
        last, retry = self._last, self._retry
        if last is None or not self._is_repeatable(last):
            return None
        model = self._attempts[-1].model
        so_far = sum(attempt.model == model for attempt in self._attempts)
        pause_s = retry.pause_s(so_far - 1, last, self._router.world.rng)
        if so_far >= retry.same_model or pause_s is None:
            return None
        # A pause that ends with the deadline would only keep the caller waiting.
        stated_s = last.retry_after_s or 0.0
        if stated_s > self._patience_s or pause_s >= self._deadline.left(self._now()):
            return None
        if not self._router.may_repeat(self._request):
            return None
        self._patience_s -= stated_s
        self._again = model
        return pause_s

    def _is_repeatable(self, failure: Failure) -> bool:
        if failure.kind is FailureKind.RATE_LIMITED:
            return failure.retry_after_s is not None and self._retry.max_wait_s > 0
        return self._router.rule(failure.kind).repeatable

    def _wait_for_return_s(self) -> float | None:
        """Work out how long to wait for the first model that comes back; None not to wait."""
        if self._patience_s <= 0:
            return None
        wait_s = self._router.wait_s(self._request)
        if wait_s is None or wait_s > self._patience_s:
            return None
        # Never quite at once: whoever is due may be on trial for somebody else.
        wait_s = max(wait_s, _SHORTEST_WAIT_S)
        if wait_s >= self._deadline.left(self._now()):
            return None
        self._patience_s -= wait_s
        self._try_anyone = True
        return wait_s

    def _timeout_s(self) -> float:
        left = self._deadline.left(self._now())
        asked = inf if self._request.timeout_s is None else self._request.timeout_s
        # Only what this caller asked for may excuse a model; the pool's own limits are the pool's.
        self._granted_s = min(asked, inf if self._request.deadline_s is None else left)
        return min(self._retry.attempt_limit_s, asked, left)

    def _was_cut_short_by_the_caller(self, failure: Failure) -> bool:
        own_limit = failure.kind is FailureKind.TIMEOUT and failure.status is None
        return own_limit and self._retry.is_too_short(self._granted_s)

    def _ask_for_more_than(self, window: int | None) -> None:
        """Let only models with a larger context window follow."""
        if window is not None:
            missing = max(0, window + 1 - self._request.output_tokens)
            tokens = max(self._request.input_tokens, missing)
            self._request = replace(self._request, input_tokens=tokens)

    def _close(self, failure: Failure | None) -> Lease:
        """Take the attempt in progress off the call and write it down."""
        lease = self._lease
        if lease is None:
            raise RuntimeError("no attempt is in progress")
        self._lease, self._pool = None, lease.pool.name
        self._attempts.append(
            Attempt(
                model=lease.model.id,
                provider=lease.model.provider,
                kind=failure.kind if failure else None,
                status=failure.status if failure else None,
                latency_s=max(0.0, self._now() - lease.started_at),
                probe=lease.probe,
                error=failure.error if failure else None,
            )
        )
        return lease

    def _exhausted(self, why: str, nobody: NoAvailableModelError | None = None) -> BaseException:
        error = AllModelsFailedError(
            self._request.capability,
            nobody.reasons if nobody else None,
            retry_after_s=nobody.retry_after_s if nobody else None,
            attempts=self._attempts,
            why=why,
        )
        error.__cause__ = self._last.error if self._last else None
        return error

    def _stop(self, error: BaseException) -> Stop:
        self._end(None)
        return Stop(error)

    def _end(self, served: Lease | None) -> None:
        if self._ended:
            return
        self._ended = True
        self._record(
            Decision(
                capability=self._request.capability,
                at=self._now(),
                served_by=served.model.id if served else None,
                pool=self._pool,
                attempts=tuple(self._attempts),
                panic=self._panic,
                degraded_to=self._degraded_to,
            )
        )

    def _now(self) -> float:
        return self._router.world.clock.now()
