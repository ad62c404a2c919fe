"""What a configuration names and tells parameters: found by its name, each value checked.

Works on the plain document, so that one wrong section does not hide the mistakes of another.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from capability_router import registry
from capability_router.config.document import Document, KeyPath, listed, quoted
from capability_router.config.durations import parse_duration
from capability_router.config.parameters import Kind, Parameter
from capability_router.config.wording import is_of_type, refuse
from capability_router.engine.errors import nearest

__all__ = ["Finder", "Name", "Plugin"]

Plugin = Callable[..., object]

_FUNCTIONS = "functions"
_CALLED = {registry.STRATEGIES: "strategy", registry.OBSERVABILITY: "connector"}


@dataclass(frozen=True, slots=True)
class Name:
    """The name of a plug-in, where it stands.

    Attributes:
        document: The document.
        path: Where it stands.
        is_key: Whether it is the last key of the path, and not the value there.
    """

    document: Document
    path: KeyPath
    is_key: bool = False

    @property
    def text(self) -> object:
        """The name, or what else stands there."""
        return self.path[-1] if self.is_key else self.document.at(self.path)

    @property
    def written(self) -> str:
        """The name as it was written, with its references."""
        return str(self.path[-1]) if self.is_key else self.document.written(self.path)

    @property
    def is_hidden(self) -> bool:
        """Whether a reference stands for it."""
        return not self.is_key and self.path in self.document.references

    def blame(self, message: str, near: str | None = None) -> None:
        """Note a problem with it."""
        blame = self.document.blame_key if self.is_key else self.document.blame
        blame(self.path, message, near)


class Finder:
    """Finds what stands at a path; None where nothing stands there, or what was told as wrong."""

    def __init__(self, document: Document) -> None:
        self._document = document

    def function(self, path: KeyPath) -> Plugin | None:
        """Return the function whose import path stands at a path."""
        spec = self._document.at(path)
        if spec is None:
            return None
        if not isinstance(spec, str) or ":" not in spec:
            refuse(self._document, path, "import_path")
            return None
        name = Name(self._document, path)
        return self._imported(_FUNCTIONS, spec, name) if self._may_import(name) else None

    def named(self, kind: str, name: Name) -> Plugin | None:
        """Return the plug-in of a kind that has a name, which has to be a text."""
        spec, known = cast("str", name.text), registry.names(kind)
        if spec in known:
            return self._imported(kind, spec, name)
        if ":" not in spec:
            near = nearest(spec, known, most=1)
            message = f"unknown {_CALLED[kind]} {quoted(name.written)}; known: {listed(known)}"
            name.blame(message, near[0] if near else None)
        elif self._may_import(name, f"; or use one of {listed(known)}"):
            return self._imported(kind, spec, name)
        return None

    def told(
        self, offered: Mapping[str, Parameter], given: list[str], name: Name, path: KeyPath
    ) -> dict[str, object] | None:
        """Return the arguments that stand at a path; None if something is wrong with them.

        Args:
            offered: What the plug-in takes, by key.
            given: The keys that stand there.
            name: Whose arguments they are.
            path: Where they stand.
        """
        unknown = [key for key in given if key not in offered]
        missing = [key for key, each in offered.items() if each.required and key not in given]
        for key in unknown:
            self._blame_unknown((*path, key), name, list(offered))
        for key in missing:
            self.blame_missing((*path, key), name)
        values = {
            offered[key].name: self.value(offered[key], (*path, key))
            for key in given
            if key in offered
        }
        broken = unknown or missing or any(value is None for value in values.values())
        return None if broken else values

    def value(self, parameter: Parameter, path: KeyPath) -> object:
        """Return the argument that stands at a path."""
        value = self._document.at(path)
        if value is None:
            refuse(self._document, path, "nothing")
            return None
        match parameter.kind:
            case Kind.FUNCTION:
                return self.function(path)
            case Kind.DURATION:
                return self._seconds(path, value)
            case Kind.PATH:
                return self._below_the_file(value) if self._is_fit(parameter, path) else None
            case _:
                return value if self._is_fit(parameter, path) else None

    def blame_missing(self, path: KeyPath, name: Name) -> None:
        """Note that a parameter is missing that the plug-in needs."""
        self._document.blame_key(path, self.missing(path, name))

    def missing(self, path: KeyPath, name: Name) -> str:
        """Say that a parameter is missing."""
        return f"the parameter {quoted(str(path[-1]))} of {quoted(name.written)} is missing"

    def key_of(self, error: Exception, given: list[str]) -> tuple[str | None, str]:
        """Return the key that an error's message begins with, if one does, and what it says."""
        why = str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
        first = why.partition(" ")[0]
        key = first if first in given else first.removesuffix("_s")
        return key if key in given else None, why

    def _may_import(self, name: Name, remedy: str = "") -> bool:
        allowed = self._document.at(("allow_imports",)) is True
        if not allowed:
            message = "an import path runs code, so it needs 'allow_imports: true' at the top"
            name.blame(message + remedy)
        return allowed

    def _imported(self, kind: str, spec: str, name: Name) -> Plugin | None:
        try:
            return registry.resolve(kind, spec)
        except (ValueError, ImportError) as error:
            name.blame("this cannot be imported" if name.is_hidden else str(error))
            return None

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

    def _below_the_file(self, value: object) -> Path:
        return Path(self._document.findings.file).absolute().parent / str(value)

    def _blame_unknown(self, path: KeyPath, name: Name, offered: list[str]) -> None:
        shown, key = quoted(name.written), str(path[-1])
        near = nearest(key, offered, most=1)
        message = f"unknown parameter {quoted(key)} of {shown}; allowed: {listed(offered)}"
        self._document.blame_key(path, message, near[0] if near else None)
