"""What the README shows really runs, as it stands there, against providers of the lab."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from nbclient import NotebookClient
from nbformat import v4

from capability_router.config import loads
from capability_router.lab import Lab
from tests.docs.snippets import README, snippet, snippets

PYTHON = {
    "In LangChain",
    "From with_fallbacks",
    "In LiteLLM",
    "In LiteLLM, without a Router",
    "Around any other call",
}
PORTS = ("9001", "9002")


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    """Providers at work, and the README's router.yaml with their addresses in the folder."""
    with Lab(["alpha", "beta"], answers="echo") as lab:
        text = snippet("A configuration")
        assert all(f"http://127.0.0.1:{port}/v1" in text for port in PORTS)
        (tmp_path / "router.yaml").write_text(addressed(text, lab))
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("ALPHA_KEY", "a")
        monkeypatch.setenv("BETA_KEY", "b")
        yield lab


def addressed(text: str, lab: Lab) -> str:
    """Put the addresses of the lab where the README has those of its own providers."""
    for port, provider in zip(PORTS, lab, strict=True):
        text = text.replace(f"http://127.0.0.1:{port}/v1", provider.base_url)
    return text


def run(heading: str, lab: Lab) -> str:
    """Run a block as a program of its own, in the current folder, and return what it prints."""
    program = Path("snippet.py")
    program.write_text(addressed(snippet(heading), lab))
    done = subprocess.run(
        [sys.executable, str(program)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("heading", sorted(PYTHON))
def test_a_snippet_runs_as_it_stands(heading: str, lab: Lab) -> None:
    printed = run(heading, lab)
    if heading == "Around any other call":
        assert printed.startswith("summarization -> beta/small (beta/small: served in ")
    else:
        assert "alpha echoes" in printed
    if heading == "In LiteLLM":
        assert lab["alpha"].request_count == 2


@pytest.mark.parametrize(
    "heading", ["In LangChain", "From with_fallbacks", "In LiteLLM, without a Router"]
)
def test_a_snippet_answers_while_the_first_provider_is_dead(heading: str, lab: Lab) -> None:
    lab["alpha"].stop()
    assert "beta echoes" in run(heading, lab)


@pytest.mark.usefixtures("lab")
def test_the_notebook_snippet_runs_in_a_real_kernel(tmp_path: Path) -> None:
    lines = [line for line in snippet("In a notebook").splitlines() if line]
    make: Any = v4
    notebook = make.new_notebook(cells=[make.new_code_cell(line) for line in lines])
    resources = {"metadata": {"path": str(tmp_path)}}
    NotebookClient(notebook, timeout=60, kernel_name="python3", resources=resources).execute()
    shown = {
        line: cell.outputs[0]["data"]["text/plain"]
        for line, cell in zip(lines, notebook.cells, strict=True)
        if cell.outputs
    }
    tree, state, active = shown.values()
    assert tree.startswith("generation\n  text-generation\n    chat-completion")
    assert state.startswith("PoolState(name='text'")
    assert "active_count=2" in state
    assert "beta/small" in active
    assert "alpha/small" not in active


def test_the_file_about_limits_is_a_good_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GROQ_API_KEY", "any")
    blueprint = loads(snippet("Free tiers, limits and maintenance"))
    (pool,) = blueprint.pools
    (model,) = blueprint.models
    assert pool.policy.maintenance
    assert (str(model.limits[0]), len(blueprint.providers[0].limits)) == (
        "1000 requests until 00:00 UTC",
        2,
    )


def test_every_block_of_the_readme_is_run() -> None:
    python = {s.heading for s in snippets(README.read_text("utf-8")) if s.language == "python"}
    assert python == PYTHON | {"In a notebook"}


@pytest.mark.parametrize(
    "linked",
    [
        "docs/architecture.md",
        "docs/catalogue.md",
        "docs/faults.md",
        "docs/glossary.md",
        "docs/proxy.md",
        "LICENSE",
    ],
)
def test_the_readme_links_to_files_that_exist(linked: str) -> None:
    assert f"({linked})" in README.read_text("utf-8")
    assert (README.parent / linked).is_file()


@pytest.mark.usefixtures("lab")
def test_the_example_of_changes_runs_as_it_stands() -> None:
    text = (README.parent / "docs" / "configuration.md").read_text("utf-8")
    (code,) = (s.code for s in snippets(text) if s.heading == "Changing it while it runs")
    Path("snippet.py").write_text(code)
    done = subprocess.run(
        [sys.executable, "snippet.py"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("[StandbyState(model='alpha/small', reason='manual'")
