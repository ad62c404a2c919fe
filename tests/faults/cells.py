"""All that is looked at: one cell for each fault, profile and surface."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from tests.faults.case import NO, Case
from tests.faults.further import FURTHER
from tests.faults.leaving import CANCELLED, CANCELLED_AT_FIRST, CLOSED, play_leaving
from tests.faults.outage import OUTAGE, play_outage
from tests.faults.playing import Report, play
from tests.faults.sixteen import SIXTEEN
from tests.faults.stage import Bench
from tests.faults.surfaces import SURFACES, Surface

__all__ = ["CASES", "CELLS", "Cell"]

_LEAVING = (CLOSED, CANCELLED, CANCELLED_AT_FIRST)

CASES = (*SIXTEEN[:-1], OUTAGE, SIXTEEN[-1], *FURTHER, *_LEAVING)


@dataclass(frozen=True)
class Cell:
    """One fault through one surface, under one policy.

    Attributes:
        case: The row of the table.
        profile: Name of the policy.
        surface: How it is asked.
        play: Plays it once with a seed.
    """

    case: Case
    profile: str
    surface: Surface
    play: Callable[[Bench, int], Report]

    def __str__(self) -> str:
        return f"{self.case} | {self.profile} | {self.surface}"

    @property
    def wanted(self) -> str:
        """What has to come of it."""
        outcome = self.case.outcomes()[self.profile]
        return outcome.stream if self.surface.streamed else outcome.whole


def _cells() -> Iterator[Cell]:
    for case in CASES:
        for profile in case.outcomes():
            for surface in SURFACES:
                cell = Cell(case, profile, surface, _player(case, surface, profile))
                if cell.wanted != NO and _is_looked_at(cell):
                    yield cell


def _is_looked_at(cell: Cell) -> bool:
    if cell.case in (CANCELLED, CANCELLED_AT_FIRST):
        # A thread that waits cannot be called back from.
        return cell.surface.is_async
    # Whom a call goes on with is decided before it is known how a model is reached.
    return cell.profile == "default" or cell.surface.place != "LangChain, own models"


def _player(case: Case, surface: Surface, profile: str) -> Callable[[Bench, int], Report]:
    if case is OUTAGE:
        return partial(play_outage, surface, profile)
    if case in _LEAVING:
        return partial(play_leaving, case, surface, profile)
    return partial(play, case, surface, profile)


CELLS = tuple(_cells())
