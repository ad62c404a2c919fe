"""The ``watch`` command on a log that is written while it looks."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from capability_router import CapabilityRouter, JsonLines, Model
from capability_router.cli.app import app
from capability_router.cli.watch import watch
from capability_router.watching.sources import RouterSource
from tests.watching.seen import decision, event

if sys.platform != "win32":
    import pty

PROGRAM = "import typer; from capability_router.cli.watch import watch; typer.run(watch)"
CONFIG = """\
providers:
  a: {base_url: "http://127.0.0.1:1/v1"}
models:
  a/0: {capabilities: [chat-completion]}
  a/1: {capabilities: [chat-completion]}
pools:
  text: {hierarchy_node: text-generation}
"""


def test_the_log_of_the_jsonl_connector_is_followed(tmp_path: Path) -> None:
    path = tmp_path / "router.jsonl"
    with JsonLines(path) as log:
        router = CapabilityRouter(observability=[log])
        router.register(Model("a/0", ("chat-completion",)))
        router.add_pool("text", "text-generation")
        router.call("chat-completion", lambda model: model.name)
        router.deactivate("a/0", "manual")
    done = CliRunner().invoke(app, ["watch", str(path), "--once", "--json"])
    assert done.exit_code == 0
    told = json.loads(done.stdout)
    (pool,) = told["pools"]
    assert [(each["model"], each["state"], each["reason"]) for each in pool["models"]] == [
        ("a/0", "standby", "manual")
    ]
    assert [each["served_by"] for each in told["rows"] if each["record"] == "decision"] == ["a/0"]


class Logged:
    """A router, and the log of what it does."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.router = CapabilityRouter()
        self._source = RouterSource(self.router)
        self._source.poll()
        for number in range(2):
            self.router.register(Model(f"a/{number}", ("chat-completion",)))
        self.router.add_pool("text", "text-generation")
        self.write()

    def write(self) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.writelines(f"{json.dumps(record)}\n" for record in self._source.poll())


@pytest.fixture
def logged(tmp_path: Path) -> Logged:
    return Logged(tmp_path / "router.jsonl")


def run(*arguments: object) -> tuple[int, str]:
    app = typer.Typer()
    app.command()(watch)
    result = CliRunner().invoke(app, [str(each) for each in arguments], env={"COLUMNS": "120"})
    return result.exit_code, result.output


class Started:
    """The command as a process of its own, which an interrupt ends."""

    def __init__(self, *arguments: object, **options: Any) -> None:
        command = [sys.executable, "-c", PROGRAM, *(str(each) for each in arguments)]
        environment = {**os.environ, "PYTHONUNBUFFERED": "1", "TERM": "xterm"}
        settings: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        self.process = subprocess.Popen(command, text=True, env=environment, **settings | options)

    def __enter__(self) -> subprocess.Popen[str]:
        return self.process

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()


def interrupted(process: subprocess.Popen[str]) -> tuple[int, str]:
    process.send_signal(signal.SIGINT)
    _, complaints = process.communicate(timeout=30)
    return process.returncode, complaints


def test_how_things_stand_is_shown_once(logged: Logged) -> None:
    logged.router.deactivate("a/1", "billing")
    logged.router.call("chat-completion", lambda model: model.id)
    logged.write()
    code, shown = run(logged.path, "--once")
    assert code == 0
    assert "text  1 of 2 active" in shown
    assert "○ standby  a/1    billing, next try in" in shown
    assert "● chat-completion → a/0" in shown
    assert "○ a/1 is on standby  pool text · billing" in shown


def test_the_state_is_printed_as_json(logged: Logged) -> None:
    logged.router.deactivate("a/1")
    logged.write()
    code, shown = run(logged.path, "--once", "--json")
    state = json.loads(shown)
    (pool,) = state["pools"]
    assert (code, pool["name"]) == (0, "text")
    assert [(each["model"], each["state"]) for each in pool["models"]] == [
        ("a/0", "active"),
        ("a/1", "standby"),
    ]
    assert [row["type"] for row in state["rows"][-2:]] == [
        "model_deactivated",
        "provider_health_changed",
    ]


