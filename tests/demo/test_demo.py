"""The demo as ``make demo`` runs it: by itself, and with a configuration of the user's own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from capability_router.lab import Lab

ROOT = Path(__file__).parents[2]
OWN = """\
providers:
  mine: {{base_url: "{url}", api_key: "${{env:MY_KEY}}"}}
models:
  mine/small: {{capabilities: [chat-completion]}}
  mine/large: {{capabilities: [chat-completion]}}
"""


def demo(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "demo/run.py", *arguments],
        cwd=ROOT,
        env={**os.environ, "MY_KEY": "k"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.timeout(120)
def test_the_answers_go_on_while_the_serving_provider_is_killed_and_revived() -> None:
    result = demo()
    assert result.returncode == 0, result.stdout + result.stderr
    for shown in (
        "alpha is killed",
        "alpha/smollm2 rests (error_threshold)",
        "alpha/smollm2 is back",
        "Decisions",
        "every request was answered",
    ):
        assert shown in result.stdout


def test_a_users_own_configuration_is_taken(tmp_path: Path) -> None:
    with Lab(["mine"], answers="echo") as lab:
        config = tmp_path / "my.yaml"
        config.write_text(OWN.format(url=lab["mine"].base_url))
        result = demo("--config", str(config))
    assert result.returncode == 0, result.stdout + result.stderr
    assert "mine/small is taken out of service" in result.stdout


def test_a_configuration_that_cannot_be_used_is_told_without_a_traceback(tmp_path: Path) -> None:
    result = demo("--config", str(tmp_path / "none.yaml"))
    assert result.returncode == 1
    assert "none.yaml" in result.stdout
    assert "Traceback" not in result.stdout + result.stderr


def test_a_miss_is_named_and_exits_with_1(tmp_path: Path) -> None:
    with Lab(["mine"], answers="echo") as lab:
        config = tmp_path / "my.yaml"
        config.write_text(OWN.format(url=lab["mine"].base_url))
        lab["mine"].stop()
        result = demo("--config", str(config))
    assert result.returncode == 1
    assert "missed: your providers: LangChain got no answer" in result.stdout
