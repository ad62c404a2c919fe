"""What the tests of simulations are built from: models, a pool of them, and one request."""

from collections.abc import Mapping
from typing import Any

from capability_router.engine.decision import Decision
from capability_router.engine.feature import Feature
from capability_router.engine.model import Model, Price
from capability_router.engine.request import CompletionRequest
from capability_router.engine.rotation import RotationPolicy
from capability_router.router import CapabilityRouter
from capability_router.simulation import (
    Arrival,
    Recorded,
    SimulatedProvider,
    SimulationResult,
    Workload,
    simulate,
)

CHAT = "chat-completion"


def model(model_id: str, price: Price | None = None) -> Model:
    """Return a model for chat that can go on with what another one began."""
    features = frozenset({Feature.ASSISTANT_PREFILL})
    return Model(model_id, (CHAT,), features=features, price=price)


def pool(*models: str | Model, **policy: Any) -> CapabilityRouter:
    """Return a router with one pool, whose policy is the usual one but for what is said."""
    router = CapabilityRouter()
    for each in models or ("a/x", "b/y"):
        router.register(each if isinstance(each, Model) else model(each))
    router.add_pool(CHAT, CHAT, RotationPolicy(**policy))
    return router


def asked(
    number: int,
    at: float = 0.0,
    *,
    input_tokens: int = 100,
    output_tokens: int = 100,
    streamed: bool = False,
) -> Arrival:
    """Return one request as it comes."""
    request = CompletionRequest(CHAT, input_tokens=input_tokens)
    return Arrival(number, at, request, input_tokens, output_tokens, streamed)


def steady(
    first_token_s: float = 1.0, tokens_per_s: float = 100.0, **more: Any
) -> SimulatedProvider:
    """Return a provider whose times do not vary; its errors come after half a second."""
    return SimulatedProvider(first_token_s, tokens_per_s, error_s=0.5, **more)


def requests(
    *at_s: float, capability: str | CompletionRequest = CHAT, streamed: bool = False
) -> Workload:
    """Return requests at stated moments, the first one 0, of 100 tokens and with as many back."""
    return Workload(capability, len(at_s), Recorded(at_s), 100, 100, streamed)


def run(
    router: CapabilityRouter,
    workload: Workload,
    providers: Mapping[str, SimulatedProvider],
    seed: int = 0,
) -> tuple[SimulationResult, list[Decision]]:
    """Return the figures, and every decision."""
    decisions: list[Decision] = []
    result = simulate(router, workload, providers, seed, record=decisions.append)
    return result, decisions


def path(decision: Decision) -> list[tuple[str, str | None]]:
    """Return whom a request was sent to, and how each has failed."""
    return [(each.model, each.kind and str(each.kind)) for each in decision.attempts]
