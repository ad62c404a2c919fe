"""A document as plain values, with the place of each, and what is said against it.

Knows where things stand and how to name them without giving a secret away; not what they mean.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

from capability_router.engine.errors import ConfigurationError, Problem

__all__ = ["Document", "Findings", "KeyPath", "Place", "dotted", "listed", "quoted", "shown_key"]

KeyPath = tuple[str | int, ...]
"""Keys and list positions from the top of the document down."""

_PLAIN = re.compile(r"[A-Za-z0-9_-]+")
_LONGEST_SHOWN = 60
_MOST_LISTED = 20

_GUARDED = ("providers", "observability", "state")
_HARMLESS = (re.compile(r"[A-Za-z0-9._-]{1,40}"), re.compile(r"[A-Za-z_-]{1,20}"))
"""Keys that may be shown below ``providers``, a provider's id and what stands in its section, and
below ``state``.

``{api_key:sk-...}``, a blank forgotten, is a key for YAML; it must not come out in a message.
"""


@dataclass(frozen=True, slots=True)
class Place:
    """Where something stands; both are counted from 1."""

    line: int
    column: int


class Findings:
    """All that is said against one document.

    Args:
        file: Name of the document in the messages.
        section: Key of the file under which the document stands; empty if it is the whole file.
    """

    def __init__(self, file: str, section: str = "") -> None:
        self.file = file
        self._above = f"{section}." if section else ""
        self._found: list[Problem] = []
        self._settled: set[KeyPath] = set()

    def add(self, place: Place, path: KeyPath, message: str, nearest: str | None = None) -> None:
        """Note a problem, unless all has been said about its path."""
        if any(path[:length] in self._settled for length in range(len(path) + 1)):
            return
        self._found.append(self.problem(place, path, message, nearest))

    def problem(
        self, place: Place, path: KeyPath, message: str, nearest: str | None = None
    ) -> Problem:
        """Return a problem with its place, without noting it."""
        at = f"{self._above}{dotted(path)}".removesuffix(".")
        return Problem(message, at, self.file, place.line, place.column, nearest)

    def settle(self, path: KeyPath) -> None:
        """Let nothing more be said about what stands at or under a path."""
        self._settled.add(path)

    def include(self, error: ConfigurationError) -> None:
        """Take over what was found in another file that this one names."""
        self._found.extend(error.problems)

    def stop_if_any(self) -> None:
        """Raise one error with all problems, in the order of the file.

        Raises:
            ConfigurationError: If there is a problem.
        """
        if self._found:
            raise ConfigurationError(sorted(self._found, key=self._order))

    def _order(self, problem: Problem) -> tuple[bool, str, int, int]:
        return problem.file != self.file, problem.file, problem.line, problem.column


@dataclass(frozen=True, slots=True)
class Document:
    """Plain values by path.

    Attributes:
        root: The values: dictionaries with text keys, lists, text, numbers, booleans and None.
        keys: Where each key stands.
        values: Where each value starts.
        references: Each text with a reference, as it was written.
        findings: Collects what is said against the document.
        elsewhere: Names that are declared outside of it, by the section that they would stand in.
    """

    root: dict[str, object] = field(repr=False)
    keys: Mapping[KeyPath, Place]
    values: Mapping[KeyPath, Place]
    references: Mapping[KeyPath, str]
    findings: Findings
    elsewhere: Mapping[str, Collection[str]] = field(default_factory=dict[str, Collection[str]])

    def at(self, path: KeyPath) -> object:
        """Return the value at a path; None if there is none."""
        value: object = self.root
        for step in path:
            if isinstance(value, dict):
                value = cast("dict[str | int, object]", value).get(step)
            elif isinstance(value, list) and isinstance(step, int):
                value = cast("list[object]", value)[step]
            else:
                return None
        return value

    def section(self, *path: str) -> dict[str, object]:
        """Return the mapping at a path; an empty one if there is none."""
        value = self.at(path)
        return cast("dict[str, object]", value) if isinstance(value, dict) else {}

    def is_broken(self, *path: str) -> bool:
        """Return whether there is something other than a mapping at a path."""
        value = self.at(path)
        return value is not None and not isinstance(value, dict)

    def names(self, *path: str | int) -> list[tuple[KeyPath, str]]:
        """Return each text of the list at a path with its own path; none if it is no list."""
        value = self.at(path)
        if not isinstance(value, list):
            return []
        items = enumerate(cast("list[object]", value))
        return [((*path, place), item) for place, item in items if isinstance(item, str)]

    def written(self, path: KeyPath) -> str:
        """Return the text at a path as it was written, with its references."""
        return self.references.get(path, str(self.at(path)))

    def found(self, path: KeyPath) -> str:
        """Describe what stands at a path, for instance ``the text 'x'``.

        Under ``providers``, ``observability`` and ``state`` only its type is said, because it may
        be a key.
        """
        value = self.at(path)
        if value is None or isinstance(value, (bool, list, dict)):
            return _shape(cast("object", value))
        kind = "text" if isinstance(value, str) else "number"
        if path[0] in _GUARDED:
            return kind if kind == "text" else f"a {kind}"
        return f"the {kind} {quoted(self.written(path)) if kind == 'text' else value}"

    def blame(self, path: KeyPath, message: str, nearest: str | None = None) -> None:
        """Note a problem with the value at a path."""
        near = None if path in self.references else nearest
        self.findings.add(self._place(path, self.values), path, message, near)

    def blame_key(self, path: KeyPath, message: str, nearest: str | None = None) -> None:
        """Note a problem with a key; with one that is missing, at the key of its section."""
        self.findings.add(self._place(path, self.keys), path, message, nearest)

    def problem(self, path: KeyPath, message: str) -> Problem:
        """Return a problem with the value at a path, without noting it."""
        return self.findings.problem(self._place(path, self.values), path, message)

    def key_problem(self, path: KeyPath, message: str) -> Problem:
        """Return a problem with a key, without noting it."""
        return self.findings.problem(self._place(path, self.keys), path, message)

    def _place(self, path: KeyPath, places: Mapping[KeyPath, Place]) -> Place:
        """The place of a path, or else of the closest thing above it."""
        while path and path not in places:
            # An item of a list has no key.
            if isinstance(path[-1], int):
                return self.values[path]
            path = path[:-1]
        return places.get(path) or self.values[path]


def dotted(path: KeyPath) -> str:
    """Return a path as people write it: ``pools.text.strategy``, ``models.'a/b'.features[0]``."""
    shown = ""
    for depth, step in enumerate(path):
        if isinstance(step, int):
            shown += f"[{step}]"
        else:
            shown += ("." if shown else "") + _step(path, depth)
    return shown


def quoted(text: str) -> str:
    """Return a text in quotes, escaped where it does not print, and cut where it is long."""
    return repr(text if len(text) <= _LONGEST_SHOWN else text[:_LONGEST_SHOWN] + "…")


def listed(names: Sequence[str]) -> str:
    """Return names with commas, cut where there are many; ``none`` if there is none."""
    shown = ", ".join(names[:_MOST_LISTED]) or "none"
    more = len(names) - _MOST_LISTED
    return f"{shown} and {more} more" if more > 0 else shown


def shown_key(path: KeyPath) -> str:
    """Return the last key of a path in quotes, unless it may hold a secret."""
    key = str(path[-1])
    return quoted(key) if _is_harmless(path, len(path) - 1) else "***"


def _step(path: KeyPath, depth: int) -> str:
    if not _is_harmless(path, depth):
        return "***"
    step = str(path[depth])
    return step if _PLAIN.fullmatch(step) else quoted(step)


def _is_harmless(path: KeyPath, depth: int) -> bool:
    if path[0] not in ("providers", "state") or not depth:
        return True
    return bool(_HARMLESS[min(depth, 2) - 1].fullmatch(str(path[depth])))


def _shape(value: object) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    return "a list" if isinstance(value, list) else "a mapping"
