"""What a pool costs in LangChain: latency and throughput against the bare chat model.

Every model is a ``ChatOpenAI`` that talks HTTP to a lab in another process, so that the provider
takes no time from what is measured. All are asked in turn, within one run.
"""

from __future__ import annotations

import asyncio
import gc
import operator
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.table import Table

__all__ = ["alternately", "lab", "langchain_table"]

_ROUNDS = 400
_CONCURRENT = 32
_CALLS = 128
_FLOODS = 40

_LAB = """
import sys
from capability_router.lab import Lab
with Lab(["alpha", "beta"], answers="echo") as lab:
    print(*(provider.base_url for provider in lab), flush=True)
    sys.stdin.read()
"""

Models = dict[str, Any]
Measure = Callable[[Any], float]


def langchain_table() -> Table:
    """Ask a bare model, a pool of two of them, and the same two under ``with_fallbacks``."""
    rows = Table(title="LangChain, ChatOpenAI over loopback HTTP", title_justify="left")
    for column in ("what", "bare", "pool", "with_fallbacks"):
        rows.add_column(column, justify="left" if column == "what" else "right")
    with lab() as urls, asyncio.Runner() as runner:
        latencies: dict[str, Measure] = {
            "invoke, p50 ms": _whole,
            "stream, first text, p50 ms": _first_text,
            "ainvoke, p50 ms": lambda model: runner.run(_awhole(model)),
            "astream, first text, p50 ms": lambda model: runner.run(_afirst_text(model)),
        }
        rates: dict[str, Measure] = {
            "calls/s, 32 tasks": lambda model: _calls_per_s(lambda: runner.run(_in_tasks(model))),
            "calls/s, 32 threads": lambda model: _calls_per_s(lambda: _in_threads(model)),
        }
        models = _models(urls)
        # A server's objects are old as well: without this, each round pays for looking at them all.
        gc.collect()
        gc.freeze()
        for what, measure in latencies.items():
            rows.add_row(what, *_added(alternately(models, measure, _ROUNDS)))
        for what, measure in rates.items():
            rows.add_row(what, *_share(alternately(models, measure, _FLOODS)))
    return rows


@contextmanager
def lab() -> Iterator[list[str]]:
    """Run a lab in another process, and tell the base URLs of its two providers."""
    command = [sys.executable, "-c", _LAB]
    with subprocess.Popen(command, stdin=-1, stdout=-1, text=True) as lab:
        assert lab.stdin is not None
        assert lab.stdout is not None
        yield lab.stdout.readline().split()
        lab.stdin.close()


def _models(urls: list[str]) -> Models:
    # Here and not above: who runs another benchmark need not have LangChain.
    from langchain_openai import ChatOpenAI  # noqa: PLC0415 - said above
    from pydantic import SecretStr  # noqa: PLC0415 - said above

    from langchain_capability_router import ChatCapabilityRouter  # noqa: PLC0415 - said above

    first, second = (
        ChatOpenAI(
            model="tiny", base_url=url, api_key=SecretStr("lab"), max_retries=0, stream_usage=True
        )
        for url in urls
    )
    pool = ChatCapabilityRouter.from_models({"alpha/tiny": first, "beta/tiny": second})
    return {"bare": first, "pool": pool, "with_fallbacks": first.with_fallbacks([second])}


def alternately(models: Models, measure: Measure, rounds: int) -> dict[str, list[float]]:
    """Measure each model in turn, again and again, so that all meet the same machine."""
    found: dict[str, list[float]] = {name: [] for name in models}
    for name in models:
        measure(models[name])
    for _ in range(rounds):
        for name, values in found.items():
            values.append(measure(models[name]))
    return found


def _whole(model: Any) -> float:
    start = time.perf_counter()
    model.invoke("good day")
    return (time.perf_counter() - start) * 1e3


async def _awhole(model: Any) -> float:
    start = time.perf_counter()
    await model.ainvoke("good day")
    return (time.perf_counter() - start) * 1e3


def _first_text(model: Any) -> float:
    """Return the milliseconds to the first text; what is after it is read, and not counted."""
    start, taken_ms = time.perf_counter(), 0.0
    for chunk in model.stream("good day"):
        if chunk.text and not taken_ms:
            taken_ms = (time.perf_counter() - start) * 1e3
    return taken_ms


async def _afirst_text(model: Any) -> float:
    start, taken_ms = time.perf_counter(), 0.0
    async for chunk in model.astream("good day"):
        if chunk.text and not taken_ms:
            taken_ms = (time.perf_counter() - start) * 1e3
    return taken_ms


async def _in_tasks(model: Any) -> None:
    async def work() -> None:
        for _ in range(_CALLS // _CONCURRENT):
            await model.ainvoke("good day")

    await asyncio.gather(*(work() for _ in range(_CONCURRENT)))


def _in_threads(model: Any) -> None:
    model.batch(["good day"] * _CALLS, {"max_concurrency": _CONCURRENT})


def _calls_per_s(act: Callable[[], object]) -> float:
    start = time.perf_counter()
    act()
    return _CALLS / (time.perf_counter() - start)


def _added(taken: dict[str, list[float]]) -> list[str]:
    """Return the median of the bare model, and what the others add to it in the same round."""
    bare, *others = taken.values()
    added = (_median(map(operator.sub, other, bare)) for other in others)
    return [f"{statistics.median(bare):.2f}", *(f"{ms:+.3f}" for ms in added)]


def _share(rates: dict[str, list[float]]) -> list[str]:
    """Return the median rate of the bare model, and the others' as a share of it in each round."""
    bare, *others = rates.values()
    shares = (_median(map(operator.truediv, other, bare)) for other in others)
    return [f"{statistics.median(bare):.0f}", *(f"x {share:.2f}" for share in shares)]


def _median(values: Iterable[float]) -> float:
    return statistics.median(list(values))
