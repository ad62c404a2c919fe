"""The rules of other libraries choose as these libraries do: the same providers, in the same order.

The libraries themselves are asked over real HTTP. Their chance is the one of the simulation, and
their pauses are shortened, so that nobody waits; what is compared is who was asked.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from math import inf
from typing import Any

import litellm
import openai
import pytest
from langchain_openai import ChatOpenAI
from litellm.litellm_core_utils.logging_worker import GLOBAL_LOGGING_WORKER
from pydantic import SecretStr

from capability_router import CapabilityRouter, Model
from capability_router.engine.chance import Chance
from capability_router.engine.decision import Decision
from capability_router.engine.outcome import FailureKind
from capability_router.lab import (
    Lab,
    bad_request,
    not_found,
    payment_required,
    rate_limited,
    reset,
    server_error,
    unauthorized,
)
from capability_router.lab.faults import Fault
from capability_router.simulation import (
    OrderedFallback,
    Outage,
    RandomRetry,
    Recorded,
    SimulatedProvider,
    StickyFallback,
    Workload,
    simulate,
)
from capability_router.simulation.scene import Policy
from tests.connections import connections, run

NAMES = ("alpha", "beta", "gamma")
REQUESTS = 16
SEED = 5
KEY = SecretStr("any")


@dataclass(frozen=True)
class Wrong:
    """A provider that fails all the time."""

    provider: str
    fault: Fault
    kind: FailureKind
    status: int | None
    retry_after_s: float | None = None


def failing(*providers: str) -> list[Wrong]:
    return [Wrong(name, server_error(), FailureKind.SERVER_ERROR, 500) for name in providers]


def limited(*providers: str, wait_s: float = 9.0) -> list[Wrong]:
    fault = rate_limited(retry_after=wait_s)
    return [Wrong(name, fault, FailureKind.RATE_LIMITED, 429, wait_s) for name in providers]


SCENARIOS: dict[str, list[Wrong]] = {
    "nobody": [],
    "one fails": failing("alpha"),
    "two fail": failing("alpha", "beta"),
    "all fail": failing(*NAMES),
    "one is full": limited("beta"),
    "two are full": limited("alpha", "gamma"),
    "all are full": limited(*NAMES),
    "one is refused": [Wrong("alpha", unauthorized(), FailureKind.AUTH, 401)],
    "one is not paid": [Wrong("beta", payment_required(), FailureKind.BILLING, 402)],
    "one is unknown": [Wrong("gamma", not_found(), FailureKind.NOT_FOUND, 404)],
    "one hangs up": [Wrong("alpha", reset(), FailureKind.CONNECTION, None)],
    "the caller is wrong": [
        Wrong(name, bad_request(), FailureKind.INVALID_REQUEST, 400) for name in NAMES
    ],
}

Asked = list[tuple[bool, tuple[str, ...]]]
"""For each request whether it was answered, and which providers were asked, in their order."""


@pytest.fixture
def in_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("openai._base_client.INITIAL_RETRY_DELAY", 0.0001)
    monkeypatch.setattr("openai._base_client.MAX_RETRY_AFTER_DELAY", 1e-9)


@pytest.fixture
def own_callbacks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a Router hear of its calls: LiteLLM takes a hundred callbacks for a whole process.

    Each Router adds its own and leaves them there; beyond that, it never cools a model down.
    """
    for name in ("success_callback", "failure_callback"):
        for each in (name, f"_async_{name}"):
            monkeypatch.setattr(litellm, each, [])


@pytest.mark.usefixtures("in_no_time")
@pytest.mark.parametrize("retries", [0, 2])
@pytest.mark.parametrize(
    "scenario", [name for name in SCENARIOS if "full" not in name], ids=lambda name: name
)
def test_ordered_fallback_is_that_of_langchain(scenario: str, retries: int) -> None:
    wrongs = SCENARIOS[scenario]
    with laboratory(wrongs) as lab:
        first, *others = [
            ChatOpenAI(
                model="m",
                base_url=lab[name].base_url,
                api_key=SecretStr("any"),
                max_retries=retries,
            )
            for name in NAMES
        ]
        chain = first.with_fallbacks(others)
        theirs = asked(lab, lambda: chain.invoke("hello"))
    assert theirs == simulated(lambda router: OrderedFallback(router, retries=retries), wrongs)


