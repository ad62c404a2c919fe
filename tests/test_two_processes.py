"""Routers of several processes on one configuration: what each of them learns."""

import json
import multiprocessing
import urllib.error
import urllib.request
from pathlib import Path

from capability_router.engine.model import Model
from capability_router.lab import Lab, overloaded
from capability_router.router import CapabilityRouter

CONFIG = """
providers:
  alpha: {{base_url: "{alpha}"}}
  beta: {{base_url: "{beta}"}}
models:
  alpha/tiny: {{capabilities: [chat-completion]}}
  beta/tiny: {{capabilities: [chat-completion]}}
pools:
  chat:
    hierarchy_node: chat-completion
    strategy: priority
    # So long that no trial comes between, however busy the machine is.
    recovery: {{cooldown: 600s, max_cooldown: 600s}}
"""
CALLS = 10


def ask(path: str) -> list[str]:
    """Ask for some answers with a router of this process; return who gave them."""
    router = CapabilityRouter.from_yaml(path)

    def answer(model: Model) -> str:
        url = f"{router.provider(model.provider).base_url}/chat/completions"
        body = {"model": model.name, "messages": [{"role": "user", "content": "hello"}]}
        headers = {"content-type": "application/json"}
        request = urllib.request.Request(url, json.dumps(body).encode(), headers)
        try:
            with urllib.request.urlopen(request) as response:
                response.read()
        except urllib.error.HTTPError as error:
            error.close()
            raise
        return model.id

    return [router.call("chat-completion", answer) for _ in range(CALLS)]


def test_as_long_as_no_state_is_shared_each_of_two_processes_asks_as_often_as_one(
    tmp_path: Path,
) -> None:
    with Lab(["alpha", "beta"], "echo") as lab:
        path = tmp_path / "router.yaml"
        path.write_text(CONFIG.format(alpha=lab["alpha"].base_url, beta=lab["beta"].base_url))
        lab["alpha"].fault = overloaded()
        assert ask(str(path)) == ["beta/tiny"] * CALLS
        by_one = lab["alpha"].request_count
        assert 0 < by_one < CALLS
        # Not forked: the lab's threads would be missing in the child, and its locks held.
        with multiprocessing.get_context("spawn").Pool(2) as processes:
            answers = processes.map(ask, [str(path)] * 2, chunksize=1)
        assert answers == [["beta/tiny"] * CALLS] * 2
        assert lab["alpha"].request_count - by_one == 2 * by_one
