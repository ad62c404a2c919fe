"""How a notebook shows things, as the engine sees it: a function that is handed in.

What a notebook asks of an object has to be a method of its class, while tables and markup are no
business of the engine. So a class only says that it is ``Displayed``; the package lends the
function that knows how, as it lends the clock. Without one there is plain text.
"""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["Bundle", "Displayed", "lend_display"]

Bundle = dict[str, str]
"""One object in several forms, by media type."""

_lent: list[Callable[[object], Bundle]] = []


def lend_display(bundle: Callable[[object], Bundle]) -> None:
    """Set what turns objects into their forms; the package does it once."""
    _lent[:] = [bundle]


class Displayed:
    """Something that a notebook shows by more than its ``repr``."""

    __slots__ = ()

    def _repr_mimebundle_(self, **_: object) -> Bundle:
        return _lent[0](self) if _lent else {"text/plain": str(self)}
