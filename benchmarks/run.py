"""How fast is it? Ratios within one run, because machines differ and are noisy.

``make bench`` prints tables, ``make bench ONLY="select threads"`` some of them; nothing here is
part of the tests.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

from rich.console import Console
from rich.table import Table

from benchmarks.calls import call_table, import_table
from benchmarks.counting import statistics_table
from benchmarks.crowding import crowded_table
from benchmarks.deciding import decisions_table
from benchmarks.growth import growth_table, pools_table
from benchmarks.hosts import langchain_table
from benchmarks.peers import litellm_table
from benchmarks.policies import policies_table
from benchmarks.routers import routers_table
from benchmarks.selecting import limits_table, select_table
from benchmarks.sharing import fleet_table, sharing_table
from benchmarks.simulating import simulating_table
from benchmarks.threads import threads_table
from benchmarks.time_limits import time_limits_table

TABLES: dict[str, Callable[[], Table]] = {
    "import": import_table,
    "select": select_table,
    "limits": limits_table,
    "decisions": decisions_table,
    "statistics": statistics_table,
    "crowded": crowded_table,
    "pools": pools_table,
    "growth": growth_table,
    "litellm": litellm_table,
    "routers": routers_table,
    "threads": threads_table,
    "time-limits": time_limits_table,
    "calls": call_table,
    "langchain": langchain_table,
    "policies": policies_table,
    "simulating": simulating_table,
    "sharing": sharing_table,
    "fleet": fleet_table,
}

console = Console(width=110)


def main(wanted: list[str]) -> None:
    """Run the benchmarks that are asked for, or all, and print a table of each."""
    unknown = [name for name in wanted if name not in TABLES]
    if unknown:
        sys.exit(f"unknown benchmark {unknown[0]!r}; there are: {', '.join(TABLES)}")
    for name in wanted or TABLES:
        console.print(TABLES[name]())


if __name__ == "__main__":
    main(sys.argv[1:])
