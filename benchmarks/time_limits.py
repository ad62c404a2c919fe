"""What a time limit of a sync call costs, and how well it is kept when many end at once."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from socket import socket, socketpair

import httpx
from rich.table import Table

from benchmarks.hosts import lab
from benchmarks.timing import median_us
from capability_router.driving.hanging_up import Line, limited
from capability_router.driving.pace import Pace

__all__ = ["time_limits_table"]

THREADS = 200
FAR_S, SOON_S = 3600.0, 1.0


def time_limits_table() -> Table:
    """Compare setting a limit with a plain call, and with a request on loopback."""
    line = Line()
    plain, request = median_us(lambda: None), request_us()
    rows = Table(title="time limits of sync calls", title_justify="left")
    for column in ("what", "us", "plain calls", "of a request"):
        rows.add_column(column, justify="left" if column == "what" else "right")

    def add(what: str, act: Callable[[], None]) -> None:
        taken = median_us(act)
        rows.add_row(what, f"{taken:.2f}", f"{taken / plain:.0f}", f"{taken / request:.2%}")

    rows.add_row("a request over an open connection, httpx", f"{request:.0f}", "", "")
    add("a limited block without a limit", lambda: within(math.inf))
    add("a limited block", lambda: within(FAR_S))
    add("a Line, armed and disarmed", lambda: armed(line))
    with waiting(FAR_S):
        add(f"the same while {THREADS} threads wait", lambda: armed(line))
    with waiting(SOON_S) as late_ms:
        pass
    rows.add_row(f"{THREADS} limits that end at once, median late", f"{late_ms[0] * 1e3:.0f}")
    rows.add_row("the last of them", f"{late_ms[1] * 1e3:.0f}")
    return rows


def within(seconds: float) -> None:
    """Do nothing within a limit."""
    with limited(Pace("answer", seconds, math.inf, math.inf)):
        pass


def armed(line: Line) -> None:
    """Do what a stream does for each of its chunks."""
    line.arm(time.monotonic() + FAR_S)
    line.disarm()


def request_us() -> float:
    """Return how long a small request takes, in microseconds."""
    with lab() as (url, *_), httpx.Client() as client:
        return median_us(lambda: client.get(f"{url}/models"), times=20)


@contextmanager
def waiting(seconds: float) -> Iterator[list[float]]:
    """Let threads wait on sockets under limits that end in the same moment.

    Yields:
        How late they were hung up, the median and the last, in milliseconds; after the block.
    """
    late: list[float] = []
    with ThreadPoolExecutor(THREADS) as threads, ExitStack() as opened:
        pairs = [socketpair() for _ in range(THREADS)]
        for each in (end for pair in pairs for end in pair):
            opened.enter_context(each)
        until = time.monotonic() + seconds
        answers = [threads.submit(hung_up, ours, until) for ours, _ in pairs]
        yield late
        if seconds == FAR_S:
            for _, theirs in pairs:
                theirs.sendall(b"x")
        each_late = [answer.result() for answer in answers]
        late += [statistics.median(each_late), max(each_late)]


def hung_up(connection: socket, until: float) -> float:
    """Wait, and return how late it was given up, in milliseconds."""
    line = Line()
    line.arm(until)
    connection.recv(1)
    line.disarm()
    return (time.monotonic() - until) * 1e3
