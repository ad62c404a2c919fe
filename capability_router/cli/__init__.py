"""The ``capability-router`` command."""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> None:
    """Run the command; without its extra, say how to install it and exit with 2."""
    try:
        # Here and not above: typer belongs to an extra.
        from capability_router.cli.app import app  # noqa: PLC0415 - needs the cli extra
    except ModuleNotFoundError as error:
        if error.name not in {"typer", "rich"}:
            raise
        sys.stderr.write(
            f"{error.name} is not installed; run: pip install 'capability-router[cli]'\n"
        )
        sys.exit(2)
    # By its name also for ``python -m``, so that completion and help name a command.
    app(prog_name="capability-router")
