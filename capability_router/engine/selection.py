"""Third seam of a rotation policy: which of the active models serves?

A strategy keeps its own ordering of the active models and changes it when they come and go, so
that choosing need not look at all of them.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator
from typing import Protocol

from capability_router.engine.model import Model
from capability_router.engine.request import CompletionRequest

__all__ = ["Priority", "Rank", "RoundRobin", "SelectionStrategy", "StickUntilFailure"]

Rank = tuple[int, int, int]
"""Place in the pool's model list, in its provider list, and in order of joining; low is first."""

Fits = Callable[[Model], bool]


class SelectionStrategy(Protocol):
    """The order in which active models serve; one object per pool, used by one thread at a time."""

    def admit(self, model: Model, rank: Rank) -> None:
        """Take in a model that became active."""
        ...

    def withdraw(self, model: Model) -> None:
        """Drop a model that is active no more."""
        ...

    def choose(self, request: CompletionRequest, fits: Fits) -> Model | None:
        """Return the model to serve, or None if none fits; changes nothing.

        Args:
            request: What is asked for.
            fits: Whether a model may serve this attempt.
        """
        ...

    def chosen(self, model: Model, tried: Collection[str]) -> None:
        """Note that a model was handed out.

        Args:
            model: The one that ``choose`` returned.
            tried: Ids of models that failed in this call before.
        """
        ...


class _Ranking:
    """Models in order of rank; each change costs one binary search and one shift of pointers."""

    def __init__(self) -> None:
        self._order: list[tuple[Rank, str]] = []
        self._members: dict[str, tuple[Rank, Model]] = {}

    def add(self, model: Model, rank: Rank) -> None:
        self._members[model.id] = (rank, model)
        insort(self._order, (rank, model.id))

    def discard(self, model: Model) -> None:
        rank, _ = self._members.pop(model.id)
        del self._order[bisect_left(self._order, (rank, model.id))]

    def get(self, model_id: str | None) -> Model | None:
        found = self._members.get(model_id or "")
        return found[1] if found else None

    def __iter__(self) -> Iterator[Model]:
        return (self._members[model_id][1] for _, model_id in self._order)


class Priority:
    """Always the best-ranked model that fits."""

    def __init__(self) -> None:
        self._ranking = _Ranking()

    def admit(self, model: Model, rank: Rank) -> None:
        """Take in a model that became active."""
        self._ranking.add(model, rank)

    def withdraw(self, model: Model) -> None:
        """Drop a model that is active no more."""
        self._ranking.discard(model)

    def choose(self, request: CompletionRequest, fits: Fits) -> Model | None:
        """Return the best-ranked model that fits."""
        del request
        return next(filter(fits, self._ranking), None)

    def chosen(self, model: Model, tried: Collection[str]) -> None:
        """Nothing to note: the order does not depend on use."""


class StickUntilFailure(Priority):
    """The same model until it fails, then the best-ranked other; a return changes nothing."""

    def __init__(self) -> None:
        super().__init__()
        self._current: str | None = None

    def choose(self, request: CompletionRequest, fits: Fits) -> Model | None:
        """Return the current model if it fits, else the best-ranked that does."""
        current = self._ranking.get(self._current)
        if current is not None and fits(current):
            return current
        return super().choose(request, fits)

    def chosen(self, model: Model, tried: Collection[str]) -> None:
        """Move on only where the current model has failed or left.

        A request that the current model could not take, for instance for want of a feature, is
        served by another without moving everyone else.
        """
        gone = self._ranking.get(self._current) is None
        if gone or self._current in tried:
            self._current = model.id


class RoundRobin:
    """Each model in turn."""

    def __init__(self) -> None:
        # The first key is next. A plain dict would do, but finding its first key slows down with
        # every key that was taken from its front.
        self._queue: OrderedDict[str, Model] = OrderedDict()

    def admit(self, model: Model, rank: Rank) -> None:
        """Take in a model that became active, at the end of the queue."""
        del rank
        self._queue[model.id] = model

    def withdraw(self, model: Model) -> None:
        """Drop a model that is active no more."""
        del self._queue[model.id]

    def choose(self, request: CompletionRequest, fits: Fits) -> Model | None:
        """Return the model that has waited longest among those that fit."""
        del request
        return next(filter(fits, self._queue.values()), None)

    def chosen(self, model: Model, tried: Collection[str]) -> None:
        """Send the model to the end of the queue, if it is still in it."""
        del tried
        if model.id in self._queue:
            self._queue.move_to_end(model.id)
