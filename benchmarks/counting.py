"""What statistics cost: noting an answer as it comes, and reading all of them."""

from __future__ import annotations

from rich.table import Table

from benchmarks.populations import populated
from benchmarks.selecting import ANSWER, factories
from benchmarks.timing import median_us
from capability_router import CompletionRequest
from capability_router.engine.latencies import LatencyHistogram
from capability_router.engine.tally import Tally

__all__ = ["statistics_table"]

SIZES = (3, 100, 10_000)


def statistics_table() -> Table:
    """Time a request beside the counting that is a part of it, and the reading."""
    title = "statistics (median us)"
    rows = Table(title=title, title_justify="left")
    for column in ("models", "select + report", "an answer's tally", "its histogram", "read all"):
        rows.add_column(column, justify="right")
    for size in SIZES:
        rows.add_row(f"{size:,}", *map("{:,.2f}".format, _timed(size)))
    return rows


def _timed(size: int) -> tuple[float, float, float, float]:
    router = populated(size, factories()["stick-until-failure"])
    request, tally, histogram = CompletionRequest("chat-completion"), Tally(), LatencyHistogram()
    return (
        median_us(lambda: router.report(router.select(request), ANSWER)),
        median_us(lambda: tally.count_answer(ANSWER.usage, 0.001, 0.7)),
        median_us(lambda: histogram.note(0.7)),
        median_us(router.statistics, rounds=5, times=3),
    )
