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
        self._retry = router.policy_for(request).retry
        own = self._retry.deadline_s if request.deadline_s is None else request.deadline_s
        self._deadline = Deadline.after(self._now(), own)
        self._attempts: list[Attempt] = []
        # In the order of trying; a set's would differ from process to process.
        self._tried: dict[str, None] = {}
        self._lease: Lease | None = None
        self._pool: str | None = None
        self._granted_s = inf
        self._last: Failure | None = None
        self._repeated = False
        self._repeat_next = False
        self._panic = False
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
        try:
            self._lease = self._select()
        except NoAvailableModelError as nobody:
            return self._without_candidate(nobody)
        self._panic = self._panic or self._lease.pick.panic
        return Try(self._lease, self._timeout_s())

    def succeeded(self, usage: Usage | None = None) -> None:
        """Report a complete answer; the call has ended."""
        lease = self._close(None)
        self._router.report(lease, Outcome.success(usage))
        self._end(lease)

    def failed(self, failure: Failure) -> None:
        """Report that the attempt gave no answer; ``next`` says what follows."""
        lease = self._close(failure)
        self._last = failure
        self._tried[lease.model.id] = None
        if failure.kind is FailureKind.CONTEXT_OVERFLOW:
            self._ask_for_more_than(lease.model.context_window)
        if self._was_cut_short_by_the_caller(failure):
            self._router.release(lease)
        else:
            self._router.report(lease, Outcome(failure))

    def cancelled(self) -> None:
        """Report that the caller has left; no model is to blame, and the call has ended."""
        if self._lease is not None:
            lease = self._close(Failure(FailureKind.CANCELLED))
            self._router.release(lease)
        self._end(None)

    def give_up(self) -> None:
        """End the call though other models are left; the caller has part of an answer."""
        self._end(None)

    def _select(self) -> Lease:
        """Prefer whoever came back during the pause to repeating the model that was alone."""
        repeat, self._repeat_next = self._repeat_next, False
        try:
            return self._router.select(self._request, self._tried)
        except NoAvailableModelError:
            if not repeat:
                raise
            return self._router.select(self._request)

    def _without_candidate(self, nobody: NoAvailableModelError) -> Step:
        """Repeat the only model there is once, where that may help; else give up."""
        last = self._last
        if last is None:
            return self._stop(nobody)
        if last.kind is FailureKind.CONTEXT_OVERFLOW:
            return self._stop(last.error or self._exhausted("no larger model", nobody))
        alone = len(self._tried) == 1 and not self._repeated
        if not (alone and self._router.rule(last.kind).repeat_if_alone):
            return self._stop(self._exhausted("no other model is left", nobody))
        self._repeated = self._repeat_next = True
        pause_s = self._retry.pause_s(0, self._router.world.rng)
        return Wait(min(pause_s, self._deadline.left(self._now())))

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
            )
        )

    def _now(self) -> float:
        return self._router.world.clock.now()
