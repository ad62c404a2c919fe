"""Plug-ins of somebody else, as the documents of these tests name them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random

from capability_router.engine.decision import Decision
from capability_router.engine.events import RoutingEvent
from capability_router.engine.model import Model
from capability_router.engine.request import CompletionRequest
from capability_router.engine.selection import InOrder, StrategyFactory


class Tuned(InOrder):
    """A strategy with parameters of every kind."""

    def __init__(
        self,
        rng: Random,
        *,
        weights: Mapping[str, float],
        share: float = 0.5,
        slow_start_s: float = 30.0,
        only: frozenset[str] = frozenset(),
        other: StrategyFactory | None = None,
        score: Callable[[Model], float] | None = None,
    ) -> None:
        super().__init__(rng)
        if not 0 <= share <= 1:
            raise ValueError(f"share {share} must be between 0 and 1")
        if slow_start_s > 3600:
            raise ValueError(f"slow_start_s {slow_start_s} must be at most 3600")
        if not weights:
            raise ValueError("there must be a weight")
        self.known = only | set(weights)
        self.weights, self.share, self.slow_start_s = weights, share, slow_start_s
        self.other, self.score = other, score


def wants_small(model: Model) -> bool:
    """Take models with small in their name."""
    return "small" in model.name


def tokens_left(model: Model, request: CompletionRequest) -> float:
    """Score by the room that a request leaves in the context window."""
    return (model.context_window or 0) - request.input_tokens


def broken(rng: Random) -> InOrder:
    """Fail as foreign code does."""
    del rng
    raise RuntimeError("no network")


def nothing(rng: Random) -> str:
    """Make something that is no strategy."""
    return str(rng)


class Kept:
    """A connector that keeps what it is told."""

    def __init__(self, most: int = 10, *, every_s: float = 1.0, label: str | None = None) -> None:
        if most < 1:
            raise ValueError(f"most {most} must not be below 1")
        self.most, self.every_s, self.label = most, every_s, label
        self.items: list[RoutingEvent | Decision] = []
        self.is_closed = False
        made.append(self)

    def record(self, item: RoutingEvent | Decision) -> None:
        self.items.append(item)

    def close(self) -> None:
        self.is_closed = True


made: list[Kept] = []
"""Every connector that was made; a test looks at its own by their label."""


def deaf() -> object:
    """Fail to open, as foreign code does."""
    raise RuntimeError("no network")