def test_a_configuration_tells_of_pools_before_the_first_event(
    tmp_path: Path, logged: Logged
) -> None:
    config = tmp_path / "router.yaml"
    config.write_text(CONFIG)
    logged.path.write_text("")
    code, shown = run(logged.path, "--once", "--config", config)
    assert code == 0
    assert "text  generation.text-generation  2 of 2 active" in shown


def test_lines_that_are_not_understood_are_counted(logged: Logged) -> None:
    with logged.path.open("a", encoding="utf-8") as file:
        file.write('{"record": "weather", "wall": 1}\nno JSON\n')
    assert "2 lines not understood" in run(logged.path, "--once")[1]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--once"], "does not exist"),
        (["--once", "--config", "missing.yaml"], "does not exist"),
        (["--http", "--host", "0.0.0.0"], "--allow-remote"),
    ],
)
def test_what_cannot_be_is_told_in_a_line(tmp_path: Path, arguments: list[str], told: str) -> None:
    code, shown = run(tmp_path / "missing.jsonl", *arguments)
    assert code == 2
    assert told in shown
    assert "Traceback" not in shown


def test_a_wrong_configuration_is_told(tmp_path: Path, logged: Logged) -> None:
    config = tmp_path / "router.yaml"
    config.write_text(CONFIG.replace("text-generation", "txt-generation"))
    code, shown = run(logged.path, "--config", config)
    assert (code, "pools.text.hierarchy_node" in shown) == (2, True)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "router.jsonl"
    append(path, event("model_deactivated", reason="rate_limited", until=30.0))
    return path


def append(path: Path, record: Any) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(record) + "\n")


def test_where_no_terminal_is_each_record_is_a_line(log: Path) -> None:
    with Started(log) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        assert first == (
            "1970-01-01T00:16:40.000+00:00 ○ a/1 is on standby"
            "  pool text · rate limited, next try in 30 s\n"
        )
        append(log, decision("b/2", ("a/1", "overloaded"), ("b/2", None), degraded_to="gen.chat"))
        assert process.stdout.readline().endswith(
            "● chat-completion → b/2  a/1 overloaded · as gen.chat\n"
        )
        assert interrupted(process) == (0, "")


def test_each_record_is_printed_as_json(log: Path) -> None:
    with Started(log, "--json") as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["type"] == "model_deactivated"
        append(log, decision(None, ("a/1", "overloaded"), panic=True))
        row = json.loads(process.stdout.readline())
        assert (row["record"], row["panic"]) == ("decision", True)
        assert interrupted(process)[0] == 0


def test_a_log_that_is_not_there_yet_is_waited_for(tmp_path: Path) -> None:
    log = tmp_path / "later.jsonl"
    with Started(log) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stderr.readline().endswith("later.jsonl, which does not exist yet\n")
        append(log, event("model_activated"))
        assert "a/1 is active again" in process.stdout.readline()
        assert interrupted(process)[0] == 0


def test_who_has_read_enough_ends_it_without_a_traceback(log: Path) -> None:
    with Started(log) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr is not None
        append(log, event("model_activated"))
        assert process.wait(30) == 1
        assert process.stderr.read() == ""
        process.stdout = None


def test_a_page_is_served_until_an_interrupt(log: Path) -> None:
    with Started(log, "--http") as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        with urllib.request.urlopen(f"{url}events", timeout=20) as stream:
            told = next(line for line in lines(stream) if line.startswith("data: "))
        assert json.loads(told[6:])["title"] == str(log)
        assert interrupted(process) == (0, "")


def lines(stream: Any) -> Iterator[str]:
    while line := stream.readline():
        yield line.decode()


@pytest.mark.skipif(sys.platform == "win32", reason="there are no pseudo terminals")
def test_a_terminal_shows_tables_that_change(log: Path) -> None:
    ours, theirs = pty.openpty()
    with Started(log, stdout=theirs) as process:
        os.close(theirs)
        seen = read_until(ours, "rate limited")
        assert "\x1b[?1049h" in seen
        append(log, event("model_activated", at=1.0))
        read_until(ours, "is active again")
        assert interrupted(process) == (0, "")
        read_until(ours, "\x1b[?1049l")
    os.close(ours)


def read_until(terminal: int, wanted: str) -> str:
    seen = ""
    while wanted not in seen:
        seen += os.read(terminal, 4096).decode(errors="replace")
    return seen
