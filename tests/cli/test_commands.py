"""The ``capability-router`` command as a person uses it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from importlib.metadata import version

import pytest

from tests.cli.running import run

COMMAND = [sys.executable, "-m", "capability_router"]


def test_the_version_is_that_of_the_distribution() -> None:
    assert run("--version") == (0, f"{version('capability-router')}\n")


def test_help_comes_without_what_takes_its_time_to_import() -> None:
    told = "import capability_router.cli.app, sys; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", told], capture_output=True, text=True, check=True
    ).stdout.split()
    slow = {"pydantic", "yaml", "litellm", "capability_router.router", "capability_router.lab"}
    assert "capability_router.cli.watch" in loaded
    assert slow & set(loaded) == set()


def test_a_port_that_cannot_be_is_refused_in_a_line() -> None:
    code, shown = run("lab", "alpha", "--port", "99999")
    assert code == 2
    assert "'--port'" in shown
    assert "65535" in shown
    assert "Traceback" not in shown


def test_an_unknown_kind_of_answers_is_refused() -> None:
    code, shown = run("lab", "--answers", "oracle")
    assert code == 2
    assert "oracle" in shown


def test_two_providers_of_one_name_are_refused_in_one_line() -> None:
    code, shown = run("lab", "alpha", "alpha", "--answers", "echo")
    assert code == 2
    assert "error:" in shown
    assert "alpha" in shown


@pytest.mark.skipif(sys.platform == "win32", reason="an interrupt is no signal there")
def test_the_lab_serves_takes_faults_and_stops_on_interrupt() -> None:
    with subprocess.Popen(
        [*COMMAND, "lab", "alpha", "--answers", "echo"], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        name, _, base_url = process.stdout.readline().strip().partition(": ")
        control = process.stdout.readline().strip().partition(": ")[2]
        question: dict[str, object] = {
            "model": "m",
            "messages": [{"role": "user", "content": "hello"}],
        }
        answer = fetch(f"{base_url}/chat/completions", "POST", question)
        assert (name, "hello" in answer) == ("alpha", True)
        fetch(f"{control}/providers/alpha/fault", "PUT", {"kind": "server_error"})
        with pytest.raises(urllib.error.HTTPError, match="500"):
            fetch(f"{base_url}/chat/completions", "POST", question)
        process.send_signal(signal.SIGINT)
        assert "stopping" in process.stdout.read()
    assert process.returncode == 0


def fetch(url: str, method: str, body: dict[str, object]) -> str:
    headers = {"Content-Type": "application/json"}
    asked = urllib.request.Request(url, json.dumps(body).encode(), headers, method=method)
    with urllib.request.urlopen(asked, timeout=10) as response:
        return str(response.read().decode())
