"""What the catalogue says of models that state no capabilities."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from capability_router.catalogue.catalogue import Catalogue
from capability_router.catalogue.entry import CatalogueEntry
from capability_router.config.checks import blame_unpriced
from capability_router.config.document import Document, KeyPath, quoted
from capability_router.engine.errors import ConfigurationError
from capability_router.engine.model import Provider
from capability_router.engine.tree import CapabilityTree

__all__ = ["known_models"]

_LITELLM = "litellm"
"""Name of the catalogue that LiteLLM brings, on which every overlay lies."""


def known_models(document: Document, tree: CapabilityTree) -> Mapping[str, CatalogueEntry]:
    """Look up the models that leave out their capabilities.

    The catalogue is only read where there is such a model, so nobody else needs LiteLLM.

    Returns:
        The catalogue's entry for each of them by id; what is wrong goes to the findings.
    """
    asked = [model for model in document.section("models") if _is_asked_for(document, model)]
    catalogue = _catalogue(document, asked[0]) if asked else None
    if catalogue is None:
        return {}
    found = {model: _entry(document, model, catalogue, tree) for model in asked}
    return {model: entry for model, entry in found.items() if entry is not None}


def _is_asked_for(document: Document, model: str) -> bool:
    provider, _, name = model.partition("/")
    path: KeyPath = ("models", model)
    if (*path, "capabilities") in document.keys or not name:
        return False
    # What is neither a section nor empty is reported as such, and so is an unknown provider.
    is_section = not document.is_broken("models", model)
    return is_section and provider in document.section("providers")


def _catalogue(document: Document, first: str) -> Catalogue | None:
    """LiteLLM's catalogue under the overlays of the document; None if there is no such thing."""
    try:
        catalogue = Catalogue.from_litellm()
    except ImportError:
        message = (
            "the capabilities are missing, and the catalogue that would have them comes with"
            " litellm, which is not installed; state them, or: pip install"
            " 'capability-router[litellm]'"
        )
        document.blame_key(("models", first), message)
        return None
    folder = Path(document.findings.file).parent
    for name in _overlays(document):
        try:
            catalogue = catalogue.overlaid(folder / name)
        except ConfigurationError as error:
            document.findings.include(error)
            return None
    return catalogue


def _overlays(document: Document) -> list[str]:
    told = document.at(("catalogue",))
    names = [told] if isinstance(told, str) else [n for _, n in document.names("catalogue")]
    return [name for name in names if name not in ("", _LITELLM)]


def _entry(
    document: Document, model: str, catalogue: Catalogue, tree: CapabilityTree
) -> CatalogueEntry | None:
    provider, _, name = model.partition("/")
    vendor = _vendor(document, provider)
    path: KeyPath = ("models", model)
    entry = catalogue.find(vendor, name)
    if entry is None:
        near = catalogue.near(vendor, name)
        message = (
            f"the catalogue has no model {quoted(name)} of {vendor}, so its capabilities must be"
            " stated"
        )
        document.blame_key(path, message, f"{provider}/{near[0]}" if near else None)
        return None
    lost = [leaf for leaf in entry.capabilities if not _is_leaf(tree, leaf)]
    if lost or not entry.capabilities:
        why = f"at {lost[0]}, which is no leaf of this tree" if lost else "at no leaf"
        document.blame_key(path, f"the catalogue has it {why}; state its capabilities")
    if entry.price is None and (*path, "price") not in document.keys:
        blame_unpriced(document, path)
    return entry


def _vendor(document: Document, provider: str) -> str:
    """The vendor as the provider will have it."""
    given = document.at(("providers", provider, "vendor"))
    address = document.at(("providers", provider, "base_url"))
    vendor = given if isinstance(given, str) else ""
    return Provider(provider, vendor, address if isinstance(address, str) else None).vendor


def _is_leaf(tree: CapabilityTree, path: str) -> bool:
    node = tree.get_node(path)
    return node is not None and node.is_leaf
