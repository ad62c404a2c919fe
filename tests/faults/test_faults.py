"""Every fault through every surface, seen from both sides: the table in ``table.py``."""

from __future__ import annotations

import pytest

from tests.faults.playing import play
from tests.faults.stage import Bench
from tests.faults.surfaces import SURFACES, Surface
from tests.faults.table import FURTHER, SIXTEEN, Case

CELLS = [
    pytest.param(case, profile, id=f"{case}-{profile}")
    for case in (*SIXTEEN, *FURTHER)
    for profile in case.outcomes()
]


@pytest.mark.parametrize("surface", SURFACES, ids=str)
@pytest.mark.parametrize(("case", "profile"), CELLS)
def test_fault_comes_to_what_the_table_says(
    shared: Bench, case: Case, profile: str, surface: Surface
) -> None:
    assert play(case, surface, profile, shared).complaints == ()
