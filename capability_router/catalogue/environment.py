"""Which models the keys in the environment open, without asking anybody."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

from capability_router.catalogue.catalogue import Catalogue, by_price
from capability_router.catalogue.entry import CatalogueEntry
from capability_router.catalogue.vendors import VENDORS, Vendor
from capability_router.engine.errors import nearest
from capability_router.engine.model import Model, Provider
from capability_router.engine.tree import CapabilityTree

__all__ = ["Inventory", "VendorInventory", "take_inventory"]

_log = logging.getLogger(__name__)

_NO_ENTRIES = "the catalogue has no models of it: ask it with discover()"


@dataclass(frozen=True, slots=True, kw_only=True)
class VendorInventory:
    """What was found for one vendor.

    Attributes:
        vendor: Its name.
        variables: Environment variables of its credentials that are set; their values nowhere.
        missing: What has to be set as well before it can be used, as ``FIRST or SECOND``.
        models: Ids of its models that were registered.
        skipped: How many models were not, by reason.
        note: Why none could be, where that has nothing to do with single models.
    """

    vendor: str
    variables: tuple[str, ...]
    missing: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    skipped: Mapping[str, int] = field(default_factory=dict[str, int], hash=False)
    note: str = ""

    def __str__(self) -> str:
        head = f"{self.vendor} ({', '.join(self.variables)}): "
        if self.missing:
            return f"{head}{' and '.join(self.missing)} missing, so it is not used"
        told = [f"{len(self.models)} model{'' if len(self.models) == 1 else 's'}"]
        if self.skipped:
            counts = [f"{number} {reason}" for reason, number in self.skipped.items()]
            told.append(f"skipped {', '.join(counts)}")
        return head + "; ".join([*told, self.note] if self.note else told)


@dataclass(frozen=True, slots=True)
class Inventory:
    """What the environment opens; ``str`` tells it in a line for each vendor.

    Attributes:
        vendors: Those of which a credential was found, in the order of the vendors' table.
    """

    vendors: tuple[VendorInventory, ...]

    @property
    def model_count(self) -> int:
        """How many models were registered."""
        return sum(len(vendor.models) for vendor in self.vendors)

    def __str__(self) -> str:
        if not self.vendors:
            return "no provider's key is in the environment: set one, such as OPENAI_API_KEY"
        return "\n".join(str(vendor) for vendor in self.vendors)


def take_inventory(
    catalogue: Catalogue,
    environ: Mapping[str, str],
    *,
    wall: float,
    tree: CapabilityTree,
    capabilities: Collection[str] = (),
    max_price: float | None = None,
    vendors: Collection[str] = (),
) -> tuple[Inventory, list[Provider], list[Model]]:
    """Find the vendors whose credentials are present, and their models.

    Args:
        catalogue: The models that are known.
        environ: The environment variables.
        wall: The time, in seconds since 1970 UTC.
        tree: The capability tree of the router.
        capabilities: Nodes of the tree: a model has a leaf at or under one of them; empty for all.
        max_price: US dollars that none of its prices is above, as in ``CatalogueEntry.usd``.
        vendors: The only vendors to look at; empty for all.

    Returns:
        What was found; how to reach each vendor; the models to register, the cheapest first.

    Raises:
        UnknownCapabilityError: If the tree has no such node.
        ValueError: If a vendor is not in the table; it names the nearest.
    """
    nodes = [capabilities] if isinstance(capabilities, str) else capabilities
    offered = {
        entry.name for node in nodes or (None,) for entry in catalogue.select(node, tree=tree)
    }
    wanted = _Filter(wall, max_price, frozenset(offered), _region(environ))
    present = [vendor for vendor in _asked_for(vendors) if vendor.present(environ)]
    found: list[VendorInventory] = []
    chosen: list[CatalogueEntry] = []
    for vendor in present:
        own = [entry for entry in catalogue.values() if entry.vendor == vendor.id]
        usable = [] if vendor.own_names or vendor.missing(environ) else own
        refusals = {entry.name: wanted.refusal(entry) for entry in usable}
        taken = [entry for entry in usable if not refusals[entry.name]]
        chosen += taken
        found.append(
            VendorInventory(
                vendor=vendor.id,
                variables=vendor.present(environ),
                missing=vendor.missing(environ),
                models=tuple(f"{vendor.id}/{entry.model_name}" for entry in taken),
                skipped=dict(Counter(filter(None, refusals.values()))),
                note=vendor.own_names or ("" if own else _NO_ENTRIES),
            )
        )
    inventory = Inventory(tuple(found))
    _log.info("models of the environment:\n%s", inventory)
    providers = [vendor.provider(environ) for vendor in present if not vendor.missing(environ)]
    return inventory, providers, [entry.model() for entry in sorted(chosen, key=_by_bill)]


def _by_bill(entry: CatalogueEntry) -> tuple[bool, bool, float, str]:
    # A price of 0 is mostly one that nobody has written down, of an experiment long gone.
    return not entry.usd, *by_price(entry)


def _asked_for(vendors: Collection[str]) -> Iterator[Vendor]:
    names = [vendors] if isinstance(vendors, str) else vendors
    unknown = [name for name in names if name not in VENDORS]
    if unknown:
        near = ", ".join(nearest(unknown[0], list(VENDORS)) or VENDORS)
        raise ValueError(f"unknown vendor {unknown[0]!r} for the environment; nearest: {near}")
    return (vendor for vendor in VENDORS.values() if not names or vendor.id in names)


@dataclass(frozen=True, slots=True)
class _Filter:
    """What is asked of a model."""

    wall: float
    max_price: float | None
    offered: frozenset[str]
    region: str

    def refusal(self, entry: CatalogueEntry) -> str:
        """Say why an entry is not registered; empty if it is."""
        if entry.is_deprecated(self.wall):
            return "withdrawn by the vendor"
        if entry.vendor == "bedrock" and not _is_for_region(entry.model_name, self.region):
            return "for other regions"
        if entry.name not in self.offered:
            return "without these capabilities"
        if self.max_price is not None and entry.usd is None:
            return "of unknown price"
        if self.max_price is not None and not entry.costs_at_most(self.max_price):
            return f"dearer than {self.max_price:g} US dollars"
        return ""


_PROFILES = {"us-gov": "us-gov", "us": "us", "ca": "us", "eu": "eu", "ap": "apac jp au"}
"""Beginnings of AWS regions, and of the inference profiles that can be called there."""


def _is_for_region(name: str, region: str) -> bool:
    profile = name.partition(".")[0]
    if profile not in {"us-gov", "us", "eu", "apac", "jp", "au", "ca"}:
        return True
    place = next((start for start in _PROFILES if region.startswith(f"{start}-")), "")
    return not place or profile in _PROFILES[place].split()


def _region(environ: Mapping[str, str]) -> str:
    names = ("AWS_REGION_NAME", "AWS_REGION", "AWS_DEFAULT_REGION")
    return next((environ[name] for name in names if environ.get(name)), "")
