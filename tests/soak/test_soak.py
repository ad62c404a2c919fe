"""The soak itself, for a quarter of a minute; `make soak` runs it for ten."""

import subprocess
import sys

import pytest

from tests.soak.providers import ROOT


# A process of its own: LiteLLM, whose logger is for one event loop, would tell this one of it.
@pytest.mark.timeout(300)
def test_nothing_is_lost_wrong_or_left_under_fire() -> None:
    command = [sys.executable, "-m", "tests.soak", "--minutes", "0.25", "--callers", "4"]
    done = subprocess.run(
        [*command, "--seed", "1"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert "FAILED" not in done.stdout
    assert done.stdout.count("passed  ") == 12
