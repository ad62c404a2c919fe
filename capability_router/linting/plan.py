"""What the rules look at: a configuration as values, and where each part of it stands."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from capability_router.config.document import Document, KeyPath
from capability_router.engine.blueprint import Blueprint, PoolSpec
from capability_router.engine.membership import places_of
from capability_router.engine.model import Model, Provider
from capability_router.linting.finding import RULES, Finding

__all__ = ["Plan"]


@dataclass(frozen=True, slots=True)
class Plan:
    """A configuration as the rules see it; nothing of it is running.

    Attributes:
        document: The file, with the place of each key.
        blueprint: What it says.
        environ: The environment variables.
    """

    document: Document
    blueprint: Blueprint
    environ: Mapping[str, str] = field(repr=False)

    @property
    def models(self) -> tuple[Model, ...]:
        """All models, in the file's order."""
        return self.blueprint.models

    @property
    def pools(self) -> tuple[PoolSpec, ...]:
        """All pools, in the file's order."""
        return self.blueprint.pools

    def provider(self, model: Model) -> Provider:
        """Return how a model is reached; a vendor's name alone is a provider too."""
        declared = (p for p in self.blueprint.providers if p.id == model.provider)
        return next(declared, None) or Provider(model.provider)

    def providers(self, models: tuple[Model, ...]) -> dict[str, Provider]:
        """Return the providers of models, by id, each once."""
        return {model.provider: self.provider(model) for model in models}

    def members(self, pool: PoolSpec) -> tuple[Model, ...]:
        """Return the models that a pool takes."""
        at = pool.hierarchy_node
        return tuple(m for m in self.at_node(at) if pool.preferences.admits(m))

    def at_node(self, path: str) -> tuple[Model, ...]:
        """Return the models that have a capability at or under a node."""
        return tuple(m for m in self.models if path in places_of(m, self.blueprint.tree))

    def covering(self, path: str) -> tuple[PoolSpec, ...]:
        """Return the pools at a node and above it."""
        above = {node.path for node in self.blueprint.tree.get_ancestors(path)} | {path}
        return tuple(pool for pool in self.pools if pool.hierarchy_node in above)

    def serving(self, pool: PoolSpec) -> tuple[Model, ...]:
        """Return the models of a pool, and after them those of the pools that it falls back to."""
        found = {m.id: m for _, models in self.fallbacks(pool) for m in models}
        return tuple(found.values())

    def fallbacks(self, pool: PoolSpec) -> Iterator[tuple[PoolSpec, tuple[Model, ...]]]:
        """Return a pool, and those above it, each with the models that it has for the pool's node.

        The pools above it are asked for what is at or under its node.
        """
        yield pool, self.members(pool)
        below = self.at_node(pool.hierarchy_node)
        for above in self.covering(pool.hierarchy_node):
            if above is not pool:
                yield above, tuple(m for m in below if above.preferences.admits(m))

    def finding(self, code: str, path: KeyPath, message: str, remedy: str) -> Finding:
        """Return a finding of one rule about the key at a path.

        Raises:
            KeyError: If there is no rule of this code.
        """
        at = self.document.key_problem(path, message)
        return Finding(
            code, RULES[code].severity, message, remedy, at.key_path, at.file, at.line, at.column
        )
