"""Runs every notebook and keeps what it shows; for ``make notebooks``."""

from __future__ import annotations

import os
import sys

from tests.notebooks.executing import NOTEBOOKS, read, run, write


def main() -> None:
    """Renew the outputs of all notebooks."""
    # A plot that has not changed is the same file again.
    os.environ["SOURCE_DATE_EPOCH"] = "0"
    for path in NOTEBOOKS:
        notebook = read(path)
        run(notebook)
        write(notebook, path)
        sys.stdout.write(f"{path.name}\n")


main()
