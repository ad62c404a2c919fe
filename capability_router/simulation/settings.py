"""Points in the space of a pool's parameters, by dotted names such as ``retry.max_attempts``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from itertools import product
from math import prod
from random import Random
from typing import Any

from capability_router.engine.rotation import RotationPolicy
from capability_router.registry import strategy

__all__ = ["Settings", "Space", "changed", "sampled"]

Space = Mapping[str, Sequence[object]]
"""For each parameter the values to try."""

Settings = Mapping[str, object]
"""For each parameter one value."""


def changed(policy: RotationPolicy, settings: Settings) -> RotationPolicy:
    """Return a policy with some parameters changed.

    Args:
        policy: The policy.
        settings: New values by the names of its fields; those of what is in a field with a dot
            between. A strategy may be named.

    Raises:
        ValueError: If there is no such parameter, or the value is not allowed.
    """
    known = dict(settings)
    selection = known.get("selection")
    if isinstance(selection, str):
        known["selection"] = strategy(selection)
    changed_policy: RotationPolicy = _changed(policy, "", known)
    return changed_policy


def sampled(space: Space, most: int, rng: Random) -> list[Settings]:
    """Return points of a space: all of them, or as many as wanted by chance, each once.

    Args:
        space: The values to try.
        most: How many points at most, >= 1.
        rng: Source of chance.

    Raises:
        ValueError: If a parameter has no value to try.
    """
    for name, values in space.items():
        if not values:
            raise ValueError(f"space {name!r} must name at least one value")
    size = prod(len(values) for values in space.values())
    if size <= most:
        return [dict(zip(space, point, strict=True)) for point in product(*space.values())]
    return [_point(space, number) for number in sorted(rng.sample(range(size), most))]


def _point(space: Space, number: int) -> Settings:
    """Return the point with a number; they are counted as the hands of a clock turn."""
    point: dict[str, object] = {}
    for name, values in space.items():
        number, place = divmod(number, len(values))
        point[name] = values[place]
    return point


def _changed(holder: Any, place: str, settings: Settings) -> Any:
    """Change all parameters of one part at once, for one may only be allowed with another."""
    known = _parameters(holder)
    parts: dict[str, dict[str, object]] = {}
    changes: dict[str, object] = {}
    for name, value in settings.items():
        head, _, rest = name.partition(".")
        if head not in known:
            there = f"has {', '.join(known)}" if known else "has no parameters; set it as a whole"
            raise ValueError(
                f"parameter {place + name!r}: {type(holder).__name__} has no {head!r}; it {there}"
            )
        if rest:
            parts.setdefault(head, {})[rest] = value
        else:
            changes[head] = value
    for head, within in parts.items():
        part = changes.get(head, getattr(holder, head))
        changes[head] = _changed(part, f"{place}{head}.", within)
    try:
        made: object = replace(holder, **changes)
    except (TypeError, ValueError) as error:
        told = ", ".join(f"{place}{name}={value}" for name, value in settings.items())
        raise ValueError(f"parameters {told}: {error}") from error
    return made


def _parameters(part: object) -> list[str]:
    return [each.name for each in fields(part)] if is_dataclass(part) else []
