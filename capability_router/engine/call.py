"""One request from first attempt to last: what was tried, and what comes next.

Decides, and does nothing: a driver performs each step and tells how it went. Knows no provider.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from capability_router.engine.decision import Decision
from capability_router.engine.errors import (
    AllModelsFailedError,
    NoAvailableModelError,
    StreamInterruptedError,
)
from capability_router.engine.evidence import Evidence
from capability_router.engine.interruption import Interrupted
from capability_router.engine.lease import Lease
from capability_router.engine.outcome import Attempt, Failure, FailureKind, Outcome, Usage
from capability_router.engine.patience import is_the_callers, timed
from capability_router.engine.persistence import Persistence
from capability_router.engine.request import CompletionRequest
from capability_router.engine.retry import Interruption, RepeatScope
from capability_router.engine.router import Router
from capability_router.engine.steps import Step, Stop, Try, Wait
from capability_router.engine.timing import Deadline

__all__ = ["Call"]

_NOTHING = Usage()


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
        # What was asked for first is what is recorded: another policy may have known better.
        self._request = self._came_as = request
        self._record = record
        policy = router.begin_call(request)
        self._route = router.route(request)
        self._retry, self._hedge = policy.retry, policy.hedge
        own = self._retry.deadline_s if request.deadline_s is None else request.deadline_s
        self._started_at = self._now()
        self._deadline = Deadline.after(self._started_at, own)
        self._attempts: list[Attempt] = []
        # In the order of trying; a set's would differ from process to process.
        self._tried: dict[str, None] = {}
        # More than one only while an attempt is hedged.
        self._legs: list[Try] = []
        self._evidence: list[Evidence] = []
        self._waited_s = 0.0
        self._pool: str | None = None
        self._last: Failure | None = None
        self._interrupted: Interrupted | None = None
        self._again: str | None = None
        self._try_anyone = False
        self._persistence = Persistence(router, self._retry, self._deadline)
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
        return self._legs[0].lease if self._legs else None

    def next(self) -> Step:
        """Return what to do now.

        Raises:
            RuntimeError: If the attempt in progress was not reported, or the call has ended.
        """
        if self._ended:
            raise RuntimeError("the call has ended; start another one")
        if self._legs:
            raise RuntimeError(f"report how {self._legs[0].model.id!r} went before asking for more")
        why = self._why_not_on()
        if why is not None:
            return self._stop(why)
        if self._retry.scope is RepeatScope.FIRST and self._again is None:
            pause_s = self._pause_before_repeat_s()
            if pause_s is not None:
                return self._wait(pause_s)
        try:
            lease = self._select()
        except NoAvailableModelError as nobody:
            self._evidence.extend(self._router.evidence(self._asked(), self._tried))
            return self._without_candidate(nobody)
        return self._begun(lease)

    def hedge_after_s(self, *, streamed: bool) -> float | None:
        """Return the seconds after which the attempt in progress is to be hedged; None for never.

        Args:
            streamed: Whether it is the first token that is waited for, or the whole answer.
        """
        if self._hedge is None or self._request.side_effects:
            return None
        return self._hedge.delay_s(self._legs[0].lease.pool.tempo.of(streamed=streamed))

    def hedge(self) -> Try | None:
        """Return a second attempt, to run beside the one in progress; None if there is none.

        It takes another active model, and one repetition of the pool's budget.
        """
        busy = [leg.model.id for leg in self._legs]
        is_last = len(self._attempts) + 1 >= self._retry.max_attempts
        if len(busy) != 1 or is_last or self._deadline.passed(self._now()):
            return None
        lease = self._router.select_beside(self._asked(), [*self._tried, *busy])
        if lease is None:
            return None
        if not self._router.may_repeat(self._request):
            self._router.release(lease)
            return None
        step = self._begun(lease)
        step.hedge = True
        return step

    def won(self, step: Try) -> None:
        """Note that of two attempts this one decides; nobody is to blame for the other."""
        for leg in self._legs.copy():
            if leg is not step:
                self._leave(leg)

    def ends_with(self, failure: Failure, step: Try) -> bool:
        """Whether nothing may follow a failure, because its fault is the caller's."""
        return not self._router.rule(step.meaning(failure).kind).next_model

    def first_token(self, step: Try | None = None) -> None:
        """Note that a stream has brought its first text, tool call or reasoning.

        Args:
            step: The attempt; None for the only one.
        """
        leg = step or (self._legs[0] if self._legs else None)
        if leg is not None and leg.seen_s is None:
            leg.seen_s = max(0.0, self._now() - leg.lease.started_at)

    def succeeded(self, usage: Usage | None = None, step: Try | None = None) -> None:
        """Report a complete answer; the call has ended.

        Args:
            usage: Its tokens.
            step: The attempt; None for the only one.
        """
        leg = self._leg(step)
        self.won(leg)
        usage = usage or Usage()
        self._close(leg, None, usage)
        outcome = Outcome(usage=usage, first_token_s=leg.seen_s)
        self._router.report(leg.lease, outcome)
        self._end(leg.lease)

    def failed(self, failure: Failure, step: Try | None = None) -> None:
        """Report that an attempt gave no answer; ``next`` says what follows.

        Args:
            failure: Why.
            step: The attempt; None for the only one.
        """
        leg = self._leg(step)
        failure = leg.meaning(failure)
        self._close(leg, failure)
        self._last = failure
        self._tried[leg.model.id] = None
        if self._interrupted is not None:
            self._interrupted.hear(self._attempts[-1])
        if failure.kind is FailureKind.CONTEXT_OVERFLOW and not leg.prefill:
            self._ask_for_more_than(leg.model.context_window)
        if is_the_callers(failure, leg, self._retry):
            self._router.release(leg.lease, sent=True)
        elif not self._router.report(leg.lease, Outcome(failure)):
            del self._tried[leg.model.id]

    def interrupted(self, text: str, *, only_text: bool) -> None:
        """Note that the attempt that failed last had handed out a part of the answer.

        ``next`` goes on as the pool's ``on_interruption`` says, or stops with an error that holds
        the part.

        Args:
            text: What the attempt has handed out.
            only_text: False if it was more than text, such as a tool call.
        """
        if self._interrupted is None:
            self._interrupted = Interrupted(self._retry.on_interruption, self._request)
        self._interrupted.add(self._attempts[-1], text, only_text=only_text)

    def cancelled(self) -> None:
        """Report that the caller has left; no model is to blame, and the call has ended."""
        for leg in self._legs.copy():
            self._leave(leg)
        self._end(None)

    def _why_not_on(self) -> BaseException | None:
        """Return the error that ends the call now, if it does."""
        last = self._last
        if last is not None and not self._router.rule(last.kind).next_model:
            return last.error or self._exhausted(str(last.kind))
        if self._deadline.passed(self._now()):
            return self._exhausted("the deadline has passed")
        if len(self._attempts) >= self._retry.max_attempts:
            return self._exhausted(f"max_attempts is {self._retry.max_attempts}")
        if self._interrupted is not None and self._interrupted.way is Interruption.ERROR:
            return self._exhausted("a part of the answer was handed out")
        return None

    def _begun(self, lease: Lease) -> Try:
        self._panic = self._panic or lease.panic
        if lease.degraded:
            self._degraded_to = lease.node
        left_s = self._deadline.left(self._now())
        step = timed(lease, self._retry, self._request, left_s)
        step.waited_s, self._waited_s = self._waited_s, 0.0
        self._evidence.append(lease.evidence)
        if self._interrupted is not None:
            step.prefill = self._interrupted.prefill
            step.may_end = self._interrupted.may_end_with(lease.model.provider)
            step.restarts = not step.prefill
        self._legs.append(step)
        return step

    def _asked(self) -> CompletionRequest:
        interrupted = self._interrupted
        return self._request if interrupted is None else interrupted.asked(self._request)

    def _select(self) -> Lease:
        again, self._again = self._again, None
        if again is not None and self._retry.scope is RepeatScope.FIRST:
            lease = self._router.select_model(again, self._request)
            if lease is not None:
                return lease
        asked = self._asked()
        anyone, self._try_anyone = self._try_anyone, False
        try:
            # Whoever came back during the pause goes before the model that was alone.
            return self._router.select(asked, self._tried)
        except NoAvailableModelError:
            if self._interrupted is not None and (lease := self._same_model_goes_on(asked)):
                return lease
            if not (again or anyone):
                raise
            return self._router.select(asked)

    def _same_model_goes_on(self, asked: CompletionRequest) -> Lease | None:
        """Ask the model that broke off to go on itself, once, because no other can."""
        broken = self._interrupted
        if broken is None or broken.asked_again or not broken.prefill:
            return None
        broken.asked_again = True
        return self._router.select_model(broken.model, asked)

    def _without_candidate(self, nobody: NoAvailableModelError) -> Step:
        """Repeat the only model there is, or wait for one to come back, or give up."""
        last = self._last
        if self._interrupted is not None and self._has_prefill():
            self._interrupted.give_up_way()
            return self.next()
        if last is not None and last.kind is FailureKind.CONTEXT_OVERFLOW:
            return self._stop(last.error or self._exhausted("no larger model", nobody))
        if len(self._tried) == 1 and self._retry.scope is RepeatScope.ALONE:
            pause_s = self._pause_before_repeat_s()
            if pause_s is not None:
                return self._wait(pause_s)
        wait_s = self._persistence.wait_for_return_s(self._request, self._now())
        if wait_s is not None:
            self._try_anyone = True
            return self._wait(wait_s)
        if last is None:
            return self._stop(nobody)
        return self._stop(self._exhausted("no other model is left", nobody))

    def _pause_before_repeat_s(self) -> float | None:
        """Work out whether the model that failed last is asked again, and after which pause."""
        if self._last is None or self._has_prefill():
            return None
        model = self._attempts[-1].model
        so_far = sum(attempt.model == model for attempt in self._attempts)
        now = self._now()
        pause_s = self._persistence.pause_s(self._request, model, self._last, so_far, now)
        if pause_s is not None:
            self._again = model
        return pause_s

    def _has_prefill(self) -> bool:
        return self._interrupted is not None and bool(self._interrupted.prefill)

    def _ask_for_more_than(self, window: int | None) -> None:
        """Let only models with a larger context window follow."""
        if window is not None:
            missing = max(0, window + 1 - self._request.output_tokens)
            tokens = max(self._request.input_tokens, missing)
            self._request = replace(self._request, input_tokens=tokens)

    def _leg(self, step: Try | None) -> Try:
        leg = step or (self._legs[0] if self._legs else None)
        if leg is None or leg not in self._legs:
            raise RuntimeError("no attempt is in progress")
        return leg

    def _leave(self, leg: Try) -> None:
        """End an attempt of which nothing was learnt."""
        self._close(leg, Failure(FailureKind.CANCELLED))
        self._router.release(leg.lease, sent=True)

    def _wait(self, seconds: float) -> Wait:
        self._waited_s += seconds
        return Wait(seconds)

    def _close(self, leg: Try, failure: Failure | None, usage: Usage = _NOTHING) -> None:
        """Take an attempt in progress off the call and write it down."""
        self._legs.remove(leg)
        self._pool = leg.lease.pool.name
        self._attempts.append(leg.record(failure, self._now(), usage))

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
        if self._interrupted is None:
            return Stop(error)
        broken = StreamInterruptedError(self._interrupted.text, self._attempts)
        broken.__cause__ = self._interrupted.cause
        return Stop(broken)

    def _end(self, served: Lease | None) -> None:
        if self._ended:
            return
        self._ended = True
        node, pools = self._route
        self._record(
            Decision(
                capability=self._request.capability,
                at=self._now(),
                served_by=served.model.id if served else None,
                pool=self._pool,
                attempts=tuple(self._attempts),
                panic=self._panic,
                degraded_to=self._degraded_to,
                request=self._came_as,
                node=node,
                pools=pools,
                started_at=self._started_at,
                wall=self._router.world.clock.wall(),
                evidence=tuple(self._evidence),
            )
        )

    def _now(self) -> float:
        return self._router.world.clock.now()
