"""One YAML file, checked as a whole, turned into values of the engine.

All that is wrong comes out at once, each problem with its file, line, column and key, with what
was found and what is allowed; nothing is built then. Secrets stand elsewhere, the file holds
references to them such as ``${env:NAME}``, and no message shows what one stands for.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

from capability_router.config.build import build
from capability_router.config.checks import check
from capability_router.config.completion import known_models
from capability_router.config.connectors import found_connectors
from capability_router.config.document import Document
from capability_router.config.nodes import grown_tree
from capability_router.config.plugins import found_plugins
from capability_router.config.reading import content, read
from capability_router.config.references import References, SecretResolver, key_reader
from capability_router.config.wording import validated
from capability_router.engine.blueprint import Blueprint, PoolSpec
from capability_router.engine.errors import ConfigurationError, Problem
from capability_router.engine.model import Secret

__all__ = ["Blueprint", "PoolSpec", "SecretResolver", "blueprint_of", "load", "loads"]


_NOTHING: Mapping[str, Collection[str]] = MappingProxyType({})
_NO_RESOLVER: Mapping[str, SecretResolver] = MappingProxyType({})


def load(
    source: str | os.PathLike[str],
    *,
    environ: Mapping[str, str] | None = None,
    section: str = "",
    elsewhere: Mapping[str, Collection[str]] = _NOTHING,
    secrets: Mapping[str, SecretResolver] = _NO_RESOLVER,
) -> Blueprint:
    """Read a configuration from a file.

    Args:
        source: Path of the YAML file, in UTF-8.
        environ: Where ``${env:NAME}`` is looked up; None for the process's environment.
        section: Key at the top of the file under which the configuration stands, where the rest
            of the file is for another program; empty if it is the whole file.
        elsewhere: Names of ``models`` and ``providers`` that are declared outside of the
            configuration, and may be named in it.
        secrets: Functions that fetch secrets, by the scheme of their references: with
            ``{"vault": fetch}``, ``${vault:PATH#KEY}`` stands for ``fetch("PATH#KEY")``.

    Returns:
        What it says, checked.

    Raises:
        ConfigurationError: If the file cannot be read or anything in it is wrong; ``problems``
            lists all of it in the file's order.
        ValueError: If a scheme in ``secrets`` is malformed, or is ``env`` or ``file``.
    """
    name = os.fspath(source)
    found = content(name)
    if isinstance(found, Problem):
        raise ConfigurationError([found])
    return loads(
        found,
        file=name,
        environ=environ,
        section=section,
        elsewhere=elsewhere,
        secrets=secrets,
    )


def loads(
    text: str,
    *,
    file: str = "<string>",
    environ: Mapping[str, str] | None = None,
    section: str = "",
    elsewhere: Mapping[str, Collection[str]] = _NOTHING,
    secrets: Mapping[str, SecretResolver] = _NO_RESOLVER,
) -> Blueprint:
    """Read a configuration from text.

    Args:
        text: The YAML.
        file: How messages name it; relative paths of ``${file:PATH}`` start at its folder.
        environ: Where ``${env:NAME}`` is looked up; None for the process's environment.
        section: Key at the top under which the configuration stands; as for ``load``.
        elsewhere: Names that are declared outside of it; as for ``load``.
        secrets: Functions that fetch secrets; as for ``load``.

    Returns:
        What it says, checked.

    Raises:
        ConfigurationError: If anything in it is wrong; ``problems`` lists all of it in the text's
            order.
        ValueError: As for ``load``.
    """
    leading = os.environ if environ is None else environ
    references = References(leading, Path(file).parent, secrets)
    document = read(text, file, references, section)
    return blueprint_of(replace(document, elsewhere=elsewhere), references)


def blueprint_of(document: Document, references: References) -> Blueprint:
    """Return what a document says, checked.

    Args:
        document: The document, as ``read`` returned it.
        references: Where its references lead, for keys that are read again.

    Raises:
        ConfigurationError: If anything in it is wrong.
    """
    tree = grown_tree(document)
    check(document)
    plugins = found_plugins(document)
    connectors = found_connectors(document)
    known = known_models(document, tree)
    config = validated(document)
    document.findings.stop_if_any()
    if config is None:
        raise AssertionError("a configuration that was refused left no problem to tell")
    blueprint = build(config, tree, plugins, known)
    return replace(blueprint, keys=_key_readers(document, references), connectors=connectors)


def _key_readers(document: Document, references: References) -> dict[str, Callable[[], Secret]]:
    """What reads the API key of each provider again that has one."""
    found: dict[str, Callable[[], Secret]] = {}
    for provider in document.section("providers"):
        path = ("providers", provider, "api_key")
        written = document.references.get(path)
        if written is not None:
            found[provider] = key_reader(references, written, document.problem(path, ""))
    return found
