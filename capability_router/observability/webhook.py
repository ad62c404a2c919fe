"""Events and decisions sent to an address of the application's choice."""

from __future__ import annotations

import atexit
import json
from collections import deque
from collections.abc import Mapping
from logging import getLogger
from threading import Condition, Thread

from capability_router.clock import SystemClock
from capability_router.engine.decision import Decision
from capability_router.engine.events import RoutingEvent
from capability_router.engine.timing import Clock
from capability_router.observability.extras import needing
from capability_router.observability.ranges import above, at_least
from capability_router.observability.records import as_record

__all__ = ["Webhook"]

_MOST_AT_ONCE = 100
_log = getLogger(__name__)


class Webhook:
    """Posts records as JSON, in a thread of its own, so that no request waits for it.

    A body is ``{"records": [...], "dropped": 0}`` with up to 100 records, each as in ``JsonLines``.
    Whatever waits when the last body has been taken goes into the next one. Where records come
    faster than they are taken, the oldest are dropped; ``dropped`` counts them. A body that is
    refused, or has failed ``max_attempts`` times, is dropped as well, and a warning is logged.

    The address and the headers may hold secrets: neither messages nor ``repr`` show more than the
    host.

    Args:
        url: Where to, ``http`` or ``https``.
        headers: What goes with every request, for instance ``Authorization``.
        events: False to send no events.
        decisions: False to send no decisions.
        capacity: Records that may wait, >= 1.
        timeout_s: Seconds to connect, to send and to hear of an answer, each, > 0.
        max_attempts: Requests for one body, >= 1.
        base_delay_s: Seconds that a pause between two begins with, >= 0; it doubles each time.
        max_delay_s: Longest pause in seconds, >= 0, unless the receiver states a longer one.
        close_s: Seconds that ``close`` waits at most, >= 0.
        clock: The router's; it dates the records.

    Attributes:
        dropped: Records that were lost so far.

    Raises:
        ImportError: If httpx is not installed.
        ValueError: If the address or a number cannot be used.
    """

    def __init__(
        self,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        events: bool = True,
        decisions: bool = True,
        capacity: int = 10_000,
        timeout_s: float = 10.0,
        max_attempts: int = 5,
        base_delay_s: float = 0.5,
        max_delay_s: float = 30.0,
        close_s: float = 5.0,
        clock: Clock | None = None,
    ) -> None:
        at_least("capacity", capacity, 1)
        at_least("close_s", close_s, 0)
        above("timeout_s", timeout_s, 0)
        with needing("httpx", extra="webhook", user="Webhook"):
            from capability_router.observability.posting import Posting  # noqa: PLC0415 - an extra
        self._posting = Posting(
            url,
            headers or {},
            max_attempts=max_attempts,
            base_delay_s=base_delay_s,
            max_delay_s=max_delay_s,
        )
        self.dropped = 0
        self._events = events
        self._decisions = decisions
        self._capacity = capacity
        self._timeout_s = timeout_s
        self._close_s = close_s
        self._clock = clock or SystemClock()
        # What ends at a certain time ends by the machine's clock, whatever dates the records.
        self._time = SystemClock()
        self._ends_at: float | None = None
        self._told_of = 0
        self._waiting: deque[RoutingEvent | Decision] = deque()
        self._changed = Condition()
        self._thread: Thread | None = None

    def __repr__(self) -> str:
        return f"Webhook({self._posting.host!r})"

    def record(self, item: RoutingEvent | Decision) -> None:
        """Take one record, to be sent soon.

        Raises:
            ValueError: If the webhook is closed.
        """
        if not (self._decisions if isinstance(item, Decision) else self._events):
            return
        with self._changed:
            if self._ends_at is not None:
                raise ValueError(f"{self!r} is closed")
            self._waiting.append(item)
            if len(self._waiting) > self._capacity:
                self._waiting.popleft()
                self.dropped += 1
            self._changed.notify()
            # Of a process that forked, the child has none of its parent's threads.
            if self._thread is None or not self._thread.is_alive():
                self._start()

    def close(self) -> None:
        """Send what waits, without pauses, and refuse what comes later.

        Returns after ``close_s`` seconds at the latest; what was not taken by then is dropped.
        """
        with self._changed:
            if self._ends_at is None:
                self._ends_at = self._time.now() + self._close_s
            left = self._ends_at - self._time.now()
            self._changed.notify_all()
            thread = self._thread
        if thread is None:
            self._posting.close()
        else:
            atexit.unregister(self.close)
            thread.join(max(0.0, left))
        with self._changed:
            self.dropped += len(self._waiting)
            self._waiting.clear()

    def __enter__(self) -> Webhook:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _start(self) -> None:
        self._thread = Thread(target=self._run, name="capability-router-webhook", daemon=True)
        self._thread.start()
        atexit.register(self.close)

    def _run(self) -> None:
        while items := self._next():
            dropped = self.dropped
            why = self._failure(items, dropped - self._told_of)
            if why is None:
                self._told_of = dropped
                continue
            with self._changed:
                self.dropped += len(items)
            _log.warning("%r has not taken %d records: %s", self, len(items), why)
        self._posting.close()

    def _failure(self, items: list[RoutingEvent | Decision], dropped: int) -> str | None:
        try:
            body = self._body(items, dropped)
            return self._posting.post(body, timeout_s=self._left_s, pause=self._pause)
        # One record that cannot be told, or a fault of the client, must not end the thread.
        except Exception as error:  # noqa: BLE001 - said above
            return type(error).__name__

    def _body(self, items: list[RoutingEvent | Decision], dropped: int) -> bytes:
        records = [as_record(each, self._clock) for each in items]
        return json.dumps({"records": records, "dropped": dropped}, default=str).encode()

    def _next(self) -> list[RoutingEvent | Decision]:
        """What is to be sent next; nothing if all is done."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._ends_at is not None)
            if self._ends_at is not None and self._time.now() >= self._ends_at:
                return []
            most = min(_MOST_AT_ONCE, len(self._waiting))
            return [self._waiting.popleft() for _ in range(most)]

    def _pause(self, seconds: float) -> bool:
        """Wait; False as soon as the webhook is being closed, for then each body goes once."""
        with self._changed:
            return not self._changed.wait_for(lambda: self._ends_at is not None, seconds)

    def _left_s(self) -> float:
        """Seconds that one request may take."""
        if self._ends_at is None:
            return self._timeout_s
        return min(self._timeout_s, max(0.001, self._ends_at - self._time.now()))
