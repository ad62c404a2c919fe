"""Registers the commands; each is in a module of its own."""

from __future__ import annotations

from importlib.metadata import version
from typing import Annotated

import typer

from capability_router.cli.check import check
from capability_router.cli.deactivate import deactivate
from capability_router.cli.demo import demo
from capability_router.cli.drain import drain
from capability_router.cli.explain import explain
from capability_router.cli.lab import lab
from capability_router.cli.models import models
from capability_router.cli.pools import pools
from capability_router.cli.probe import probe
from capability_router.cli.recover import recover
from capability_router.cli.replay import replay
from capability_router.cli.simulate import simulate
from capability_router.cli.terminal import EXIT_CODES
from capability_router.cli.tree import tree
from capability_router.cli.watch import watch

__all__ = ["app"]

_ENDS = "Exit codes: " + "; ".join(f"{code}: {what}" for code, what in EXIT_CODES.items()) + "."

app = typer.Typer(
    help="Ask for a capability, not for a provider.", epilog=_ENDS, no_args_is_help=True
)
_COMMANDS = (
    *(check, deactivate, demo, drain, explain, lab, models, pools),
    *(probe, recover, replay, simulate, tree, watch),
)
for _command in _COMMANDS:
    app.command(epilog=_ENDS)(_command)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(version("capability-router"))
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
