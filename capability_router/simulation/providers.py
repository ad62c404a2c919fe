"""What a provider really does, which no router knows: fast or slow, up or down, full or not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from math import inf
from typing import Any, NamedTuple, Protocol

from capability_router.engine.ledger import actual, refusing
from capability_router.engine.limits import Limit, Scope
from capability_router.engine.meter import Meter
from capability_router.engine.model import Model
from capability_router.engine.outcome import Failure, FailureKind, Usage
from capability_router.simulation.chances import Chances
from capability_router.simulation.outages import Calendar, Outage, Outages
from capability_router.simulation.percentiles import Percentiles
from capability_router.simulation.workload import Arrival

__all__ = ["Answer", "SimulatedProvider", "Truth", "World"]

_STATUS = {
    FailureKind.INVALID_REQUEST: 400,
    FailureKind.CONTEXT_OVERFLOW: 400,
    FailureKind.CONTENT_POLICY: 400,
    FailureKind.UNSUPPORTED: 400,
    FailureKind.AUTH: 401,
    FailureKind.BILLING: 402,
    FailureKind.FORBIDDEN: 403,
    FailureKind.NOT_FOUND: 404,
    FailureKind.QUOTA_EXHAUSTED: 429,
    FailureKind.RATE_LIMITED: 429,
    FailureKind.OVERLOADED: 503,
    FailureKind.SERVER_ERROR: 500,
}


@dataclass(frozen=True, slots=True)
class SimulatedProvider:
    """How a provider, or one model of it, behaves; None takes what the provider, or nobody, says.

    Attributes:
        first_token_s: Seconds to the first token, without an error. Default a median of 0.4 and a
            99th percentile of 3.
        tokens_per_s: Tokens per second after it. Default a median of 80 and, in the slowest
            hundredth, 20. ``inf`` for all at once.
        error_s: Seconds to an error. Default 0.2.
        failure_rate: Share of attempts that fail by chance at any time, 0 to 1. Default 0.
        failure: What they fail with. Default ``server_error``.
        cut_rate: Share of streams that break before their end, 0 to 1. Default 0.
        outages: When something is wrong; those of a provider and of its model add up.
        limits: What may be used of it; those of a provider hold for all of its models. Beyond a
            rolling one it says ``rate_limited`` with a Retry-After, beyond a calendar one or one
            for ever ``quota_exhausted``.

    The defaults are assumptions, no measurement: state what you see.

    Raises:
        TypeError: If ``outages`` or ``limits`` is no tuple.
        ValueError: If a number is out of its range.
    """

    first_token_s: Percentiles | float | None = None
    tokens_per_s: Percentiles | float | None = None
    error_s: Percentiles | float | None = None
    failure_rate: float | None = None
    failure: FailureKind | None = None
    cut_rate: float | None = None
    outages: tuple[Outage | Outages, ...] = ()
    limits: tuple[Limit, ...] = ()

    def __post_init__(self) -> None:
        if self.failure is not None:
            object.__setattr__(self, "failure", FailureKind(self.failure))
        for name in ("outages", "limits"):
            if not isinstance(getattr(self, name), tuple):
                raise TypeError(f"{name} {getattr(self, name)!r} must be a tuple")
        for name in ("failure_rate", "cut_rate"):
            if not 0 <= (getattr(self, name) or 0.0) <= 1:
                raise ValueError(f"{name} {getattr(self, name)} must be between 0 and 1")
        for name in ("first_token_s", "error_s"):
            value = getattr(self, name)
            if isinstance(value, int | float) and not 0 <= value < inf:
                raise ValueError(f"{name} {value} must be at least 0 and finite")
        if isinstance(self.tokens_per_s, int | float) and not self.tokens_per_s > 0:
            raise ValueError(f"tokens_per_s {self.tokens_per_s} must be above 0")

    def of(self, provider: SimulatedProvider) -> SimulatedProvider:
        """Return how a model with this behaviour acts at a provider with another one.

        Without outages and limits, which add up.
        """
        said: dict[str, Any] = {}
        for name in _OF_ONE:
            own = getattr(self, name)
            said[name] = getattr(provider, name) if own is None else own
        return SimulatedProvider(**said)


_OF_ONE = tuple(
    each.name for each in fields(SimulatedProvider) if each.name not in ("outages", "limits")
)

_USUAL = SimulatedProvider(
    first_token_s=Percentiles(0.4, 1.0, 3.0),
    tokens_per_s=Percentiles(80, 50, 20),
    error_s=0.2,
    failure_rate=0.0,
    failure=FailureKind.SERVER_ERROR,
    cut_rate=0.0,
)


class Answer(NamedTuple):
    """What one attempt comes to, if nobody ends it before.

    Attributes:
        first_s: Seconds to the first token, or to the failure; ``inf`` for never.
        whole_s: Seconds to the end.
        failure: Why there is no answer; None if there is one.
        written: Tokens that have come by its end.
        gap_s: Seconds from one token to the next; 0 where nothing is known of them.
    """

    first_s: float
    whole_s: float
    failure: Failure | None
    written: int
    gap_s: float = 0.0


class Truth(Protocol):
    """What providers do, whoever asks them."""

    def answer(self, model: Model, arrival: Arrival, again: int, now: float) -> Answer:
        """Return what a model says to a request that is sent to it now, which counts.

        Args:
            model: The model.
            arrival: The request.
            again: How often it was sent to this model before.
            now: Seconds of the simulation.
        """
        ...

    def possible(self, model: Model, arrival: Arrival) -> Answer:
        """Return what a model would have said to a request as it came; counts nowhere."""
        ...

    def outages(self, model_id: str) -> Sequence[Outage]:
        """Return what has been wrong with a model so far."""
        ...


class World:
    """All providers of one simulation, as they really are.

    Args:
        behaviour: How they behave, by the id of a provider or of a model.
        models: The models that there are.
        seed: Seed of all chance in it.
        wall: Seconds since 1970 UTC at the start, for limits that reset by the calendar.

    Raises:
        ValueError: If a behaviour is that of neither a provider nor a model.
    """

    def __init__(
        self,
        behaviour: Mapping[str, SimulatedProvider],
        models: Iterable[Model],
        seed: int,
        wall: float,
    ) -> None:
        self._wall = wall
        models = list(models)
        known = {name for model in models for name in (model.id, model.provider)}
        if unknown := sorted(behaviour.keys() - known):
            raise ValueError(
                f"providers {unknown[0]!r} is no provider and no model; there are:"
                f" {', '.join(sorted(known))}"
            )
        self._meters = {
            name: tuple(Meter(limit, Scope("provider", name)) for limit in told.limits)
            for name, told in behaviour.items()
        }
        self._endpoints = {model.id: _Endpoint(model, behaviour, seed) for model in models}

    def answer(self, model: Model, arrival: Arrival, again: int, now: float) -> Answer:
        """Return what a model says; see ``Truth``."""
        meters = self._meters.get(model.provider, ()) + self._meters.get(model.id, ())
        refusal = self._refusal(meters, model, arrival, now)
        answer = self._endpoints[model.id].answer(arrival, again, now, refusal)
        if meters and refusal is None:
            # An error has cost its request and nothing else, as in the books of the router.
            need = actual(Usage(arrival.input_tokens, answer.written), model)
            for meter in meters:
                meter.take(need[meter.place] if answer.written or meter.place == 0 else 0, now)
        return answer

    def possible(self, model: Model, arrival: Arrival) -> Answer:
        """Return what a model would have said to a request as it came; counts nowhere."""
        return self._endpoints[model.id].answer(arrival, 0, arrival.at, None)

    def outages(self, model_id: str) -> list[Outage]:
        """Return what has been wrong with a model so far."""
        return self._endpoints[model_id].calendar.met

    def _refusal(
        self, meters: Sequence[Meter], model: Model, arrival: Arrival, now: float
    ) -> Failure | None:
        if not meters:
            return None
        need = actual(Usage(arrival.input_tokens, arrival.output_tokens), model)
        wall = self._wall + now
        full = refusing(meters, need, now, wall)
        if full is None:
            return None
        if full.limit.window_s is None:
            return Failure(FailureKind.QUOTA_EXHAUSTED, 429)
        resets_s = full.resets_in_s(now, wall)
        # A request that is too large for the limit is refused although nothing has to come back.
        stated_s = max(1.0, resets_s) if resets_s < inf else full.limit.window_s
        return Failure(FailureKind.RATE_LIMITED, 429, stated_s)


class _Endpoint:
    """One model as it really is."""

    def __init__(self, model: Model, behaviour: Mapping[str, SimulatedProvider], seed: int) -> None:
        own = behaviour.get(model.id, SimulatedProvider())
        theirs = behaviour.get(model.provider, SimulatedProvider())
        merged = own.of(theirs).of(_USUAL)
        self._first_token_s = merged.first_token_s or 0.0
        self._tokens_per_s = merged.tokens_per_s or inf
        self._error_s = merged.error_s or 0.0
        self._failure_rate = merged.failure_rate or 0.0
        self._failure = merged.failure or FailureKind.SERVER_ERROR
        self._cut_rate = merged.cut_rate or 0.0
        sources = [(model.provider, each) for each in theirs.outages]
        self.calendar = Calendar([*sources, *((model.id, each) for each in own.outages)], seed)
        self._chances = Chances(seed, f"model:{model.id}")

    def answer(self, arrival: Arrival, again: int, now: float, refusal: Failure | None) -> Answer:
        fails, first, speed, cut = self._chances.at(arrival.number, again)
        slowdown, luck = 1.0, fails
        for outage in self.calendar.at(now):
            if luck < outage.share:
                status = outage.status or _STATUS.get(outage.kind)
                return self._failed(Failure(outage.kind, status, outage.retry_after_s), first)
            slowdown *= outage.slowdown
            # What is left of a uniform share is uniform: the next one strikes independently.
            luck = (luck - outage.share) / (1 - outage.share)
        if refusal is not None:
            return self._failed(refusal, first)
        # From the other end than outages, so that both shares count in full.
        if fails > 1 - self._failure_rate:
            return self._failed(Failure(self._failure, _STATUS.get(self._failure)), first)
        first_s = _at(self._first_token_s, first) * slowdown
        tokens = arrival.output_tokens
        gap_s = slowdown / _at(self._tokens_per_s, speed)
        rest_s = tokens * gap_s
        if not arrival.streamed or cut >= self._cut_rate:
            return Answer(first_s, first_s + rest_s, None, tokens, gap_s)
        # Where it breaks is as likely everywhere: what is left of a uniform share is uniform.
        part = cut / self._cut_rate
        gone = Failure(FailureKind.CONNECTION)
        return Answer(first_s, first_s + rest_s * part, gone, max(1, int(tokens * part)), gap_s)

    def _failed(self, failure: Failure, share: float) -> Answer:
        if failure.kind is FailureKind.TIMEOUT and failure.status is None:
            return Answer(inf, inf, failure, 0)
        after_s = _at(self._error_s, share)
        return Answer(after_s, after_s, failure, 0)


def _at(amount: Percentiles | float, share: float) -> float:
    return amount.at(share) if isinstance(amount, Percentiles) else amount
