"""How fast is it? Ratios within one run, because machines differ and are noisy.

``make bench`` prints a table; nothing here is part of the tests.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial

from rich.console import Console
from rich.table import Table

from capability_router import (
    CapabilityRouter,
    CompletionRequest,
    Model,
    Outcome,
    Priority,
    RotationPolicy,
    RoundRobin,
    SelectionStrategy,
    StickUntilFailure,
)

SIZES = (10, 100, 1_000, 10_000)
STRATEGIES: tuple[type[SelectionStrategy], ...] = (StickUntilFailure, Priority, RoundRobin)
REQUEST = CompletionRequest("chat-completion", requires=frozenset({"tool_calling"}))
FEATURES = frozenset({"streaming", "tool_calling", "vision"})

console = Console(width=100)


def main() -> None:
    """Run every benchmark and print its table."""
    console.print(import_table())
    console.print(select_table())
    console.print(call_table())


def median_us(act: Callable[[], object], *, rounds: int = 30, times: int = 200) -> float:
    """Return the median over rounds of the mean time of one call, in microseconds."""
    means: list[float] = []
    for _ in range(rounds):
        start = time.perf_counter()
        for _ in range(times):
            act()
        means.append((time.perf_counter() - start) / times * 1e6)
    return statistics.median(means)


def populated(size: int, strategy: type[SelectionStrategy]) -> CapabilityRouter:
    """Return a router with one pool of some models, all of which can serve."""
    router = CapabilityRouter(policy=RotationPolicy(selection=strategy))
    for number in range(size):
        provider = f"p{number % 7}"
        router.register(Model(f"{provider}/{number}", ("chat-completion",), features=FEATURES))
    return router


def select_table() -> Table:
    """Time a selection with its report, by pool size, beside a scan of all models."""
    rows = Table(title="select + report, requirements in play (median)", title_justify="left")
    for column in ("strategy", "models", "us", "x the cost of 10", "x faster than a scan"):
        rows.add_column(column, justify="left" if column == "strategy" else "right")
    for strategy in STRATEGIES:
        base = 0.0
        for size in SIZES:
            router = populated(size, strategy)
            taken = median_us(partial(select_and_report, router))
            base = base or taken
            scan = median_us(partial(scanned, router.models), rounds=5, times=20)
            rows.add_row(
                strategy.__name__,
                f"{size:,}",
                f"{taken:.2f}",
                f"{taken / base:.2f}",
                f"{scan / taken:.1f}",
            )
    return rows


def select_and_report(router: CapabilityRouter) -> None:
    """Hand out a model and take its answer."""
    router.report(router.select(REQUEST), Outcome.success())


def scanned(models: list[Model]) -> Model:
    """Choose as a router does that looks at every model: filter all, then take the least id."""
    return min((m for m in models if m.lacks(REQUEST) is None), key=lambda model: model.id)


def call_table() -> Table:
    """Time a whole call around a function that does nothing, healthy and with one failover."""
    healthy = populated(10, Priority)
    failing = populated(10, StickUntilFailure)

    def fail_first(model: Model) -> str:
        if model.id == "p0/0":
            raise ConnectionError
        return model.id

    taken = median_us(lambda: healthy.call(REQUEST, lambda model: model.id))
    over = median_us(lambda: failing.call(REQUEST, fail_first))
    registering = time.perf_counter()
    populated(10_000, Priority)
    registering = time.perf_counter() - registering
    rows = Table(title="whole calls", title_justify="left")
    rows.add_column("what")
    rows.add_column("cost", justify="right")
    rows.add_row("router.call around nothing, 10 models", f"{taken:.1f} us")
    rows.add_row("the same, first model failing until it rests", f"{over:.1f} us")
    rows.add_row("registering 10,000 models", f"{registering:.2f} s")
    return rows


def import_table() -> Table:
    """Time importing the package, against an interpreter that imports nothing."""

    def started(code: str) -> float:
        times: list[float] = []
        for _ in range(15):
            start = time.perf_counter()
            subprocess.run([sys.executable, "-c", code], check=True)
            times.append((time.perf_counter() - start) * 1e3)
        return statistics.median(times)

    bare = started("pass")
    rows = Table(title="import (median of 15 processes)", title_justify="left")
    for column in ("statement", "ms", "added ms"):
        rows.add_column(column, justify="left" if column == "statement" else "right")
    for code in (
        "pass",
        "import capability_router",
        "from capability_router import CapabilityRouter",
    ):
        taken = bare if code == "pass" else started(code)
        rows.add_row(code, f"{taken:.1f}", f"{taken - bare:.1f}")
    return rows


if __name__ == "__main__":
    main()
