"""The defaults of a pool beside the rules of other libraries, in the same simulated worlds."""

from __future__ import annotations

from rich.table import Table

from capability_router import CapabilityRouter, Model, Price, RetryPolicy, RotationPolicy
from capability_router.engine.outcome import FailureKind
from capability_router.engine.retry import Interruption
from capability_router.simulation import (
    PUBLISHED_99_58,
    PUBLISHED_99_72,
    Interval,
    OrderedFallback,
    Outages,
    Percentiles,
    Poisson,
    RandomRetry,
    SimulatedProvider,
    StickyFallback,
    Workload,
    compare,
)

__all__ = ["policies_table"]

REQUESTS = 30_000
SEEDS = 8
_SHOWN = {
    "success": "{:.3%}",
    "latency_p95_s": "{:.1f}",
    "latency_p99_s": "{:.1f}",
    "attempts_per_request": "{:.3f}",
    "regret_latency_s": "{:.2f}",
}


def policies_table() -> Table:
    """Compare success and latency over three weeks with outages, hangs and gray failures."""
    title = f"{SEEDS} worlds of {REQUESTS:,} requests in three weeks (mean, 95 % interval)"
    rows = Table(title=title, title_justify="left")
    rows.add_column("policy")
    for name in _SHOWN:
        rows.add_column(name, justify="right")
    router = _router(RotationPolicy())
    anew = RetryPolicy(on_interruption=(Interruption.CONTINUE, Interruption.RESTART))
    told = compare(
        {
            "a pool, as it is": router,
            "that begins broken streams anew": _router(RotationPolicy(retry=anew)),
            "ordered fallback": OrderedFallback(router),
            "random retry": RandomRetry(router),
            "stick until failure": StickyFallback(router),
        },
        Workload("chat-completion", REQUESTS, Poisson(REQUESTS / (21 * 86_400)), streamed=True),
        _world(),
        range(SEEDS),
    )
    for policy in told.results:
        cells = (_cell(told.figure(policy, name), form) for name, form in _SHOWN.items())
        rows.add_row(policy, *cells)
    return rows


def _cell(figure: Interval, form: str) -> str:
    ends = f"{form.format(figure.low)} – {form.format(figure.high)}"
    return f"{form.format(figure.mean)}\n[dim]{ends}[/]"


def _router(policy: RotationPolicy) -> CapabilityRouter:
    router = CapabilityRouter(seed=1)
    for number, name in enumerate(("alpha", "beta", "gamma"), 1):
        price = Price(0.5 * number, 1.5 * number)
        router.register(Model(f"{name}/chat", ("chat-completion",), price=price))
    router.add_pool("chat", "chat-completion", policy)
    return router


def _world() -> dict[str, SimulatedProvider]:
    hangs = Outages(0.99, Percentiles(120, 600, 3600), FailureKind.TIMEOUT)
    gray = Outages(0.98, Percentiles(600, 3600, 14_400), share=0.3, slowdown=4.0)
    outages = {
        "alpha": (PUBLISHED_99_58, hangs),
        "beta": (PUBLISHED_99_72, gray),
        "gamma": (PUBLISHED_99_58, hangs, gray),
    }
    return {
        name: SimulatedProvider(outages=each, failure_rate=0.005, cut_rate=0.002)
        for name, each in outages.items()
    }
