"""One YAML file, checked as a whole, turned into values of the engine.

All that is wrong comes out at once, each problem with its file, line, column and key, with what
was found and what is allowed; nothing is built then. Secrets stand in the environment, the file
holds ``${env:NAME}``, and no message shows a value that came from there.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from dataclasses import replace
from types import MappingProxyType

from capability_router.config.build import build
from capability_router.config.checks import check
from capability_router.config.completion import known_models
from capability_router.config.nodes import grown_tree
from capability_router.config.plugins import found_plugins
from capability_router.config.reading import content, read
from capability_router.config.wording import validated
from capability_router.engine.blueprint import Blueprint, PoolSpec
from capability_router.engine.errors import ConfigurationError, Problem

__all__ = ["Blueprint", "PoolSpec", "load", "loads"]


_NOTHING: Mapping[str, Collection[str]] = MappingProxyType({})


def load(
    source: str | os.PathLike[str],
    *,
    environ: Mapping[str, str] | None = None,
    section: str = "",
    elsewhere: Mapping[str, Collection[str]] = _NOTHING,
) -> Blueprint:
    """Read a configuration from a file.

    Args:
        source: Path of the YAML file, in UTF-8.
        environ: Where ``${env:NAME}`` is looked up; None for the process's environment.
        section: Key at the top of the file under which the configuration stands, where the rest
            of the file is for another program; empty if it is the whole file.
        elsewhere: Names of ``models`` and ``providers`` that are declared outside of the
            configuration, and may be named in it.

    Returns:
        What it says, checked.

    Raises:
        ConfigurationError: If the file cannot be read or anything in it is wrong; ``problems``
            lists all of it in the file's order.
    """
    name = os.fspath(source)
    found = content(name)
    if isinstance(found, Problem):
        raise ConfigurationError([found])
    return loads(found, file=name, environ=environ, section=section, elsewhere=elsewhere)


def loads(
    text: str,
    *,
    file: str = "<string>",
    environ: Mapping[str, str] | None = None,
    section: str = "",
    elsewhere: Mapping[str, Collection[str]] = _NOTHING,
) -> Blueprint:
    """Read a configuration from text.

    Args:
        text: The YAML.
        file: How messages name it.
        environ: Where ``${env:NAME}`` is looked up; None for the process's environment.
        section: Key at the top under which the configuration stands; as for ``load``.
        elsewhere: Names that are declared outside of it; as for ``load``.

    Returns:
        What it says, checked.

    Raises:
        ConfigurationError: If anything in it is wrong; ``problems`` lists all of it in the text's
            order.
    """
    document = read(text, file, os.environ if environ is None else environ, section)
    document = replace(document, elsewhere=elsewhere)
    tree = grown_tree(document)
    check(document)
    plugins = found_plugins(document)
    known = known_models(document, tree)
    config = validated(document)
    document.findings.stop_if_any()
    if config is None:
        raise AssertionError("a configuration that was refused left no problem to tell")
    return build(config, tree, plugins, known)
