"""What docs/cli.md says of the command is what the command is."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_command

from capability_router.cli.app import app
from capability_router.cli.terminal import EXIT_CODES
from capability_router.linting.finding import RULES
from tests.cli.running import run
from tests.house.source import ROOT

DOCUMENT = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
COMMANDS = sorted(getattr(get_command(app), "commands", {}))


def rows(pattern: str) -> list[tuple[str, ...]]:
    """What a pattern finds in the lines of the document's tables."""
    return [found.groups() for found in re.finditer(rf"^\| {pattern} \|$", DOCUMENT, re.MULTILINE)]


def test_every_command_has_a_section_in_order() -> None:
    assert re.findall(r"^## `(\w+)", DOCUMENT, re.MULTILINE) == COMMANDS


def test_the_exit_codes_are_those_of_the_code() -> None:
    assert rows(r"(\d) \| (.*)") == [(str(code), what) for code, what in EXIT_CODES.items()]


def test_the_findings_are_those_of_the_code() -> None:
    assert rows(r"`([\w-]+)` \| (\w+) \| (.*)") == [
        (code, str(rule.severity), rule.about) for code, rule in RULES.items()
    ]


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_a_command_tells_its_exit_codes_and_offers_json(command: str) -> None:
    code, shown = run(command, "--help")
    text = " ".join(shown.split())
    assert (code, "--json" in text) == (0, True)
    assert all(f"{code}: {what}" in text for code, what in EXIT_CODES.items())


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_shell_is_taught_by_the_name_of_the_command(shell: str) -> None:
    done = complete({"_CAPABILITY_ROUTER_COMPLETE": f"source_{shell}"})
    assert "capability-router" in done
    assert "python -m" not in done


def test_a_shell_is_offered_the_commands() -> None:
    words = {"COMP_WORDS": "capability-router ", "COMP_CWORD": "1"}
    offered = complete({"_CAPABILITY_ROUTER_COMPLETE": "complete_bash", **words})
    assert offered.split() == COMMANDS


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash to be taught")
def test_a_shell_that_runs_it_is_told_apart_and_taught(tmp_path: Path) -> None:
    # The second command keeps bash from becoming the first one.
    line = f"{shlex.quote(sys.executable)} -m capability_router --install-completion && exit 0"
    environ = {**os.environ, "PYTHONPATH": str(ROOT), "HOME": str(tmp_path)}
    done = subprocess.run(
        ["bash", "-c", line], env=environ, capture_output=True, text=True, check=True
    )
    assert "bash completion installed" in done.stdout
    taught = (tmp_path / ".bash_completions" / "capability-router.sh").read_text()
    assert "_CAPABILITY_ROUTER_COMPLETE=complete_bash" in taught
    assert "capability-router.sh" in (tmp_path / ".bashrc").read_text()


def complete(environ: dict[str, str]) -> str:
    """What the command tells a shell that asks it for completions."""
    done = subprocess.run(
        [sys.executable, "-m", "capability_router"],
        env={**os.environ, "PYTHONPATH": str(ROOT), **environ},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    return done.stdout


def test_an_error_goes_to_stderr_and_results_to_stdout(tmp_path: Path) -> None:
    asked = [sys.executable, "-m", "capability_router", "check", str(tmp_path / "absent.yaml")]
    done = subprocess.run(asked, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: ")


def test_no_color_leaves_the_colours_out(tmp_path: Path) -> None:
    (tmp_path / "router.yaml").write_text("providers: {}\n")
    asked = [sys.executable, "-m", "capability_router", "check", str(tmp_path / "router.yaml")]
    forced = {"PYTHONPATH": str(ROOT), "FORCE_COLOR": "1", "COLUMNS": "60"}
    forced = {name: value for name, value in os.environ.items() if name != "NO_COLOR"} | forced
    shown = [
        subprocess.run(
            asked, env={**forced, **more}, capture_output=True, text=True, check=True
        ).stdout
        for more in ({}, {"NO_COLOR": "1"})
    ]
    assert ["\x1b[33m" in text or "\x1b[36m" in text for text in shown] == [True, False]
