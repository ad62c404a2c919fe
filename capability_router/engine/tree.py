"""The capability tree: where models register and what pools target.

Knows names and places only; which models stand where is the router's business.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import cast

from capability_router.engine.default_tree import DEFAULT_TREE, TreeMapping
from capability_router.engine.displaying import Displayed
from capability_router.engine.errors import (
    AmbiguousCapabilityError,
    UnknownCapabilityError,
    nearest,
)

__all__ = ["CapabilityNode", "CapabilityTree", "NodeType"]

_NAME = re.compile(r"[a-z0-9-]+")


class NodeType(Enum):
    """Place of a node in the hierarchy."""

    CATEGORY = "category"
    SUBCATEGORY = "subcategory"
    LEAF = "leaf"


@dataclass(slots=True)
class CapabilityNode:
    """One place of the tree; treat it as read-only, only its tree changes it.

    Attributes:
        path: Dot-separated path from the category down, for instance
            ``generation.text-generation.chat-completion``.
        name: Last segment of the path.
        parent: Path of the parent; None for a category.
        children: Paths of the children, in the order they were added.
        is_leaf: True if models register here; a category is never a leaf.
    """

    path: str
    name: str
    parent: str | None
    children: list[str] = field(default_factory=list[str])
    is_leaf: bool = False

    @property
    def node_type(self) -> NodeType:
        """Category at the top, leaf where models register, subcategory between."""
        if self.parent is None:
            return NodeType.CATEGORY
        return NodeType.LEAF if self.is_leaf else NodeType.SUBCATEGORY


class CapabilityTree(Displayed):
    """The capability hierarchy; ``CapabilityTree()`` is the default tree.

    A node is named by its full path, by its last segment where that is unique, or by an alias.
    ``get_node`` and ``in`` take paths only; every other method takes any of the three.

    ``version`` grows with every node and alias: what was resolved before may mean another node.

    Lookups cost at most the depth of the node. Nodes are only ever added, and each addition is
    made of single dictionary and list operations, so readers need no lock.
    """

    # Nothing is replaced or removed: a reader in another thread sees a child either not yet or
    # whole, and two writers of the same path are told apart by one atomic ``setdefault``.

    def __init__(self) -> None:
        self._clear()
        self._grow(None, DEFAULT_TREE)

    @classmethod
    def from_mapping(cls, mapping: TreeMapping) -> CapabilityTree:
        """Build a tree that holds exactly these nodes, without the default ones.

        Args:
            mapping: Categories with nested mappings below; a sequence of names, or None,
                stands for leaves.

        Returns:
            The new tree.

        Raises:
            ValueError: If a name is malformed or stands twice under one parent.
        """
        tree = cls.__new__(cls)
        tree._clear()
        tree._grow(None, mapping)
        return tree

    def to_mapping(self) -> dict[str, object]:
        """Return the nested mapping that ``from_mapping`` takes; aliases are not part of it."""
        return {node.name: self._subtree(node) for node in self.list_categories()}

    def get_node(self, path: str) -> CapabilityNode | None:
        """Return the node at exactly this path, or None."""
        return self._nodes.get(path)

    def get_ancestors(self, node: str) -> list[CapabilityNode]:
        """Return the nodes above, from the immediate parent up to the category.

        Raises:
            KeyError: If the node does not exist.
        """
        found: list[CapabilityNode] = []
        parent = self.resolve(node).parent
        while parent is not None:
            found.append(self._nodes[parent])
            parent = found[-1].parent
        return found

    def places(self, nodes: tuple[str, ...]) -> frozenset[str]:
        """Return the paths of some nodes and of all above them.

        The same set is returned for the same nodes: ten thousand models need it once.

        Raises:
            KeyError: If one of them does not exist.
        """
        found = self._places.get(nodes)
        if found is None:
            at = [self.resolve(node) for node in nodes]
            above = [node for place in at for node in self.get_ancestors(place.path)]
            found = self._places[nodes] = frozenset(node.path for node in (*at, *above))
        return found

    def get_descendants(self, node: str) -> list[CapabilityNode]:
        """Return every node below, each parent before its children.

        Raises:
            KeyError: If the node does not exist.
        """
        return list(self._below(self.resolve(node)))

    def get_leaves(self, node: str) -> list[CapabilityNode]:
        """Return the leaves at or under a node, the places where models register.

        The leaves of a leaf are that leaf.

        Raises:
            KeyError: If the node does not exist.
        """
        start = self.resolve(node)
        if start.is_leaf:
            return [start]
        return [below for below in self._below(start) if below.is_leaf]

    def add_node(self, parent: str, name: str) -> CapabilityNode:
        """Add a node; a parent that was a leaf becomes a subcategory.

        Models registered at a promoted leaf go on serving it: their place is the path, and the
        path stays.

        Args:
            parent: The node to add under; ``""`` adds a category.
            name: Last segment of the new path, of ``a-z``, ``0-9`` and ``-``.

        Returns:
            The new node.

        Raises:
            KeyError: If the parent does not exist.
            ValueError: If the name is malformed or already stands under the parent.
        """
        return self._add(self.resolve(parent) if parent else None, name)

    def is_ancestor_of(self, ancestor: str, descendant: str) -> bool:
        """Return whether one node lies strictly above another.

        Raises:
            KeyError: If either node does not exist.
        """
        return self.resolve(descendant).path.startswith(self.resolve(ancestor).path + ".")

    def list_categories(self) -> list[CapabilityNode]:
        """Return the top-level nodes in the order they were added."""
        return list(self._categories)

    def resolve(self, name: str) -> CapabilityNode:
        """Find the node meant by a path, an alias or a unique last segment.

        Raises:
            UnknownCapabilityError: If there is none; a KeyError that names the nearest nodes.
            AmbiguousCapabilityError: If several nodes end so; it names all of them.
        """
        node = self._nodes.get(name) or self._nodes.get(self._aliases.get(name, ""))
        if node is not None:
            return node
        paths = self._by_name.get(name, [])
        if len(paths) == 1:
            return self._nodes[paths[0]]
        if paths:
            raise AmbiguousCapabilityError(name, sorted(paths))
        raise UnknownCapabilityError(name, self._resembling(name))

    def add_alias(self, alias: str, node: str) -> None:
        """Let a further name stand for a node.

        Args:
            alias: The new name, of ``a-z``, ``0-9`` and ``-``; it wins over last segments that
                several nodes share.
            node: What it stands for.

        Raises:
            KeyError: If the node does not exist.
            ValueError: If the alias is malformed, a category, the name of one other node, or
                stands for another node.
        """
        _check_name(alias)
        path = self.resolve(node).path
        named = [] if alias in self._nodes else self._by_name.get(alias, [])
        if len(named) == 1 and named != [path]:
            # It would take the name away from a node that has had it for itself.
            raise ValueError(f"alias {alias!r} is the name of {named[0]!r}; choose another name")
        if alias in self._nodes or self._aliases.setdefault(alias, path) != path:
            taken = self._aliases.get(alias, alias)
            raise ValueError(f"alias {alias!r} already stands for {taken!r}; choose another name")
        self.version += 1

    @property
    def names(self) -> list[str]:
        """Everything that resolves: paths, unique last segments and aliases, sorted."""
        short = (name for name, paths in self._by_name.copy().items() if len(paths) == 1)
        return sorted({*self._nodes.copy(), *short, *self._aliases.copy()})

    def __iter__(self) -> Iterator[CapabilityNode]:
        """Iterate over the nodes as of now, each parent before its children."""
        return iter([n for top in self.list_categories() for n in (top, *self._below(top))])

    def __len__(self) -> int:
        return len(self._nodes)

    def __contains__(self, path: object) -> bool:
        return path in self._nodes

    def __repr__(self) -> str:
        leaves = sum(node.is_leaf for node in self)
        return (
            f"CapabilityTree({len(self.list_categories())} categories,"
            f" {len(self)} nodes, {leaves} leaves)"
        )

    def __str__(self) -> str:
        return "\n".join("  " * node.path.count(".") + node.name for node in self)

    def _clear(self) -> None:
        self.version = 0
        self._places: dict[tuple[str, ...], frozenset[str]] = {}
        self._nodes: dict[str, CapabilityNode] = {}
        self._categories: list[CapabilityNode] = []
        self._by_name: dict[str, list[str]] = {}
        self._aliases: dict[str, str] = {}

    def _below(self, node: CapabilityNode) -> Iterator[CapabilityNode]:
        for path in node.children:
            yield self._nodes[path]
            yield from self._below(self._nodes[path])

    def _add(self, parent: CapabilityNode | None, name: str) -> CapabilityNode:
        _check_name(name)
        path = name if parent is None else f"{parent.path}.{name}"
        above = None if parent is None else parent.path
        node = CapabilityNode(path, name, above, is_leaf=parent is not None)
        if self._nodes.setdefault(path, node) is not node:
            near = ", ".join(self._siblings(parent))
            raise ValueError(f"capability {path!r} exists already; beside it: {near}")
        self._by_name.setdefault(name, []).append(path)
        self.version += 1
        if parent is None:
            self._categories.append(node)
        else:
            parent.children.append(path)
            # A category stays what it is; any other parent was a leaf until its first child.
            parent.is_leaf = False
        return node

    def _grow(self, parent: CapabilityNode | None, below: object) -> None:
        """Add what a mapping, a sequence of names or None says under a node."""
        for name, further in _children_in(below, parent.path if parent else "the root"):
            self._grow(self._add(parent, name), further)

    def _subtree(self, node: CapabilityNode) -> object:
        children = [self._nodes[path] for path in node.children]
        if all(not child.children for child in children):
            return [child.name for child in children] or None
        return {child.name: self._subtree(child) for child in children}

    def _siblings(self, parent: CapabilityNode | None) -> list[str]:
        return parent.children if parent else [top.path for top in self._categories]

    def _resembling(self, name: str) -> list[str]:
        """Paths close to a misspelt name, comparing last segments first."""
        last = name.rpartition(".")[2]
        by_segment = [p for near in nearest(last, list(self._by_name)) for p in self._by_name[near]]
        return by_segment[:3] or nearest(name, list(self._nodes))


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise ValueError(f"capability name {name!r} is malformed; use a-z, 0-9 and '-' only")


def _children_in(below: object, place: str) -> list[tuple[str, object]]:
    """Pairs of a child's name and what stands below it."""
    if below is None:
        return []
    if isinstance(below, Mapping):
        nested = cast("Mapping[object, object]", below)
        return [(str(name), further) for name, further in nested.items()]
    if isinstance(below, Sequence) and not isinstance(below, str):
        return [(str(name), None) for name in cast("Sequence[object]", below)]
    raise ValueError(f"under {place}: {below!r} is neither a mapping nor a list of names")
