"""What is asked for, and when."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from math import inf
from random import Random
from typing import Protocol

from capability_router.engine.request import CompletionRequest
from capability_router.simulation.chances import Chances, generator
from capability_router.simulation.percentiles import Percentiles

__all__ = ["Arrival", "Arrivals", "Bursts", "Demand", "Poisson", "Recorded", "Workload"]


_PROMPT = Percentiles(400, 2_000, 8_000)
_ANSWER = Percentiles(200, 700, 1_500)


class Arrivals(Protocol):
    """When requests come."""

    def times(self, rng: Random) -> Iterator[float]:
        """Return seconds from the start, >= 0, each at least the one before; may have no end."""
        ...


@dataclass(frozen=True, slots=True)
class Poisson:
    """Requests of many callers who know nothing of each other.

    Attributes:
        per_s: Requests per second on average, > 0.
    """

    per_s: float

    def __post_init__(self) -> None:
        _check_rate("per_s", self.per_s)

    def times(self, rng: Random) -> Iterator[float]:
        """Return moments with independent exponential times between them."""
        at = 0.0
        while True:
            at += rng.expovariate(self.per_s)
            yield at


@dataclass(frozen=True, slots=True)
class Bursts:
    """Quiet times and bursts in turn, each of exponential length (a two-state Poisson process).

    Attributes:
        quiet_per_s: Requests per second in quiet times, > 0.
        burst_per_s: Requests per second in a burst, > 0.
        quiet_s: Mean length of a quiet time in seconds, > 0.
        burst_s: Mean length of a burst in seconds, > 0.
    """

    quiet_per_s: float
    burst_per_s: float
    quiet_s: float = 300.0
    burst_s: float = 30.0

    def __post_init__(self) -> None:
        for name in ("quiet_per_s", "burst_per_s", "quiet_s", "burst_s"):
            _check_rate(name, getattr(self, name))

    def times(self, rng: Random) -> Iterator[float]:
        """Return moments, beginning with a quiet time."""
        start = 0.0
        while True:
            for per_s, mean_s in (
                (self.quiet_per_s, self.quiet_s),
                (self.burst_per_s, self.burst_s),
            ):
                end = start + rng.expovariate(1 / mean_s)
                at = start + rng.expovariate(per_s)
                while at < end:
                    yield at
                    at += rng.expovariate(per_s)
                start = end


@dataclass(frozen=True, slots=True)
class Recorded:
    """Moments that were written down.

    Attributes:
        at_s: Seconds, in their order, at least one; the first one is the start.
    """

    at_s: Sequence[float]

    def __post_init__(self) -> None:
        if not self.at_s:
            raise ValueError("at_s must hold at least one moment")
        if list(self.at_s) != sorted(self.at_s) or not all(abs(at) < inf for at in self.at_s):
            raise ValueError("at_s must be finite seconds in their order")

    def times(self, rng: Random) -> Iterator[float]:
        """Return the moments as they were, from the first one on."""
        return (at - self.at_s[0] for at in self.at_s)


@dataclass(frozen=True, slots=True)
class Arrival:
    """One request as it comes.

    Attributes:
        number: Its place in the workload, from 0.
        at: Seconds from the start of the simulation.
        request: What is asked for.
        input_tokens: Tokens of its prompt.
        output_tokens: Tokens of a whole answer.
        streamed: Whether the answer is read as it is written.
    """

    number: int
    at: float
    request: CompletionRequest
    input_tokens: int
    output_tokens: int
    streamed: bool = False


class Demand(Protocol):
    """What a simulation is asked for."""

    def arrivals(self, seed: int) -> Iterator[Arrival]:
        """Return the requests of one world in the order of time, with an end."""
        ...


@dataclass(frozen=True, slots=True)
class Workload:
    """Requests that come by chance; another ``Demand`` may hold those that came.

    Attributes:
        capability: What is asked for: a node or a request with requirements; of several, each
            request is one by chance, equally likely.
        requests: How many at most, >= 1: recorded moments may be fewer.
        arrivals_at: When they come. Default one a second on average.
        input_tokens: Tokens of a prompt. Where they vary, a request that states its own has
            those. Default a median of 400 and a 99th percentile of 8,000.
        output_tokens: Tokens of an answer, which the request may limit. Default a median of 200
            and a 99th percentile of 1,500.
        streamed: Whether answers are read as they are written.

    The defaults are assumptions of a chat application, no measurement: state your own.

    Raises:
        ValueError: If there is no request, or a number of tokens is negative.
    """

    capability: str | CompletionRequest | Sequence[str | CompletionRequest]
    requests: int = 10_000
    arrivals_at: Arrivals = field(default_factory=lambda: Poisson(1.0))
    input_tokens: Percentiles | int = _PROMPT
    output_tokens: Percentiles | int = _ANSWER
    streamed: bool = False

    def __post_init__(self) -> None:
        if self.requests < 1 or not self._asked():
            raise ValueError(f"requests {self.requests} of {self.capability!r} must be at least 1")
        for name in ("input_tokens", "output_tokens"):
            amount = getattr(self, name)
            if isinstance(amount, int) and amount < 0:
                raise ValueError(f"{name} {amount} must be at least 0")

    def arrivals(self, seed: int) -> Iterator[Arrival]:
        """Return the requests of one world."""
        asked = self._asked()
        chances = Chances(seed, "requests")
        times = self.arrivals_at.times(generator(seed, "arrivals"))
        for number, at in enumerate(islice(times, self.requests)):
            which, prompt, answer, _ = chances.at(number)
            request = asked[int(which * len(asked))]
            input_tokens = _tokens(self.input_tokens, prompt)
            if not request.input_tokens:
                request = replace(request, input_tokens=input_tokens)
            elif isinstance(self.input_tokens, Percentiles):
                input_tokens = request.input_tokens
            output_tokens = _tokens(self.output_tokens, answer)
            if request.output_tokens:
                output_tokens = min(output_tokens, request.output_tokens)
            yield Arrival(number, at, request, input_tokens, output_tokens, self.streamed)

    def _asked(self) -> list[CompletionRequest]:
        asked = self.capability
        several = [asked] if isinstance(asked, str | CompletionRequest) else asked
        return [CompletionRequest(each) if isinstance(each, str) else each for each in several]


def _tokens(amount: Percentiles | int, share: float) -> int:
    return amount if isinstance(amount, int) else max(1, round(amount.at(share)))


def _check_rate(name: str, number: float) -> None:
    if not 0 < number < inf:
        raise ValueError(f"{name} {number} must be above 0 and finite")
