"""The command that lists models, those of the catalogue or of a configuration."""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from capability_router.catalogue.catalogue import Catalogue, by_price
from capability_router.catalogue.entry import CatalogueEntry
from capability_router.catalogue.vendors import VENDORS
from capability_router.cli.models_table import as_json, show
from capability_router.cli.terminal import (
    failure,
    listed,
    print_json,
    router_of,
)
from capability_router.clock import SystemClock
from capability_router.engine.errors import ConfigurationError, UnknownCapabilityError
from capability_router.engine.model import Model
from capability_router.engine.tree import CapabilityTree

__all__ = ["models"]


class Order(StrEnum):
    """What the models are sorted by."""

    PRICE = "price"
    NAME = "name"
    CONTEXT = "context"


def models(
    capability: Annotated[
        str | None, typer.Option(help="Node of the tree at or under which a model has a leaf.")
    ] = None,
    features: Annotated[
        list[str] | None,
        typer.Option(help="What a model must be able to do, such as vision; may be repeated."),
    ] = None,
    max_price: Annotated[
        float | None,
        typer.Option(
            min=0,
            help="US dollars that neither input nor output is above, for a million tokens; for"
            " models sold otherwise, for a thousand pages, images, seconds or queries.",
        ),
    ] = None,
    vendor: Annotated[
        list[str] | None, typer.Option(help="Look only at this vendor; may be repeated.")
    ] = None,
    available: Annotated[
        bool, typer.Option("--available", help="Look only at vendors whose keys are present.")
    ] = False,
    deprecated: Annotated[
        bool, typer.Option("--deprecated", help="Show what its vendor has withdrawn as well.")
    ] = False,
    overlay: Annotated[
        list[Path] | None, typer.Option(help="YAML file of models over LiteLLM's; repeatable.")
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="YAML file whose models to list instead of all.")
    ] = None,
    sort: Annotated[Order, typer.Option(help="What to sort by.")] = Order.PRICE,
    limit: Annotated[int, typer.Option(min=0, help="How many to show; 0 for all.")] = 25,
    wants_json: Annotated[
        bool, typer.Option("--json", help="Print JSON, with all that is known.")
    ] = (False),
) -> None:
    """List models by what they can do and what they cost."""
    try:
        known, grown = _known(config, available, overlay or [])
        found = known.select(
            capability,
            features=listed(features),
            max_price=max_price,
            vendors=listed(vendor),
            tree=grown,
        )
    except (ConfigurationError, ImportError, UnknownCapabilityError, ValueError) as error:
        raise failure(error) from None
    found = _offered(found, deprecated=deprecated, available=available)
    found.sort(key=_ORDERS[sort])
    shown = found[:limit] if limit else found
    if wants_json:
        print_json([as_json(entry) for entry in shown])
    else:
        show(shown, len(found))


def _offered(
    found: list[CatalogueEntry], *, deprecated: bool, available: bool
) -> list[CatalogueEntry]:
    """Those that their vendors have not withdrawn, and that the keys at hand reach."""
    reached = {name for name, vendor in VENDORS.items() if not vendor.missing(os.environ)}
    wall = SystemClock().wall()
    return [
        entry
        for entry in found
        if (deprecated or not entry.is_deprecated(wall))
        and (not available or entry.vendor in reached)
    ]


def _known(
    config: Path | None, available: bool, overlay: list[Path]
) -> tuple[Catalogue, CapabilityTree | None]:
    """What to choose from, and the tree of its capabilities if that is not the default one."""
    if config is not None:
        if available or overlay:
            raise ValueError("--available and --overlay are for the catalogue; leave out --config")
        router = router_of(config)
        return Catalogue(_entry(model) for model in router.models), router.tree
    known = Catalogue.from_litellm()
    for path in overlay:
        known = known.overlaid(path)
    return known, None


def _entry(model: Model) -> CatalogueEntry:
    return CatalogueEntry(
        name=model.id,
        vendor=model.provider,
        model_name=model.name,
        capabilities=model.capabilities,
        features=model.features or frozenset(),
        context_window=model.context_window,
        price=model.price,
        deprecated_at=model.deprecated_at,
        dimensions=model.dimensions,
        limits=model.limits,
    )


def _by_context(entry: CatalogueEntry) -> tuple[int, str]:
    return -(entry.context_window or 0), entry.name


def _by_name(entry: CatalogueEntry) -> tuple[str, str]:
    return entry.vendor, entry.model_name


_ORDERS = {Order.PRICE: by_price, Order.NAME: _by_name, Order.CONTEXT: _by_context}
