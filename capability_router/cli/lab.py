"""The command that serves providers which fail on demand."""

from __future__ import annotations

from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from capability_router.cli.terminal import failure, print_json

if TYPE_CHECKING:
    from capability_router.lab import Lab

__all__ = ["lab"]


class Answers(StrEnum):
    """Who writes the answers of the lab."""

    AUTO = "auto"
    ECHO = "echo"
    SMOLLM2 = "smollm2"


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
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the addresses as JSON, once.")
    ] = False,
) -> None:
    """Serve providers on loopback that fail on demand, until Ctrl-C."""
    # Here and not above: it is a server with all its answers, and other commands do without.
    from capability_router.lab import LabError, serve  # noqa: PLC0415 - said above

    names, ports = names or ["alpha", "beta", "gamma"], port or []
    try:
        if as_json:
            # The addresses are the result, and nothing else is.
            announce = partial(typer.echo, err=True)
            serve(names, ports, answers.value, control_port, announce, greeting=_addresses)
        else:
            serve(names, ports, answers.value, control_port, typer.echo)
    except (LabError, OSError, ValueError) as error:
        raise failure(error) from None


def _addresses(lab: Lab) -> tuple[str, ...]:
    print_json({"providers": {p.name: p.base_url for p in lab}, "control": lab.control_url})
    return ()
