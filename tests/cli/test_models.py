"""The command that lists models, as a person uses it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from capability_router import Catalogue
from capability_router.catalogue import price_map
from capability_router.catalogue.vendors import VENDORS
from capability_router.cli.app import app

ROWS: dict[str, dict[str, object]] = {
    "small-chat": {
        "litellm_provider": "openai",
        "mode": "chat",
        "input_cost_per_token": 1e-07,
        "output_cost_per_token": 4e-07,
        "max_input_tokens": 128_000,
        "supports_vision": True,
        "supports_function_calling": True,
    },
    "groq/large-chat": {
        "litellm_provider": "groq",
        "mode": "chat",
        "input_cost_per_token": 3e-06,
        "output_cost_per_token": 1e-06,
        "max_input_tokens": 1_050_000,
        "deprecation_date": "2999-12-31",
    },
    "groq/withdrawn": {
        "litellm_provider": "groq",
        "mode": "chat",
        "deprecation_date": "2020-12-31",
    },
    "mistral/reader": {"litellm_provider": "mistral", "mode": "ocr", "ocr_cost_per_page": 0.002},
}


@pytest.fixture(autouse=True)
def small_map(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "map.json"
    path.write_text(json.dumps(ROWS))
    known = Catalogue.from_litellm(path)
    monkeypatch.setattr(Catalogue, "from_litellm", lambda: known)
    for vendor in VENDORS.values():
        for name in vendor.credentials[0]:
            monkeypatch.delenv(name, raising=False)


def run(*arguments: str, columns: int | None = None) -> tuple[int, list[str]]:
    """Run the command, in a terminal of that width or in a pipe, and return what it shows."""
    terminal = {"COLUMNS": str(columns), "FORCE_COLOR": "1"} if columns else {"COLUMNS": "40"}
    result = CliRunner().invoke(app, ["models", *arguments], env=terminal)
    shown = re.sub(r"\x1b\[[0-9;]*m", "", result.output)
    return result.exit_code, [line.rstrip() for line in shown.splitlines()]


def listed(*arguments: str) -> list[str]:
    """The models that are listed, by name."""
    code, lines = run(*arguments, "--json", "--limit", "0")
    assert code == 0, lines
    found: list[dict[str, str]] = json.loads("\n".join(lines))
    return [model["model"] for model in found]


def test_models_are_shown_with_price_context_and_features() -> None:
    assert run() == (
        0,
        [
            "model                $ in / out  context  features             until",
            "openai/small-chat     0.1 / 0.4     128k  stream tools vision",
            "mistral/reader     2 / 1k pages        ?  vision pdf",
            "groq/large-chat           3 / 1    1.05M  stream               2999-12-31",
            "3 models; US dollars for a million tokens",
        ],
    )


@pytest.mark.parametrize("columns", [60, 80, 100])
def test_nothing_is_cut_on_a_narrow_terminal(columns: int) -> None:
    code, lines = run(columns=columns)
    assert code == 0
    assert max(map(len, lines)) <= columns
    text = "".join("\n".join(lines).split())
    assert "…" not in text
    # A name may go on in the next line; what is in one column stays whole.
    for part in ("groq/large", "0.1/0.4", "1.05M", "2999-12-31"):
        assert part in text


def test_in_a_pipe_each_model_has_one_line() -> None:
    _, lines = run()
    assert [line.split()[0] for line in lines] == [
        "model",
        "openai/small-chat",
        "mistral/reader",
        "groq/large-chat",
        "3",
    ]


def test_models_are_chosen_by_capability_features_and_price() -> None:
    assert listed("--capability", "ocr", "--features", "vision", "--max-price", "2") == [
        "mistral/reader"
    ]
    assert listed("--capability", "ocr", "--max-price", "1.9") == []
    assert listed("--features", "vision,tool_calling") == ["openai/small-chat"]
    assert listed("--features", "vision", "--features", "pdf_input") == ["mistral/reader"]
    assert listed("--vendor", "groq") == ["groq/large-chat"]


def test_withdrawn_models_are_shown_only_where_they_are_asked_for() -> None:
    assert "groq/withdrawn" in listed("--deprecated")


def test_only_models_of_vendors_with_a_key_are_available(monkeypatch: pytest.MonkeyPatch) -> None:
    assert listed("--available") == []
    monkeypatch.setenv("GROQ_API_KEY", "x")
    assert listed("--available") == ["groq/large-chat"]


@pytest.mark.parametrize(
    ("order", "first"),
    [("price", "openai/small-chat"), ("name", "groq/large-chat"), ("context", "groq/large-chat")],
)
def test_models_are_sorted(order: str, first: str) -> None:
    assert listed("--sort", order)[0] == first


def test_a_limit_says_how_many_there_are() -> None:
    code, lines = run("--limit", "1")
    assert code == 0
    assert lines[1].startswith("openai/small-chat")
    assert lines[-1] == "1 of 3 models (--limit 0 shows all); US dollars for a million tokens"


def test_json_has_all_that_is_known() -> None:
    code, lines = run("--vendor", "openai", "--json")
    (model,) = json.loads("\n".join(lines))
    assert code == 0
    assert model["price"] == {"input": 0.1, "output": 0.4}
    assert "generation.text-generation.chat-completion" in model["capabilities"]
    assert model["litellm_key"] == "small-chat"


def test_an_overlay_is_laid_over_the_models(tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    path.write_text("models: {groq/own: {capabilities: [ocr]}}")
    assert listed("--overlay", str(path), "--capability", "ocr") == ["mistral/reader", "groq/own"]
    path.write_text("models: {groq/own: {capabilities: [ocrr]}}")
    code, lines = run("--overlay", str(path))
    assert (code, "own.yaml:1:36: models.'groq/own'.capabilities[0]" in "".join(lines)) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (
            ["--capability", "ocrr"],
            "error: unknown capability 'ocrr'; nearest: understanding.vision-understanding.ocr",
        ),
        (["--features", "visoin"], "error: unknown feature 'visoin'; nearest: vision"),
        (["--vendor", "opnai"], "error: unknown vendor 'opnai'; nearest: openai"),
    ],
)
def test_what_does_not_exist_is_told_with_the_nearest_name(
    arguments: list[str], error: str
) -> None:
    assert run(*arguments) == (2, [error])


def test_without_litellm_the_command_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(price_map, "find_spec", lambda name: None)
    code, lines = run()
    assert code == 2
    assert "pip install 'capability-router[litellm]'" in lines[0]


OWN = """\
providers:
  here: {base_url: "http://127.0.0.1:1/v1"}
tree: {generation: {text-generation: [haiku]}}
models:
  here/poet: {capabilities: [haiku], context_window: 2048, price: {input: 1, output: 2}}
  here/artist: {capabilities: [text-to-image], features: [vision]}
"""


def test_the_models_of_a_configuration_are_listed_and_chosen_alike(tmp_path: Path) -> None:
    config = tmp_path / "router.yaml"
    config.write_text(OWN)
    assert listed("--config", str(config)) == ["here/poet", "here/artist"]
    assert listed("--config", str(config), "--capability", "haiku") == ["here/poet"]
    assert listed("--config", str(config), "--features", "vision") == ["here/artist"]
    _, lines = run("--config", str(config))
    assert lines[1].split() == ["here/poet", "1", "/", "2", "2.05k"]


@pytest.mark.parametrize("other", [["--available"], ["--overlay", "x.yaml"]])
def test_what_belongs_to_the_catalogue_is_refused_for_a_configuration(
    other: list[str], tmp_path: Path
) -> None:
    code, lines = run("--config", str(tmp_path / "router.yaml"), *other)
    assert code == 2
    assert lines[0].startswith("error: --available and --overlay are for the catalogue")
