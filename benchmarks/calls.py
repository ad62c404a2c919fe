"""What importing the package and a whole call cost."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

from rich.table import Table

from benchmarks.populations import REQUESTS, populated
from benchmarks.timing import median_us
from capability_router import Model, Priority, StickUntilFailure

__all__ = ["call_table", "import_table"]


def call_table() -> Table:
    """Time a whole call around a function that does nothing, healthy and with one failover."""
    healthy = populated(10, Priority)
    failing = populated(10, StickUntilFailure)

    def fail_first(model: Model) -> str:
        if model.id == "p1/1":
            raise ConnectionError
        return model.id

    taken = median_us(lambda: healthy.call(REQUESTS[0], lambda model: model.id))
    over = median_us(lambda: failing.call(REQUESTS[0], fail_first))
    rows = Table(title="whole calls, 10 models", title_justify="left")
    rows.add_column("what")
    rows.add_column("us", justify="right")
    rows.add_row("router.call around nothing", f"{taken:.1f}")
    rows.add_row("the same, first model failing until it rests", f"{over:.1f}")
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
