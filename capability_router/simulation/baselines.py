"""How others choose: the rules of other libraries, to compare with.

Each follows what its library does by default, as it was measured against providers on loopback;
tests hold the first two to the libraries themselves.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import inf
from random import Random

from capability_router.engine.model import Model
from capability_router.engine.outcome import Failure, FailureKind, Usage
from capability_router.engine.request import CompletionRequest
from capability_router.engine.router import Router
from capability_router.engine.steps import Stop, Wait
from capability_router.engine.timing import World
from capability_router.simulation.contenders import Config, Record
from capability_router.simulation.rules import Asked, RulePlan

__all__ = ["OrderedFallback", "RandomRetry", "StickyFallback"]

_RETRYABLE_STATUS = frozenset({408, 409, 429})
_NO_RESPONSE = frozenset({FailureKind.CONNECTION, FailureKind.TIMEOUT, FailureKind.STALLED})
_LONGEST_STATED_S = 120.0
_FEWEST = 5


@dataclass(frozen=True, slots=True)
class OrderedFallback:
    """One model after the other, always in the same order; nothing is learnt.

    The rule of LangChain's ``with_fallbacks`` around OpenAI's client: a failure of any kind goes
    on with the next model, and each model is asked again by its client before.

    Attributes:
        models: Where the models come from; they are asked in the order they were registered.
        retries: Repetitions of each model, >= 0, where the failure is one that may pass. Default
            2, as OpenAI's client has it.
        timeout_s: Seconds to an answer, > 0. Default 600, as OpenAI's client has it.
    """

    models: Config
    retries: int = 2
    timeout_s: float = 600.0

    def contender(self, router: Router, world: World) -> _InOrder:
        """Return it at work in one simulation."""
        return _InOrder(self, router, world)


@dataclass(frozen=True, slots=True)
class RandomRetry:
    """A random model, and after a failure again a random one of those that are not cooling down.

    The rule of LiteLLM's Router with ``simple-shuffle``: a model cools down after a 429, after
    401, 402 and 404, and when more than half of at least five requests of a minute failed. What is
    not worth repeating, such as the caller's faults and 404, ends the request.

    Attributes:
        models: Where the models come from.
        retries: Repetitions, >= 0. Default 2, as LiteLLM has it.
        cooldown_s: Seconds that a model is left out, > 0, where no Retry-After says otherwise.
            Default 5, as LiteLLM has it.
        timeout_s: Seconds to an answer, > 0. Default 600; LiteLLM's own are 6,000, which nobody
            would wait.
    """

    models: Config
    retries: int = 2
    cooldown_s: float = 5.0
    timeout_s: float = 600.0

    def contender(self, router: Router, world: World) -> _Shuffled:
        """Return it at work in one simulation."""
        return _Shuffled(self, router, world)


@dataclass(frozen=True, slots=True)
class StickyFallback:
    """The model that answered last, until it fails; then the next one, and so on in a circle.

    Attributes:
        models: Where the models come from.
        timeout_s: Seconds to an answer, > 0. Default 60.
    """

    models: Config
    timeout_s: float = 60.0

    def contender(self, router: Router, world: World) -> _Sticky:
        """Return it at work in one simulation."""
        return _Sticky(self, router, world)


class _InOrder:
    def __init__(self, rule: OrderedFallback, router: Router, world: World) -> None:
        self.rule = rule
        self.world = world
        self._router = router

    def plan(self, request: CompletionRequest, record: Record) -> _OneAfterTheOther:
        return _OneAfterTheOther(self, self._router.candidates(request), request, record)


class _OneAfterTheOther(RulePlan):
    def __init__(
        self,
        contender: _InOrder,
        models: Sequence[Model],
        request: CompletionRequest,
        record: Record,
    ) -> None:
        super().__init__(request, contender.world, record)
        self._rule = contender.rule
        self._left = deque(models)
        self._repeated = 0
        self._wait_s: float | None = None

    def next(self) -> Asked | Wait | Stop:
        if self.broken or not self._left:
            return self.stop("no other model is left")
        if self._wait_s is not None:
            wait_s, self._wait_s = self._wait_s, None
            return Wait(wait_s)
        return self.ask(self._left[0], self._rule.timeout_s)

    def failed(self, failure: Failure, step: Asked | None = None) -> None:
        self.note(failure, Usage())
        stated_s = failure.retry_after_s or 0.0
        may_pass = _may_pass(failure) and stated_s <= _LONGEST_STATED_S
        if may_pass and self._repeated < self._rule.retries:
            self._wait_s = stated_s or _backoff_s(self._repeated, self.world.rng)
            self._repeated += 1
        else:
            self._left.popleft()
            self._repeated = 0


@dataclass(slots=True)
class _Minute:
    """Successes and failures of one model; each is forgotten a minute after it began to count."""

    ends: dict[bool, float] = field(default_factory=dict[bool, float])
    counts: dict[bool, int] = field(default_factory=dict[bool, int])

    def note(self, now: float, *, failed: bool) -> None:
        if now >= self.ends.get(failed, -inf):
            self.ends[failed] = now + 60.0
            self.counts[failed] = 0
        self.counts[failed] += 1

    def count(self, now: float, *, failed: bool) -> int:
        return self.counts[failed] if now < self.ends.get(failed, -inf) else 0


class _Shuffled:
    def __init__(self, rule: RandomRetry, router: Router, world: World) -> None:
        self.rule = rule
        self.world = world
        self._router = router
        self._minutes: dict[str, _Minute] = {}
        self._cool_until: dict[str, float] = {}

    def plan(self, request: CompletionRequest, record: Record) -> _Shuffle:
        return _Shuffle(self, self._router.candidates(request), request, record)

    def healthy(self, models: Sequence[Model]) -> list[Model]:
        if len(models) == 1:
            # Whoever is alone is asked in any case.
            return list(models)
        now = self.world.clock.now()
        return [model for model in models if now >= self._cool_until.get(model.id, -inf)]

    def note(self, model: Model, failure: Failure | None) -> None:
        now = self.world.clock.now()
        minute = self._minutes.setdefault(model.id, _Minute())
        minute.note(now, failed=failure is not None)
        if failure is not None and _cools(failure, minute, now):
            stated_s = failure.retry_after_s
            wait_s = self.rule.cooldown_s if stated_s is None else stated_s
            self._cool_until[model.id] = now + wait_s


class _Shuffle(RulePlan):
    def __init__(
        self,
        contender: _Shuffled,
        models: Sequence[Model],
        request: CompletionRequest,
        record: Record,
    ) -> None:
        super().__init__(request, contender.world, record)
        self._all = contender
        self._models = list(models)
        self._refused: set[str] = set()
        self._left = contender.rule.retries
        self._wait_s: float | None = None
        self._over = False

    def next(self) -> Asked | Wait | Stop:
        if self.broken or self._over:
            return self.stop("it is not repeated")
        if self._wait_s:
            wait_s, self._wait_s = self._wait_s, None
            return Wait(wait_s)
        healthy = self._all.healthy(self._models)
        if not healthy:
            return self.stop("all models are cooling down")
        others = [model for model in healthy if model.id not in self._refused] or healthy
        return self.ask(self.world.rng.choice(others), self._all.rule.timeout_s)

    def succeeded(self, usage: Usage | None = None, step: Asked | None = None) -> None:
        model = self.note(None, usage or Usage())
        self._all.note(model, None)
        self.end(model.id)

    def failed(self, failure: Failure, step: Asked | None = None) -> None:
        model = self.note(failure, Usage())
        alone = len(self._models) == 1
        self._all.note(model, failure)
        status = _status(failure)
        again = _is_retryable(status) or (status in (401, 403) and not alone)
        healthy = self._all.healthy(self._models)
        self._over = not again or not self._left or not healthy
        if not _is_retryable(status):
            self._refused.add(model.id)
        if alone:
            so_far = self._all.rule.retries - self._left
            stated_s = failure.retry_after_s or 0.0
            jitter_s = 0.75 * self.world.rng.random()
            usual_s = min(8.0, 0.5 * 2**so_far)
            self._wait_s = (stated_s if 0 < stated_s <= 60 else usual_s) + jitter_s
        self._left -= 1


class _Sticky:
    def __init__(self, rule: StickyFallback, router: Router, world: World) -> None:
        self.rule = rule
        self.world = world
        self._router = router
        self.current = ""

    def plan(self, request: CompletionRequest, record: Record) -> _Circle:
        return _Circle(self, self._router.candidates(request), request, record)


class _Circle(RulePlan):
    def __init__(
        self,
        contender: _Sticky,
        models: Sequence[Model],
        request: CompletionRequest,
        record: Record,
    ) -> None:
        super().__init__(request, contender.world, record)
        self._all = contender
        ids = [model.id for model in models]
        start = ids.index(contender.current) if contender.current in ids else 0
        self._left = deque([*models[start:], *models[:start]])

    def next(self) -> Asked | Wait | Stop:
        if self.broken or not self._left:
            return self.stop("no other model is left")
        self._all.current = self._left[0].id
        return self.ask(self._left[0], self._all.rule.timeout_s)

    def failed(self, failure: Failure, step: Asked | None = None) -> None:
        self.note(failure, Usage())
        failing = self._left.popleft()
        # Unless another request has found out already.
        if self._left and self._all.current == failing.id:
            self._all.current = self._left[0].id


def _cools(failure: Failure, minute: _Minute, now: float) -> bool:
    """Whether a model is left out for a while after a failure."""
    status = _status(failure)
    if 400 <= status < 500 and status not in (401, 402, 404, 408, 429):
        return False
    if status == 429 or not _is_retryable(status):
        return True
    failed, served = minute.count(now, failed=True), minute.count(now, failed=False)
    return failed > served and failed + served >= _FEWEST


def _status(failure: Failure) -> int:
    """Return the status that the clients give a failure without one."""
    if failure.status is not None:
        return failure.status
    return 408 if failure.kind in (FailureKind.TIMEOUT, FailureKind.STALLED) else 500


def _is_retryable(status: int) -> bool:
    return status in _RETRYABLE_STATUS or status >= 500


def _may_pass(failure: Failure) -> bool:
    return failure.kind in _NO_RESPONSE or _is_retryable(_status(failure))


def _backoff_s(repeated: int, rng: Random) -> float:
    """Return the pause of OpenAI's client before a repetition."""
    return min(8.0, 0.5 * 2.0**repeated) * (1 - 0.25 * rng.random())
