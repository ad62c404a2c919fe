"""A source of chance that remembers what was drawn, so that a decision can tell of it."""

from __future__ import annotations

from random import Random

__all__ = ["Chance", "draws_of"]

_MOST = 32


class Chance(Random):
    """Draws as ``random.Random`` with the same seed does.

    Attributes:
        drawn: The first 32 numbers that ``random`` returned since somebody cleared the list.
    """

    def __init__(self, seed: int | None = None) -> None:
        self.drawn: list[float] = []
        super().__init__(seed)

    def random(self) -> float:
        """Return a number from 0 up to 1, without 1."""
        number = super().random()
        if len(self.drawn) < _MOST:
            self.drawn.append(number)
        return number

    def getrandbits(self, k: int, /) -> int:
        """Return so many random bits; not remembered."""
        # Stated because whole numbers would be drawn otherwise, and so other ones, in a subclass
        # that has a ``random`` of its own.
        return super().getrandbits(k)


def draws_of(rng: Random) -> list[float]:
    """Return the list in which a source of chance notes what is drawn; of others an empty one."""
    return rng.drawn if isinstance(rng, Chance) else []
