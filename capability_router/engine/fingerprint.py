"""A short name for the rules a pool went by, equal wherever the rules are.

Knows what policies are made of, not what they do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import partial
from hashlib import sha256
from typing import cast

__all__ = ["fingerprint", "short_name"]

_INNER = ("make", "func")
"""Where a factory of ours, and a ``partial``, keeps what it makes."""
_PLAIN = (str, int, float, bool, type(None))


def fingerprint(*rules: object) -> str:
    """Return 12 hexadecimal digits that equal rules share, in every process.

    Functions count by their name: what a function does may change without it.

    Args:
        rules: Policies, preferences and what they are made of.
    """
    return sha256(_spelled(rules).encode()).hexdigest()[:12]


def short_name(make: object) -> str:
    """Return the name of a class or factory in the form of the configuration: ``cost-first``."""
    made = _made(make)
    name = getattr(made, "__name__", type(made).__name__)
    words = "".join(f"-{letter.lower()}" if letter.isupper() else letter for letter in name)
    return words.strip("-").replace("_", "-")


def _made(make: object) -> object:
    """What a factory with parameters makes."""
    inner: object = getattr(make, _INNER[isinstance(make, partial)], None)
    return make if inner is None else _made(inner)


def _spelled(value: object) -> str:
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, _PLAIN):
        return repr(value)
    if isinstance(value, Mapping):
        pairs = cast("Mapping[object, object]", value).items()
        return _listed(sorted(f"{_spelled(key)}:{_spelled(each)}" for key, each in pairs))
    if isinstance(value, list | tuple):
        return _listed(_spelled(each) for each in cast("Iterable[object]", value))
    if isinstance(value, set | frozenset):
        return _listed(sorted(_spelled(each) for each in cast("Iterable[object]", value)))
    if isinstance(value, partial):
        return f"{_spelled(value.func)}({_spelled(value.args)}{_spelled(value.keywords)})"
    return _object_spelled(value)


def _object_spelled(value: object) -> str:
    if is_dataclass(value) and not isinstance(value, type):
        compared = {each.name: getattr(value, each.name) for each in fields(value) if each.compare}
        return f"{_named(type(value))}{_spelled(compared)}"
    if isinstance(value, type) or (callable(value) and hasattr(value, "__qualname__")):
        return _named(value)
    return f"{_named(type(value))}{_spelled(getattr(value, '__dict__', {}))}"


def _named(made: type | Callable[..., object]) -> str:
    return f"{made.__module__}.{made.__qualname__}"


def _listed(parts: Iterable[str]) -> str:
    return f"[{','.join(parts)}]"
