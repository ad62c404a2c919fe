"""The page about simulation says what the code does."""

import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from capability_router import simulation
from capability_router.simulation import Change, SimulatedProvider
from capability_router.simulation.compare import FIGURES
from capability_router.simulation.recorded import Basis
from capability_router.simulation.scenario import load_scenario
from tests.docs.snippets import snippets

PAGE = (Path(__file__).parents[2] / "docs" / "simulation.md").read_text("utf-8")
CODE = {each.heading: each.code for each in snippets(PAGE)}


@pytest.mark.parametrize(
    ("heading", "shown"),
    [
        ("A first comparison", r"^pool +\d"),
        ("Searching parameters", r"^▶ selection=|^▶ as it is"),
        ("Replaying what happened", r"^5 requests again; different: other_attempts [345]"),
    ],
)
def test_each_example_runs_as_it_stands(heading: str, shown: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", CODE[heading]],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert re.search(shown, done.stdout, re.MULTILINE), done.stdout


def test_the_scenario_can_be_read(tmp_path: Path) -> None:
    path = tmp_path / "scenario.yaml"
    path.write_text(CODE["On the command line"], "utf-8")
    scenario = load_scenario(path)
    assert scenario.workload.requests == 20_000
    assert set(scenario.providers) == {"alpha", "beta/large"}


def test_every_figure_field_and_rule_is_told() -> None:
    told = set(re.findall(r"`(\w+)", PAGE))
    assert set(FIGURES) <= told
    assert {each.name for each in fields(SimulatedProvider)} <= told
    assert {*Change, *(basis.name.lower() for basis in Basis)} <= told
    classes = {"Interval", "ModelResult", "SimulationResult", "Trial", "Tuning", "Arrival"}
    assert set(simulation.__all__) - told <= classes | {"Change", "Difference", "Replay"}
