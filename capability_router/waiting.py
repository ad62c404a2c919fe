"""Limits on waiting for what a provider sends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from typing import TypeVar

__all__ = ["each_within"]

T = TypeVar("T")


async def each_within(seconds: float, items: AsyncIterator[T]) -> AsyncGenerator[T, None]:
    """Iterate, waiting at most some seconds for each item.

    Client libraries start their own timeout anew with every byte, so that a provider which sends
    blank lines to keep a connection alive would never be given up.

    Args:
        seconds: How long to wait for one item, > 0.
        items: What is waited for.

    Raises:
        TimeoutError: If an item does not come in time.
    """
    while True:
        try:
            async with asyncio.timeout(seconds):
                item = await anext(items)
        except StopAsyncIteration:
            return
        yield item
