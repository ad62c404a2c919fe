"""Runs a command as a person does, and a configuration to run it on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from capability_router.cli.app import app

GOOD = """\
providers:
  local: {base_url: "http://127.0.0.1:1/v1"}
models:
  local/small: {capabilities: [chat-completion]}
pools:
  text: {hierarchy_node: text-generation}
"""


def run(*arguments: str, columns: int | None = None) -> tuple[int, str]:
    """Run a command, in a terminal of that width or in a pipe; return its end and its output."""
    terminal = {"COLUMNS": str(columns), "FORCE_COLOR": "1"} if columns else {}
    result = CliRunner().invoke(app, list(arguments), env=terminal)
    return result.exit_code, result.output


def run_json(*arguments: str) -> tuple[int, Any]:
    """Run a command with ``--json``; return its end and what it says on stdout."""
    result = CliRunner().invoke(app, [*arguments, "--json"])
    return result.exit_code, json.loads(result.stdout)


def written(folder: Path, text: str = GOOD) -> str:
    """Write a configuration and return its path."""
    path = folder / "router.yaml"
    path.write_text(text)
    return str(path)
