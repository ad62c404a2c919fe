"""All that is looked at: one cell for each fault, profile and surface."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from tests.faults.leaving import CANCELLED, CANCELLED_AT_FIRST, CLOSED, play_leaving
from tests.faults.outage import OUTAGE, play_outage
from tests.faults.playing import Report, play
from tests.faults.stage import Bench
from tests.faults.surfaces import SURFACES, Surface
from tests.faults.table import FURTHER, SIXTEEN, Case

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
                if _can_be_asked(case, surface):
                    yield Cell(case, profile, surface, _player(case, surface, profile))


def _can_be_asked(case: Case, surface: Surface) -> bool:
    """Whether a caller can leave so: a thread that waits cannot be called back from."""
    if case is CLOSED:
        return surface.streamed
    if case is CANCELLED:
        return surface.streamed and surface.is_async
    return surface.is_async if case is CANCELLED_AT_FIRST else True


def _player(case: Case, surface: Surface, profile: str) -> Callable[[Bench, int], Report]:
    if case is OUTAGE:
        return partial(play_outage, surface, profile)
    if case in _LEAVING:
        return partial(play_leaving, case, surface, profile)
    return partial(play, case, surface, profile)


CELLS = tuple(_cells())
