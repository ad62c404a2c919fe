"""Threads that are late, and connections that they may be hung up on."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from socket import socket, socketpair

import pytest

from tests.pacing import hung_up_after

SOON_S = 0.02


@contextmanager
def pair() -> Iterator[tuple[socket, socket]]:
    ours, theirs = socketpair()
    with ours, theirs:
        yield ours, theirs


def receive(connection: socket) -> bytes:
    return connection.recv(1)


def everybody_late_was_looked_at() -> None:
    """Return when the watchdog has looked twice at all who are late."""
    for _ in range(2):
        with pair() as ends, pytest.raises(TimeoutError), hung_up_after(SOON_S):
            receive(ends[0])


@contextmanager
def once_everybody_late_was_looked_at(do: Callable[[], object]) -> Iterator[None]:
    """Do something while the block waits for it, after those who are late were looked at."""
    with ThreadPoolExecutor(1) as threads:
        looked = threads.submit(everybody_late_was_looked_at)
        looked.add_done_callback(lambda _: do())
        yield
        looked.result()


def is_left_alone(ends: tuple[socket, socket]) -> bool:
    """Whether a thread that waits for the other end gets what it sends."""
    with once_everybody_late_was_looked_at(lambda: ends[1].sendall(b"x")):
        return receive(ends[0]) == b"x"


def is_open(ends: tuple[socket, socket]) -> bool:
    ends[1].sendall(b"x")
    return receive(ends[0]) == b"x"
