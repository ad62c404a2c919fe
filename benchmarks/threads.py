"""A million decisions by 64 threads while models flap: nothing raises, nothing is lost."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random

from rich.table import Table

from capability_router import (
    CapabilityRouter,
    CompletionRequest,
    Cooldown,
    FailureKind,
    Limit,
    Model,
    NoAvailableModelError,
    Outcome,
    RotationPolicy,
    Unit,
)
from capability_router.engine.sampling import LatencyFirst

__all__ = ["threads_table"]

THREADS, DECISIONS = 64, 1_000_000
REQUEST = CompletionRequest("chat-completion")
KINDS = (FailureKind.SERVER_ERROR, FailureKind.RATE_LIMITED, FailureKind.AUTH, FailureKind.TIMEOUT)
ANSWER = Outcome.success()


def threads_table() -> Table:
    """Let every thread select and report, with a third of the models failing half of the time."""
    router = flapping()
    before = memory_mb()
    start = time.perf_counter()
    with ThreadPoolExecutor(THREADS) as pool:
        counts = list(pool.map(lambda seed: worked(router, seed), range(THREADS)))
    seconds = time.perf_counter() - start
    states = [router.state(model.id) for model in router.models]
    answered, failed = (sum(column) for column in zip(*counts, strict=True))
    exact = (
        sum(state.successes for state in states) == answered
        and sum(state.failures for state in states) == failed
        and all(state.in_flight == 0 for state in states)
    )
    taken = router.pool("chat-completion").get_state()
    rows = Table(title=f"{DECISIONS:,} decisions by {THREADS} threads", title_justify="left")
    rows.add_column("what")
    rows.add_column("", justify="right")
    rows.add_row("decisions per second", f"{(answered + failed) / seconds:,.0f}")
    rows.add_row("answers, failures", f"{answered:,}, {failed:,}")
    rows.add_row("deactivations and recoveries", f"{taken.rotation_events:,}")
    rows.add_row("counters", "exact" if exact else "WRONG")
    rows.add_row("memory before, growth", f"{before:.1f} MB, {memory_mb() - before:+.1f} MB")
    return rows


def flapping() -> CapabilityRouter:
    """Return a router with a dozen models, limits that come and go, and short cooldowns."""
    brief = Cooldown(
        initial_s=0.01, max_s=0.05, slow_max_s=0.05, reason_cooldowns={"auth_failure": (0.01, 0.1)}
    )
    router = CapabilityRouter(
        policy=RotationPolicy(recovery=brief, selection=LatencyFirst), lease_ttl_s=1e9
    )
    for number in range(12):
        limits = (Limit(Unit.REQUESTS, 500, window_s=0.1),) if number % 6 == 5 else ()
        router.register(Model(f"p{number % 5}/{number}", ("chat-completion",), limits=limits))
    return router


def worked(router: CapabilityRouter, seed: int) -> tuple[int, int]:
    """Do one thread's share; returns its answers and failures."""
    dice, answered, failed = Random(seed), 0, 0
    for _ in range(DECISIONS // THREADS):
        try:
            lease = router.select(REQUEST)
        except NoAvailableModelError:
            continue
        if lease.model.provider in ("p0", "p1") and dice.random() < 0.5:
            router.report(lease, Outcome.failed(dice.choice(KINDS)))
            failed += 1
        else:
            router.report(lease, ANSWER)
            answered += 1
    return answered, failed


def memory_mb() -> float:
    """Return the memory that this process holds, in megabytes; 0 where the system does not say."""
    status = Path("/proc/self/statm")
    return int(status.read_text().split()[1]) * 4096 / 1e6 if status.exists() else 0.0
