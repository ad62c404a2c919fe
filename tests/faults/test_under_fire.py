"""What docs/under-fire.md says is what the cells expect and what the surfaces raise."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.faults.cells import CASES, CELLS
from tests.faults.playing import stage_for
from tests.faults.stage import PROFILES, Bench
from tests.faults.surfaces import SURFACES, Surface
from tests.faults.under_fire import ENDINGS, ERRORS, error_rows, fault_rows

PAGE = (Path(__file__).parents[2] / "docs" / "under-fire.md").read_text(encoding="utf-8")


def table(heading: str) -> list[str]:
    """Return the rows of the table under a heading."""
    part = PAGE.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    return re.findall(r"^\| .+ \|$", part, re.MULTILINE)[1:]


def test_table_of_the_faults_is_what_the_cells_expect() -> None:
    assert table("What comes of each fault") == list(fault_rows())


def test_table_of_the_errors_is_complete() -> None:
    assert table("What is raised") == list(error_rows())


@pytest.mark.parametrize(
    ("surface", "ending"),
    [
        pytest.param(surface, ending, id=f"{surface}, {ending}")
        for surface in SURFACES
        for ending in ENDINGS
        # A whole answer is not interrupted.
        if surface.streamed or ending != "interrupted"
    ],
)
def test_error_has_the_class_that_is_told(shared: Bench, surface: Surface, ending: str) -> None:
    (case,) = (case for case in CASES if case.number == ENDINGS[ending])
    stage = stage_for(case, "default", shared, seed=7)
    case.alpha(stage.lab["alpha"])
    case.beta(stage.lab["beta"])
    assert type(surface.ask(stage).error).__name__ == ERRORS[surface.place][ending]


def test_page_counts_what_there_is() -> None:
    assert f"{len(SURFACES)} surfaces" in PAGE
    assert f"{len(CELLS)} cells" in PAGE
    assert len(CASES) == len({case.number for case in CASES})
    assert set(PROFILES) == {"default", "patient"}
