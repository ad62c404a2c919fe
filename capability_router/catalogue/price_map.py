"""LiteLLM's price map: where it lies, and what its entries say in the words of this project."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from datetime import UTC, date, datetime, time
from importlib.util import find_spec
from pathlib import Path
from typing import cast

from capability_router.catalogue.entry import CatalogueEntry
from capability_router.catalogue.rules import (
    NO_MODEL,
    features_of_kind,
    kind_of,
    leaves_of_kind,
)
from capability_router.engine.limits import Limit, Unit
from capability_router.engine.model import Price
from capability_router.engine.tree import CapabilityTree

__all__ = ["canonical_vendor", "installed_map", "read_map"]

Row = Mapping[str, object]

_FILE = "model_prices_and_context_window_backup.json"

_VENDORS = {
    "azure_text": "azure",
    "bedrock_converse": "bedrock",
    "cohere_chat": "cohere",
    "text-completion-openai": "openai",
}
"""Names that the map has for one API of a vendor, and the name in front of its models."""

_FAMILIES = ("fireworks_ai", "vertex_ai")
"""Vendors whose models the map files by family: ``vertex_ai-llama_models``."""

_UNIT_PRICES = {
    "ocr_cost_per_page": "page",
    "ocr_cost_per_credit": "credit",
    "input_cost_per_image": "image",
    "output_cost_per_image": "image",
    "input_cost_per_second": "second",
    "input_cost_per_audio_per_second": "second",
    "input_cost_per_video_per_second": "second",
    "output_cost_per_second": "second",
    "output_cost_per_video_per_second": "second",
    "cost_per_second": "second",
    "input_cost_per_character": "character",
    "output_cost_per_character": "character",
    "input_cost_per_query": "query",
    "input_cost_per_request": "request",
    "input_cost_per_pixel": "megapixel",
    "output_cost_per_pixel": "megapixel",
}
"""Fields with a price that is not for tokens, and what it is for."""

_PATHS = {leaf.name: leaf.path for leaf in CapabilityTree() if leaf.is_leaf}


def installed_map() -> Path:
    """Return the price map of the LiteLLM that is installed, without importing it.

    Raises:
        ImportError: If LiteLLM is not installed, or brings no map.
    """
    spec = find_spec("litellm")
    folders = spec.submodule_search_locations if spec else None
    for folder in folders or ():
        path = Path(folder) / _FILE
        if path.is_file():
            return path
    what = "brings no price map" if spec else "is not installed"
    raise ImportError(
        f"litellm {what}, and the catalogue is made from it: pip install"
        " 'capability-router[litellm]', or pass the path of a price map",
        name="litellm",
    )


def read_map(path: Path) -> tuple[list[CatalogueEntry], dict[str, str]]:
    """Read a price map.

    Returns:
        Its models, and why each other entry is none, by its key.

    Raises:
        ValueError: If the file is no JSON object of objects.
        OSError: If it cannot be read.
    """
    try:
        found: object = json.loads(path.read_bytes())
    except ValueError as error:
        raise ValueError(f"price map {str(path)!r} is no JSON: {error}") from error
    if not isinstance(found, dict):
        raise ValueError(f"price map {str(path)!r} must be a JSON object of models")  # noqa: TRY004 - the file is wrong, not the call
    entries: list[CatalogueEntry] = []
    unmapped: dict[str, str] = {}
    for name, row in cast("dict[str, object]", found).items():
        entry = _entry(name, row)
        if isinstance(entry, str):
            unmapped[name] = entry
        else:
            entries.append(entry)
    return _once_each(entries, unmapped), unmapped


def canonical_vendor(vendor: str) -> str:
    """Return the vendor's name in front of a model, for any name that the map has for it."""
    family = vendor.partition("-")[0]
    return family if family in _FAMILIES else _VENDORS.get(vendor, vendor)


