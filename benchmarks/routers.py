"""What routing through LiteLLM costs: an attached Router beside LiteLLM's own strategies.

All deployments are one lab in another process, asked over HTTP. What is shown is the time that a
Router adds to the plain function of LiteLLM, in the same round of the same run.
"""

from __future__ import annotations

import asyncio
import gc
import json
import operator
import os
import statistics
import subprocess
import sys
import time
from typing import Any

from rich.table import Table

from benchmarks.hosts import alternately, lab

__all__ = ["routers_table"]

_SIZES = (3, 100, 1_000)
_OURS = "ours"
_STRATEGIES = (_OURS, "simple-shuffle", "latency-based-routing", "usage-based-routing-v2")
_ROUNDS = 300
_QUESTION = [{"role": "user", "content": "good day"}]


def routers_table() -> Table:
    """Ask LiteLLM plainly and through a Router: ours, and three strategies of LiteLLM's.

    Each Router has a process of its own, because what one adds to LiteLLM's callbacks is paid for
    by every call of the process.
    """
    rows = Table(title="LiteLLM's Router, added to the plain call (p50 ms)", title_justify="left")
    for column in ("deployments", "call", "plain", *_STRATEGIES):
        rows.add_column(column, justify="left" if column == "call" else "right")
    with lab() as urls:
        for size in _SIZES:
            found = [_in_own_process(urls[0], size, strategy) for strategy in _STRATEGIES]
            for place, call in enumerate(("completion", "acompletion")):
                plain = statistics.median(each[place][0] for each in found)
                added_ms = (f"{each[place][1]:+.3f}" for each in found)
                rows.add_row(f"{size:,}", call, f"{plain:.2f}", *added_ms)
    return rows


Figures = list[list[float]]
"""Of the sync and of the async call, the plain milliseconds and what the Router adds."""


def _in_own_process(url: str, size: int, strategy: str) -> Figures:
    command = [sys.executable, "-m", "benchmarks.routers", url, str(size), strategy]
    told = subprocess.run(command, check=True, capture_output=True, text=True)
    figures: Figures = json.loads(told.stdout.splitlines()[-1])
    return figures


def _measured(url: str, size: int, strategy: str) -> Figures:
    hosts = {"plain": _Plain(url), "routed": _routed(url, size, strategy)}
    gc.collect()
    gc.freeze()
    with asyncio.Runner() as runner:
        taken = [
            alternately(hosts, _sync_ms, _ROUNDS),
            alternately(hosts, lambda host: runner.run(_async_ms(host)), _ROUNDS),
        ]
    return [
        [
            statistics.median(each["plain"]),
            statistics.median(map(operator.sub, each["routed"], each["plain"])),
        ]
        for each in taken
    ]


def _sync_ms(host: Any) -> float:
    start = time.perf_counter()
    host.completion(model="chat-completion", messages=_QUESTION)
    return (time.perf_counter() - start) * 1e3


async def _async_ms(host: Any) -> float:
    start = time.perf_counter()
    await host.acompletion(model="chat-completion", messages=_QUESTION)
    taken_ms = (time.perf_counter() - start) * 1e3
    # What LiteLLM does after an answer is not to be paid for by whoever is asked next.
    await asyncio.sleep(0.001)
    return taken_ms


def _params(url: str) -> dict[str, Any]:
    return {"model": "openai/tiny", "api_base": url, "api_key": "lab", "max_retries": 0}


class _Plain:
    """LiteLLM's functions in the form of a Router."""

    def __init__(self, url: str) -> None:
        self._params = _params(url)

    def completion(self, **asked: Any) -> Any:
        return _litellm().completion(**asked | self._params)

    async def acompletion(self, **asked: Any) -> Any:
        return await _litellm().acompletion(**asked | self._params)


def _deployments(url: str, size: int) -> list[dict[str, Any]]:
    return [
        {
            "model_name": "chat-completion",
            "litellm_params": _params(url),
            "model_info": {"id": f"d{number}", "capabilities": ["chat-completion"]},
        }
        for number in range(size)
    ]


def _routed(url: str, size: int, strategy: str) -> Any:
    native = "simple-shuffle" if strategy == _OURS else strategy
    host = _litellm().Router(model_list=_deployments(url, size), routing_strategy=native)
    if strategy == _OURS:
        # Here and not above: both need LiteLLM, which takes seconds to import.
        from capability_router import CapabilityRouter  # noqa: PLC0415 - said above
        from litellm_capability_router import attach  # noqa: PLC0415 - said above

        attach(host, CapabilityRouter())
    return host


def _litellm() -> Any:
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
    import litellm  # noqa: PLC0415 - takes seconds, and only this table needs it

    return litellm


if __name__ == "__main__":
    print(json.dumps(_measured(sys.argv[1], int(sys.argv[2]), sys.argv[3])))
