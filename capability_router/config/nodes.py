"""The tree of a configuration: added nodes, aliases, and every place that names a node.

Works on the plain document, so that one wrong section does not hide the mistakes of another.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from capability_router.config.document import Document, KeyPath, quoted
from capability_router.engine.errors import AmbiguousCapabilityError, UnknownCapabilityError
from capability_router.engine.tree import CapabilityNode, CapabilityTree

__all__ = ["grown_tree"]


def grown_tree(document: Document) -> CapabilityTree:
    """Build the tree and check every name of a node against it.

    Returns:
        The default tree with the document's nodes and aliases; what could not be added is in the
        findings.
    """
    growth = _Growth(document)
    growth.grow(None, document.at(("tree",)), ("tree",))
    for alias in document.section("aliases"):
        growth.alias(alias)
    for model in document.section("models"):
        for path, _ in document.names("models", model, "capabilities"):
            growth.check_leaf(path)
    for pool in document.section("pools"):
        growth.find(("pools", pool, "hierarchy_node"))
    return growth.tree


class _Growth:
    """The default tree, and what a document adds to it."""

    def __init__(self, document: Document) -> None:
        self.tree = CapabilityTree()
        self._document = document
        # Names that would exist but for a mistake which is reported already.
        self._lost: set[str] = set()

    def grow(self, parent: CapabilityNode | None, below: object, path: KeyPath) -> None:
        """Add what a mapping or a list of names says under a node."""
        if isinstance(below, dict):
            for name, further in cast("dict[str, object]", below).items():
                node = self._grow_one(parent, name, (*path, name), self._document.blame_key)
                if node is None:
                    self._lose(further)
                else:
                    self.grow(node, further, (*path, name))
        elif isinstance(below, list):
            self._grow_list(parent, cast("list[object]", below), path)
        elif below is not None:
            found = self._document.found(path)
            self._document.blame(
                path, f"expected a nested mapping or a list of names, found {found}"
            )
            self._lose([below])

    def alias(self, alias: str) -> None:
        """Add an alias, if what it stands for exists."""
        path = ("aliases", alias)
        node = self.find(path)
        if node is None:
            self._lost.add(alias)
            return
        try:
            self.tree.add_alias(alias, node.path)
        except ValueError as error:
            self._document.blame_key(path, str(error))

    def check_leaf(self, path: KeyPath) -> None:
        """Check that a capability of a model is a leaf."""
        node = self.find(path)
        if node is None or node.is_leaf:
            return
        leaves = ", ".join(leaf.name for leaf in self.tree.get_leaves(node.path)) or "none yet"
        message = f"{self._document.found(path)} names no leaf, and models stand at leaves"
        self._document.blame(path, f"{message}; under it: {leaves}")

    def find(self, path: KeyPath) -> CapabilityNode | None:
        """Return the node that is named at a path; None, and a finding, if there is none."""
        name = self._document.at(path)
        if not isinstance(name, str):
            return None
        try:
            return self.tree.resolve(name)
        except AmbiguousCapabilityError as error:
            self._document.blame(path, f"the name is ambiguous; use one of {', '.join(error.near)}")
        except UnknownCapabilityError as error:
            if name.rpartition(".")[2] not in self._lost:
                self._unknown(path, error.near)
        return None

    def _unknown(self, path: KeyPath, near: tuple[str, ...]) -> None:
        message = f"no node has this name: {quoted(self._document.written(path))}"
        if not near or path in self._document.references:
            tops = ", ".join(top.name for top in self.tree.list_categories())
            message += f"; the tree has, at its top: {tops}"
        elif len(near) > 1:
            message += f"; similar are {', '.join(near)}"
        self._document.blame(path, message, near[0] if near else None)

    def _grow_list(self, parent: CapabilityNode | None, names: list[object], path: KeyPath) -> None:
        seen: set[str] = set()
        for place, name in enumerate(names):
            at = (*path, place)
            if not isinstance(name, str):
                self._document.blame(at, f"expected a name, found {self._document.found(at)}")
                self._lose(name)
            elif name in seen:
                self._document.blame(at, "this name stands twice in its list")
            elif self._grow_one(parent, name, at, self._document.blame) is None:
                self._lose([name])
            seen |= {name} if isinstance(name, str) else set()

    def _grow_one(
        self,
        parent: CapabilityNode | None,
        name: str,
        path: KeyPath,
        blame: Callable[[KeyPath, str], None],
    ) -> CapabilityNode | None:
        """The node of this name under a parent, added if it is new; None if it cannot be."""
        above = parent.path if parent else ""
        existing = self.tree.get_node(f"{above}.{name}" if above else name)
        if existing is not None:
            return existing
        try:
            return self.tree.add_node(above, name)
        except ValueError:
            shown = quoted(self._document.references.get(path, name))
            blame(path, f"the name {shown} is malformed; use a-z, 0-9 and '-' only")
            return None

    def _lose(self, below: object) -> None:
        if isinstance(below, dict):
            for name, further in cast("dict[str, object]", below).items():
                self._lost.add(name)
                self._lose(further)
        elif isinstance(below, list):
            self._lost.update(name for name in cast("list[object]", below) if isinstance(name, str))
