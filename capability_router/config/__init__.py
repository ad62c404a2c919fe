"""One YAML file, checked as a whole, turned into values of the engine.

All that is wrong comes out at once, each problem with its file, line, column and key, with what
was found and what is allowed; nothing is built then. Secrets stand in the environment, the file
holds ``${env:NAME}``, and no message shows a value that came from there.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from capability_router.config.build import build
from capability_router.config.checks import check
from capability_router.config.nodes import grown_tree
from capability_router.config.plugins import found_plugins
from capability_router.config.reading import read
from capability_router.config.wording import validated
from capability_router.engine.blueprint import Blueprint, PoolSpec
from capability_router.engine.errors import ConfigurationError, Problem

__all__ = ["Blueprint", "PoolSpec", "load", "loads"]


def load(source: str | os.PathLike[str], *, environ: Mapping[str, str] | None = None) -> Blueprint:
    """Read a configuration from a file.

    Args:
        source: Path of the YAML file, in UTF-8.
        environ: Where ``${env:NAME}`` is looked up; None for the process's environment.

    Returns:
        What it says, checked.

    Raises:
        ConfigurationError: If the file cannot be read or anything in it is wrong; ``problems``
            lists all of it in the file's order.
    """
    name = os.fspath(source)
    found = _content(name)
    if isinstance(found, Problem):
        raise ConfigurationError([found])
    return loads(found, file=name, environ=environ)


def loads(
    text: str, *, file: str = "<string>", environ: Mapping[str, str] | None = None
) -> Blueprint:
    """Read a configuration from text.

    Args:
        text: The YAML.
        file: How messages name it.
        environ: Where ``${env:NAME}`` is looked up; None for the process's environment.

    Returns:
        What it says, checked.

    Raises:
        ConfigurationError: If anything in it is wrong; ``problems`` lists all of it in the text's
            order.
    """
    document = read(text, file, os.environ if environ is None else environ)
    tree = grown_tree(document)
    check(document)
    plugins = found_plugins(document)
    config = validated(document)
    document.findings.stop_if_any()
    if config is None:
        raise AssertionError("a configuration that was refused left no problem to tell")
    return build(config, tree, plugins)


def _content(name: str) -> str | Problem:
    """The text of a file, or why there is none."""
    try:
        return Path(name).read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        return Problem(f"not UTF-8 text: byte {error.start} cannot be read", file=name)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "the path cannot be used"
    # Whoever passes the text itself must not see it, keys included, as the name of a file.
    if "\n" in name or ": " in name:
        return Problem("load takes the path of a file; for YAML text there is loads")
    return Problem(f"cannot be read: {why[0].lower()}{why[1:]}", file=name)
