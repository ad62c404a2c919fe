"""Every fault through every surface, seen from both sides; the rows stand in ``sixteen.py``."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.faults.cells import CELLS, Cell
from tests.faults.stage import Bench

SEED = 7


# LiteLLM makes the coroutine of its request some awaits before it awaits it.
@pytest.mark.filterwarnings("ignore:coroutine 'OpenAIChatCompletion.* was never awaited")
@pytest.mark.parametrize("cell", CELLS, ids=str)
def test_fault_comes_to_what_the_table_says(warm: Bench, cell: Cell) -> None:
    report = cell.play(warm, SEED)
    if report.complaints and cell.case.is_timed:
        # A busy machine keeps a model that is well beyond a short limit; what is wrong with a call
        # is wrong with any limit.
        report = cell.play(replace(warm, stretch=4.0), SEED)
    assert report.complaints == ()
    assert report.outcome == cell.wanted
