"""Packages that only some connectors need, imported when one of those is made."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

__all__ = ["optional"]


def optional(module: str, *, extra: str, user: str) -> ModuleType:
    """Import a module that belongs to an extra.

    Args:
        module: Its name.
        extra: The extra of this distribution that brings it.
        user: What needs it, as the message names it.

    Raises:
        ImportError: If it is not installed; the message says how to install it.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        raise ImportError(
            f"{user} needs {module.partition('.')[0]}, which is not installed:"
            f" pip install 'capability-router[{extra}]'",
            name=error.name,
        ) from error
