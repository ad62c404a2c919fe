"""Many processes on one file: at once, killed, and forked."""

import multiprocessing
import os
import signal
import subprocess
import sys
import warnings
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from threading import Event, Thread

import pytest

from capability_router.storage.sqlite_store import SqliteStore
from capability_router.storage.store import Answer, Draw, Exchange, StoreError, StoreFault, Write
from tests.storage.sqlite_folder import keys, tell

CAPACITY = 1000
PROCESSES = 8
NEVER_S = 600.0


def patiently(ask: Callable[[], Answer]) -> Answer:
    """Ask until there is an answer, as a busy machine may make somebody wait for too long."""
    while True:
        try:
            return ask()
        except StoreError as error:
            if error.fault is not StoreFault.SLOW:
                raise


def draw_all(path: str, number: int) -> tuple[int, tuple[str, ...], str]:
    """Use a limit up together with others; return how much of it this process has used."""
    used, held, spent = 0, 0, 0
    with closing(SqliteStore(path, timeout_s=30.0)) as store:
        while True:
            draw = Draw("m", CAPACITY, used={0: spent} if spent else {}, grant=held, want=7)
            exchange = Exchange(f"p{number}", draws=[draw], hold_s=NEVER_S)
            answer = patiently(partial(store.exchange, exchange))
            (share,) = answer.shares
            assert share.used + share.reserved + share.held <= CAPACITY
            used, spent, held = used + spent, share.held, share.held
            if not held:
                return used, answer.corrupt, answer.store


@pytest.mark.parametrize("begin", [b"", b"this is no database\n" * 500], ids=["new", "damaged"])
def test_eight_processes_use_exactly_what_there_is(tmp_path: Path, begin: bytes) -> None:
    path = tmp_path / "state.db"
    if begin:
        path.write_bytes(begin)
    # Not forked: the pool's own threads would be missing in the child.
    with multiprocessing.get_context("spawn").Pool(PROCESSES) as pool:
        told = pool.starmap(draw_all, [(str(path), each) for each in range(PROCESSES)], 1)
    assert sum(used for used, _, _ in told) == CAPACITY
    assert len({store for _, _, store in told}) == 1
    # Whoever found the damage, it was moved once, and one of them says so.
    assert len(list(tmp_path.glob("*.corrupt-*"))) == bool(begin)


def test_damage_that_many_find_at_once_is_moved_once(tmp_path: Path) -> None:
    path, ready, answers = tmp_path / "state.db", Event(), list[Answer]()
    path.write_bytes(b"this is no database\n" * 500)

    def find(number: int) -> None:
        with closing(SqliteStore(path, timeout_s=30.0)) as store:
            ready.wait()
            answers.append(patiently(lambda: tell(store, f"k{number}")))

    threads = [Thread(target=find, args=(number,)) for number in range(PROCESSES)]
    for thread in threads:
        thread.start()
    ready.set()
    for thread in threads:
        thread.join()
    assert len({answer.store for answer in answers}) == 1
    (aside,) = tmp_path.glob("*.corrupt-*")
    assert [answer.corrupt for answer in answers if answer.corrupt] == [(str(aside),)]
    with closing(SqliteStore(path)) as store:
        assert keys(tell(store)) == [f"k{number}" for number in range(PROCESSES)]


WRITER = """
import sys
from capability_router.storage.sqlite_store import SqliteStore
from capability_router.storage.store import Exchange, Write

store = SqliteStore(sys.argv[1])
for number in range(10**9):
    store.exchange(Exchange("w", [Write(sys.argv[2], str(number), float(number))]))
    print(number, flush=True)
"""


def test_what_was_answered_is_kept_when_a_process_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    for round_ in range(3):
        key = f"k{round_}"
        command = [sys.executable, "-c", WRITER, str(path), key]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
            assert writer.stdout is not None
            told = [int(writer.stdout.readline()) for _ in range(50)]
            writer.send_signal(signal.SIGKILL)
            told += [int(line) for line in writer.stdout.read().splitlines()]
        with closing(SqliteStore(path)) as store:
            entries = store.exchange(Exchange("r", snapshot=True)).entries or ()
            found = {entry.key: int(entry.value or "") for entry in entries}
        assert found[key] >= told[-1]
        assert len(found) == round_ + 1


def in_a_child(act: Callable[[], object]) -> int:
    """Do something in a fork of this process; return the child's id."""
    with warnings.catch_warnings():
        # That a thread of ours may hold a lock is what is tried here.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child:
        return child
    try:
        act()
        os._exit(0)
    finally:
        os._exit(1)


def ended_well(child: int) -> bool:
    return os.waitpid(child, 0)[1] == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks")
def test_a_fork_opens_the_file_anew_and_loses_nothing_when_its_parent_goes(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    go_on, gone = os.pipe()

    def go_on_alone() -> None:
        tell(store, "child")
        store.listen(0)
        os.read(go_on, 1)
        # The parent has closed the file meanwhile, as the last one that it knew of.
        assert keys(tell(store, "alone")) == ["alone", "child", "parent"]

    store = SqliteStore(path)
    with closing(store):
        tell(store, "parent")
        store.listen(0)
        child = in_a_child(go_on_alone)
        while "child" not in keys(tell(store)):
            store.listen(0.1)
    os.write(gone, b"x")
    assert ended_well(child)
    os.close(go_on)
    os.close(gone)
    with closing(SqliteStore(path)) as later:
        assert keys(tell(later)) == ["alone", "child", "parent"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks")
def test_a_process_may_fork_while_its_threads_use_the_store(tmp_path: Path) -> None:
    path, stop, written = tmp_path / "state.db", Event(), list[int]()
    store = SqliteStore(path, timeout_s=30.0)

    def write_on() -> None:
        while not stop.is_set():
            number = len(written)
            store.exchange(Exchange("a", [Write("k", str(number), float(number))]))
            written.append(number)

    def listen_on() -> None:
        while not stop.is_set():
            store.listen(0)

    threads = [Thread(target=write_on), Thread(target=listen_on)]
    with closing(store):
        for thread in threads:
            thread.start()
        children = [in_a_child(partial(tell, store, key)) for key in ("c0", "c1", "c2", "c3")]
        assert [ended_well(child) for child in children] == [True] * 4
        stop.set()
        for thread in threads:
            thread.join()
        last = {entry.key: entry.value for entry in tell(store).entries or ()}
    assert last == {"k": str(written[-1]), **dict.fromkeys(["c0", "c1", "c2", "c3"], '"x"')}
