"""The command that lists the models of the catalogue."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from capability_router.catalogue.catalogue import Catalogue, by_price
from capability_router.catalogue.entry import CatalogueEntry, compared_count
from capability_router.catalogue.vendors import VENDORS
from capability_router.clock import SystemClock
from capability_router.engine.errors import ConfigurationError, UnknownCapabilityError

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
    sort: Annotated[Order, typer.Option(help="What to sort by.")] = Order.PRICE,
    limit: Annotated[int, typer.Option(min=0, help="How many to show; 0 for all.")] = 25,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, with all that is known.")] = (
        False
    ),
) -> None:
    """List models by what they can do and what they cost."""
    try:
        catalogue = Catalogue.from_litellm()
        for path in overlay or ():
            catalogue = catalogue.overlaid(path)
        found = catalogue.select(
            capability, features=_listed(features), max_price=max_price, vendors=_listed(vendor)
        )
    except (ConfigurationError, ImportError, UnknownCapabilityError, ValueError) as error:
        Console(stderr=True, soft_wrap=True).print(
            f"[red]error:[/] {escape(str(error))}", highlight=False
        )
        raise typer.Exit(2) from None
    wall = SystemClock().wall()
    reached = {name for name, known in VENDORS.items() if not known.missing(os.environ)}
    found = [
        entry
        for entry in found
        if (deprecated or not entry.is_deprecated(wall))
        and (not available or entry.vendor in reached)
    ]
    found.sort(key=_ORDERS[sort])
    shown = found[:limit] if limit else found
    if as_json:
        typer.echo(json.dumps([_as_json(entry) for entry in shown], indent=2))
    else:
        _show(shown, len(found))


def _by_context(entry: CatalogueEntry) -> tuple[int, str]:
    return -(entry.context_window or 0), entry.name


def _by_name(entry: CatalogueEntry) -> tuple[str, str]:
    return entry.vendor, entry.model_name


_ORDERS = {Order.PRICE: by_price, Order.NAME: _by_name, Order.CONTEXT: _by_context}

_SHORT = {
    "streaming": "stream",
    "tool_calling": "tools",
    "structured_output": "schema",
    "vision": "vision",
    "audio_input": "audio",
    "pdf_input": "pdf",
    "video_input": "video",
    "reasoning": "reason",
    "assistant_prefill": "prefill",
}
"""Features as the table shows them; those left out follow from the others."""


_WIDEST = 240
_OTHERS = 50
"""Columns that everything but the name needs at least."""


def _show(entries: list[CatalogueEntry], number: int) -> None:
    console = Console()
    if not console.is_terminal:
        # What reads it next, such as grep, wants each model on a line of its own.
        console = Console(width=_WIDEST)
    longest = max((len(entry.vendor) + len(entry.model_name) + 1 for entry in entries), default=0)
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    # A name that is broken cannot be copied: the features give way first.
    fits = console.width > longest + _OTHERS
    table.add_column("model", overflow="fold", no_wrap=fits)
    table.add_column("$ in / out", justify="right", no_wrap=True)
    table.add_column("context", justify="right", no_wrap=True)
    table.add_column("features", overflow="fold")
    table.add_column("until", no_wrap=True)
    for entry in entries:
        table.add_row(
            escape(f"{entry.vendor}/{entry.model_name}"),
            _price(entry),
            _tokens(entry.context_window),
            " ".join(short for name, short in _SHORT.items() if name in entry.features),
            _day(entry),
        )
    if entries:
        console.print(table, highlight=False)
    told = f"{number} model{'' if number == 1 else 's'}"
    if len(entries) < number:
        told = f"{len(entries)} of {told} (--limit 0 shows all)"
    console.print(f"[dim]{told}; US dollars for a million tokens[/]", highlight=False)


def _price(entry: CatalogueEntry) -> str:
    if entry.price is not None:
        return f"{entry.price.input:.6g} / {entry.price.output:.6g}"
    units = [_unit_price(unit, usd) for unit, usd in entry.unit_prices.items()]
    return "\n".join(units) or "?"


def _unit_price(unit: str, usd: float) -> str:
    count = compared_count(unit)
    plural = "queries" if unit == "query" else f"{unit}s"
    return f"{usd * count:.6g} / {_tokens(count)} {plural}"


def _tokens(count: int | None) -> str:
    if count is None:
        return "?"
    if count >= 1_000_000:
        return f"{count / 1_000_000:.3g}M"
    return f"{count / 1000:.3g}k" if count >= 1000 else str(count)


def _day(entry: CatalogueEntry) -> str:
    at = entry.deprecated_at
    return "" if at is None else datetime.fromtimestamp(at, UTC).date().isoformat()


def _listed(names: list[str] | None) -> list[str]:
    return [part.strip() for name in names or () for part in name.split(",") if part.strip()]


def _as_json(entry: CatalogueEntry) -> dict[str, object]:
    price = entry.price
    return {
        "model": f"{entry.vendor}/{entry.model_name}",
        "litellm_key": entry.name,
        "vendor": entry.vendor,
        "capabilities": list(entry.capabilities),
        "features": sorted(entry.features),
        "context_window": entry.context_window,
        "max_output_tokens": entry.max_output_tokens,
        "price": None if price is None else {"input": price.input, "output": price.output},
        "unit_prices": dict(entry.unit_prices),
        "deprecated_on": _day(entry) or None,
        "dimensions": entry.dimensions,
        "limits": [str(limit) for limit in entry.limits],
    }
