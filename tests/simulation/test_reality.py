"""One scenario over real HTTP and in the simulator: the same decisions, one by one.

The lab's providers answer on loopback and fail when the scenario says so; only the clock is not
the machine's, so that what takes minutes can be compared to the moment.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from math import inf

import httpx
import pytest
from openai import OpenAI

from capability_router import CapabilityRouter, CompletionRequest, Model, Price, RotationPolicy
from capability_router.engine.deactivation import ErrorThreshold
from capability_router.engine.decision import Decision
from capability_router.engine.outcome import FailureKind, Usage
from capability_router.engine.retry import RetryPolicy
from capability_router.lab import (
    Lab,
    bad_request,
    not_found,
    overloaded,
    payment_required,
    quota_exhausted,
    rate_limited,
    reset,
    server_error,
    unauthorized,
)
from capability_router.lab.faults import Fault
from capability_router.registry import STRATEGIES, names, strategy
from capability_router.simulation import (
    Outage,
    Recorded,
    SimulatedProvider,
    Workload,
    simulate,
)
from capability_router.testing.clock import ManualClock

NAMES = ("alpha", "beta", "gamma")
LATENCY_S = 0.25
EVERY_S = 8.0
"""Longer than any call of these scenarios, so that one follows the other as at a desk."""


@dataclass(frozen=True)
class Wrong:
    """One provider fails from one request up to another."""

    provider: str
    first: int
    last: int
    fault: Fault
    kind: FailureKind
    status: int | None
    retry_after_s: float | None = None


SCENARIOS: dict[str, tuple[Wrong, ...]] = {
    "an outage": (Wrong("alpha", 3, 9, server_error(), FailureKind.SERVER_ERROR, 500),),
    "a limit": (
        Wrong("alpha", 2, 4, rate_limited(retry_after=20), FailureKind.RATE_LIMITED, 429, 20.0),
        Wrong("beta", 3, 6, rate_limited(retry_after=3), FailureKind.RATE_LIMITED, 429, 3.0),
    ),
    "a key and a bill": (
        Wrong("alpha", 2, 5, unauthorized(), FailureKind.AUTH, 401),
        Wrong("beta", 4, 12, payment_required(), FailureKind.BILLING, 402),
    ),
    "everybody": (
        Wrong("alpha", 3, 7, overloaded(), FailureKind.OVERLOADED, 503),
        Wrong("beta", 4, 8, reset(), FailureKind.CONNECTION, None),
        Wrong("gamma", 5, 9, quota_exhausted(), FailureKind.QUOTA_EXHAUSTED, 429),
    ),
    "a caller": (
        Wrong("alpha", 2, 3, bad_request(), FailureKind.INVALID_REQUEST, 400),
        Wrong("beta", 2, 3, bad_request(), FailureKind.INVALID_REQUEST, 400),
        Wrong("gamma", 2, 3, bad_request(), FailureKind.INVALID_REQUEST, 400),
        Wrong("alpha", 5, 6, not_found(), FailureKind.NOT_FOUND, 404),
    ),
}
REQUESTS = 16


@pytest.mark.parametrize("scenario", SCENARIOS)
@pytest.mark.parametrize("name", [each for each in names(STRATEGIES) if each != "scored"])
def test_the_lab_and_the_simulator_decide_the_same(name: str, scenario: str) -> None:
    compare(RotationPolicy(selection=strategy(name)), SCENARIOS[scenario])


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_also_with_pauses_and_a_hasty_threshold(scenario: str) -> None:
    policy = RotationPolicy(
        retry=RetryPolicy.patient(), deactivation=ErrorThreshold(consecutive=1), max_ejected=1.0
    )
    compare(policy, SCENARIOS[scenario])


def compare(policy: RotationPolicy, wrongs: Sequence[Wrong]) -> None:
    real = through_the_lab(policy, wrongs)
    assert len(real) == REQUESTS
    assert any(attempt.kind for decision in real for attempt in decision.attempts)
    usage = next(each.usage for decision in real for each in decision.attempts if not each.kind)
    simulated = through_the_simulator(policy, wrongs, usage)
    for here, there in zip(real, simulated, strict=True):
        assert here.as_dict() == there.as_dict()


def router_with(policy: RotationPolicy, clock: ManualClock) -> CapabilityRouter:
    router = CapabilityRouter(clock=clock, seed=3)
    for place, provider in enumerate(NAMES):
        router.register(Model(f"{provider}/m", ("chat-completion",), price=Price(place + 1, 2)))
    router.add_pool("chat", "chat-completion", policy)
    return router


def through_the_lab(policy: RotationPolicy, wrongs: Sequence[Wrong]) -> list[Decision]:
    clock = ManualClock()
    router = router_with(policy, clock)
    with Lab(NAMES, answers="echo") as lab, httpx.Client() as http:
        clients = {
            name: OpenAI(
                base_url=lab[name].base_url, api_key="any", max_retries=0, http_client=http
            )
            for name in NAMES
        }

        def attempt(model: Model) -> object:
            try:
                return clients[model.provider].chat.completions.create(
                    model="m", messages=[{"role": "user", "content": "hello"}]
                )
            finally:
                clock.advance(LATENCY_S)

        for number in range(REQUESTS):
            clock.advance(number * EVERY_S - clock.now())
            for provider in lab:
                provider.heal()
            for wrong in wrongs:
                if wrong.first <= number < wrong.last:
                    lab[wrong.provider].fault = wrong.fault
            with suppress(Exception):
                router.call(CompletionRequest("chat-completion", input_tokens=10), attempt)
    return router.decisions


def through_the_simulator(
    policy: RotationPolicy, wrongs: Sequence[Wrong], usage: Usage
) -> list[Decision]:
    behaviour = {
        name: SimulatedProvider(
            first_token_s=LATENCY_S,
            tokens_per_s=inf,
            error_s=LATENCY_S,
            outages=tuple(
                Outage(
                    wrong.first * EVERY_S,
                    wrong.last * EVERY_S,
                    wrong.kind,
                    wrong.status,
                    retry_after_s=wrong.retry_after_s,
                )
                for wrong in wrongs
                if wrong.provider == name
            ),
        )
        for name in NAMES
    }
    decisions: list[Decision] = []
    workload = Workload(
        CompletionRequest("chat-completion", input_tokens=10),
        requests=REQUESTS,
        arrivals_at=Recorded([number * EVERY_S for number in range(REQUESTS)]),
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
    )
    router = router_with(policy, ManualClock())
    simulate(router, workload, behaviour, 3, record=decisions.append)
    return [decision.without_errors() for decision in decisions]
