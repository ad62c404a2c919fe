"""What is said where a package is missing that only some connectors need."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

__all__ = ["needing"]


@contextmanager
def needing(package: str, *, extra: str, user: str) -> Generator[None]:
    """Surround the import of what belongs to an extra.

    Args:
        package: Its name, as it is installed.
        extra: The extra of this distribution that brings it.
        user: What needs it, as the message names it.

    Raises:
        ImportError: If it is not installed; the message says how to install it.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise ImportError(
            f"{user} needs {package}, which is not installed:"
            f" pip install 'capability-router[{extra}]'",
            name=error.name,
        ) from error