def _once_each(entries: list[CatalogueEntry], unmapped: dict[str, str]) -> list[CatalogueEntry]:
    """Leave out a model that the map has twice, as ``deepseek-chat`` and with its vendor."""
    chosen: dict[tuple[str, str], CatalogueEntry] = {}
    # Those with their vendor come first, and so stay.
    for entry in sorted(entries, key=lambda entry: "/" not in entry.name):
        kept = chosen.setdefault((entry.vendor, entry.model_name), entry)
        if kept is not entry:
            unmapped[entry.name] = f"it is the same model as {kept.name!r}"
    return list(chosen.values())


def _entry(name: str, row: object) -> CatalogueEntry | str:
    """The model that an entry of the map is, or why it is none."""
    for pattern, reason in NO_MODEL:
        if pattern.search(name):
            return reason
    if not isinstance(row, dict):
        return "it is no JSON object"
    fields = cast("dict[str, object]", row)
    if "alias_of" in fields:
        return f"it is another name for {fields['alias_of']!r}"
    vendor = fields.get("litellm_provider")
    if not isinstance(vendor, str) or not vendor:
        return "it has no vendor"
    kind, reason = kind_of(name, fields)
    if not kind:
        return reason
    try:
        return _known(name, canonical_vendor(vendor), kind, fields)
    except ValueError as error:
        return str(error)


def _known(name: str, vendor: str, kind: str, row: Row) -> CatalogueEntry:
    units = _unit_prices(row)
    return CatalogueEntry(
        name=name,
        vendor=vendor,
        model_name=_name_at_vendor(name, vendor),
        capabilities=tuple(_PATHS[leaf] for leaf in leaves_of_kind(kind, row)),
        features=features_of_kind(kind, row),
        context_window=_context_window(row),
        max_output_tokens=_count(row, "max_output_tokens"),
        price=_price(row, sold_otherwise=bool(units)),
        unit_prices=units,
        deprecated_at=_midnight(row),
        dimensions=_count(row, "output_vector_size"),
        limits=_limits(row),
    )


def _name_at_vendor(name: str, vendor: str) -> str:
    prefix, slash, rest = name.partition("/")
    return rest if slash and prefix.replace("-", "_") == vendor.replace("-", "_") else name


def _context_window(row: Row) -> int | None:
    """The input that is taken; ``max_tokens`` says that only where nothing else is said."""
    told = _count(row, "max_input_tokens")
    if told is None and _count(row, "max_output_tokens") is None:
        return _count(row, "max_tokens")
    return told


def _price(row: Row, *, sold_otherwise: bool) -> Price | None:
    given, taken = _number(row, "input_cost_per_token"), _number(row, "output_cost_per_token")
    if (given is None and taken is None) or (sold_otherwise and not given and not taken):
        return None
    # A price is written per token: 1.5e-07, which times a million is not quite 0.15.
    return Price(round((given or 0) * 1_000_000, 9), round((taken or 0) * 1_000_000, 9))


def _unit_prices(row: Row) -> dict[str, float]:
    """The prices for other things than tokens, the higher one where a thing has two."""
    found: dict[str, float] = {}
    for field, unit in _UNIT_PRICES.items():
        usd = _number(row, field) if field in row else None
        if usd:
            usd *= 1_000_000 if unit == "megapixel" else 1
            found[unit] = max(round(usd, 9), found.get(unit, 0.0))
    return found


def _limits(row: Row) -> tuple[Limit, ...]:
    told = ((Unit.REQUESTS, _number(row, "rpm")), (Unit.TOKENS, _number(row, "tpm")))
    return tuple(Limit(unit, amount, 60.0) for unit, amount in told if amount)


def _midnight(row: Row) -> float | None:
    told = row.get("deprecation_date")
    if told is None:
        return None
    try:
        return datetime.combine(date.fromisoformat(cast("str", told)), time(), UTC).timestamp()
    except (TypeError, ValueError):
        raise ValueError(f"deprecation_date {told!r} is no date such as 2026-12-31") from None


def _count(row: Row, field: str) -> int | None:
    """A whole number above 0; 0 stands for what is not known."""
    number = _number(row, field)
    return int(number) if number else None


def _number(row: Row, field: str) -> float | None:
    value = row.get(field)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
        raise ValueError(f"{field} {value!r} is no number of at least 0")
    return value
