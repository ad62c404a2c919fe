"""The models that are known, to look up, to choose from and to lay one's own over."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import lru_cache
from os import PathLike
from pathlib import Path
from types import MappingProxyType

from capability_router.catalogue.entry import CatalogueEntry
from capability_router.catalogue.price_map import canonical_vendor, installed_map, read_map
from capability_router.engine.errors import UnknownModelError, nearest
from capability_router.engine.feature import features_of
from capability_router.engine.tree import CapabilityTree

__all__ = ["Catalogue", "by_price"]


class Catalogue(Mapping[str, CatalogueEntry]):
    """Models by name; does not change.

    A model is found by its key, which is LiteLLM's, and by ``vendor/name`` as well: LiteLLM has
    some without their vendor, ``gpt-4o`` for ``openai/gpt-4o``. Each is iterated over once.

    Args:
        entries: The models; of two of the same vendor and name the later one stays.
        unmapped: Entries of the source that are no models, with the reason for each.

    Example:
        >>> catalogue = Catalogue.from_litellm()
        >>> catalogue["openai/gpt-4o"].context_window
        128000
    """

    def __init__(
        self, entries: Iterable[CatalogueEntry] = (), unmapped: Mapping[str, str] | None = None
    ) -> None:
        self._at_vendor = {(e.vendor, e.model_name): e for e in entries}
        self._by_key = {e.name: e for e in self._at_vendor.values()}
        self._unmapped = MappingProxyType(dict(unmapped or {}))

    @classmethod
    def from_litellm(cls, path: str | PathLike[str] | None = None) -> Catalogue:
        """Return what LiteLLM's price map says, without importing LiteLLM and without network.

        Reading it takes 0.1 to 0.2 s for 4,000 models, once: the same file is not read twice.

        Args:
            path: A price map; None for the one of the LiteLLM that is installed.

        Raises:
            ImportError: If no path is given and LiteLLM is not installed.
            ValueError: If the file is no price map.
            OSError: If it cannot be read.
        """
        place = installed_map() if path is None else Path(path)
        stat = place.stat()
        return _cached(place.absolute(), stat.st_mtime_ns, stat.st_size)

    @property
    def unmapped(self) -> Mapping[str, str]:
        """What the source has besides models, by key, with why it is none."""
        return self._unmapped

    @property
    def vendors(self) -> list[str]:
        """The vendors that have a model here, sorted."""
        return sorted({vendor for vendor, _ in self._at_vendor})

    def __getitem__(self, name: str) -> CatalogueEntry:
        """Return a model by its key, or by ``vendor/name``.

        Raises:
            UnknownModelError: If there is none; a KeyError that names the nearest.
        """
        vendor, _, rest = name.partition("/")
        found = self._by_key.get(name) or self.find(vendor, rest)
        if found is None:
            raise UnknownModelError(name, self._resembling(name))
        return found

    def __contains__(self, name: object) -> bool:
        if not isinstance(name, str):
            return False
        vendor, _, rest = name.partition("/")
        return name in self._by_key or self.find(vendor, rest) is not None

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_key)

    def __len__(self) -> int:
        return len(self._by_key)

    def __repr__(self) -> str:
        return f"Catalogue({len(self)} models of {len(self.vendors)} vendors)"

    def find(self, vendor: str, name: str) -> CatalogueEntry | None:
        """Return the model that a vendor calls so; None if it is not known."""
        return self._at_vendor.get((canonical_vendor(vendor), name))

    def near(self, vendor: str, name: str) -> list[str]:
        """Return the vendor's own names that resemble one, best first."""
        vendor = canonical_vendor(vendor)
        return nearest(name, [known for of, known in self._at_vendor if of == vendor])

    def select(
        self,
        capability: str | None = None,
        *,
        features: Collection[str] = (),
        max_price: float | None = None,
        vendors: Collection[str] = (),
        tree: CapabilityTree | None = None,
    ) -> list[CatalogueEntry]:
        """Return the models that meet all that is asked, the cheapest first.

        Args:
            capability: A node of the tree at or under which it has a leaf; None for any.
            features: All of them it must have.
            max_price: US dollars that none of its prices is above, as in ``CatalogueEntry.usd``;
                None for any price, also an unknown one.
            vendors: Vendors to look at; empty for all.
            tree: Where the capability is looked up; None for the default tree.

        Raises:
            UnknownCapabilityError: If the tree has no such node.
            ValueError: If there is no such feature or vendor; it names the nearest.
        """
        wanted = features_of(features)
        below = "" if capability is None else (tree or CapabilityTree()).resolve(capability).path
        among = self._known_vendors(vendors)
        found = [
            entry
            for entry in self.values()
            if (not among or entry.vendor in among)
            and wanted <= entry.features
            and (max_price is None or entry.costs_at_most(max_price))
            and any(_is_under(leaf, below) for leaf in entry.capabilities)
        ]
        return sorted(found, key=by_price)

    def overlaid(self, path: str | PathLike[str]) -> Catalogue:
        """Return a catalogue with what a YAML file adds and changes.

        The file has one key, ``models``, with the settings that a router's configuration has for
        models, by ``vendor/name``. What it does not state stays as it is; a model that is new
        states its capabilities, and one with ``capabilities: []`` is not offered any more.

        Raises:
            ConfigurationError: If anything in the file is wrong; it names each place.
        """
        # Here and not above: pydantic and PyYAML are only needed by those who have a file.
        from capability_router.config.overlay import overlay  # noqa: PLC0415 - said above

        return Catalogue([*self.values(), *overlay(path, self)], self._unmapped)

    def _resembling(self, name: str) -> list[str]:
        vendor, _, rest = name.partition("/")
        near = [f"{vendor}/{known}" for known in self.near(vendor, rest)]
        return near or nearest(name, list(self._by_key))

    def _known_vendors(self, vendors: Collection[str]) -> frozenset[str]:
        names = [vendors] if isinstance(vendors, str) else vendors
        among = frozenset(canonical_vendor(name) for name in names)
        unknown = sorted(among.difference(self.vendors))
        if unknown:
            near = ", ".join(nearest(unknown[0], self.vendors)) or "see catalogue.vendors"
            raise ValueError(f"unknown vendor {unknown[0]!r}; nearest: {near}")
        return among


def by_price(entry: CatalogueEntry) -> tuple[bool, float, str]:
    """Sort the cheapest first and what has no known price last; by name where that is equal."""
    return entry.usd is None, entry.usd or 0.0, entry.name


@lru_cache(maxsize=4)
def _cached(path: Path, _changed_ns: int, _size: int) -> Catalogue:
    return Catalogue(*read_map(path))


def _is_under(leaf: str, node: str) -> bool:
    return not node or leaf == node or leaf.startswith(f"{node}.")