@pytest.mark.usefixtures("own_callbacks")
@pytest.mark.parametrize("retries", [0, 2])
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_random_retry_is_that_of_litellm(
    scenario: str, retries: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("litellm.router_strategy.simple_shuffle.random", Chance(SEED))
    wrongs = SCENARIOS[scenario]
    with laboratory(wrongs) as lab, connections():
        theirs = run(asked_of_litellm(lab, retries))
    assert theirs == simulated(lambda router: RandomRetry(router, retries=retries), wrongs)


@pytest.mark.parametrize(
    "scenario",
    [
        "one fails",
        "one is full",
        "one is refused",
        "one is not paid",
        "one is unknown",
        "one hangs up",
    ],
)
def test_so_it_is_with_a_model_that_is_alone(
    scenario: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("litellm.utils.INITIAL_RETRY_DELAY", 0.0001)
    monkeypatch.setattr("litellm.utils.JITTER", 0.0)
    monkeypatch.setattr("litellm.utils._get_retry_after_from_exception_header", no_header)
    (wrong,) = SCENARIOS[scenario]
    alone = (wrong.provider,)
    with laboratory([wrong]) as lab, connections():
        theirs = run(asked_of_litellm(lab, 2, alone))
    assert theirs == simulated(lambda router: RandomRetry(router, retries=2), [wrong], alone)


def test_sticky_fallback_stays_with_who_answered_last() -> None:
    first = ("alpha", "beta")
    expected = [(True, first), *[(True, ("beta",))] * (REQUESTS - 1)]
    assert simulated(StickyFallback, failing("alpha")) == expected


def test_sticky_fallback_goes_round_in_a_circle() -> None:
    wrongs = failing("alpha", "beta", "gamma")
    assert simulated(StickyFallback, wrongs)[:2] == [
        (False, ("alpha", "beta", "gamma")),
        (False, ("gamma", "alpha", "beta")),
    ]


def no_header(headers: object) -> None:
    """Say that no Retry-After was sent."""


def laboratory(wrongs: Sequence[Wrong]) -> Lab:
    lab = Lab(NAMES, answers="echo")
    for wrong in wrongs:
        lab[wrong.provider].fault = wrong.fault
    return lab


def asked(lab: Lab, ask: Callable[[], object]) -> Asked:
    rows: Asked = []
    for _ in range(REQUESTS):
        answered = False
        before = {provider.name: provider.request_count for provider in lab}
        with suppress(openai.OpenAIError):
            ask()
            answered = True
        rows.append((answered, hits(lab, before)))
    return rows


async def asked_of_litellm(lab: Lab, retries: int, providers: Sequence[str] = NAMES) -> Asked:
    router: Any = litellm.Router(  # pyright: ignore[reportPrivateImportUsage] - public in all but name
        [
            {
                "model_name": "chat",
                "litellm_params": {
                    "model": "openai/m",
                    "api_key": "any",
                    "api_base": lab[name].base_url,
                    "max_retries": 0,
                },
            }
            for name in providers
        ],
        num_retries=retries,
    )
    rows: Asked = []
    for _ in range(REQUESTS):
        answered = False
        before = {provider.name: provider.request_count for provider in lab}
        # Its own errors are of no common class.
        with suppress(Exception):
            await router.acompletion("chat", [{"role": "user", "content": "hello"}])
            answered = True
        # It notes successes and failures in the background; on a busy machine later than it asks.
        await GLOBAL_LOGGING_WORKER.flush()
        rows.append((answered, hits(lab, before)))
    return rows


def hits(lab: Lab, before: dict[str, int]) -> tuple[str, ...]:
    """Return the names of the providers that were asked since, in their order."""
    new = [
        (request.at, provider.name)
        for provider in lab
        for request in provider.requests[before[provider.name] :]
    ]
    return tuple(name for _, name in sorted(new))


def simulated(
    rule: Callable[[CapabilityRouter], Policy],
    wrongs: Sequence[Wrong],
    providers: Sequence[str] = NAMES,
) -> Asked:
    router = CapabilityRouter()
    for name in providers:
        router.register(Model(f"{name}/m", ("chat-completion",)))
    behaviour = {
        name: SimulatedProvider(
            first_token_s=0.001,
            tokens_per_s=inf,
            error_s=0.001,
            outages=tuple(
                Outage(0.0, inf, wrong.kind, wrong.status, retry_after_s=wrong.retry_after_s)
                for wrong in wrongs
                if wrong.provider == name
            ),
        )
        for name in providers
    }
    workload = Workload(
        "chat-completion",
        requests=REQUESTS,
        # As quickly as on loopback, so that nobody's cooldown is over.
        arrivals_at=Recorded([number * 0.03 for number in range(REQUESTS)]),
    )
    decisions: list[Decision] = []
    simulate(rule(router), workload, behaviour, SEED, record=decisions.append)
    return [
        (decision.served_by is not None, tuple(each.provider for each in decision.attempts))
        for decision in sorted(decisions, key=lambda each: each.started_at)
    ]
