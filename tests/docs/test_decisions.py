"""The page about decisions says what the code does."""

import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from capability_router.engine.choice import Candidate, Choice, Standing, Why
from capability_router.engine.decision import Decision
from tests.docs.snippets import snippets

PAGE = Path(__file__).parents[2] / "docs" / "decisions.md"


@pytest.mark.parametrize(
    ("heading", "printed"),
    [
        (
            "What would happen",
            (
                "beta/large\nalpha/small standby manual, until recovered by hand\n"
                "beta/large active None\n"
            ),
        ),
        ("Keeping all of them", ""),
    ],
)
def test_each_example_runs_as_it_stands(heading: str, printed: str, tmp_path: Path) -> None:
    (code,) = (s.code for s in snippets(PAGE.read_text("utf-8")) if s.heading == heading)
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert (done.returncode, done.stdout) == (0, printed), done.stderr


def test_every_field_and_value_is_told() -> None:
    told = set(re.findall(r"`([a-z_]+)`", PAGE.read_text("utf-8")))
    names = {field.name for record in (Decision, Choice) for field in fields(record)}
    assert names - told <= {"evidence"}
    candidate = {field.name for field in fields(Candidate)} - {"model", "provider"}
    assert candidate <= told
    assert {*map(str, Why), *map(str, Standing)} <= told
