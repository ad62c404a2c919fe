"""Chance that belongs to what happens, and to no one who looks.

What model ``m`` does with request ``i`` is a function of the seed, ``m`` and ``i``, so that two
policies that are compared live in the same world ("common random numbers"): what differs is theirs.
"""

from __future__ import annotations

from hashlib import blake2b
from random import Random
from struct import Struct

__all__ = ["Chances", "generator"]

_PLACE = Struct("<QQ")
_FOUR = Struct("<4Q")
_TO_SHARE = 2.0**-52


class Chances:
    """Four independent shares, each above 0 and below 1, for every numbered place.

    Args:
        seed: Seed of the world.
        what: What they are for, for instance the id of a model.
    """

    __slots__ = ("_hash",)

    def __init__(self, seed: int, what: str) -> None:
        self._hash = blake2b(f"{seed}:{what}".encode(), digest_size=_FOUR.size)

    def at(self, number: int, again: int = 0) -> tuple[float, float, float, float]:
        """Return the four of a place.

        Args:
            number: Which one, >= 0, for instance the number of a request.
            again: Which time at this place, >= 0.
        """
        place = self._hash.copy()
        place.update(_PLACE.pack(number, again))
        a, b, c, d = _FOUR.unpack(place.digest())
        return (
            ((a >> 12) + 0.5) * _TO_SHARE,
            ((b >> 12) + 0.5) * _TO_SHARE,
            ((c >> 12) + 0.5) * _TO_SHARE,
            ((d >> 12) + 0.5) * _TO_SHARE,
        )


def generator(seed: int, what: str) -> Random:
    """Return a source of chance of its own for what is drawn one after the other."""
    return Random(f"{seed}:{what}")
