"""How many requests a second the simulator serves, and how much of it is the engine's own time."""

from __future__ import annotations

from time import perf_counter

from rich.table import Table

from benchmarks.timing import median_us
from capability_router import CapabilityRouter, CompletionRequest, Model, Price
from capability_router.engine.outcome import Outcome
from capability_router.simulation import (
    PUBLISHED_99_58,
    OrderedFallback,
    Poisson,
    RandomRetry,
    SimulatedProvider,
    Workload,
    simulate,
)
from capability_router.simulation.scene import Policy

__all__ = ["simulating_table"]

REQUESTS = 100_000
MODELS = 4


def simulating_table() -> Table:
    """Simulate a hundred thousand requests, whole and streamed, under three policies."""
    title = f"{REQUESTS:,} simulated requests on {MODELS} models with outages and failures"
    rows = Table(title=title, title_justify="left")
    for column in ("policy", "answers", "seconds", "us a request", "select + report alone, us"):
        rows.add_column(column, justify="left" if column in ("policy", "answers") else "right")
    router = _router()
    bare_us = _bare_us(router)
    policies: dict[str, Policy] = {
        "pool": router,
        "ordered fallback": OrderedFallback(router),
        "random retry": RandomRetry(router),
    }
    for name, policy in policies.items():
        for streamed in (False, True):
            seconds = _timed(policy, streamed=streamed)
            rows.add_row(
                name,
                "streamed" if streamed else "whole",
                f"{seconds:.2f}",
                f"{seconds / REQUESTS * 1e6:.0f}",
                f"{bare_us:.1f}" if policy is router else "",
            )
    return rows


def _router() -> CapabilityRouter:
    router = CapabilityRouter(seed=1)
    for number in range(MODELS):
        price = Price(number + 1, 2 * number + 2)
        router.register(Model(f"p{number}/m", ("chat-completion",), price=price))
    router.add_pool("chat", "chat-completion")
    return router


def _timed(policy: Policy, *, streamed: bool) -> float:
    failing = SimulatedProvider(outages=(PUBLISHED_99_58,), failure_rate=0.01)
    behaviour = {f"p{number}": failing for number in range(MODELS)}
    workload = Workload("chat-completion", REQUESTS, Poisson(0.1), streamed=streamed)
    start = perf_counter()
    simulate(policy, workload, behaviour, seed=1)
    return perf_counter() - start


def _bare_us(router: CapabilityRouter) -> float:
    request = CompletionRequest("chat-completion")
    answer = Outcome.success()
    return median_us(lambda: router.report(router.select(request), answer))
