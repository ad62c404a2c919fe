"""Selection beside that of LiteLLM's Router, in one run."""

from __future__ import annotations

import os
from collections.abc import Callable

from rich.table import Table

from benchmarks.timing import median_us
from capability_router import CapabilityRouter, CompletionRequest, Model, RotationPolicy
from capability_router.engine.selection import StrategyFactory

__all__ = ["litellm_table"]

SIZES = (3, 100, 1_000)
OURS = ("priority", "latency-first", "weighted")


def litellm_table() -> Table:
    """Time one selection of ours and of LiteLLM's sync Router, over equal models."""
    from benchmarks.selecting import factories  # noqa: PLC0415 - registry names, resolved when asked for

    rows = Table(title="one sync selection (median us)", title_justify="left")
    for column in ("models", "LiteLLM simple-shuffle", *OURS, "at least"):
        rows.add_column(column, justify="right")
    for size in SIZES:
        theirs = median_us(litellm_selection(size), rounds=7, times=20)
        ours = [median_us(our_selection(size, factories()[name])) for name in OURS]
        rows.add_row(
            f"{size:,}",
            f"{theirs:,.1f}",
            *(f"{each:.2f}" for each in ours),
            f"{theirs / max(ours):,.0f} x faster",
        )
    return rows


def our_selection(size: int, strategy: StrategyFactory) -> Callable[[], object]:
    """Return a selection, given back at once, over equal models."""
    router = CapabilityRouter(policy=RotationPolicy(selection=strategy), seed=1)
    for number in range(size):
        router.register(Model(f"p{number}/m", ("chat-completion",)))
    request = CompletionRequest("chat-completion")

    def act() -> None:
        router.release(router.select(request))

    return act


def litellm_selection(size: int) -> Callable[[], object]:
    """Return LiteLLM's selection over equal deployments, with its default strategy."""
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
    import litellm  # noqa: PLC0415 - takes seconds, and only this table needs it

    deployments = [
        {
            "model_name": "chat",
            "litellm_params": {"model": f"openai/m{number}", "api_key": "any"},
            "model_info": {"id": f"d{number}"},
        }
        for number in range(size)
    ]
    router = litellm.Router(model_list=deployments)
    messages = [{"role": "user", "content": "hello"}]
    return lambda: router.get_available_deployment(model="chat", messages=messages)
