"""The command that says what another configuration would have done with recorded requests."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from capability_router.cli.progress import progress_bar
from capability_router.cli.terminal import failure, print_json, print_page, router_of

__all__ = ["replay"]


def replay(
    log: Annotated[Path, typer.Argument(help="The log that the connector jsonl has written.")],
    config: Annotated[Path, typer.Argument(help="The YAML file.")],
    most: Annotated[int, typer.Option(min=0, help="Differences to list.")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say what a configuration would have done with recorded requests; nobody is called."""
    # Here and not above: it takes longer to import than all commands.
    from capability_router.simulation.replay import replay as replayed  # noqa: PLC0415 - said above

    router = router_of(config)
    try:
        with progress_bar("replaying") as tell:
            told = replayed(log, router, progress=tell)
    except OSError as error:
        raise failure(f"{log}: cannot be read: {error.strerror}") from None
    except (KeyError, ValueError) as error:
        raise failure(error) from None
    if as_json:
        print_json(told.as_dict())
    else:
        print_page(told.page(most))
    if told.changes["lost"]:
        raise typer.Exit(1)
