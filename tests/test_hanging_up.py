"""A thread that waits on a connection is hung up on when its time is over, and nobody else is."""

from __future__ import annotations

import http.client
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from socket import create_server, socket
from time import monotonic

import pytest

from capability_router.driving import hanging_up
from capability_router.driving.hanging_up import Line
from tests.late import SOON_S, everybody_late_was_looked_at, is_open, pair, receive
from tests.pacing import hung_up_after

THREAD = "capability-router-hang-up"


@pytest.fixture
def ends() -> Iterator[tuple[socket, socket]]:
    with pair() as ends:
        yield ends


def in_a_new_process(script: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=50.0
    ).stdout.strip()


def watchdogs() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == THREAD]


def test_thread_that_waits_is_hung_up_on(ends: tuple[socket, socket]) -> None:
    begun = monotonic()
    with pytest.raises(TimeoutError, match=r"within 0\.02 s"), hung_up_after(SOON_S):
        receive(ends[0])
    assert monotonic() - begun >= SOON_S
    assert ends[1].recv(1) == b""


def test_connection_in_a_variable_beside_the_limit_is_hung_up(ends: tuple[socket, socket]) -> None:
    connection = ends[0]
    with pytest.raises(TimeoutError), hung_up_after(SOON_S):
        connection.recv(1)


def test_error_of_the_client_is_the_cause(ends: tuple[socket, socket]) -> None:
    failed = ConnectionError("the other side has hung up")

    def ask() -> None:
        receive(ends[0])
        raise failed

    with pytest.raises(TimeoutError) as caught, hung_up_after(SOON_S):
        ask()
    assert caught.value.__cause__ is failed


def test_error_in_time_passes_unchanged() -> None:
    failed = ConnectionError("refused")
    with pytest.raises(ConnectionError) as caught, hung_up_after(60.0):
        raise failed
    assert caught.value is failed
    assert caught.value.__cause__ is None


def test_end_of_an_iterator_in_time_is_an_end() -> None:
    with pytest.raises(StopIteration), hung_up_after(60.0):
        next(iter([]))


@pytest.mark.parametrize("error", [KeyboardInterrupt, GeneratorExit, SystemExit])
def test_interrupt_passes_also_when_it_is_late(error: type[BaseException]) -> None:
    with pytest.raises(error), hung_up_after(0.0):
        raise error


def test_block_that_waited_on_nothing_is_late_all_the_same() -> None:
    with pytest.raises(TimeoutError) as caught, hung_up_after(0.0):
        pass
    assert caught.value.__cause__ is None


def test_limit_may_be_used_again(ends: tuple[socket, socket]) -> None:
    limit = hung_up_after(60.0)
    for _ in range(2):
        with limit:
            assert is_open(ends)


def test_inner_limit_that_is_over_first_leaves_the_outer_in_force() -> None:
    def one_by_one(first: tuple[socket, socket], second: tuple[socket, socket]) -> None:
        with pytest.raises(TimeoutError, match=r"within 0\.02 s"), hung_up_after(SOON_S):
            receive(first[0])
        receive(second[0])

    with pair() as first, pair() as second:
        with pytest.raises(TimeoutError, match=r"within 0\.04 s"), hung_up_after(2 * SOON_S):
            one_by_one(first, second)
        assert first[1].recv(1) == second[1].recv(1) == b""


def test_outer_limit_that_is_over_first_ends_the_inner_wait(ends: tuple[socket, socket]) -> None:
    def inner() -> None:
        with hung_up_after(60.0):
            assert receive(ends[0]) == b""

    with pytest.raises(TimeoutError, match=r"within 0\.02 s"), hung_up_after(SOON_S):
        inner()


def test_connection_that_its_frame_holds_under_any_name_is_hung_up(
    ends: tuple[socket, socket],
) -> None:
    class Client:
        def __init__(self) -> None:
            self.whatever = ends[0]

        def ask(self) -> bytes:
            return self.whatever.recv(1)

    with pytest.raises(TimeoutError), hung_up_after(SOON_S):
        Client().ask()


