"""Nobody is hung up on but who is late, and nothing is held of those who were."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from math import inf
from socket import socket
from time import monotonic

import pytest

from capability_router.driving.hanging_up import Line
from tests.late import (
    SOON_S,
    everybody_late_was_looked_at,
    is_left_alone,
    is_open,
    once_everybody_late_was_looked_at,
    pair,
    receive,
)
from tests.pacing import hung_up_after


@pytest.fixture
def ends() -> Iterator[tuple[socket, socket]]:
    with pair() as ends:
        yield ends


def test_who_was_disarmed_is_not_hung_up_on(ends: tuple[socket, socket]) -> None:
    line = Line()
    line.arm(monotonic() + 60.0)
    assert not line.disarm()
    line.arm(0.0)
    assert line.disarm()
    assert not line.disarm()
    assert is_left_alone(ends)


@pytest.mark.parametrize("until", [1e18, inf])
def test_limit_may_be_moved(until: float, ends: tuple[socket, socket]) -> None:
    line = Line()
    line.arm(0.0)
    line.arm(until)
    assert is_left_alone(ends)
    assert not line.disarm()


def test_only_threads_that_are_late_are_hung_up_on() -> None:
    hung_up = threading.Semaphore(0)

    def wait(connection: socket, seconds: float) -> bytes:
        try:
            with hung_up_after(seconds):
                return receive(connection)
        except TimeoutError:
            hung_up.release()
            return b"late"

    with ThreadPoolExecutor(60) as threads, ExitStack() as opened:
        pairs = [opened.enter_context(pair()) for _ in range(60)]
        answers = [
            threads.submit(wait, ours, seconds)
            for (ours, _), seconds in zip(pairs, [SOON_S, 60.0, inf] * 20, strict=True)
        ]
        assert all(hung_up.acquire(timeout=30.0) for _ in range(20))
        for number, (_, theirs) in enumerate(pairs):
            if number % 3:
                theirs.sendall(b"x")
        assert [answer.result() for answer in answers] == [b"late", b"x", b"x"] * 20


def test_late_thread_that_computes_harms_no_other(ends: tuple[socket, socket]) -> None:
    done = threading.Event()

    def compute() -> None:
        with pytest.raises(TimeoutError), hung_up_after(0.0):
            done.wait()

    with ThreadPoolExecutor(2) as threads:
        computing, waiting = threads.submit(compute), threads.submit(receive, ends[0])
        everybody_late_was_looked_at()
        ends[1].sendall(b"x")
        assert waiting.result() == b"x"
        done.set()
        computing.result()


class Handler:
    """Serves one connection, and is late while it does nothing about it."""

    def __init__(self, request: socket) -> None:
        self.request = request

    def be_late(self) -> None:
        # So that this might be a frame that waits for its connection.
        self.request.sendall(b"")
        # A lock is waited for in C, so that this is the frame that is looked at.
        lock = threading.Lock()
        lock.acquire()
        with hung_up_after(0.0), once_everybody_late_was_looked_at(lock.release):
            lock.acquire()


def test_connection_of_whoever_set_the_limit_is_left_alone(ends: tuple[socket, socket]) -> None:
    with pytest.raises(TimeoutError):
        Handler(ends[0]).be_late()
    assert is_open(ends)


def test_connections_above_the_limit_are_left_alone(ends: tuple[socket, socket]) -> None:
    def serve(connection: socket) -> None:
        assert connection.fileno() >= 0
        Handler(ends[1]).be_late()

    with pytest.raises(TimeoutError):
        serve(ends[0])
    assert is_open(ends)


def test_frame_with_several_connections_is_left_alone(ends: tuple[socket, socket]) -> None:
    def between(first: socket, second: socket) -> bytes:
        return first.recv(1)

    def wait() -> None:
        sent = once_everybody_late_was_looked_at(lambda: ends[1].sendall(b"x"))
        with hung_up_after(0.0), sent:
            assert between(*ends) == b"x"

    with pytest.raises(TimeoutError) as caught:
        wait()
    assert caught.value.__cause__ is None


def test_connection_that_is_only_held_is_left_alone(ends: tuple[socket, socket]) -> None:
    def look_whether_it_is_good(connection: socket) -> int:
        lock = threading.Lock()
        lock.acquire()
        with once_everybody_late_was_looked_at(lock.release):
            lock.acquire()
        return connection.fileno()

    with pytest.raises(TimeoutError), hung_up_after(0.0):
        look_whether_it_is_good(ends[0])
    assert is_open(ends)


def test_closed_connection_beside_it_does_not_count(ends: tuple[socket, socket]) -> None:
    def ask_again(before: socket, now: socket) -> bytes:
        return now.recv(1)

    closed = socket()
    closed.close()
    with pytest.raises(TimeoutError), hung_up_after(SOON_S):
        ask_again(closed, ends[0])


def test_connection_that_is_not_there_yet_ends_nothing() -> None:
    def connect(unconnected: socket) -> None:
        lock = threading.Lock()
        lock.acquire()
        with once_everybody_late_was_looked_at(lock.release):
            lock.acquire()
        unconnected.connect(("127.0.0.1", 1))

    with socket() as unconnected, pytest.raises(TimeoutError) as caught, hung_up_after(0.0):
        connect(unconnected)
    assert isinstance(caught.value.__cause__, OSError)


def test_object_that_cannot_be_looked_into_ends_nothing() -> None:
    looked = threading.Event()

    class Opaque:
        read = "something that it might be waiting for"

        @property
        def __dict__(self) -> dict[str, object]:  # type: ignore[override]  # what proxies do
            looked.set()
            raise RuntimeError("stands for nothing now")

        def spin(self) -> None:
            while not looked.is_set():
                assert self.read

    with pytest.raises(TimeoutError), hung_up_after(0.0):
        Opaque().spin()
    everybody_late_was_looked_at()


def test_thread_that_runs_on_while_it_is_looked_at_is_left_alone(
    ends: tuple[socket, socket],
) -> None:
    looked, gone = threading.Event(), threading.Event()

    class Client:
        read = "something that it might be waiting for"

        @property
        def __dict__(self) -> dict[str, object]:  # type: ignore[override]  # seen by the watchdog
            looked.set()
            assert gone.wait(30.0)
            return {"connection": ends[0]}

        def ask(self) -> None:
            while not looked.is_set():
                assert self.read
            gone.set()

    with pytest.raises(TimeoutError), hung_up_after(0.0):
        Client().ask()
    assert is_open(ends)


class Held:
    """Something whose end can be seen."""


def test_limit_that_nobody_has_disarmed_hangs_up_nobody_and_holds_nothing(
    ends: tuple[socket, socket],
) -> None:
    def leave() -> weakref.ref[Held]:
        held = Held()
        Line().arm(0.0)
        return weakref.ref(held)

    held = leave()
    assert is_left_alone(ends)
    assert held() is None


def test_nothing_is_held_after_a_limit(ends: tuple[socket, socket]) -> None:
    def wait() -> weakref.ref[Held]:
        held = Held()
        line = Line()
        line.arm(monotonic() + SOON_S)
        receive(ends[0])
        line.disarm()
        return weakref.ref(held)

    assert wait()() is None
