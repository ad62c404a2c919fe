"""Limits on waiting for what a provider sends, for threads and for tasks.

Client libraries start their own timeout anew with every byte, so that a provider which sends blank
lines to keep a connection alive would never be given up.
"""

from __future__ import annotations

import sys
from math import inf
from types import TracebackType
from typing import TYPE_CHECKING

from capability_router.hanging_up import Line
from capability_router.pace import Pace

if TYPE_CHECKING:
    from asyncio import Timeout

__all__ = ["alimited", "limited"]


class limited:  # noqa: N801 - used as a function, as ``contextlib.closing`` is
    """Let a thread wait within this block no longer than a pace allows.

    Raises:
        AttemptTimeoutError: If the time was over; from what the client has raised for it.
    """

    __slots__ = ("_line", "_pace")

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self._line = Line()

    def __enter__(self) -> None:
        block = sys._getframe(1)  # pyright: ignore[reportPrivateUsage] - public in all but name
        self._line.arm(self._pace.until(), block)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        late = self._line.disarm()
        # What is no mistake of a client, such as a signal, goes before.
        if late and (error is None or isinstance(error, Exception)):
            raise self._pace.error() from error


class alimited:  # noqa: N801 - as above
    """Let a task wait within this block no longer than a pace allows; as ``limited``."""

    __slots__ = ("_pace", "_timeout")

    def __init__(self, pace: Pace) -> None:
        self._pace = pace

    async def __aenter__(self) -> None:
        # Here and not above: it takes longer to import than this package, and whoever awaits
        # has imported it already.
        from asyncio import timeout  # noqa: PLC0415 - said above

        left_s = self._pace.left_s()
        self._timeout: Timeout = timeout(None if left_s == inf else left_s)
        await self._timeout.__aenter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            await self._timeout.__aexit__(kind, error, trace)
        except TimeoutError as late:
            raise self._pace.error() from late
