"""Routers with many models of many kinds, for the benchmarks."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import cycle
from random import Random

from capability_router import (
    CapabilityRouter,
    CompletionRequest,
    Limit,
    Model,
    PoolPreferences,
    Price,
    Provider,
    RotationPolicy,
    Unit,
)
from capability_router.engine.selection import StrategyFactory

__all__ = ["LARGE", "REQUESTS", "TOOLS", "pooled", "populated", "requests"]

FEATURES = (
    frozenset({"streaming"}),
    frozenset({"streaming", "tool_calling"}),
    frozenset({"streaming", "tool_calling", "vision"}),
    None,
)
WINDOWS = (8_192, 32_768, 128_000, 200_000, 1_000_000)
TOOLS = frozenset({"tool_calling"})

REQUESTS = [
    CompletionRequest(
        "chat-completion",
        requires=TOOLS,
        input_tokens=200 + 37 * number % 6000,
        output_tokens=100 + 13 * number % 900,
        session=f"session-{number}",
    )
    for number in range(1000)
]
"""A thousand conversations that need tools, of different lengths."""


def requests() -> Iterator[CompletionRequest]:
    """Iterate over the requests, again and again."""
    return cycle(REQUESTS)


def populated(
    size: int,
    strategy: StrategyFactory,
    *,
    limits: tuple[Limit, ...] = (),
    concurrency: int | None = None,
    policy: RotationPolicy | None = None,
) -> CapabilityRouter:
    """Return a router with one pool of some models, of different features, windows and prices."""
    dice = Random(size)
    policy = policy or RotationPolicy(selection=strategy)
    providers = [Provider(f"p{number}", limits=limits) for number in range(7)]
    router = CapabilityRouter(providers=providers, policy=policy, seed=1)
    for number in range(size):
        router.register(
            Model(
                f"p{number % 7}/{number}",
                ("chat-completion",),
                features=FEATURES[number % 4],
                context_window=WINDOWS[number % 5],
                price=Price(dice.randint(5, 500) / 100, dice.randint(20, 2000) / 100),
                limits=limits,
                concurrency=concurrency,
            )
        )
    return router


def pooled(pools: int, models: int, strategy: StrategyFactory) -> CapabilityRouter:
    """Return a router whose models are shared out to pools by provider."""
    router = CapabilityRouter(policy=RotationPolicy(selection=strategy), seed=1)
    for number in range(pools):
        only = PoolPreferences(allowed_providers=(f"p{number}",))
        router.add_pool(f"pool-{number}", "chat-completion", None, only)
    for number in range(models):
        features = FEATURES[number // pools % 4]
        router.register(
            Model(f"p{number % pools}/{number}", ("chat-completion",), features=features)
        )
    return router


LARGE = Limit(Unit.REQUESTS, 10**12, window_s=60.0), Limit(Unit.TOKENS, 10**12, window_s=60.0)
"""Limits that are counted and never reached."""
