"""What the record of each decision costs, beside the selection that it is a part of."""

from __future__ import annotations

from functools import partial

from rich.table import Table

from benchmarks.populations import populated
from benchmarks.selecting import ANSWER, factories
from benchmarks.timing import median_us
from capability_router import CompletionRequest
from capability_router.engine.choice import Why

__all__ = ["decisions_table"]

SIZES = (3, 10, 32, 10_000)
STRATEGIES = ("stick-until-failure", "latency-first", "cost-first")


def decisions_table() -> Table:
    """Time noting a selection, spelling it out, and foretelling one."""
    title = "the record of a decision (median us)"
    rows = Table(title=title, title_justify="left")
    for column in (
        "strategy",
        "models",
        "select + report",
        "of it noting",
        "spelled out",
        "explain",
    ):
        rows.add_column(column, justify="left" if column == "strategy" else "right")
    for name in STRATEGIES:
        for size in SIZES:
            rows.add_row(name, f"{size:,}", *map("{:,.2f}".format, _timed(name, size)))
    return rows


def _timed(name: str, size: int) -> tuple[float, float, float, float]:
    router = populated(size, factories()[name])
    request = CompletionRequest("chat-completion")

    def serve() -> None:
        router.report(router.select(request), ANSWER)

    serve()
    lease = router.select(request)
    pool = router.pool(lease.pool.name)
    node, now = lease.node, router.clock.now()
    note = partial(
        pool.evidence, request, node, (), now, lease.member, Why.STRATEGY, lease.strategy
    )
    router.release(lease)
    return (
        median_us(serve),
        median_us(note),
        median_us(lambda: lease.evidence.choice().as_dict(), rounds=7, times=50),
        median_us(lambda: router.explain(request), rounds=5, times=5),
    )