def test_generator_is_hung_up_on_in_the_thread_that_resumes_it() -> None:
    def items(*connections: socket) -> Iterator[bool]:
        line = Line()
        for each in connections:
            line.arm(monotonic() + SOON_S)
            receive(each)
            yield line.disarm()

    with pair() as first, pair() as second, ThreadPoolExecutor(1) as threads:
        late = items(first[0], second[0])
        assert next(late)
        assert threads.submit(next, late).result()


def test_limit_holds_where_a_context_manager_sets_it(ends: tuple[socket, socket]) -> None:
    @contextmanager
    def hurried() -> Iterator[None]:
        with hung_up_after(SOON_S):
            yield

    with pytest.raises(TimeoutError), hurried():
        receive(ends[0])


def test_limit_holds_where_an_exit_stack_enters_it(ends: tuple[socket, socket]) -> None:
    def ask() -> None:
        with ExitStack() as stack:
            stack.enter_context(hung_up_after(SOON_S))
            receive(ends[0])

    with pytest.raises(TimeoutError):
        ask()


def test_one_thread_does_it_all_and_holds_up_no_exit() -> None:
    everybody_late_was_looked_at()
    (thread,) = watchdogs()
    assert thread.daemon


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nothing ends an attempt to connect")
def test_attempt_to_connect_is_hung_up() -> None:
    # The queue of a server that accepts nobody is full after a few. In a process of its own, since
    # here connecting is watched over.
    script = """
import socket
from tests.pacing import hung_up_after

with socket.create_server(("127.0.0.1", 0), backlog=0) as server:
    opened = []
    try:
        for _ in range(8):
            with hung_up_after(0.1):
                opened.append(socket.create_connection(server.getsockname(), 50.0))
    except TimeoutError as error:
        print(isinstance(error.__cause__, OSError))
"""
    assert in_a_new_process(script) == "True"


def test_request_that_nobody_reads_is_hung_up() -> None:
    with create_server(("127.0.0.1", 0)) as server:
        host, port = server.getsockname()
        connection = http.client.HTTPConnection(host, port, timeout=50.0)
        with closing(connection), pytest.raises(TimeoutError) as caught, hung_up_after(SOON_S):
            connection.request("POST", "/", bytes(50_000_000))
        assert isinstance(caught.value.__cause__, OSError)


def test_handler_that_interrupts_the_setting_of_a_limit_may_set_one_too() -> None:
    # Stands for a signal that comes in the moment in which this thread has the lock.
    with hanging_up._watchdog._lock, hung_up_after(60.0):
        pass


def test_nothing_is_started_or_imported_before_there_is_a_limit() -> None:
    script = """
import math, sys, threading
before = set(sys.modules)
from tests.pacing import hung_up_after
with hung_up_after(math.inf):
    pass
slow = {"asyncio", "httpx", "socket", "ssl"} & (set(sys.modules) - before)
print(threading.active_count(), slow)
"""
    assert in_a_new_process(script) == "1 set()"


def test_limit_counts_also_where_nobody_can_be_hung_up_on() -> None:
    script = """
import sys, threading
del sys._current_frames
from tests.pacing import hung_up_after
try:
    with hung_up_after(0.0):
        print(threading.active_count())
except TimeoutError:
    print("late")
"""
    assert in_a_new_process(script) == "1\nlate"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_forked_child_has_limits_of_its_own_whoever_held_the_lock() -> None:
    script = """
import os, socket, threading
from capability_router.driving import hanging_up
from tests.pacing import hung_up_after

held, over = threading.Event(), threading.Event()

def hold():
    with hanging_up._watchdog._lock:
        held.set()
        over.wait()

def receive(connection):
    connection.recv(1)

def wait(seconds):
    ends = socket.socketpair()
    try:
        with hung_up_after(seconds):
            receive(ends[0])
    except TimeoutError:
        return True

wait(0.01)
thread = threading.Thread(target=hold)
with hung_up_after(60.0):
    thread.start()
    held.wait()
    child = os.fork()
    if not child:
        os._exit(0 if wait(0.01) and wait(0.01) and threading.active_count() == 2 else 1)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    over.set()
    thread.join()
print(code, wait(0.01))
"""
    assert in_a_new_process(script) == "0 True"
