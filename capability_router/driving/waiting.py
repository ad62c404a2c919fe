"""Limits on waiting for what a provider sends, for tasks; see ``hanging_up`` for threads.

Client libraries start their own timeout anew with every byte, so that a provider which sends blank
lines to keep a connection alive would never be given up.
"""

from __future__ import annotations

from collections.abc import Awaitable
from math import inf
from types import TracebackType
from typing import TYPE_CHECKING

from capability_router.driving.pace import Pace

if TYPE_CHECKING:
    from asyncio import Timeout

__all__ = ["alimited"]


class alimited:  # noqa: N801 - used as a function, as ``contextlib.aclosing`` is
    """Let a task wait within this block no longer than a pace allows.

    Raises:
        AttemptTimeoutError: If the time was over; what waited was cancelled.
    """

    __slots__ = ("_pace", "_timeout")

    def __init__(self, pace: Pace) -> None:
        self._pace = pace

    def __aenter__(self) -> Awaitable[Timeout]:
        # Here and not above: it takes longer to import than this package, and whoever awaits
        # has imported it already.
        from asyncio import timeout  # noqa: PLC0415 - said above

        left_s = self._pace.left_s()
        self._timeout: Timeout = timeout(None if left_s == inf else left_s)
        return self._timeout.__aenter__()

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
