"""Real processes on a real store: quotas hold for all of them, also when some are killed."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.storage.servers import Server

LIMIT, PROCESSES = 1_000, 8
LONG_S = 120.0

# Asks until everything is used up for good, and writes each call down before it is made, as a
# provider would see it.
WORKER = """
import sys, time
from capability_router import CapabilityRouter, Limit, Model, NoAvailableModelError
url, provider_of, amount = sys.argv[1], sys.argv[2], int(sys.argv[3])
models = [
    Model(f"{each}/m", ("chat-completion",), limits=(Limit("requests", amount, strict=True),))
    for each in ("alpha", "beta", "gamma")
]
router = CapabilityRouter(state=url)
for model in models:
    router.register(model)
out, idle_since = open(provider_of, "ab", buffering=0), None
while True:
    try:
        router.call("chat-completion", lambda model: out.write(model.provider.encode() + b"\\n"))
        idle_since = None
    except NoAvailableModelError:
        now = time.monotonic()
        idle_since = idle_since or now
        if now - idle_since > 4.0:
            break
        time.sleep(0.002)
router.close()
"""


@pytest.fixture(params=["sqlite", "valkey"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/state.db"
        return
    server = Server(tmp_path)
    yield server.url
    server.kill()


def start(url: str, folder: Path, number: int) -> subprocess.Popen[bytes]:
    calls = folder / f"calls-{number}"
    return subprocess.Popen([sys.executable, "-c", WORKER, url, str(calls), str(LIMIT)])


def calls_in(folder: Path) -> dict[str, int]:
    lines = [line for path in folder.glob("calls-*") for line in path.read_text().splitlines()]
    return {each: lines.count(each) for each in ("alpha", "beta", "gamma")}


def test_eight_processes_make_exactly_as_many_calls_as_there_are(url: str, tmp_path: Path) -> None:
    workers = [start(url, tmp_path, number) for number in range(PROCESSES)]
    assert [worker.wait(LONG_S) for worker in workers] == [0] * PROCESSES
    assert calls_in(tmp_path) == dict.fromkeys(("alpha", "beta", "gamma"), LIMIT)


def test_with_processes_that_are_killed_never_more(url: str, tmp_path: Path) -> None:
    workers = [start(url, tmp_path, number) for number in range(PROCESSES)]
    for victim in workers[::2]:
        calls = tmp_path / f"calls-{workers.index(victim)}"
        while victim.poll() is None and not (calls.exists() and calls.stat().st_size > 60):
            continue
        victim.send_signal(signal.SIGKILL)
    for worker in workers:
        worker.wait(LONG_S)
    assert all(0 < made <= LIMIT for made in calls_in(tmp_path).values())
