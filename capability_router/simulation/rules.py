"""What the plans of simple rules share."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

from capability_router.engine.decision import Decision
from capability_router.engine.errors import AllModelsFailedError
from capability_router.engine.model import Model
from capability_router.engine.outcome import Attempt, Failure, Usage
from capability_router.engine.request import CompletionRequest
from capability_router.engine.steps import Stop
from capability_router.engine.timing import World
from capability_router.simulation.contenders import Record

__all__ = ["Asked", "RulePlan"]


@dataclass(frozen=True, slots=True)
class Asked:
    """An attempt that a rule wants to be made.

    Attributes:
        model: Whom to ask.
        timeout_s: Seconds to an answer, or of a stream to each token, > 0.
        ends_s: Seconds after which all is broken off.
        prefill: Nothing, for no rule goes on from a part of an answer.
    """

    model: Model
    timeout_s: float
    ends_s: float = inf
    prefill: str = ""

    @property
    def first_token_s(self) -> float:
        """Seconds to the first token of a stream."""
        return self.timeout_s

    @property
    def stall_s(self) -> float:
        """Seconds that a stream may be silent: a client's limit holds for each read."""
        return self.timeout_s


class RulePlan:
    """What the plans of all rules share: no second attempt, no interruption, and a history.

    Args:
        request: What is asked for.
        world: Clock and chance.
        record: Takes the decision when it has ended.

    Attributes:
        broken: Whether a stream broke after it had begun, after which no rule goes on.
    """

    def __init__(self, request: CompletionRequest, world: World, record: Record) -> None:
        self._request = request
        self.world = world
        self._record = record
        self._attempts: list[Attempt] = []
        self._began_at = self._started_at = world.clock.now()
        self._asked: Asked | None = None
        self.broken = False

    def hedge_after_s(self, *, streamed: bool) -> float | None:
        """Return None: there is no second attempt."""
        return None

    def hedge(self) -> Asked | None:
        """Return None."""
        return None

    def won(self, step: Asked) -> None:
        """There is no other."""

    def ends_with(self, failure: Failure, step: Asked) -> bool:
        """Return False: there is no second attempt to end."""
        return False

    def first_token(self, step: Asked | None = None) -> None:
        """Nothing depends on it."""

    def interrupted(self, text: str, *, only_text: bool) -> None:
        """A stream that has begun cannot be replaced."""
        self.broken = True

    def succeeded(self, usage: Usage | None = None, step: Asked | None = None) -> None:
        """Note a whole answer."""
        self.note(None, usage or Usage())
        self.end(self._attempts[-1].model)

    def ask(self, model: Model, timeout_s: float) -> Asked:
        """Begin an attempt."""
        self._began_at = self.world.clock.now()
        self._asked = Asked(model, timeout_s)
        return self._asked

    def note(self, failure: Failure | None, usage: Usage) -> Model:
        """Write down how the attempt in progress has ended; return its model."""
        asked = self._asked
        if asked is None:
            raise RuntimeError("no attempt is in progress")
        self._asked = None
        now = self.world.clock.now()
        self._attempts.append(
            Attempt(
                asked.model.id,
                asked.model.provider,
                failure.kind if failure else None,
                failure.status if failure else None,
                now - self._began_at,
                started_at=self._began_at,
                usage=usage,
                cost_usd=None if failure else asked.model.cost_usd(usage),
            )
        )
        return asked.model

    def stop(self, why: str) -> Stop:
        """End the request without an answer."""
        self.end(None)
        return Stop(
            AllModelsFailedError(self._request.capability, attempts=self._attempts, why=why)
        )

    def end(self, served: str | None) -> None:
        """Record what has come of the request."""
        clock = self.world.clock
        self._record(
            Decision(
                self._request.capability,
                clock.now(),
                served,
                None,
                tuple(self._attempts),
                request=self._request,
                started_at=self._started_at,
                wall=clock.wall(),
            )
        )
