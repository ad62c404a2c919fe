"""The part of a router that shares its state with other processes."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from capability_router.engine.blueprint import Blueprint, StateSpec
from capability_router.engine.model import Secret
from capability_router.observed import ObservedRouter

if TYPE_CHECKING:
    from capability_router.storage.attendants import Attendants
    from capability_router.storage.store import StateStore, StoreError

__all__ = ["KeepingRouter"]

_START_S = 1.0
"""Seconds to wait for a store before the router goes on without it."""


class KeepingRouter(ObservedRouter):
    """A router whose state may be shared by processes, and outlast them."""

    _address: tuple[str, str] | None = None
    _attendants: Attendants | None = None
    _fingerprint = ""

    @property
    def state_lost(self) -> StoreError | None:
        """Why the store of shared state cannot be used now; None while it can, or there is none."""
        return self._attendants.keeper.lost if self._attendants else None

    def share_state(self, state: str | StateSpec | StateStore | None) -> None:
        """Share the state with whoever uses the same store, from now on.

        What is kept there holds here at once: who is on standby, and what is used of limits. If
        the store does not answer within a second, the router goes on alone until it does.

        Args:
            state: Its address, such as ``sqlite:///state.db`` or ``redis://127.0.0.1``, or the
                store itself; None to share nothing more.

        Raises:
            ImportError: If it needs an extra that is not installed; the message names it.
            ValueError: If the address cannot be one of a store.
        """
        store = _opened(state)
        self._stop_sharing()
        with self.step():
            self.replica.stand_alone()
        if store is not None:
            # Here and not above: most routers keep to themselves.
            from capability_router.storage.attendants import Attendants  # noqa: PLC0415 - said above

            self._attendants = Attendants(self, store, self._fingerprint)
            self._attendants.start(_START_S)

    def configure(self, blueprint: Blueprint) -> None:
        """Become what a configuration says; see ``ObservedRouter.configure``.

        Raises:
            ImportError: If its state needs an extra that is not installed; nothing has changed
                then.
        """
        state = blueprint.state
        address = None if state is None else (state.url.reveal(), state.namespace)
        store = _opened(state) if address != self._address else None
        super().configure(blueprint)
        if address != self._address:
            self._address = address
            self.share_state(store)

    def close(self) -> None:
        """Give back what is reserved, and close the connectors that the configuration names.

        What they hold is written before. Those that were handed over by code are their owner's to
        close. The router goes on, alone, and tells the closed ones of nothing more; of a strict
        limit it has nothing left then.
        """
        self._stop_sharing()
        super().close()

    def _stop_sharing(self) -> None:
        if self._attendants is not None:
            self._attendants.close()
            self._attendants = None

    def _read(self, path: Path) -> None:
        """Note which file the configuration was read from."""
        self._fingerprint = sha256(path.read_bytes()).hexdigest()[:16]
        if self._attendants is not None:
            self._attendants.keeper.follow(self._fingerprint)


def _opened(state: str | StateSpec | StateStore | None) -> StateStore | None:
    if isinstance(state, str):
        state = StateSpec(Secret(state))
    if state is not None and not isinstance(state, StateSpec):
        return state
    # Here and not above: most routers keep to themselves.
    from capability_router.storage.opening import open_store  # noqa: PLC0415 - said above

    return open_store(state)
