"""What a plug-in can be told in a configuration: the keyword-only parameters of its factory."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from os import PathLike
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin

from capability_router.engine.selection import StrategyFactory

__all__ = ["Kind", "Parameter", "parameters_of"]


_BY_NAME = (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
_SIMPLE = (bool, int, float, str)
_COLLECTIONS = (dict, list, Mapping, Sequence)


class Kind(Enum):
    """How the value of a parameter is written."""

    PLAIN = auto()
    """As it is."""
    DURATION = auto()
    """With a unit; the factory takes seconds."""
    STRATEGY = auto()
    """As the name of a strategy, or as a mapping with its name and parameters."""
    FUNCTION = auto()
    """As an import path."""
    PATH = auto()
    """As text; a relative one starts at the folder of the configuration."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a factory.

    Attributes:
        name: What the factory calls it.
        kind: How its value is written.
        required: Whether it has no default.
        type: What its value has to be; None where that is not for a configuration to know.
    """

    name: str
    kind: Kind
    required: bool
    type: Any = None


def parameters_of(
    factory: Callable[..., object], *, positional: bool = False
) -> dict[str, Parameter]:
    """Return the parameters of a factory by their keys; none where it does not say.

    The key is the name, without the ``_s`` of a parameter in seconds.

    Args:
        factory: A class or function.
        positional: True to count those in that may be given by position as well.
    """
    kinds = _BY_NAME if positional else _BY_NAME[:1]
    found: dict[str, Parameter] = {}
    for name, parameter in _signature(factory).parameters.items():
        if parameter.kind in kinds:
            kind = _kind(name, parameter.annotation)
            key = name.removesuffix("_s") if kind is Kind.DURATION else name
            required = parameter.default is inspect.Parameter.empty
            known = parameter.annotation if _is_simple(parameter.annotation) else None
            known = str if kind is Kind.PATH else known
            found[key] = Parameter(name, kind, required, known)
    return found


def _signature(factory: Callable[..., object]) -> inspect.Signature:
    try:
        return inspect.signature(factory, eval_str=True)
    # An annotation may name what is there for type checkers only.
    except Exception:  # noqa: BLE001 - foreign code
        return _bare_signature(factory)


def _bare_signature(factory: Callable[..., object]) -> inspect.Signature:
    try:
        return inspect.signature(factory)
    except Exception:  # noqa: BLE001 - foreign code, and builtins that do not tell
        return inspect.Signature()


def _kind(name: str, annotation: object) -> Kind:
    parts: tuple[object, ...] = (annotation, *get_args(annotation))
    if name == "fallback" or StrategyFactory in parts:
        return Kind.STRATEGY
    if any(PathLike in (part, get_origin(part)) for part in parts):
        return Kind.PATH
    if name == "score" or any(Callable in (part, get_origin(part)) for part in parts):
        return Kind.FUNCTION
    return Kind.DURATION if name.endswith("_s") else Kind.PLAIN


def _is_simple(annotation: Any) -> bool:
    """Whether a type is one that YAML has; what else there is, the factory has to look at."""
    if annotation in _SIMPLE:
        return True
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin in (Union, UnionType):
        # Of two types, both would be said to be wrong.
        inner = [part for part in parts if part is not NoneType]
        return len(inner) == 1 and _is_simple(inner[0])
    return origin in _COLLECTIONS and all(_is_simple(part) for part in parts)
