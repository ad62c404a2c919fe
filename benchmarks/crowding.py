"""What limits on attempts at once, and throttling, cost those who have them."""

from __future__ import annotations

from rich.table import Table

from benchmarks.populations import REQUESTS, TOOLS, populated, requests
from benchmarks.selecting import ANSWER, FEW, MANY, factories
from benchmarks.timing import median_us
from capability_router import CapabilityRouter, RotationPolicy, Throttling
from capability_router.engine.selection import StrategyFactory

__all__ = ["crowded_table"]

NEVER_REACHED = 1_000_000


def crowded_table() -> Table:
    """Time a selection with its report: without limits, with such as are not reached, and crowded.

    Where it is crowded, each model takes one attempt, and a third of those that can serve have one
    in flight; so each selection fills a model, and each report gives it room again.
    """
    title = "select + report with a limit on attempts at once (median)"
    rows = Table(title=title, title_justify="left")
    for column in (
        "strategy",
        "10 (us)",
        "never full",
        "throttling",
        "third full",
        "10,000",
        "third full",
        "growth",
    ):
        rows.add_column(column, justify="left" if column == "strategy" else "right")
    for name, factory in factories().items():
        few, many = served(populated(FEW, factory)), served(populated(MANY, factory))
        calm = served(populated(FEW, factory, concurrency=NEVER_REACHED))
        full, most_full = crowded(FEW, factory), crowded(MANY, factory)
        rows.add_row(
            name,
            f"{few:.2f}",
            f"x {calm / few:.2f}",
            f"x {throttled(factory) / few:.2f}",
            f"x {full / few:.2f}",
            f"{many:.2f}",
            f"x {most_full / many:.2f}",
            f"x {most_full / full:.2f}",
        )
    return rows


def crowded(size: int, strategy: StrategyFactory) -> float:
    """Return the cost where a third of the models are full at all times."""
    router = populated(size, strategy, concurrency=1)
    asked = requests()
    able = [model for model in router.models if (model.features or TOOLS) >= TOOLS]
    for _ in range(len(able) // 3):
        router.select(next(asked))
    return served(router)


def throttled(strategy: StrategyFactory) -> float:
    """Return the cost in a pool that throttles, while nobody turns anything away."""
    policy = RotationPolicy(selection=strategy, throttling=Throttling())
    return served(populated(FEW, strategy, policy=policy))


def served(router: CapabilityRouter) -> float:
    """Return the cost of a selection with its report, once every session is known."""
    asked = requests()

    def act() -> None:
        router.report(router.select(next(asked)), ANSWER)

    for _ in REQUESTS:
        act()
    return median_us(act)
