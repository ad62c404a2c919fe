"""One selection, told: who could have served, why others could not, and who was chosen by what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from math import isfinite
from typing import Any

__all__ = ["MOST_CANDIDATES", "Candidate", "Choice", "Standing", "Why"]

MOST_CANDIDATES = 32
"""Members of a pool that a selection tells of; of larger pools it tells how many it left out."""


class Why(StrEnum):
    """How a model came to be chosen."""

    STRATEGY = "strategy"
    """The pool's strategy put it first among the active ones."""
    TRIAL = "trial"
    """It was on standby, its time had come, and this request is the trial."""
    AGAIN = "again"
    """It was asked before in this call, and the pool's ``retry`` asks it once more."""
    HEDGE = "hedge"
    """It was put beside another one that takes long."""
    DEGRADED = "degraded"
    """No pool of the capability had a model; a related node has."""
    PANIC = "panic"
    """Nobody was left, so it was tried before its time."""
    NOBODY = "nobody"
    """Nobody could be chosen."""


class Standing(StrEnum):
    """How a model stands in a pool."""

    ACTIVE = "active"
    STANDBY = "standby"
    ON_TRIAL = "on_trial"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A member of a pool as a selection found it.

    Attributes:
        model: Id of the model.
        provider: Id of its provider.
        state: Whether it was active, on standby, or on trial for another request.
        obstacle: Why it could not serve, for people; None if it could.
        score: What the strategy compared it by; None where it compares nothing but ranks. What is
            better depends on the strategy: the least of seconds, cost, load or requests in
            flight, the highest of weights, learnt scores and a function's.
        rank: Place in the pool's order, 0 is first.
        in_flight: Requests it was busy with, >= 0.
        latency_s: Peak-sensitive moving average of the seconds to an answer; 0 if not known.
        used: The largest share that was taken of its limits, >= 0; 0 if it has none.
    """

    model: str
    provider: str
    state: Standing
    obstacle: str | None = None
    score: float | None = None
    rank: int = 0
    in_flight: int = 0
    latency_s: float = 0.0
    used: float = 0.0

    def as_dict(self) -> dict[str, object]:
        """Return it as JSON-ready values; a score that is not finite is left out."""
        told: dict[str, object] = asdict(self)
        if self.score is not None and not isfinite(self.score):
            told["score"] = None
        return told | {"state": str(self.state)}

    @classmethod
    def from_dict(cls, told: Mapping[str, Any]) -> Candidate:
        """Return what ``as_dict`` told."""
        facts: dict[str, Any] = {**told, "state": Standing(told["state"])}
        return cls(**facts)


@dataclass(frozen=True, slots=True)
class Choice:
    """One selection of a model for one attempt.

    Attributes:
        at: Monotonic seconds.
        node: Full path of the node.
        pool: Name of the pool.
        policy: Short name of the pool's rules, 12 hexadecimal digits; equal rules share it.
        strategy: Name of the pool's strategy.
        model: Id of the model that was chosen; None if nobody was.
        why: How it came to be chosen.
        candidates: Members of the pool at the node, in the order they joined, 32 at most.
        omitted: Members beyond those that were looked at.
        draws: The random numbers that were drawn for it, from 0 up to 1.
    """

    at: float
    node: str
    pool: str
    policy: str
    strategy: str
    model: str | None
    why: Why
    candidates: tuple[Candidate, ...] = ()
    omitted: int = 0
    draws: tuple[float, ...] = ()

    def as_dict(self) -> dict[str, object]:
        """Return it as JSON-ready values."""
        told: dict[str, object] = {
            name: getattr(self, name) for name in ("at", "node", "pool", "policy", "strategy")
        }
        return told | {
            "model": self.model,
            "why": str(self.why),
            "candidates": [candidate.as_dict() for candidate in self.candidates],
            "omitted": self.omitted,
            "draws": list(self.draws),
        }

    @classmethod
    def from_dict(cls, told: Mapping[str, Any]) -> Choice:
        """Return what ``as_dict`` told."""
        facts: dict[str, Any] = {
            **told,
            "why": Why(told["why"]),
            "candidates": tuple(map(Candidate.from_dict, told["candidates"])),
            "draws": tuple(told["draws"]),
        }
        return cls(**facts)
