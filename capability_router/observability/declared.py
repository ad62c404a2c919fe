"""The connectors that a configuration names: opened, kept or closed when it changes."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from contextlib import ExitStack, contextmanager
from threading import RLock

from capability_router.clock import WaitingClock
from capability_router.engine.observing import ConnectorSpec, ObservabilityConnector
from capability_router.observability.journal import Journal

__all__ = ["DeclaredConnectors"]

_Opened = list[tuple[ConnectorSpec, ObservabilityConnector]]


class DeclaredConnectors:
    """Opens what a configuration names, and closes what the next one does not.

    Args:
        journal: Tells them of events and decisions.
        clock: The router's.
    """

    def __init__(self, journal: Journal, clock: WaitingClock) -> None:
        self._journal = journal
        self._clock = clock
        self._opened: _Opened = []
        # A connector that is told of a change may ask for the next one.
        self._guard = RLock()

    @contextmanager
    def changing_to(self, specs: Sequence[ConnectorSpec]) -> Generator[None]:
        """Surround the change of a configuration, of which the new connectors hear already.

        A connector that is named again as it was stays open. If the change fails, the connectors
        are those of before.

        Raises:
            ConfigurationError: If a connector cannot be made; nothing has changed then.
        """
        with self._guard:
            before, after = self._opened, self._opened_for(specs)
            self._swap(before, after)
            try:
                yield
            except BaseException:
                self._swap(after, before)
                _close(_without(after, before))
                raise
            _close(_without(before, after))

    def close(self) -> None:
        """Close them all; none is told of anything more."""
        with self._guard:
            before = self._opened
            self._swap(before, [])
            _close(before)

    def _opened_for(self, specs: Iterable[ConnectorSpec]) -> _Opened:
        """What stays and what is new, in the order of the configuration."""
        after: _Opened = []
        try:
            for spec in specs:
                kept = [each for each in self._opened if each[0] == spec]
                after.append(kept[0] if kept else (spec, self._made(spec)))
        except BaseException:
            _close(_without(after, self._opened))
            raise
        return after

    def _made(self, spec: ConnectorSpec) -> ObservabilityConnector:
        try:
            clock = {"clock": self._clock} if spec.clocked else {}
            return spec.factory(**spec.parameters, **clock)
        # Whatever it raises is told with its place in the configuration.
        except Exception as error:  # noqa: BLE001 - foreign code
            raise spec.refused(error) from None

    def _swap(self, before: _Opened, after: _Opened) -> None:
        for _, connector in _without(before, after):
            self._journal.remove(connector)
        for _, connector in _without(after, before):
            self._journal.add(connector)
        self._opened = after


def _without(opened: _Opened, others: _Opened) -> _Opened:
    kept = {id(connector) for _, connector in others}
    return [each for each in opened if id(each[1]) not in kept]


def _close(opened: _Opened) -> None:
    # One that fails to close keeps no other open.
    with ExitStack() as stack:
        for _, connector in opened:
            close = getattr(connector, "close", None)
            if callable(close):
                stack.callback(close)
