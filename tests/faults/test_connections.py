"""However often an answer is given up, no connection stays behind."""

from __future__ import annotations

import pytest

from tests.faults.case import Case
from tests.faults.further import FURTHER
from tests.faults.playing import play
from tests.faults.sixteen import SIXTEEN
from tests.faults.stage import Bench
from tests.faults.surfaces import SURFACES, Surface

# The provider answers to the end, but the answer is not read to its end, or is none.
ANSWERED = {"10a", "18", "22"}
TIMES = 3


@pytest.mark.parametrize("surface", SURFACES, ids=str)
@pytest.mark.parametrize(
    "case", [case for case in (*SIXTEEN, *FURTHER) if case.number in ANSWERED], ids=str
)
def test_answers_that_are_given_up_keep_no_connections(
    shared: Bench, case: Case, surface: Surface
) -> None:
    play(case, surface, "default", shared)
    before = [provider.open_connections for provider in shared.lab]
    for _ in range(TIMES):
        play(case, surface, "default", shared)
    after = [provider.open_connections for provider in shared.lab]
    assert all(now <= then + 1 for now, then in zip(after, before, strict=True)), (before, after)
