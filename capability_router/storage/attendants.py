"""The threads that keep a router and its store equal, for as long as there is the router."""

from __future__ import annotations

import atexit
import os
from contextlib import ExitStack
from logging import getLogger
from threading import Event, Thread
from weakref import WeakSet, ref

from capability_router.engine.router import Router
from capability_router.storage.keeper import Keeper
from capability_router.storage.store import StateStore, StoreError

__all__ = ["Attendants"]

_LOG = getLogger(__name__)
_TURN_S = 0.2
"""Seconds between two looks at what is to be told; what is urgent is told at once."""
_LISTEN_S = 1.0
_DEAF_S = 0.5
_LEAVING_S = 2.0


class Attendants:
    """Two threads: one tells and asks, the other hears of others.

    Neither keeps the router alive: when nobody holds it any more, they end.

    Args:
        router: The router.
        store: Where its state is shared; closed with this.
        fingerprint: What distinguishes its configuration; empty for none.

    Attributes:
        keeper: What they do.
    """

    def __init__(self, router: Router, store: StateStore, fingerprint: str = "") -> None:
        self._router = ref(router)
        self._store = store
        self._awake, self._stopped, self._met = Event(), Event(), Event()
        self.keeper = Keeper(store, router.world.clock, self._wake, fingerprint)
        self.keeper.attach(router)
        self._threads: list[Thread] = []
        _everywhere.add(self)

    def start(self, wait_s: float = 0.0) -> None:
        """Start the threads.

        Args:
            wait_s: Seconds to wait at most until the store has been read, >= 0.
        """
        self._stopped.clear()
        self._threads = [
            Thread(target=work, name=f"capability_router {name}", daemon=True)
            for name, work in (("listening", self._listen), ("telling", self._tell))
        ]
        for thread in self._threads:
            thread.start()
        self._met.wait(wait_s)

    def close(self) -> None:
        """Tell what is left, give back what is held, and end; may be called twice."""
        if self._stopped.is_set():
            return
        self._stopped.set()
        self._awake.set()
        telling = self._threads[-1:]
        for thread in telling:
            thread.join(_LEAVING_S)
        router = self._router()
        if router is not None and not any(thread.is_alive() for thread in telling):
            self.keeper.detach(router)
        self._store.close()
        _everywhere.discard(self)

    def start_anew(self) -> None:
        """Start in a process that was forked, to which the threads have not come along."""
        router = self._router()
        if router is not None and not self._stopped.is_set():
            # A thread that has not come along may have held their locks.
            self._awake, self._stopped, self._met = Event(), Event(), Event()
            self.keeper.start_anew(router)
            self.start()

    def hold(self, stack: ExitStack) -> None:
        """Let no thread be within a step of the router, until something is over.

        Args:
            stack: What ends it.
        """
        router = self._router()
        if router is not None:
            stack.enter_context(router.step())

    def _wake(self) -> None:
        self._awake.set()

    def _tell(self) -> None:
        while not self._stopped.is_set() and (router := self._router()) is not None:
            self._awake.clear()
            try:
                self.keeper.turn(router)
            # A mistake must not end the sharing without a word: the next turn tries again.
            except Exception:  # noqa: BLE001 - said above
                _LOG.exception("shared state could not be told")
                self._stopped.wait(_DEAF_S)
            del router
            if self.keeper.met:
                self._met.set()
            self._awake.wait(_TURN_S)

    def _listen(self) -> None:
        while not self._stopped.is_set():
            try:
                news = self._store.listen(_LISTEN_S)
            except Exception as error:  # noqa: BLE001 - it may be the store of somebody else
                if not isinstance(error, StoreError):
                    _LOG.exception("news of shared state could not be heard")
                self.keeper.be_deaf()
                self._stopped.wait(_DEAF_S)
                continue
            # Only now: while it waits, nothing of this is to keep the router alive.
            router = self._router()
            if router is None:
                return
            if news:
                self.keeper.hear(router, news)
            del router


_everywhere: WeakSet[Attendants] = WeakSet()


def _close_all() -> None:
    for attendants in list(_everywhere):
        attendants.close()


def _hold_all() -> None:
    """Before a fork: a guard that another thread has then would never be free in the child."""
    for attendants in list(_everywhere):
        attendants.hold(_held)


def _start_all_anew() -> None:
    _held.close()
    for attendants in list(_everywhere):
        attendants.start_anew()


_held = ExitStack()
atexit.register(_close_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_hold_all, after_in_parent=_held.close, after_in_child=_start_all_anew
    )
