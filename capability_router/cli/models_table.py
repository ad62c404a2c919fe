"""How the command that lists models shows them."""

from __future__ import annotations

from datetime import UTC, datetime

from rich.markup import escape
from rich.table import Table

from capability_router.catalogue.entry import CatalogueEntry, compared_count
from capability_router.cli.terminal import counted, output

__all__ = ["as_json", "show"]

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


_OTHERS = 50
"""Columns that everything but the name needs at least."""


def show(entries: list[CatalogueEntry], number: int) -> None:
    """Show models as a table.

    Args:
        entries: Those to show.
        number: How many there are in all.
    """
    console = output()
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
        console.print(table)
    told = counted(number, "model")
    if len(entries) < number:
        told = f"{len(entries)} of {told} (--limit 0 shows all)"
    console.print(f"[dim]{told}; US dollars for a million tokens[/]")


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


def as_json(entry: CatalogueEntry) -> dict[str, object]:
    """Return all that is known of a model, ready for JSON."""
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
