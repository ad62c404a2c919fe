"""Which vectors can be compared: the vector spaces of some models, and one of them to stay in.

Two models of one space stand in for each other; of two spaces, a failover from one to the other
would fill a store with vectors that are near each other by chance.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from capability_router.engine.errors import CapabilityRouterError
from capability_router.engine.model import Model

__all__ = ["VectorSpaceError", "one_space", "spaces_of"]


class VectorSpaceError(CapabilityRouterError):
    """Which vector space is meant is not clear, or no model embeds into it.

    Args:
        capability: What was asked for.
        spaces: Ids of the models of each space that there is.
        wanted: The space that was named; None if none was.
    """

    def __init__(
        self, capability: str, spaces: Mapping[str, Sequence[str]], wanted: str | None
    ) -> None:
        super().__init__(capability)
        self.capability = capability
        self.spaces = spaces
        self.wanted = wanted

    def __str__(self) -> str:
        found = "; ".join(f"{space!r} ({_listed(ids)})" for space, ids in self.spaces.items())
        remedy = f"name one, such as vector_space={next(iter(self.spaces))!r}"
        if self.wanted is None:
            return (
                f"models of {self.capability!r} embed into several vector spaces, and vectors of"
                f" two spaces do not compare: {found}; {remedy}, or give models whose vectors do"
                " compare the same vector_space and dimensions"
            )
        several = any(_bare(space) == self.wanted for space in self.spaces)
        wrong = "has several dimensions" if several else "has no model"
        of = f"at {self.capability!r}"
        return f"vector space {self.wanted!r} {wrong} {of}; there are: {found}; {remedy}"


def spaces_of(models: Iterable[Model]) -> dict[str, list[str]]:
    """Return the ids of the models of each vector space."""
    spaces: dict[str, list[str]] = {}
    for model in models:
        spaces.setdefault(model.embedding_space, []).append(model.id)
    return spaces


def one_space(capability: str, models: Iterable[Model], wanted: str | None) -> str | None:
    """Return the one vector space to embed into.

    Args:
        capability: What is asked for.
        models: The models that may serve it.
        wanted: Name of the space, with or without the dimensions; None if there is only one.

    Returns:
        The whole name of the space; ``wanted`` if there are no models.

    Raises:
        VectorSpaceError: If several are meant, or none of them is.
    """
    spaces = spaces_of(models)
    if not spaces or wanted in spaces:
        return wanted
    meant = [space for space in spaces if wanted is None or _bare(space) == wanted]
    if len(meant) != 1:
        raise VectorSpaceError(capability, spaces, wanted)
    return meant[0]


def _bare(space: str) -> str:
    """Return the name of a space without its dimensions."""
    return space.partition("[")[0]


def _listed(ids: Sequence[str]) -> str:
    shown = ", ".join(ids[:3])
    return f"{shown} and {len(ids) - 3} more" if len(ids) > 3 else shown
