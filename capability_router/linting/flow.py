"""How much can flow through a network; knows nothing of models and pools."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from math import inf

__all__ = ["largest_flow"]

_Left = dict[str, dict[str, float]]


def largest_flow(capacities: Mapping[tuple[str, str], float], source: str, sink: str) -> float:
    """Return the most that can flow from a source to a sink.

    By the shortest paths that have something left, one after the other (Edmonds and Karp, 1972).

    Args:
        capacities: What each edge lets through, >= 0, by where it begins and ends; may be ``inf``.
        source: Where the flow begins.
        sink: Where it ends.

    Returns:
        The flow, >= 0; ``inf`` if some path has no limit.
    """
    left: _Left = {}
    for (begin, end), capacity in capacities.items():
        left.setdefault(begin, {})[end] = capacity
        left.setdefault(end, {}).setdefault(begin, 0.0)
    total = 0.0
    while path := _shortest_path(left, source, sink):
        amount = min(left[begin][end] for begin, end in path)
        if amount == inf:
            return inf
        for begin, end in path:
            left[begin][end] -= amount
            left[end][begin] += amount
        total += amount
    return total


def _shortest_path(left: _Left, source: str, sink: str) -> list[tuple[str, str]]:
    """Return the edges of a path on which something is left; none if there is no such path."""
    came_from = {source: source}
    waiting = deque([source])
    while waiting and sink not in came_from:
        begin = waiting.popleft()
        for end, amount in left.get(begin, {}).items():
            if amount > 0 and end not in came_from:
                came_from[end] = begin
                waiting.append(end)
    path: list[tuple[str, str]] = []
    end = sink
    while end in came_from and end != source:
        path.append((came_from[end], end))
        end = came_from[end]
    return path
