"""Limits for sync calls, which nothing but their connection can wake.

A thread that waits for bytes cannot be interrupted, and a client library's own timeout starts anew
with every byte, so a provider that sends blank lines would hold its caller for ever. What ends the
wait is the end of the connection: one thread, started with the first limit, looks at what a late
thread does and shuts the socket down that it waits on. The client then finds its connection gone,
raises, and closes it. In async code ``asyncio.timeout`` does all this.

The frame that has called into a socket is the innermost one of its thread, so that is the only one
looked at: httpx, openai, requests, urllib and ``http.client`` are known by nothing else. A thread
that waits on no socket at that moment is looked at again until it does, or is done. A frame with
several open sockets is left alone, for nothing says which of them it waits on.

What cannot be ended, and takes as long as it takes: ``time.sleep``, locks such as that of a full
connection pool, DNS lookups, computations, sockets that C code keeps to itself (grpc, pycurl), and
on most systems but Linux the connecting. A client that repeats failed requests waits in between;
each repetition is hung up as soon as it waits for bytes. Where the frames of other threads cannot
be read, which is so without ``sys._current_frames`` or without a GIL, nobody is hung up on and the
limits are the client's own.

Only the connection of a late thread is hung up, with two consequences for clients that share one.
Over HTTP/2 all the requests on it lose it. And an answer that is complete in the very moment in
which its time is over may leave a dead connection in its client's pool. Clients look whether a
connection is still good before they use it again, but not always in time; then the next request on
it fails, as when a server has closed it.

Knows no client library, no provider and no policy. Its seconds are the machine's, because sockets
know no others.
"""

from __future__ import annotations

import os
import sys

# The base of every socket's class. The module that wraps it takes longer to import than all of
# this package, and whoever waits on a socket has it already.
from _socket import SHUT_RDWR, socket
from contextlib import suppress
from dataclasses import dataclass
from inspect import CO_GENERATOR
from math import inf
from threading import TIMEOUT_MAX, Condition, RLock, Thread, get_ident
from time import monotonic
from types import FrameType, TracebackType
from typing import Protocol

__all__ = ["Line", "Patience", "limited"]

# Seconds until a late thread is looked at again.
_AGAIN_S = 0.02
# What sockets are waited on with, and what they are made of with TLS. Who only asks whether an idle
# connection is still good has a socket too, which may be somebody else's by now.
_WAITING = frozenset(
    {"connect", "do_handshake", "read", "recv", "recv_into", "send", "sendall", "write"}
)
_FRAMES_ARE_READABLE = (
    hasattr(sys, "_current_frames") and getattr(sys, "_is_gil_enabled", lambda: True)()
)
# Documented, in spite of their names.
_frame_above = sys._getframe  # pyright: ignore[reportPrivateUsage]  # said above


class Line:
    """A limit that is armed for each wait and disarmed after it, as a stream needs it.

    >>> line = Line()
    >>> line.arm(monotonic() + 10.0)
    >>> line.disarm()
    False

    It holds for the thread that arms it, which may be another one each time, and for what is
    called from where it is armed; the connections of whoever called that are left alone.
    """

    __slots__ = ("_wait",)

    def __init__(self) -> None:
        self._wait: _Wait | None = None

    def arm(self, until: float, caller: FrameType | None = None, thread: int | None = None) -> None:
        """Hang up from a moment on, each time the thread waits, until disarmed or armed anew.

        Args:
            until: Monotonic seconds; ``math.inf`` sets no limit and costs nothing.
            caller: The frame whose calls are limited; None stands for whoever calls this.
            thread: Ident of the thread that the frame belongs to; None for this one.
        """
        self.disarm()
        if until < inf:
            self._wait = _Wait(until, thread or get_ident(), _lasting(caller or _frame_above(1)))
            if _FRAMES_ARE_READABLE:
                _watchdog.follow(self._wait)

    def disarm(self) -> bool:
        """End the limit; when this returns, nothing is hung up any more.

        Returns:
            True if the time was over: whatever the client has returned or raised, it may have done
            so for being hung up on. False also where nothing was armed.
        """
        wait = self._wait
        if wait is None:
            return False
        self._wait = None
        _watchdog.forget(wait)
        return monotonic() >= wait.until


class Patience(Protocol):
    """How long a block may take, and what it means if it takes longer."""

    def until(self) -> float:
        """Return the moment, in monotonic seconds; ``math.inf`` for no limit."""
        ...

    def error(self) -> TimeoutError:
        """Return what is raised after it."""
        ...


class limited:  # noqa: N801 - used as a function, as ``contextlib.closing`` is
    """Give a block some time, whatever trickles in and however its client counts.

    Blocks may be nested. The ``yield`` of a ``contextmanager`` may stand in one; no other should,
    for what is called between two items of a generator is somebody else's.

    Args:
        patience: How long it may take; asked each time that the block is entered.

    Raises:
        TimeoutError: If the block ended late, from the error that it ended with, if any: an answer
            that ends with its connection looks whole when that is hung up. What is no
            ``Exception``, such as ``KeyboardInterrupt``, passes unchanged.
    """

    __slots__ = ("_line", "_patience")

    def __init__(self, patience: Patience) -> None:
        self._patience = patience
        self._line = Line()

    def __enter__(self) -> None:
        self._line.arm(self._patience.until(), _frame_above(1))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        late = self._line.disarm()
        if late and (error is None or isinstance(error, Exception)):
            raise self._patience.error() from error


