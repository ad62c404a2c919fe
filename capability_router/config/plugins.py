"""Strategies and functions that a configuration names: found, told their parameters, tried once.

Works on the plain document, so that one wrong section does not hide the mistakes of another.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random
from typing import cast

from capability_router import registry
from capability_router.config.document import Document, KeyPath, quoted
from capability_router.config.finding import Finder, Name, Plugin
from capability_router.config.parameters import Kind, Parameter, parameters_of
from capability_router.config.wording import refuse
from capability_router.engine.errors import nearest
from capability_router.engine.model import Model
from capability_router.engine.selection import (
    SelectionStrategy,
    StrategyFactory,
    WithParameters,
)

__all__ = ["Plugins", "found_plugins"]


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
    finder = _StrategyFinder(document)
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


class _StrategyFinder(Finder):
    """Finds strategies, which may have others as parameters."""

    def strategy(self, path: KeyPath) -> Plugin | None:
        """Return what makes the strategy that is named at a path, its parameters bound."""
        value = self._document.at(path)
        if value is None:
            return None
        if not isinstance(value, (str, dict)):
            refuse(self._document, path, "strategy_type")
            return None
        name = Name(self._document, (*path, "name") if isinstance(value, dict) else path)
        factory = self._factory(name)
        make = None if factory is None else self._bound(factory, name, path)
        return make if make is not None and self._works(make, path) else None

    def value(self, parameter: Parameter, path: KeyPath) -> object:
        """Return the argument that stands at a path."""
        if parameter.kind is Kind.STRATEGY and self._document.at(path) is not None:
            return self.strategy(path)
        return super().value(parameter, path)

    def blame_missing(self, path: KeyPath, name: Name) -> None:
        """Note that a parameter is missing, and where it would go beside a bare name."""
        if name.path == path[:-1]:
            remedy = f"; write {{name: {name.written}, {path[-1]}: ...}}"
            name.blame(self.missing(path, name) + remedy)
        else:
            super().blame_missing(path, name)

    def _factory(self, name: Name) -> Plugin | None:
        if isinstance(name.text, str):
            return self.named(registry.STRATEGIES, name)
        if name.text is None:
            wrong = "nothing" if name.path in self._document.keys else "missing"
            refuse(self._document, name.path, wrong)
        else:
            refuse(self._document, name.path, "string_type")
        return None

    def _bound(self, factory: Plugin, name: Name, path: KeyPath) -> Plugin | None:
        """Bind the parameters that stand beside the name of a factory."""
        values = self.told(parameters_of(factory), self._given(path), name, path)
        if name.text == "weighted":
            self._check_weights((*path, "weights"))
        if not values:
            return None if values is None else factory
        return WithParameters(cast("Callable[..., SelectionStrategy]", factory), values)

    def _given(self, path: KeyPath) -> list[str]:
        """The keys that stand beside the name of a strategy."""
        value = self._document.at(path)
        keys = cast("dict[str, object]", value) if isinstance(value, dict) else {}
        return [key for key in keys if key != "name"]

    def _check_weights(self, path: KeyPath) -> None:
        if self._document.is_broken("models") or self._document.is_broken("providers"):
            return
        known = [*self._document.section("models"), *self._document.section("providers")]
        for name in self._given(path):
            if name not in known:
                near = nearest(name, known, most=1)
                message = f"{quoted(name)} is declared neither under models nor under providers"
                self._document.blame_key((*path, name), message, near[0] if near else None)

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
        key, why = self.key_of(error, self._given(path))
        if any(reference[: len(path)] == path for reference in self._document.references):
            self._document.blame(path, "this cannot be made with what a reference stands for")
        elif key is not None:
            self._document.blame((*path, key), why)
        else:
            self._document.blame(path, f"this strategy cannot be made: {why}")
