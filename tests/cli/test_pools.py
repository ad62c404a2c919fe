"""The commands that show the tree and the pools, as a person uses them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from capability_router import registry
from tests.cli.running import GOOD, run, run_json, written

TWO = """\
providers:
  alpha: {base_url: "http://127.0.0.1:1/v1"}
  beta: {base_url: "http://127.0.0.1:2/v1"}
models:
  alpha/m: {capabilities: [chat-completion, ocr]}
  beta/m: {capabilities: [chat-completion]}
pools:
  text:
    hierarchy_node: text-generation
    strategy: {name: weighted, weights: {alpha/m: 2}}
    model_priority: [beta/m]
    limits: {requests: 5/minute}
  code: {hierarchy_node: code-generation}
"""


def test_the_tree_is_shown_with_its_leaves_indented() -> None:
    code, shown = run("tree")
    assert code == 0
    assert shown.startswith("generation\n  text-generation\n    chat-completion\n")


def test_the_tree_of_a_file_has_its_pools_and_models_at_the_nodes(tmp_path: Path) -> None:
    code, shown = run("tree", written(tmp_path))
    assert code == 0
    assert "  text-generation  (pool text)\n    chat-completion\n      local/small\n" in shown


def test_a_terminal_shows_the_tree_with_lines(tmp_path: Path) -> None:
    _, coloured = run("tree", written(tmp_path), columns=40)
    shown = re.sub(r"\x1b\[[0-9;]*m", "", coloured)
    assert coloured != shown
    assert "├── text-generation  pool text" in shown
    assert re.search(r"chat-completion\n[│ ]+└── local/small", shown)


def test_the_tree_as_json_has_each_node(tmp_path: Path) -> None:
    code, nodes = run_json("tree", written(tmp_path))
    at = {node["path"]: node for node in nodes}
    assert code == 0
    assert at["generation.text-generation"]["pools"] == ["text"]
    assert at["generation.text-generation.chat-completion"]["models"] == ["local/small"]


def test_pools_are_shown_with_their_models_in_order(tmp_path: Path) -> None:
    code, shown = run("pools", written(tmp_path, TWO))
    rows = [re.split(r" {2,}", line.strip()) for line in shown.splitlines()]
    assert (code, rows) == (
        0,
        [
            ["pool", "node", "strategy", "models"],
            ["text", "generation.text-generation", "weighted", "beta/m, alpha/m"],
            [
                "code",
                "generation.text-generation.code-generation",
                "stick-until-failure",
                "none",
            ],
            [
                "(defaults)",
                "understanding.vision-understanding.ocr",
                "stick-until-failure",
                "alpha/m",
            ],
            ["2 models, 2 pools"],
        ],
    )


@pytest.mark.parametrize("columns", [40, 80])
def test_pools_keep_within_the_terminal(columns: int, tmp_path: Path) -> None:
    _, shown = run("pools", written(tmp_path, TWO), columns=columns)
    plain = re.sub(r"\x1b\[[0-9;]*m", "", shown)
    assert max(map(len, plain.splitlines())) <= columns
    assert "…" not in plain


def test_pools_as_json_have_their_settings(tmp_path: Path) -> None:
    code, found = run_json("pools", written(tmp_path, TWO))
    assert code == 0
    assert [(pool["name"], pool["declared"]) for pool in found[:2]] == [
        ("text", True),
        ("code", True),
    ]
    assert found[0]["active"] == ["beta/m", "alpha/m"]
    assert found[0]["limits"] == ["5 requests in 1 min"]
    assert [pool["declared"] for pool in found] == [True, True, False]


NAMES = [name for name in registry.names(registry.STRATEGIES) if name != "scored"]
SCORED = "{name: scored, score: 'math:hypot'}"


@pytest.mark.parametrize(("name", "spec"), [*zip(NAMES, NAMES, strict=True), ("scored", SCORED)])
def test_a_strategy_is_shown_by_its_name_in_the_file(name: str, spec: str, tmp_path: Path) -> None:
    text = GOOD.replace("{hierarchy_node", f"{{strategy: {spec}, hierarchy_node")
    code, found = run_json("pools", written(tmp_path, f"{text}allow_imports: true\n"))
    assert (code, found[0]["strategy"]) == (0, name)


def test_a_model_that_never_serves_any_more_is_on_standby(tmp_path: Path) -> None:
    text = GOOD.replace("completion]", "completion], deprecated_on: 2001-01-01")
    assert "local/small (on standby)" in run("pools", written(tmp_path, text))[1]


@pytest.mark.parametrize("command", ["tree", "pools"])
def test_a_file_that_is_wrong_is_told_with_its_place(command: str, tmp_path: Path) -> None:
    config = written(tmp_path, GOOD.replace("text-generation", "txt-generation"))
    code, shown = run(command, config)
    assert code == 2
    assert shown.startswith(f"error: {config}:6:26: pools.text.hierarchy_node")
