"""A YAML file of models that lies over a catalogue, checked like a router's configuration."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from capability_router.catalogue.entry import CatalogueEntry
from capability_router.catalogue.price_map import canonical_vendor
from capability_router.config.build import stated
from capability_router.config.document import Document, shown_key
from capability_router.config.nodes import grown_tree
from capability_router.config.reading import content, read
from capability_router.config.references import References
from capability_router.config.wording import validated
from capability_router.engine.errors import ConfigurationError, Problem, nearest

__all__ = ["overlay"]


def overlay(
    path: str | os.PathLike[str], known: Mapping[str, CatalogueEntry]
) -> list[CatalogueEntry]:
    """Read the models that a file adds to a catalogue, or changes in it.

    Args:
        path: The YAML file, in UTF-8; it has the one key ``models``.
        known: The catalogue that it lies over.

    Returns:
        Each model of the file with what the catalogue says and the file does not.

    Raises:
        ConfigurationError: If anything in the file is wrong; it names each place.
    """
    name = os.fspath(path)
    text = content(name)
    if isinstance(text, Problem):
        raise ConfigurationError([text])
    document = read(text, name, References(os.environ, Path(name).parent))
    for key in document.root.keys() - {"models"}:
        near = nearest(key, ["models"], most=1)
        message = f"unknown key {shown_key((key,))}; an overlay has models only"
        document.blame_key((key,), message, near[0] if near else None)
        document.findings.settle((key,))
    hidden = _take_out_hidden(document)
    _check_names(document, known, hidden)
    tree = grown_tree(document)
    config = validated(document)
    document.findings.stop_if_any()
    if config is None:
        raise AssertionError("an overlay that was refused left no problem to tell")
    changes = {model: stated(section, tree) for model, section in config.models.items()}
    for model in hidden:
        changes[model]["capabilities"] = ()
    return [replace(_beneath(model, known), **fields) for model, fields in changes.items()]


def _take_out_hidden(document: Document) -> set[str]:
    """Find the models with ``capabilities: []``, which a configuration could not have."""
    models = document.section("models")
    hidden = {model for model in models if document.at(("models", model, "capabilities")) == []}
    for model in hidden:
        del document.section("models", model)["capabilities"]
    return hidden


def _check_names(document: Document, known: Mapping[str, CatalogueEntry], hidden: set[str]) -> None:
    for model in document.section("models"):
        path = ("models", model)
        states_leaves = (*path, "capabilities") in document.keys and model not in hidden
        vendor, slash, name = model.partition("/")
        if not (vendor and slash and name):
            message = "a model is named vendor/name, with the vendor as LiteLLM names it"
            document.blame_key(path, message)
        elif model not in known and not states_leaves:
            message = "the catalogue does not have this model, so its capabilities must be stated"
            near = nearest(name, [e.model_name for e in known.values() if e.vendor == vendor])
            document.blame_key(path, message, f"{vendor}/{near[0]}" if near else None)


def _beneath(model: str, known: Mapping[str, CatalogueEntry]) -> CatalogueEntry:
    if model in known:
        return known[model]
    vendor, _, name = model.partition("/")
    return CatalogueEntry(
        name=model, vendor=canonical_vendor(vendor), model_name=name, capabilities=()
    )
