"""The reference names every key and every strategy, with all that it can be told."""

import re
from collections.abc import Iterator
from pathlib import Path

from capability_router import registry
from capability_router.config.parameters import parameters_of
from capability_router.config.schema import allowed_keys

REFERENCE = Path(__file__).parents[2] / "docs" / "configuration.md"


def named() -> set[str]:
    """Return every word in backticks."""
    prose = re.sub(r"^```.*?^```", "", REFERENCE.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    quoted = re.findall(r"`([^`]+)`", prose)
    return {word for text in quoted for word in re.findall(r"\w+", text)}


def keys(path: tuple[str, ...] = ()) -> Iterator[str]:
    for key in allowed_keys(path):
        yield key
        # What stands in a mapping by name stands below the name.
        below = (*path, key) if path else (key, "any")
        yield from keys(below)


def test_every_key_stands_in_the_reference() -> None:
    assert sorted(set(keys()) - named()) == []


def test_every_strategy_stands_in_the_reference_with_its_parameters() -> None:
    rows = dict(re.findall(r"^\| `([a-z-]+)` \|(.*)$", REFERENCE.read_text("utf-8"), re.MULTILINE))
    for name in registry.names("strategies"):
        parameters = parameters_of(registry.resolve("strategies", name))
        assert [key for key in parameters if f"`{key}`" not in rows[name]] == [], name
