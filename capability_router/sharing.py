"""One object for each file of this process, for as long as somebody holds it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from threading import RLock
from typing import Generic, TypeVar
from weakref import WeakValueDictionary

__all__ = ["Shared"]

T = TypeVar("T")


class Shared(Generic[T]):
    """Objects by the absolute path of their file; holds none of them alive."""

    def __init__(self) -> None:
        self._by_path: WeakValueDictionary[Path, T] = WeakValueDictionary()
        self._guard = RLock()

    def of(self, path: Path, make: Callable[[], T]) -> T:
        """Return the object of a file; one of several threads makes it, and is to ``offer`` it."""
        with self._guard:
            return self._by_path.get(path) or make()

    def offer(self, path: Path, made: T) -> None:
        """Let an object be that of a file, if there is none."""
        with self._guard:
            self._by_path.setdefault(path, made)
