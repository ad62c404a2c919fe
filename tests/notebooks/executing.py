"""Runs notebooks in kernels of their own, and says what of their outputs has to stay the same."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

from tests.house.source import ROOT

FOLDER = ROOT / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
SVG = "image/svg+xml"

METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
"""The same wherever a notebook was run; a kernel would write its version of Python here."""

_WORDS = re.compile(r"<text[^>]*>([^<]*)</text>")


def read(path: Path) -> Any:
    """Read a notebook."""
    reading: Any = nbformat
    return reading.read(path, as_version=4)


def write(notebook: Any, path: Path) -> None:
    """Write a notebook."""
    writing: Any = nbformat
    writing.write(notebook, path)


def run(notebook: Any) -> None:
    """Run every cell in a new kernel, and put the outputs in place of the old ones.

    Raises:
        CellExecutionError: If a cell raises.
    """
    client = NotebookClient(
        notebook,
        timeout=240,
        kernel_name="python3",
        # Several prints of one cell come in one piece or in many, as it happens.
        coalesce_streams=True,
        record_timing=False,
        # A plot takes its style from the matplotlibrc of this folder.
        resources={"metadata": {"path": str(FOLDER)}},
    )
    client.execute()
    notebook.metadata = METADATA


def code_cells(notebook: Any) -> list[Any]:
    """Return the cells that are run."""
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def outputs(notebook: Any) -> list[tuple[str, dict[str, object]]]:
    """Return each output next to the code that made it: its forms, and of a plot its words.

    How a plot is drawn is for the version of matplotlib; what stands at its axes is not.
    """
    return [
        (cell.source, _forms(output)) for cell in code_cells(notebook) for output in cell.outputs
    ]


def _forms(output: Any) -> dict[str, object]:
    if output.output_type == "stream":
        return {output.name: output.text}
    return {
        form: _WORDS.findall(value) if form == SVG else value for form, value in output.data.items()
    }
