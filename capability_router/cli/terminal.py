"""What the commands have in common: where they write, and how they fail."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from capability_router.display import blocks
from capability_router.engine.errors import ConfigurationError

if TYPE_CHECKING:
    from capability_router.router import CapabilityRouter

__all__ = [
    "EXIT_CODES",
    "counted",
    "failure",
    "find_beside_the_application",
    "listed",
    "output",
    "print_json",
    "print_page",
    "router_of",
]

EXIT_CODES = {
    0: "done, and all is well",
    1: "done, and something is not well: what it is has been shown",
    2: "not done: an argument, a file or an installation is not as it has to be",
}
"""What every command ends with; the one place where it is said."""

_WIDEST = 240


def output() -> Console:
    """Return the console for results.

    What reads from a pipe, such as grep, wants each thing on a line of its own.
    """
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=_WIDEST)


def print_json(value: object) -> None:
    """Write a value as JSON, whatever the width of the terminal."""
    typer.echo(json.dumps(value, indent=2))


def print_page(page: blocks.Page) -> None:
    """Write a page of tables, within the width of the terminal."""
    console = output()
    console.print(f"[bold]{escape(page.heading)}[/]")
    for block in page.blocks:
        console.print()
        console.print(_table(block) if isinstance(block, blocks.Table) else escape(block.text()))


def _table(block: blocks.Table) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for column in block.columns:
        table.add_column(escape(column), overflow="fold")
    for row in block.rows:
        table.add_row(*map(escape, row))
    if block.omitted:
        table.add_row(f"[dim]… and {block.omitted:,} more[/]")
    return table


def failure(error: Exception | str) -> typer.Exit:
    """Say on stderr what is wrong; returns the end of the command, with 2."""
    console = Console(stderr=True, soft_wrap=True, highlight=False)
    console.print(f"[red]error:[/] {escape(str(error))}")
    return typer.Exit(2)


def router_of(config: Path) -> CapabilityRouter:
    """Build the router of a file; what is wrong with the file ends the command.

    Its connectors and its state are left out: looking at a configuration must write nothing.
    """
    # Here and not above: commands that need no router, and all help, start in half of the time.
    from capability_router.config import load  # noqa: PLC0415 - said above
    from capability_router.router import CapabilityRouter  # noqa: PLC0415 - as above

    find_beside_the_application()
    try:
        blueprint = replace(load(config), connectors=(), state=None)
    except ConfigurationError as error:
        raise failure(error) from None
    router = CapabilityRouter(blueprint.tree)
    router.configure(blueprint)
    return router


def find_beside_the_application() -> None:
    """Let a file name code in the current folder, as ``python app.py`` does."""
    if "" not in sys.path:
        sys.path.insert(0, "")


def counted(number: int, noun: str) -> str:
    """Return a number with its noun: ``1 pool``, ``2 pools``."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def listed(names: Sequence[str] | None) -> list[str]:
    """Return the names of an option that is repeated, or that has several with commas."""
    return [part.strip() for name in names or () for part in name.split(",") if part.strip()]
