"""Every notebook runs from its first cell to its last, and says what is kept in it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.notebooks.executing import (
    FOLDER,
    METADATA,
    NOTEBOOKS,
    SVG,
    code_cells,
    outputs,
    read,
    run,
)

# A folder, an address in memory, a port that was free.
OF_ONE_MACHINE = re.compile(r"/(?:home|root|tmp|Users)/|0x[0-9a-f]{6}|127\.0\.0\.1:\d")

each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


# Several kernels that import LiteLLM at once take a small machine a while.
@pytest.mark.timeout(300)
@each_notebook
def test_a_notebook_says_again_what_is_kept_in_it(path: Path) -> None:
    kept, again = read(path), read(path)
    run(again)
    assert outputs(again) == outputs(kept)


@each_notebook
def test_a_kept_notebook_was_run_in_order_and_holds_nothing_of_its_machine(path: Path) -> None:
    notebook = read(path)
    cells = code_cells(notebook)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert notebook.metadata == METADATA
    assert not any(cell.metadata for cell in notebook.cells)
    forms = [str(each) for _, each in outputs(notebook)]
    assert [each for each in forms if OF_ONE_MACHINE.search(each)] == []


@each_notebook
def test_a_kept_notebook_shows_no_error_and_no_warning(path: Path) -> None:
    kinds = [output for cell in code_cells(read(path)) for output in cell.outputs]
    assert kinds
    assert [o for o in kinds if o.output_type == "error" or o.get("name") == "stderr"] == []


@each_notebook
def test_a_notebook_is_listed_with_its_title(path: Path) -> None:
    title = read(path).cells[0].source.splitlines()[0].removeprefix("# ")
    assert f"[{title}]({path.name})" in (FOLDER / "README.md").read_text("utf-8")
    assert title.startswith(f"{path.name[:2]} ")


def test_plots_are_drawn_as_lines_and_words() -> None:
    forms = [form for path in NOTEBOOKS for _, form in outputs(read(path))]
    plots = [form[SVG] for form in forms if SVG in form]
    assert all(plots)
    assert not any("image/png" in form for form in forms)
