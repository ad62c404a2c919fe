"""What came of many plays: how often each cell passed, and how sure that makes us."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from math import sqrt

from tests.faults.cells import CASES, Cell
from tests.faults.playing import Report

__all__ = ["Score", "as_json", "as_markdown", "wilson"]

_Z = 1.959964
"""Of the standard normal distribution, for 95 %."""


def wilson(passed: int, total: int) -> tuple[float, float]:
    """Return the 95 % interval for a rate by Wilson's score (Wilson 1927), both ends within 0 to 1.

    Raises:
        ValueError: If nothing was counted.
    """
    if total < 1:
        raise ValueError(f"a rate needs at least one count, found {total}")
    rate, square = passed / total, _Z**2 / total
    middle = rate + square / 2
    spread = _Z * sqrt(rate * (1 - rate) / total + square / (4 * total))
    low, high = (middle - spread) / (1 + square), (middle + spread) / (1 + square)
    return max(0.0, low), min(1.0, high)


@dataclass
class Score:
    """The plays of one cell."""

    cell: Cell
    reports: list[Report] = field(default_factory=list[Report])

    @property
    def passed(self) -> int:
        return sum(not report.complaints for report in self.reports)

    @property
    def total(self) -> int:
        return len(self.reports)

    @property
    def outcomes(self) -> list[str]:
        """What came of it, each once, the most frequent first."""
        told = [report.outcome for report in self.reports]
        return sorted(set(told), key=lambda outcome: (-told.count(outcome), outcome))

    @property
    def complaints(self) -> list[str]:
        """What was wrong, each once."""
        found = (complaint for report in self.reports for complaint in report.complaints)
        return list(dict.fromkeys(found))


def as_json(scores: Sequence[Score]) -> dict[str, object]:
    """Return the card as values for JSON."""
    return {
        "all": _counted(scores),
        "cells": [
            {
                "fault": str(score.cell.case),
                "profile": score.cell.profile,
                "surface": str(score.cell.surface),
                **_counted([score]),
                "outcomes": score.outcomes,
                "complaints": score.complaints,
            }
            for score in scores
        ],
    }


def as_markdown(scores: Sequence[Score]) -> str:
    """Return the card as a page: a line for each fault and policy, and one for all."""
    lines = [
        "# Scorecard of the faults",
        "",
        "| fault | policy | passed | 95 % interval | how it ended, and what each provider did |",
        "|---|---|---|---|---|",
    ]
    for case in CASES:
        for profile in case.outcomes():
            row = [s for s in scores if (s.cell.case, s.cell.profile) == (case, profile)]
            if row:
                lines.append(_line(f"{case} | {profile}", row, "; ".join(_outcomes(row))))
    lines.append(_line("all | ", scores, ""))
    failed = [score for score in scores if score.passed < score.total]
    if failed:
        lines += ["", "## What failed", ""]
        lines += [
            f"- {score.cell}: {score.passed} of {score.total}: {'; '.join(score.complaints)}"
            for score in failed
        ]
    return "\n".join(lines) + "\n"


def _outcomes(row: Iterable[Score]) -> list[str]:
    return list(dict.fromkeys(outcome for score in row for outcome in score.outcomes))


def _line(name: str, scores: Sequence[Score], told: str) -> str:
    passed, total = _sums(scores)
    low, high = wilson(passed, total)
    return f"| {name} | {passed}/{total} | {low:.1%} to {high:.1%} | {told} |"


def _counted(scores: Sequence[Score]) -> dict[str, object]:
    passed, total = _sums(scores)
    return {"passed": passed, "total": total, "interval_95": list(wilson(passed, total))}


def _sums(scores: Iterable[Score]) -> tuple[int, int]:
    counts = [(score.passed, score.total) for score in scores]
    return sum(passed for passed, _ in counts), sum(total for _, total in counts)