# Not frozen, which would take twice the time to make; not compared, so that it is its own key.
@dataclass(slots=True, eq=False)
class _Wait:
    """One time that a thread may wait.

    Attributes:
        until: Monotonic seconds.
        thread: The thread's ident.
        caller: The frame whose calls are limited.
    """

    until: float
    thread: int
    caller: FrameType

    def is_late(self, now: float) -> bool:
        """Whether the limit has passed."""
        return self.until <= now

    def hang_up(self) -> bool:
        """End what the thread waits on, if anything; False if it has left the calls."""
        frame = sys._current_frames().get(self.thread)  # pyright: ignore[reportPrivateUsage]  # as above
        if frame is None or not self._covers(frame):
            return False
        place, found = frame.f_lasti, self._waited_on(frame)
        # It may be closed by now, or not be connected yet.
        with suppress(OSError):
            # The thread may have run on meanwhile, and handed its connection to somebody else.
            if found is not None and frame.f_lasti == place:
                socket.shutdown(found, SHUT_RDWR)
        return True

    def _covers(self, frame: FrameType | None) -> bool:
        while frame is not None and frame is not self.caller:
            frame = frame.f_back
        return frame is not None

    def _waited_on(self, frame: FrameType) -> socket | None:
        """Return the one open socket of a frame that may wait, in a variable or an attribute.

        Nothing says which of several it waits on, so that then there is none. Attributes are those
        of ``self``, and the caller's do not count: a server's handler has a connection that is not
        meant.
        """
        if _WAITING.isdisjoint(frame.f_code.co_names):
            return None
        held = list(frame.f_locals.values())
        if frame is not self.caller:
            # Where it stands for another object, this may raise anything.
            with suppress(Exception):
                held += getattr(frame.f_locals.get("self"), "__dict__", {}).values()
        # By the class itself: isinstance would ask objects that stand for others what they are.
        sockets = {socket.fileno(each): each for each in held if issubclass(type(each), socket)}
        sockets.pop(-1, None)
        return sockets.popitem()[1] if len(sockets) == 1 else None


class _Watchdog:
    """The waits that are limited now, and the thread that looks after them."""

    def __init__(self) -> None:
        self.start_anew()

    def start_anew(self) -> None:
        """Forget every wait; the thread is started with the next."""
        # Reentrant, because a signal's handler or a finalizer may wait on a provider as well.
        self._lock = RLock()
        self._earlier = Condition(self._lock)
        self._waits: set[_Wait] = set()
        self._thread: Thread | None = None
        self._wakes_at = inf

    def follow(self, wait: _Wait) -> None:
        """Hang up on a thread as soon as its time is over."""
        with self._lock:
            self._waits.add(wait)
            # Most limits end after those before them, so that the thread need not hear of them.
            if wait.until < self._wakes_at:
                self._wake_at(wait.until)

    def forget(self, wait: _Wait) -> None:
        """Hang up no more; if that is just being done, it is waited for."""
        with self._lock:
            self._waits.discard(wait)

    def _wake_at(self, moment: float) -> None:
        if self._thread is None:
            thread = Thread(target=self._run, name="capability-router-hang-up", daemon=True)
            thread.start()
            self._thread = thread
        self._wakes_at = moment
        self._earlier.notify()

    def _run(self) -> None:
        while True:
            now = monotonic()
            self._hang_up(now)
            with self._lock:
                self._wakes_at = self._next_look(now)
                self._earlier.wait(min(self._wakes_at - monotonic(), TIMEOUT_MAX))

    def _hang_up(self, now: float) -> None:
        with self._lock:
            late = [wait for wait in self._waits if wait.is_late(now)]
        for wait in late:
            # The lock is taken for each, so that whoever is done need not wait for all the others.
            with self._lock:
                if wait in self._waits and not wait.hang_up():
                    # Nobody has disarmed it, as after an interrupt in the wrong moment.
                    self._waits.discard(wait)

    def _next_look(self, now: float) -> float:
        return min(
            (now + _AGAIN_S if wait.is_late(now) else wait.until for wait in self._waits),
            default=inf,
        )


def _lasting(frame: FrameType) -> FrameType:
    """Return the first frame, from this one outwards, that stays on the stack meanwhile.

    That of a generator leaves it with each item, and ``contextlib`` enters for somebody else.
    """
    while frame.f_back is not None and (
        frame.f_code.co_flags & CO_GENERATOR or frame.f_globals.get("__name__") == "contextlib"
    ):
        frame = frame.f_back
    return frame


_watchdog = _Watchdog()
if hasattr(os, "register_at_fork"):
    # The thread does not live on in the child, and nor may who held the lock.
    os.register_at_fork(after_in_child=_watchdog.start_anew)
