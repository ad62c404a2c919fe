"""LiteLLM itself, imported by the first who needs it: that takes seconds."""

from __future__ import annotations

import asyncio
from functools import cache
from importlib import import_module
from typing import Any, Protocol

__all__ = ["LiteLLM", "aload_litellm", "load_litellm"]


class LiteLLM(Protocol):
    """What is called of the module ``litellm``; its answers are read in ``answers``."""

    def completion(self, **request: Any) -> Any:
        """Return an answer, or a stream of one."""
        ...

    async def acompletion(self, **request: Any) -> Any:
        """Return an answer, or a stream of one."""
        ...


@cache
def load_litellm() -> LiteLLM:
    """Import LiteLLM.

    Raises:
        ImportError: If it is not installed.
    """
    try:
        litellm: Any = import_module("litellm")
    except ModuleNotFoundError as error:
        raise ImportError(
            "a model without a chat model of its own is called through LiteLLM, which is not"
            " installed: pip install 'capability-router[litellm]', or pass models={id: chat model}"
        ) from error
    # Failing is nothing special here: LiteLLM would print an advertisement for each failure.
    litellm.suppress_debug_info = True
    loaded: LiteLLM = litellm
    return loaded


async def aload_litellm() -> LiteLLM:
    """Import LiteLLM without stopping the event loop for it."""
    if not load_litellm.cache_info().currsize:
        await asyncio.to_thread(load_litellm)
    return load_litellm()
