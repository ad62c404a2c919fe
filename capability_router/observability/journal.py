"""The last decisions of a router, and the sinks that are told of every one."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from contextvars import copy_context

from capability_router.engine.decision import Decision
from capability_router.engine.events import EventEmitter
from capability_router.engine.observing import ObservabilityConnector

__all__ = ["Journal"]


class Journal:
    """Keeps the last 1,000 decisions, and hands every one and every event to sinks.

    Args:
        emitter: Where events come from, and where failing sinks are noted.
    """

    def __init__(self, emitter: EventEmitter) -> None:
        self._emitter = emitter
        self._sinks: tuple[ObservabilityConnector, ...] = ()
        self._decisions: deque[Decision] = deque(maxlen=1000)

    @property
    def decisions(self) -> list[Decision]:
        """The last decisions, oldest first."""
        return list(self._decisions)

    def add(self, sink: ObservabilityConnector) -> None:
        """Tell a sink of all that comes from now on."""
        self._sinks = (*self._sinks, sink)
        self._emitter.subscribe(sink.record)

    def remove(self, sink: ObservabilityConnector) -> None:
        """Tell a sink of nothing more."""
        self._sinks = tuple(each for each in self._sinks if each is not sink)
        self._emitter.unsubscribe(sink.record)

    def keeper(self) -> Callable[[Decision], None]:
        """Return what keeps the decision of a call that begins now.

        Sinks are told in the context of now, wherever the call ends: what traces requests is to
        find the one that the call was made for.
        """
        context = copy_context()
        return lambda decision: context.run(self.keep, decision)

    def keep(self, decision: Decision) -> None:
        """Keep a decision without the exceptions of its attempts, and tell the sinks of it."""
        kept = decision.without_errors()
        self._decisions.append(kept)
        for sink in self._sinks:
            self._emitter.deliver(sink.record, kept)
