"""Every fault through every surface, seen from both sides; the rows stand in ``sixteen.py``."""

from __future__ import annotations

import pytest

from tests.faults.cells import CELLS, Cell
from tests.faults.stage import Bench

SEED = 7


@pytest.mark.parametrize("cell", CELLS, ids=str)
def test_fault_comes_to_what_the_table_says(warm: Bench, cell: Cell) -> None:
    report = cell.play(warm, SEED)
    assert report.complaints == ()
    assert report.outcome == cell.wanted
