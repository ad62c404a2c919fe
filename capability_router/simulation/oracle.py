"""What would have been possible: for each request, the best that any model could have given it."""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from math import inf

from capability_router.engine.model import Model
from capability_router.engine.outcome import Usage
from capability_router.engine.request import CompletionRequest
from capability_router.engine.router import Router
from capability_router.simulation.providers import Truth
from capability_router.simulation.workload import Arrival

__all__ = ["Oracle"]


def _floats() -> array[float]:
    return array("d")


@dataclass(slots=True)
class Oracle:
    """Knows the truth, and asks the right model at once.

    It is not bound by limits of use, so that no policy may reach it where those are tight. It asks
    one model once: regret is below 0 for a policy that is luckier with a second attempt.

    Attributes:
        latency_s: Seconds of the fastest whole answer that a request could have had when it came,
            from one model; ``inf`` where no model would have answered.
        cost_usd: The least that an answer could have cost; ``inf`` where there was none.
    """

    latency_s: array[float] = field(default_factory=_floats)
    cost_usd: array[float] = field(default_factory=_floats)

    @classmethod
    def of(cls, arrivals: Iterable[Arrival], router: Router, truth: Truth) -> Oracle:
        """Return what would have been possible in one world.

        Args:
            arrivals: The requests in the order of time.
            router: Knows which models may serve which request, by what they are.
            truth: The providers as they really are; a world that nobody else asks.
        """
        oracle = cls()
        known: dict[CompletionRequest, list[Model]] = {}
        for arrival in arrivals:
            request = arrival.request
            alike = replace(request, input_tokens=0) if request.input_tokens else request
            models = known.get(alike)
            if models is None:
                models = known[alike] = router.candidates(alike)
            oracle._look(arrival, models, truth)
        return oracle

    def _look(self, arrival: Arrival, models: Iterable[Model], truth: Truth) -> None:
        latency_s = cost_usd = inf
        usage = Usage(arrival.input_tokens, arrival.output_tokens)
        for model in models:
            answer = truth.possible(model, arrival)
            if answer.failure is None and model.lacks(arrival.request) is None:
                latency_s = min(latency_s, answer.whole_s)
                cost_usd = min(cost_usd, model.cost_usd(usage))
        self.latency_s.append(latency_s)
        self.cost_usd.append(cost_usd)
