"""One request on its way to an answer, and the waits that its fault asks for."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from capability_router.lab.faults import Fault, Framing
from capability_router.lab.prefills import Prefill
from capability_router.lab.wire import Connection, HttpRequest

__all__ = [
    "Turn",
]

# How soon a waiting request notices that its client has left; the look costs microseconds.
_LOOK_SECONDS = 0.01


@dataclass(frozen=True, slots=True)
class Turn:
    """One request and how it is to be met.

    Attributes:
        connection: Where the answer goes.
        request: What came.
        body: The request's JSON object or the plain values of its form, None where it has none.
        fault: What is to happen.
        prefill: What the provider makes of a message of the assistant at the end.
        number: 1 for the provider's first request.
        healed: Set when waiting requests are to be answered.
    """

    connection: Connection
    request: HttpRequest
    body: Mapping[str, object] | None
    fault: Fault
    prefill: Prefill
    number: int
    healed: threading.Event

    @property
    def framing(self) -> Framing:
        """How a body that comes in parts is delimited: as the fault says, if the client can."""
        return self.fault.framing if self.request.chunks else "close"

    def pause(self, seconds: float | None) -> None:
        """Wait until the time is over or the provider is healed.

        Args:
            seconds: Longest wait, >= 0; None waits for the healing alone.

        Raises:
            GoneError: As soon as the client leaves.
            ConnectionAbortedError: As soon as the provider is stopped.
        """
        ends = math.inf if seconds is None else time.monotonic() + seconds
        while (left := ends - time.monotonic()) > 0:
            if self.healed.wait(min(left, _LOOK_SECONDS)):
                break
            self.connection.raise_if_gone()
        self.connection.raise_if_gone()

    def beats(self) -> Iterator[None]:
        """Wait as long as the fault says, and come back for each sign of life that is due.

        Raises:
            ConnectionError: As :meth:`pause`.
        """
        left = self.fault.seconds or 0.0
        while left > 0 and not self.healed.is_set():
            self.pause(min(self.fault.every, left))
            left -= self.fault.every
            yield
