"""Selection by a function of the application: whatever it scores highest serves."""

from __future__ import annotations

from collections.abc import Callable, Collection
from math import isnan
from random import Random

from capability_router.engine.member import Member
from capability_router.engine.model import Model
from capability_router.engine.request import CompletionRequest
from capability_router.engine.selection import Ranking

__all__ = ["Score", "Scored"]

Score = Callable[[Model, CompletionRequest], float | None]
"""How well a model suits a request, higher is better; None if it must not serve it."""


class Scored:
    """The member whose model a function scores highest for the request; ties go by rank.

    The function is asked for every member and every request, so a request costs as much as all
    of these calls: this is for pools of tens of models, not of thousands. It runs while the router
    waits: it must be quick, and must not call the router. What it raises reaches the caller.

    Args:
        rng: Not used.
        score: The function. Scores are compared with each other only, so any scale will do, and
            ``inf`` is allowed.
    """

    def __init__(self, rng: Random, *, score: Score) -> None:
        del rng
        self._score = score
        self._ranking = Ranking()
        self._last: dict[str, float | None] = {}

    def admit(self, member: Member) -> None:
        """Take in a member that became active."""
        self._ranking.admit(member)

    def withdraw(self, member: Member) -> None:
        """Drop a member that is active no more."""
        self._ranking.withdraw(member)
        self._last.pop(member.model.id, None)

    def choose(
        self, request: CompletionRequest, tried: Collection[str], now: float
    ) -> Member | None:
        """Return the member with the highest score that is not tried.

        Raises:
            TypeError: If the function returns anything but a number or None.
            ValueError: If it returns NaN.
        """
        best: Member | None = None
        highest = 0.0
        for member in self._ranking:
            if member.model.id in tried:
                continue
            score = _checked(self._score(member.model, request), member.model)
            self._last[member.model.id] = score
            if score is not None and (best is None or score > highest):
                best, highest = member, score
        return best

    def chosen(self, member: Member, tried: Collection[str], now: float) -> None:
        """Nothing to note: the scores are asked for anew."""

    def score(self, member: Member, request: CompletionRequest, now: float) -> float | None:
        """Return what a member is compared by: what the function said last, the highest first."""
        return self._last.get(member.model.id)


def _checked(score: object, model: Model) -> float | None:
    if score is None:
        return None
    if not isinstance(score, int | float):
        raise TypeError(
            f"score of {model.id!r} is {score!r}, a {type(score).__name__}; return a number, or"
            " None to leave it out"
        )
    # It compares with nothing, so it would win or lose by its place alone.
    if isinstance(score, float) and isnan(score):
        raise ValueError(f"score of {model.id!r} is {score!r}; return a number, or None")
    return score
