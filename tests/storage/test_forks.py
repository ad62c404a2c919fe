"""A process that forks, as servers with workers do: the child is one more process of the fleet."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import contextlib, os, sys, threading
from capability_router import CapabilityRouter, Limit, Model, NoAvailableModelError
router = CapabilityRouter(state=sys.argv[1])
limit = Limit("requests", 10_000, strict=True)
router.register(Model("alpha/x", ("chat-completion",), limits=(limit,)))
router.register(Model("beta/y", ("chat-completion",)))
router.pool("chat-completion")
heard = threading.Event()
router.emitter.subscribe(lambda event: heard.set(), "model_deactivated")
stopped = threading.Event()
def ask():
    while not stopped.is_set():
        with contextlib.suppress(NoAvailableModelError):
            router.call("chat-completion", lambda model: model.id)
busy = threading.Thread(target=ask)
busy.start()
child = os.fork()
if child == 0:
    router.call("chat-completion", lambda model: model.id)
    router.deactivate("beta/y", "by the child")
    router.close()
    os._exit(0)
assert heard.wait(60)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
stopped.set()
busy.join()
print([each.reason for each in router.pool("chat-completion").get_standby()])
router.close()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_child_shares_the_state_whatever_its_parent_was_doing(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/state.db"
    command = [sys.executable, "-W", "ignore", "-c", SCRIPT, url]
    for _ in range(3):
        (tmp_path / "state.db").unlink(missing_ok=True)
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=50)
        assert (done.stdout, done.stderr) == ("['by the child']\n", "")
