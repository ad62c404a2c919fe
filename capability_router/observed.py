"""The part of a router that is seen: what it keeps of calls, and whom it tells."""

from __future__ import annotations

from capability_router.engine.blueprint import Blueprint
from capability_router.engine.call import Call
from capability_router.engine.decision import Decision
from capability_router.engine.observing import ObservabilityConnector
from capability_router.engine.request import CompletionRequest
from capability_router.engine.router import Router
from capability_router.observability.declared import DeclaredConnectors
from capability_router.observability.journal import Journal

__all__ = ["ObservedRouter"]


class ObservedRouter(Router):
    """A router that keeps the last decisions and tells connectors of all that happens."""

    _journal: Journal
    _connectors: DeclaredConnectors

    @property
    def decisions(self) -> list[Decision]:
        """The last 1,000 calls that ended, oldest first; without the exceptions of attempts."""
        return self._journal.decisions

    def observe(self, connector: ObservabilityConnector) -> None:
        """Tell a sink of every event and decision from now on.

        What it raises harms nobody, and is noted in ``emitter.failures``.
        """
        self._journal.add(connector)

    def configure(self, blueprint: Blueprint) -> None:
        """Become what a configuration says; see ``Router.configure``.

        Connectors that it names as the last one did stay open; the others of the last one are
        closed.

        Raises:
            ConfigurationError: If a connector cannot be made; nothing has changed then.
        """
        with self._connectors.changing_to(blueprint.connectors):
            super().configure(blueprint)

    def plan(self, request: CompletionRequest | str) -> Call:
        """Start a call; its decision is kept when it has ended.

        For those who drive the attempts themselves; ``call`` and ``acall`` do it for you.

        Raises:
            UnknownCapabilityError, UnknownPoolError: If the tree or the router has no such.
        """
        asked = CompletionRequest(request) if isinstance(request, str) else request
        return Call(self, asked, self._journal.keeper())

    def close(self) -> None:
        """Close the connectors that the configuration names, so that what they hold is written.

        Those that were handed over by code are their owner's to close. The router goes on, and
        tells the closed ones of nothing more.
        """
        self._connectors.close()

    async def aclose(self) -> None:
        """As ``close``, which may wait for a receiver, in a thread of its own."""
        # Here and not above: asyncio takes longer to import than this whole package.
        import asyncio  # noqa: PLC0415 - said above

        await asyncio.to_thread(self.close)
