"""Commands and their arguments; what they do is elsewhere."""

from __future__ import annotations

import sys
from enum import StrEnum
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from capability_router import (
    CapabilityPool,
    CapabilityRouter,
    CapabilityTree,
    ConfigurationError,
)
from capability_router.cli.models import models
from capability_router.lab import LabError, serve

__all__ = ["app"]

app = typer.Typer(
    help="Ask for a capability, not for a provider.", no_args_is_help=True, add_completion=False
)
app.command()(models)
_out = Console(soft_wrap=True)
_err = Console(soft_wrap=True, stderr=True)


class Answers(StrEnum):
    """Who writes the answers of the lab."""

    AUTO = "auto"
    ECHO = "echo"
    SMOLLM2 = "smollm2"


def _show_version(wanted: bool) -> None:
    if wanted:
        _out.print(version("capability-router"), highlight=False)
        raise typer.Exit


@app.callback()
def _options(
    _version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    """Take the options that stand before a command."""


@app.command()
def lab(
    names: Annotated[
        list[str] | None, typer.Argument(help="Names of the providers; default: alpha beta gamma.")
    ] = None,
    port: Annotated[
        list[int] | None,
        typer.Option(min=0, max=65535, help="Port of each provider in order; default: free ones."),
    ] = None,
    control_port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port to change faults at; 0: a free one.")
    ] = 0,
    answers: Annotated[
        Answers, typer.Option(help="Real tokens from smollm2, an echo, or what is installed.")
    ] = Answers.AUTO,
) -> None:
    """Serve providers on loopback that fail on demand, until Ctrl-C."""

    def announce(line: str) -> None:
        _out.print(escape(line), highlight=False)

    try:
        serve(
            names or ["alpha", "beta", "gamma"], port or [], answers.value, control_port, announce
        )
    except (LabError, OSError, ValueError) as error:
        raise _failure(error) from None


@app.command()
def check(config: Annotated[Path, typer.Argument(help="The YAML file.")]) -> None:
    """Check a configuration and show what it makes."""
    # As for ``python app.py``: what stands beside the application is found.
    sys.path.insert(0, "")
    try:
        router = CapabilityRouter.from_yaml(config)
    except ConfigurationError as error:
        raise _failure(error) from None
    for pool in router.pools:
        _show_pool(pool)
    for leaf in sorted({leaf for model in router.models for leaf in model.capabilities}):
        if router.pool(leaf) not in router.pools:
            _show_pool(router.pool(leaf), " (no pool of its own: the defaults hold)")
    models, pools = _counted(len(router.models), "model"), _counted(len(router.pools), "pool")
    empty = [pool.name for pool in router.pools if not pool.get_state().active_count]
    verdict = "[green]all is well[/]"
    if empty or not router.models:
        where = escape(", ".join(empty)) or "any pool"
        verdict = f"[yellow]well formed, but no model can serve in {where}[/]"
    _out.print(f"{models}, {pools}: {verdict}", highlight=False)


@app.command()
def tree() -> None:
    """Show the default capability tree."""
    _out.print(str(CapabilityTree()), highlight=False)


def _show_pool(pool: CapabilityPool, remark: str = "") -> None:
    resting = [f"{model.id} (on standby)" for model in pool.get_standby_models()]
    models = ", ".join([*(m.id for m in pool.get_active_models()), *resting]) or "no models"
    place = f" at {pool.hierarchy_node}" if pool.name != pool.hierarchy_node else ""
    _out.print(f"[bold]{escape(pool.name)}[/]{place}: {escape(models)}{remark}", highlight=False)


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _failure(error: Exception) -> typer.Exit:
    _err.print(f"[red]error:[/] {escape(str(error))}", highlight=False)
    return typer.Exit(2)
