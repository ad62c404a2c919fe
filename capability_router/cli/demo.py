"""The command that shows a newcomer what this is, with nothing to configure and nobody to pay."""

from __future__ import annotations

from typing import Annotated

import typer

from capability_router.cli.terminal import failure

__all__ = ["demo"]


def demo(
    as_json: Annotated[
        bool, typer.Option("--json", help="Print each event and decision as JSON, one in a line.")
    ] = False,
) -> None:
    """Break providers on this machine, and see that the answers go on; needs no key."""
    # Here and not above: it is a router and a server, and other commands do without.
    from capability_router.cli.demo_play import play  # noqa: PLC0415 - said above
    from capability_router.lab import LabError  # noqa: PLC0415 - as above

    try:
        missed = play(as_json=as_json)
    except BrokenPipeError:
        # Who read the lines has had enough; how that ends is the command line's business.
        raise
    except (LabError, OSError) as error:
        raise failure(error) from None
    except KeyboardInterrupt:
        return
    if missed:
        raise typer.Exit(1)
