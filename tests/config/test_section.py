"""A configuration that is one section of another program's file."""

from __future__ import annotations

from pathlib import Path

import pytest

from capability_router.config import load, loads
from capability_router.engine.errors import ConfigurationError

MINE = "mine"


def told(text: str) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        loads(text, file="app.yaml", section=MINE)
    return [str(problem) for problem in caught.value.problems]


def test_only_the_section_is_read(tmp_path: Path) -> None:
    file = tmp_path / "app.yaml"
    file.write_text(
        """\
theirs: {base: &base {key: "${env:NOT_SET}"}, more: {<<: *base}, odd: !tag [1]}
names: &pool {hierarchy_node: ocr}
mine: {pools: {ours: *pool}}
"""
    )
    assert [pool.name for pool in load(file, section=MINE, environ={}).pools] == ["ours"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("other: 1", "app.yaml:1:1: mine: this file has no such section"),
        ("- mine", "app.yaml:1:1: mine: this file has no such section"),
        ("a: 1\nmine:", "app.yaml:2:1: mine: the section is empty"),
        ("a: 1\nmine: [x]", "app.yaml:2:7: mine: expected keys such as"),
        ("mine: {}\nmine: {}", "app.yaml:2:1: mine: this key stands twice"),
        ("a: 1\nmine: {pols: {}}", "app.yaml:2:8: mine.pols: unknown key 'pols'"),
        ("mine: {pools: {x: {hierarchy_node: orc}}}", "app.yaml:1:36: mine.pools.x.hierarchy_node"),
    ],
)
def test_mistakes_are_told_with_their_place_in_the_whole_file(text: str, message: str) -> None:
    [problem] = told(text)
    assert problem.startswith(message)


@pytest.mark.parametrize(
    ("key", "kind"), [("model_priority", "models"), ("allowed_providers", "providers")]
)
def test_names_that_are_declared_elsewhere_may_be_used(key: str, kind: str) -> None:
    text = f"pools: {{x: {{hierarchy_node: ocr, {key}: [theirs]}}}}"
    [pool] = loads(text, elsewhere={kind: ["theirs"]}).pools
    assert getattr(pool.preferences, key) == ("theirs",)
    with pytest.raises(ConfigurationError, match=f"none of the {kind}, which are: thairs; did"):
        loads(text, elsewhere={kind: ["thairs"]})
    with pytest.raises(ConfigurationError, match=f"not declared under {kind}, which has: none"):
        loads(text)


def test_a_key_stays_hidden_below_a_section() -> None:
    [problem] = told("mine: {providers: {a: {api_key: sk-canary}}}")
    assert problem.startswith("app.yaml:1:33: mine.providers.a.api_key: an API key must not stand")
    assert "canary" not in problem
