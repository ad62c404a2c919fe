"""The ranges of numbers that connectors are given."""

from __future__ import annotations

__all__ = ["above", "at_least"]


def at_least(name: str, value: float, least: float) -> None:
    """Refuse a number that is too small.

    Raises:
        ValueError: If it is.
    """
    if not value >= least:
        raise ValueError(f"{name} {value} must not be below {least}")


def above(name: str, value: float, bound: float) -> None:
    """Refuse a number that is too small, or just at the bound.

    Raises:
        ValueError: If it is.
    """
    if not value > bound:
        raise ValueError(f"{name} {value} must be above {bound}")
