"""What shared state costs: a selection, the time until others know, and the server."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from rich.table import Table

from capability_router import (
    CapabilityRouter,
    CompletionRequest,
    Failure,
    FailureKind,
    Limit,
    Model,
    Outcome,
    Unit,
)
from tests.storage.proxy import Proxy
from tests.storage.servers import Server, client_of

__all__ = ["fleet_table", "sharing_table"]

WORKERS, MODELS, REQUESTS_PER_S = 50, 200, 5_000
MEASURED_S, WARM_S = 10.0, 8.0
ROUNDS = 200
TURNS, TIMES = 100, 500
LIMIT = Limit(Unit.REQUESTS, 10_000_000, window_s=86_400.0)
REQUEST = CompletionRequest("chat-completion")
ANSWER = Outcome()
REFUSED = Outcome(failure=Failure(FailureKind.RATE_LIMITED, retry_after_s=600.0))

# Tells when it hears that a model has left; the monotonic clock is one for all processes.
LISTENER = """
import sys, time
from capability_router import CapabilityRouter, EventType, Model
router = CapabilityRouter(state=sys.argv[1])
for name in ("alpha/0", "beta/0", "gamma/0"):
    router.register(Model(name, ("chat-completion",)))
router.pool("chat-completion")
router.emitter.subscribe(lambda event: print(time.monotonic(), flush=True), "model_deactivated")
router.emitter.subscribe(lambda event: print("back", flush=True), "model_activated")
print("ready", flush=True)
sys.stdin.read()
router.close()
"""


def router_of(state: str | None, models: int = 3) -> CapabilityRouter:
    """Return a router whose models have a limit that is never reached."""
    router = CapabilityRouter(state=state)
    for number in range(models):
        provider = ("alpha", "beta", "gamma")[number % 3]
        name = f"{provider}/{number // 3}"
        router.register(Model(name, ("chat-completion",), limits=(LIMIT,)))
    router.pool("chat-completion")
    return router


@contextmanager
def stores() -> Iterator[dict[str, str | None]]:
    """Open a store of each kind, a way to one that is far away, and none that answers."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        server = Server(folder)
        stack.callback(server.kill)
        far = stack.enter_context(Proxy(server.port, delay_s=0.05))
        yield {
            "memory://": None,
            "SQLite": f"sqlite:///{folder}/state.db",
            "Valkey": server.url,
            "Valkey, 100 ms away": f"redis://127.0.0.1:{far.port}",
            "Valkey, gone": "redis://127.0.0.1:9",
        }


def sharing_table() -> Table:
    """Time a selection with its report on each store, and how soon another process knows."""
    rows = Table(title="3 models with a shared limit, by store", title_justify="left")
    for column in (
        "store",
        "select + report, us",
        "against memory",
        "a 429 is known, p50 / p99 ms",
    ):
        rows.add_column(column, justify="left" if column == "store" else "right")
    with stores() as found:
        routers = {name: router_of(state) for name, state in found.items()}
        # In turns, so that whatever else the machine does is shared by all.
        turns = [
            {name: served_us(router) for name, router in routers.items()} for _ in range(TURNS)
        ]
        for router in routers.values():
            router.close()
        costs = {name: median(turn[name] for turn in turns) for name in routers}
        base = costs["memory://"]
        for name, state in found.items():
            known = "" if state is None or name.endswith("gone") else known_ms(state)
            rows.add_row(name, f"{costs[name]:.2f}", f"{costs[name] - base:+.2f} us", known)
    return rows


def served_us(router: CapabilityRouter) -> float:
    """Return the cost of a selection with its report, in microseconds of this thread's own time.

    What the threads beside it do is no part of it: a request does not wait for them.
    """
    began = time.thread_time()
    for _ in range(TIMES):
        router.report(router.select(REQUEST), ANSWER)
    return (time.thread_time() - began) / TIMES * 1e6


def known_ms(state: str) -> str:
    """Return how long after a refusal in one process another one knows of it."""
    router = router_of(state)
    with subprocess.Popen(
        [sys.executable, "-c", LISTENER, state],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        times = sorted(heard_after_s(router, other) for _ in range(ROUNDS))
        other.terminate()
    router.close()
    return f"{times[len(times) // 2] * 1e3:.1f} / {times[int(len(times) * 0.99)] * 1e3:.1f}"


def heard_after_s(router: CapabilityRouter, other: subprocess.Popen[str]) -> float:
    """Let a model be refused here, and wait until the other process has heard of it and back."""
    out: Any = other.stdout
    while out.readline().strip() not in {"ready", "back"}:
        pass
    lease = router.select(REQUEST)
    began = time.monotonic()
    router.report(lease, REFUSED)
    heard = float(out.readline())
    router.recover(lease.model.id)
    return heard - began


def fleet_table() -> Table:
    """Count the commands of a server for fifty workers, at rest and at work."""
    title = f"{WORKERS} workers with {MODELS} models, {REQUESTS_PER_S:,} requests a second in all"
    rows = Table(title=title, title_justify="left")
    for column in ("", "commands a second", "server, share of a core"):
        rows.add_column(column, justify="right" if column else "left")
    with tempfile.TemporaryDirectory() as folder:
        server = Server(Path(folder))
        routers = [router_of(server.url, MODELS) for _ in range(WORKERS)]
        time.sleep(WARM_S)
        rows.add_row("at rest", *load_of(server, lambda: time.sleep(0.1)))
        rows.add_row("at work", *load_of(server, Work(routers)))
        for router in routers:
            router.close()
        server.kill()
    return rows


class Work:
    """Spreads requests evenly over all workers, for a tenth of a second each time."""

    def __init__(self, routers: list[CapabilityRouter]) -> None:
        self._routers = routers
        self._next_at = time.monotonic()
        self.made = 0

    def __call__(self) -> None:
        for _ in range(REQUESTS_PER_S // 10):
            router = self._routers[self.made % len(self._routers)]
            router.report(router.select(REQUEST), ANSWER)
            self.made += 1
        self._next_at += 0.1
        time.sleep(max(0.0, self._next_at - time.monotonic()))


def load_of(server: Server, act: Any) -> tuple[str, str]:
    """Return what a server does meanwhile: its commands, scripts' own included, and its time."""
    client = client_of(server.url)
    act()
    before, began = client.info(), time.monotonic()
    while time.monotonic() - began < MEASURED_S:
        act()
    passed, after = time.monotonic() - began, client.info()
    commands = (after["total_commands_processed"] - before["total_commands_processed"]) / passed
    busy = sum(after[key] - before[key] for key in ("used_cpu_user", "used_cpu_sys")) / passed
    client.close()
    return f"{commands:,.0f}", f"{busy:.0%}"
