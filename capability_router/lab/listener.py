"""A loopback port that can be closed and opened again, with a thread for every connection.

Knows nothing of what is said on a connection. The standard library's threading server takes up to
half a second to stop and forgets its connection threads; a provider has to die at once and leave no
thread behind.
"""

from __future__ import annotations

import selectors
import socket
import sys
import threading
from collections.abc import Callable

from capability_router.lab.wire import Connection

__all__ = [
    "LOOPBACK",
    "Listener",
]

LOOPBACK = "127.0.0.1"

# Connection threads end within one answer chunk of being hung up on; this only bounds a defect.
_JOIN_SECONDS = 10.0


class Listener:
    """Accepts connections on one port of 127.0.0.1 and serves each on a daemon thread.

    Args:
        name: Shown in thread names.
        serve: Serves one connection until it is over; the listener closes it then.
        port: Port to listen on; 0 lets the system choose one, which is kept from then on.
    """

    def __init__(self, name: str, serve: Callable[[Connection], None], port: int = 0) -> None:
        self._name = name
        self._serve = serve
        self._wanted_port = port
        self._lock = threading.Lock()
        self._live: dict[Connection, threading.Thread] = {}
        self._socket: socket.socket | None = None
        self._placeholder: socket.socket | None = None
        self._acceptor: threading.Thread | None = None
        self._wake: socket.socket | None = None

    @property
    def port(self) -> int:
        """The port, 0 as long as the system has not chosen one."""
        return self._wanted_port

    @property
    def is_open(self) -> bool:
        """Whether connections are accepted."""
        return self._socket is not None

    @property
    def connection_count(self) -> int:
        """How many accepted connections are not closed yet."""
        with self._lock:
            return sum(not connection.is_closed for connection in self._live)

    def open(self) -> None:
        """Begin to accept connections; does nothing on an open listener.

        Raises:
            OSError: If the port is taken.
        """
        if self._socket is not None:
            return
        self._drop_placeholder()
        self._socket = _bound(self._wanted_port)
        self._socket.listen(128)
        self._wanted_port = _port_of(self._socket)
        self._wake, woken = socket.socketpair()
        self._acceptor = threading.Thread(
            target=self._accept,
            args=(self._socket, woken),
            name=f"{self._name}-accept",
            daemon=True,
        )
        self._acceptor.start()

    def close(self, keep_port: bool = False) -> None:
        """Refuse connections from now on and end those under way; waits for their threads.

        Args:
            keep_port: Hold the port, so that the system gives it to nobody else before the next
                :meth:`open`; a listener that was never open gets its port now.

        Raises:
            OSError: If a port to hold is taken.
        """
        self.hang_up()
        # A bound socket that does not listen refuses connections and keeps the port; it also keeps
        # a client from being given this very port and connecting to itself.
        if not keep_port:
            self._drop_placeholder()
        elif self._placeholder is None:
            self._placeholder = _bound(self._wanted_port)
            self._wanted_port = _port_of(self._placeholder)
        with self._lock:
            threads = list(self._live.values())
        for thread in threads:
            if thread is not threading.current_thread():
                thread.join(_JOIN_SECONDS)

    def hang_up(self) -> None:
        """Accept no more connections and end those under way, without waiting for their threads."""
        self._stop_accepting()
        with self._lock:
            live = list(self._live)
        for connection in live:
            connection.hang_up()

    def _stop_accepting(self) -> None:
        if self._socket is None or self._wake is None or self._acceptor is None:
            return
        self._wake.close()
        self._acceptor.join(_JOIN_SECONDS)
        self._socket.close()
        self._socket = self._wake = self._acceptor = None

    def _drop_placeholder(self) -> None:
        if self._placeholder is not None:
            self._placeholder.close()
            self._placeholder = None

    def _accept(self, listening: socket.socket, woken: socket.socket) -> None:
        with woken, selectors.DefaultSelector() as selector:
            selector.register(listening, selectors.EVENT_READ)
            selector.register(woken, selectors.EVENT_READ)
            while True:
                ready = {key.fileobj for key, _ in selector.select()}
                if woken in ready:
                    return
                try:
                    accepted, _ = listening.accept()
                except OSError:
                    # The client gave up between the connection and this call.
                    continue
                self._begin(accepted)

    def _begin(self, accepted: socket.socket) -> None:
        connection = Connection(accepted)
        thread = threading.Thread(
            target=self._run, args=(connection,), name=f"{self._name}-connection", daemon=True
        )
        with self._lock:
            self._live[connection] = thread
        thread.start()

    def _run(self, connection: Connection) -> None:
        try:
            self._serve(connection)
        except OSError:
            # The client left or the provider was stopped, both of which happen in every test.
            pass
        finally:
            connection.close()
            with self._lock:
                del self._live[connection]


def _bound(port: int) -> socket.socket:
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        if sys.platform != "win32":
            # Connections that were cut leave the port in TIME_WAIT; on Windows the option would let
            # two processes share the port instead.
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((LOOPBACK, port))
    except OSError:
        bound.close()
        raise
    return bound


def _port_of(bound: socket.socket) -> int:
    return int(bound.getsockname()[1])
