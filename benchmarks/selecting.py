"""Every strategy, with few models and with many, with requirements in play."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import cast

from rich.table import Table

from benchmarks.populations import LARGE, REQUESTS, populated, requests
from benchmarks.timing import median_of_pairs_us, median_us
from capability_router import (
    CapabilityRouter,
    CompletionRequest,
    Lease,
    Model,
    Outcome,
    Usage,
    registry,
)
from capability_router.engine.selection import StrategyFactory

__all__ = ["ANSWER", "FEW", "MANY", "factories", "limits_table", "select_table"]

ANSWER = Outcome.success(Usage(700, 300))
FEW, MANY = 10, 10_000


def factories() -> dict[str, StrategyFactory]:
    """Return every strategy that ships by its short name, ready to be used."""
    found = {
        name: cast("StrategyFactory", registry.resolve(registry.STRATEGIES, name))
        for name in registry.names(registry.STRATEGIES)
        # It calls the user's function for every model: it cannot be flat, and says so.
        if name != "scored"
    }
    fallback = partial(cast("Callable[..., object]", found["priority"]), fallback=found["weighted"])
    return found | {"priority + weighted": cast("StrategyFactory", fallback)}


def timed(router: CapabilityRouter) -> tuple[float, float]:
    """Return the cost of a selection, and of a selection with its report, in microseconds."""
    asked = requests()

    def select() -> Lease:
        return router.select(next(asked))

    def report(lease: Lease) -> None:
        router.report(lease, ANSWER)

    for _ in REQUESTS:
        report(select())
    alone, _ = median_of_pairs_us(select, report)
    # One at a time, as it is in life: nothing else is in flight.
    return alone, median_us(lambda: report(select()))


def select_table() -> Table:
    """Time each strategy with 10 and with 10,000 models, beside a scan of them all."""
    title = "select, and select + report: a thousand sessions, tools required (median)"
    rows = Table(title=title, title_justify="left")
    for column in (
        "strategy",
        "select, 10 (us)",
        "+ report",
        "select, 10,000",
        "+ report",
        "growth",
        "scan of 10,000",
    ):
        rows.add_column(column, justify="left" if column == "strategy" else "right")
    for name, factory in factories().items():
        few, few_both = timed(populated(FEW, factory))
        large = populated(MANY, factory)
        many, many_both = timed(large)
        scan = median_us(partial(scanned, large.models), rounds=5, times=5)
        rows.add_row(
            name,
            f"{few:.2f}",
            f"{few_both:.2f}",
            f"{many:.2f}",
            f"{many_both:.2f}",
            f"x {many / few:.2f}",
            f"x {scan / many:,.0f}",
        )
    return rows


def limits_table() -> Table:
    """Time what limits add: two of each model and two of its provider, counted and not reached."""
    rows = Table(title="with four limits in play, 10 models (median us)", title_justify="left")
    for column in ("strategy", "select", "+ report"):
        rows.add_column(column, justify="left" if column == "strategy" else "right")
    for name in ("stick-until-failure", "rate-limit-aware", "load-balanced"):
        alone, both = timed(populated(FEW, factories()[name], limits=LARGE))
        rows.add_row(name, f"{alone:.2f}", f"{both:.2f}")
    return rows


def scanned(models: list[Model]) -> Model:
    """Choose as a router does that looks at every model: filter all, then take the cheapest."""
    request: CompletionRequest = REQUESTS[0]
    fitting = (model for model in models if model.lacks(request) is None)
    return min(fitting, key=lambda m: m.price.input if m.price else 0.0)
