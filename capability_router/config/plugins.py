"""Strategies and functions that a configuration names: found, told their parameters, tried once.

Works on the plain document, so that one wrong section does not hide the mistakes of another.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random
from typing import cast

from capability_router import registry
from capability_router.config.document import Document, KeyPath, listed, quoted
from capability_router.config.durations import parse_duration
from capability_router.config.parameters import Kind, Parameter, parameters_of
from capability_router.config.wording import is_of_type, refuse
from capability_router.engine.errors import nearest
from capability_router.engine.model import Model
from capability_router.engine.selection import (
    SelectionStrategy,
    StrategyFactory,
    WithParameters,
)

__all__ = ["Plugins", "found_plugins"]

Plugin = Callable[..., object]

_FUNCTIONS = "functions"


@dataclass(frozen=True, slots=True)
class Plugins:
    """What the pools of a document name, by pool; where it names none, or a wrong one, is none.

    Attributes:
        strategies: What makes the strategy, its parameters bound.
        selects: Which models a pool takes.
    """

    strategies: Mapping[str, StrategyFactory]
    selects: Mapping[str, Callable[[Model], bool]]


def found_plugins(document: Document) -> Plugins:
    """Find all that the pools of a document name; what is wrong goes to the findings."""
    finder = _Finder(document)
    strategies: dict[str, StrategyFactory] = {}
    selects: dict[str, Callable[[Model], bool]] = {}
    for pool in document.section("pools"):
        strategy = finder.strategy(("pools", pool, "strategy"))
        if strategy is not None:
            strategies[pool] = cast("StrategyFactory", strategy)
        select = finder.function(("pools", pool, "select"))
        if select is not None:
            selects[pool] = cast("Callable[[Model], bool]", select)
    return Plugins(strategies, selects)


class _Finder:
    """Finds what stands at a path; None where nothing stands there, or what was told as wrong."""

    def __init__(self, document: Document) -> None:
        self._document = document

    def strategy(self, path: KeyPath) -> Plugin | None:
        """Return what makes the strategy that is named at a path, its parameters bound."""
        value = self._document.at(path)
        if value is None:
            return None
        if not isinstance(value, (str, dict)):
            refuse(self._document, path, "strategy_type")
            return None
        named_at = (*path, "name") if isinstance(value, dict) else path
        factory = self._named(named_at)
        if factory is None:
            return None
        make = self._told(factory, named_at, path)
        return make if make is not None and self._works(make, path) else None

    def function(self, path: KeyPath) -> Plugin | None:
        """Return the function whose import path stands at a path."""
        spec = self._document.at(path)
        if spec is None:
            return None
        if not isinstance(spec, str) or ":" not in spec:
            refuse(self._document, path, "import_path")
            return None
        return self._imported(_FUNCTIONS, spec, path) if self._may_import(path) else None

    def _named(self, path: KeyPath) -> Plugin | None:
        spec, known = self._document.at(path), registry.names(registry.STRATEGIES)
        if spec is None:
            refuse(self._document, path, "nothing" if path in self._document.keys else "missing")
        elif not isinstance(spec, str):
            refuse(self._document, path, "string_type")
        elif spec in known:
            return self._imported(registry.STRATEGIES, spec, path)
        elif ":" not in spec:
            near = nearest(spec, known, most=1)
            shown = quoted(self._document.written(path))
            message = f"unknown strategy {shown}; known: {listed(known)}"
            self._document.blame(path, message, near[0] if near else None)
        elif self._may_import(path, f"; or use one of {listed(known)}"):
            return self._imported(registry.STRATEGIES, spec, path)
        return None

    def _may_import(self, path: KeyPath, remedy: str = "") -> bool:
        allowed = self._document.at(("allow_imports",)) is True
        if not allowed:
            message = "an import path runs code, so it needs 'allow_imports: true' at the top"
            self._document.blame(path, message + remedy)
        return allowed

    def _imported(self, kind: str, spec: str, path: KeyPath) -> Plugin | None:
        try:
            return registry.resolve(kind, spec)
        except (ValueError, ImportError) as error:
            hidden = path in self._document.references
            self._document.blame(path, "this cannot be imported" if hidden else str(error))
            return None

    def _told(self, factory: Plugin, named_at: KeyPath, path: KeyPath) -> Plugin | None:
        """Bind the parameters that stand beside the name of a factory."""
        offered, given = parameters_of(factory), self._given(path)
        unknown = [key for key in given if key not in offered]
        missing = [key for key, each in offered.items() if each.required and key not in given]
        for key in unknown:
            self._blame_unknown((*path, key), named_at, list(offered))
        for key in missing:
            self._blame_missing((*path, key), named_at)
        values = {
            offered[key].name: self._value(offered[key], (*path, key))
            for key in given
            if key in offered
        }
        if self._document.at(named_at) == "weighted":
            self._check_weights((*path, "weights"))
        if unknown or missing or any(value is None for value in values.values()):
            return None
        make = cast("Callable[..., SelectionStrategy]", factory)
        return WithParameters(make, values) if values else factory

    def _given(self, path: KeyPath) -> list[str]:
        """The keys that stand beside the name of a strategy."""
        value = self._document.at(path)
        keys = cast("dict[str, object]", value) if isinstance(value, dict) else {}
        return [key for key in keys if key != "name"]

    def _value(self, parameter: Parameter, path: KeyPath) -> object:
        value = self._document.at(path)
        if value is None:
            refuse(self._document, path, "nothing")
            return None
        match parameter.kind:
            case Kind.STRATEGY:
                return self.strategy(path)
            case Kind.FUNCTION:
                return self.function(path)
            case Kind.DURATION:
                return self._seconds(path, value)
            case Kind.PLAIN:
                return value if self._is_fit(parameter, path) else None

    def _is_fit(self, parameter: Parameter, path: KeyPath) -> bool:
        return parameter.type is None or is_of_type(self._document, path, parameter.type)

    def _seconds(self, path: KeyPath, value: object) -> float | None:
        try:
            if isinstance(value, str):
                return parse_duration(value)
        except ValueError:
            pass
        refuse(self._document, path, "duration_type")
        return None

    def _check_weights(self, path: KeyPath) -> None:
        if self._document.is_broken("models") or self._document.is_broken("providers"):
            return
        known = [*self._document.section("models"), *self._document.section("providers")]
        for name in self._given(path):
            if name not in known:
                near = nearest(name, known, most=1)
                message = f"{quoted(name)} is declared neither under models nor under providers"
                self._document.blame_key((*path, name), message, near[0] if near else None)

    def _blame_unknown(self, path: KeyPath, named_at: KeyPath, offered: list[str]) -> None:
        name, key = quoted(self._document.written(named_at)), str(path[-1])
        near = nearest(key, offered, most=1)
        message = f"unknown parameter {quoted(key)} of {name}; allowed: {listed(offered)}"
        self._document.blame_key(path, message, near[0] if near else None)

    def _blame_missing(self, path: KeyPath, named_at: KeyPath) -> None:
        name, key = self._document.written(named_at), str(path[-1])
        message = f"the parameter {quoted(key)} of {quoted(name)} is missing"
        if named_at == path[:-1]:
            message += f"; write {{name: {name}, {key}: ...}}"
            self._document.blame(named_at, message)
        else:
            self._document.blame_key(path, message)

    def _works(self, make: Plugin, path: KeyPath) -> bool:
        """Make one strategy, to see that it can be made."""
        try:
            made = make(Random(0))
        # Whatever it raises is told with its place.
        except Exception as error:  # noqa: BLE001 - foreign code
            self._blame_maker(path, error)
            return False
        lacking = [
            name for name in registry.STRATEGY_METHODS if not callable(getattr(made, name, None))
        ]
        if lacking:
            message = f"this makes no strategy but a {type(made).__name__!r}, which lacks"
            self._document.blame(path, f"{message} {', '.join(lacking)}")
        return not lacking

    def _blame_maker(self, path: KeyPath, error: Exception) -> None:
        """Tell why a strategy cannot be made, at the parameter that its message begins with."""
        why = str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
        given, first = self._given(path), why.partition(" ")[0]
        key = first if first in given else first.removesuffix("_s")
        if any(reference[: len(path)] == path for reference in self._document.references):
            self._document.blame(path, "this cannot be made with what a reference stands for")
        elif key in given:
            self._document.blame((*path, key), why)
        else:
            self._document.blame(path, f"this strategy cannot be made: {why}")
