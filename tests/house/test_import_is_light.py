"""Importing the core loads no host and nothing that takes its time."""

import subprocess
import sys

# Seconds, megabytes, or the network: whoever needs one of these imports it then.
HEAVY = {"langchain_core", "litellm", "pydantic", "rich", "typer", "yaml"}


def heavy_modules_after(statement: str) -> set[str]:
    script = f"{statement}\nimport sys\nprint(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-I", "-c", script], capture_output=True, text=True, check=True
    ).stdout
    return HEAVY & set(loaded.split())


def test_importing_the_core_loads_nothing_heavy() -> None:
    assert heavy_modules_after("import capability_router") == set()


def test_heavy_import_is_found() -> None:
    assert heavy_modules_after("import yaml") == {"yaml"}
