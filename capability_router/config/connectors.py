"""The connectors of ``observability``: found, and told their parameters, but not made yet.

To make one may open a file or a connection, and a configuration is also read to be checked only.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from capability_router import registry
from capability_router.config.document import Document, KeyPath
from capability_router.config.finding import Finder, Name
from capability_router.config.parameters import Kind, Parameter, parameters_of
from capability_router.config.wording import refuse
from capability_router.engine.errors import ConfigurationError
from capability_router.engine.observing import ConnectorSpec, ObservabilityConnector

__all__ = ["found_connectors"]

_AT = "observability"


def found_connectors(document: Document) -> tuple[ConnectorSpec, ...]:
    """Find all connectors that a document names; what is wrong goes to the findings."""
    told = document.at((_AT,))
    if told is None:
        return ()
    if not isinstance(told, list):
        refuse(document, (_AT,), "list_type")
        return ()
    finder = _ConnectorFinder(document)
    found: list[ConnectorSpec] = []
    for place in range(len(cast("list[object]", told))):
        spec = finder.connector((_AT, place))
        if spec is not None and spec in found:
            document.blame((_AT, place), "this connector stands here twice; remove one of them")
        elif spec is not None:
            found.append(spec)
    return tuple(found)


class _ConnectorFinder(Finder):
    """Finds connectors, each named by a text, or by the one key of a mapping."""

    def connector(self, path: KeyPath) -> ConnectorSpec | None:
        """Return what makes the connector that is named at a path."""
        name = self._name(path)
        if name is None:
            refuse(self._document, path, "connector_type")
            return None
        factory = self.named(registry.OBSERVABILITY, name)
        given = self._given(name)
        if factory is None or given is None:
            return None
        all_of_it = parameters_of(factory, positional=True)
        offered = {key: each for key, each in all_of_it.items() if _can_be_written(each)}
        values = self.told(offered, given, name, name.path)
        if values is None:
            return None
        return ConnectorSpec(
            cast("Callable[..., ObservabilityConnector]", factory),
            values,
            clocked="clock" in all_of_it,
            refused=lambda error: self._refusal(error, given, name),
        )

    def blame_missing(self, path: KeyPath, name: Name) -> None:
        """Note that a parameter is missing, and where it would go."""
        remedy = f"; write {{{name.written}: {{{path[-1]}: ...}}}}"
        name.blame(self.missing(path, name) + remedy)

    def _name(self, path: KeyPath) -> Name | None:
        value = self._document.at(path)
        if isinstance(value, str):
            return Name(self._document, path)
        keys = list(cast("dict[str, object]", value)) if isinstance(value, dict) else []
        return Name(self._document, (*path, keys[0]), is_key=True) if len(keys) == 1 else None

    def _given(self, name: Name) -> list[str] | None:
        """The keys of what stands below a name; None if that is no mapping."""
        value = self._document.at(name.path) if name.is_key else None
        if value is None:
            return []
        if not isinstance(value, dict):
            refuse(self._document, name.path, "dict_type")
            return None
        return list(cast("dict[str, object]", value))

    def _refusal(self, error: Exception, given: list[str], name: Name) -> ConfigurationError:
        """Tell why a connector cannot be made, at the parameter that its message begins with."""
        key, why = self.key_of(error, given)
        path = name.path if key is None else (*name.path, key)
        hidden = any(at[: len(name.path)] == name.path for at in self._document.references)
        if hidden and not isinstance(error, ImportError):
            why = "this cannot be made with what a reference stands for"
        elif key is None:
            why = f"this connector cannot be made: {why}"
        place = (
            self._document.key_problem if name.is_key and key is None else self._document.problem
        )
        return ConfigurationError([place(path, why)])


def _can_be_written(parameter: Parameter) -> bool:
    """Whether a configuration can say it: other objects are for code to hand over."""
    return parameter.kind is Kind.DURATION or parameter.type is not None
