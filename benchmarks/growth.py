"""What many models and many pools cost: time to register, memory, and time to select."""

from __future__ import annotations

import gc
import time
import tracemalloc

from rich.table import Table

from benchmarks.populations import pooled, populated
from benchmarks.timing import median_us
from capability_router import CapabilityRouter, CompletionRequest, Outcome, StickUntilFailure

__all__ = ["growth_table", "pools_table"]

MODELS, POOLS = 10_000, 1_000


def growth_table() -> Table:
    """Time registering ten thousand models, and weigh them."""
    gc.collect()
    start = time.perf_counter()
    router = populated(MODELS, StickUntilFailure)
    seconds = time.perf_counter() - start
    router.select(CompletionRequest("chat-completion"))
    rows = Table(title=f"{MODELS:,} models", title_justify="left")
    rows.add_column("what")
    rows.add_column("cost", justify="right")
    rows.add_row("registering all", f"{seconds:.2f} s")
    rows.add_row("memory of one, in one pool and one lane", f"{weighed():,.0f} bytes")
    return rows


def weighed() -> float:
    """Return the bytes that each of ten thousand models takes, its id and price included."""
    request = CompletionRequest("chat-completion")
    small = populated(10, StickUntilFailure)
    small.select(request)
    gc.collect()
    tracemalloc.start()
    large = populated(MODELS, StickUntilFailure)
    large.report(large.select(request), Outcome.success())
    gc.collect()
    taken, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return taken / len(large.models)


def pools_table() -> Table:
    """Time selections over a thousand pools of ten models, against one pool of ten models."""
    one = pooled(1, 10, StickUntilFailure)
    many = pooled(POOLS, MODELS, StickUntilFailure)
    alone, spread = round_of_pools(one, 1), round_of_pools(many, POOLS)
    rows = Table(title="select + report, pools of ten models (median us)", title_justify="left")
    for column in ("pools", "models", "us", "growth"):
        rows.add_column(column, justify="right")
    rows.add_row("1", "10", f"{alone:.2f}", "")
    rows.add_row(f"{POOLS:,}", f"{MODELS:,}", f"{spread:.2f}", f"x {spread / alone:.2f}")
    return rows


def round_of_pools(router: CapabilityRouter, pools: int) -> float:
    """Return the median cost of a selection with its report, each from the next pool."""
    asked = [CompletionRequest("chat-completion", pool=f"pool-{n}") for n in range(pools)]
    turn = 0

    def act() -> None:
        nonlocal turn
        turn = (turn + 1) % pools
        router.report(router.select(asked[turn]), Outcome.success())

    for _ in range(pools):
        act()
    return median_us(act, times=1000)
