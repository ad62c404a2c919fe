"""What the document about the catalogue shows is true."""

import re
from pathlib import Path

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from capability_router import CapabilityTree, Catalogue
from capability_router.cli.app import app

TEXT = (Path(__file__).parents[2] / "docs" / "catalogue.md").read_text("utf-8")


def block(language: str, number: int = 0) -> str:
    found: list[str] = re.findall(rf"^```{language}\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
    return found[number]


def test_the_first_example_runs_as_it_stands(capsys: pytest.CaptureFixture[str]) -> None:
    exec(block("python"), {})
    assert capsys.readouterr().out == "128000 True\n"


def test_the_example_of_discovery_is_valid_python() -> None:
    compile(block("python", 1), "catalogue.md", "exec")


def test_the_overlay_is_a_valid_one(tmp_path: Path) -> None:
    path = tmp_path / "models.yaml"
    path.write_text(block("yaml"), encoding="utf-8")
    known = Catalogue.from_litellm().overlaid(path)
    assert known["openai/gpt-3.5-turbo"].capabilities == ()
    assert known["groq/team/own-model"].context_window == 32_000


def test_the_table_has_every_leaf_that_a_model_stands_at() -> None:
    rows = TEXT.partition("## Capabilities")[2].partition("\n## ")[0]
    shown = {
        word
        for row in re.findall(r"^\|.*\|(.*)\|$", rows, re.MULTILINE)
        for word in re.findall(r"`([a-z-]+)`", row)
    }
    stood_at = {leaf for entry in Catalogue.from_litellm().values() for leaf in entry.capabilities}
    assert {CapabilityTree().resolve(name).path for name in shown} == stood_at


def test_every_option_of_the_command_stands_in_its_table() -> None:
    command = get_command(app).commands["models"]  # type: ignore[attr-defined] # a group
    options = {name for parameter in command.params for name in parameter.opts} - {"--help"}
    rows = TEXT.partition("## On the command line")[2]
    assert options == set(re.findall(r"^\| `(--[a-z-]+)", rows, re.MULTILINE))


def test_the_command_line_lists_models() -> None:
    (line,) = re.findall(r"`capability-router (models --cap[^`]*)`", TEXT)
    result = CliRunner().invoke(app, line.split())
    assert result.exit_code == 0
    assert "1k pages" in result.output
