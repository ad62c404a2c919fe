"""The command that follows the log of a router in another process."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn, cast

import typer
from rich.console import Console
from rich.live import Live
from rich.markup import escape

from capability_router.cli.watched import as_line, as_tables
from capability_router.clock import SystemClock
from capability_router.engine.errors import ConfigurationError
from capability_router.watching.log import LogFollower
from capability_router.watching.view import View

if TYPE_CHECKING:
    from capability_router.watching.fields import Record

__all__ = ["watch"]

_INTERVAL_S = 0.25


def watch(
    log: Annotated[Path, typer.Argument(help="The log that the jsonl connector writes.")],
    config: Annotated[
        Path | None,
        typer.Option(help="The router's YAML file: pools and models are known from the start."),
    ] = None,
    http: Annotated[bool, typer.Option("--http", help="Serve a page instead.")] = False,
    host: Annotated[str, typer.Option(help="Address of the page.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port of the page; 0: a free one.")
    ] = 0,
    allow_remote: Annotated[
        bool,
        typer.Option(
            "--allow-remote",
            help="Serve on an address that other machines reach; the page asks for no password.",
        ),
    ] = False,
    once: Annotated[bool, typer.Option("--once", help="Show how things stand and exit.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print each event and decision, or the state, as JSON.")
    ] = False,
) -> None:
    """Show what a router in another process does, until Ctrl-C."""
    if not log.exists() and not once:
        _tell(f"waiting for {log}, which does not exist yet")
    try:
        if once and not log.exists():
            raise ValueError(f"{log} does not exist: give the path that the router logs to")
        source = LogFollower(log, [] if config is None else [_configured(config)])
        if http:
            _serve(source, host, port, allow_remote)
        else:
            _show(source, once, as_json)
    except BrokenPipeError:
        # Who read the lines has had enough; how that ends is the command line's business.
        raise
    except (ConfigurationError, OSError, ValueError) as error:
        _tell(f"[red]error:[/] {escape(str(error))}")
        raise typer.Exit(2) from None
    except KeyboardInterrupt:
        return


def _tell(markup: str) -> None:
    Console(stderr=True, soft_wrap=True).print(markup, highlight=False)


def _configured(path: Path) -> Record:
    # Here and not above: pydantic and PyYAML are needed only where there is a file.
    from capability_router.config import load  # noqa: PLC0415 - said above
    from capability_router.engine.router import Router  # noqa: PLC0415 - as above
    from capability_router.watching.sources import router_state  # noqa: PLC0415 - as above

    # As for ``python app.py``: what stands beside the application is found.
    sys.path.insert(0, "")
    blueprint = load(path)
    # Not the router that applications use: that one may open what the configuration names.
    router = Router(blueprint.tree)
    router.configure(blueprint)
    return router_state(router, router.pools)


def _serve(source: LogFollower, host: str, port: int, allow_remote: bool) -> None:
    # Here and not above: it is a server, and a terminal does without.
    from capability_router.watching.page import serve_source  # noqa: PLC0415 - said above

    with serve_source(source, host, port, allow_remote=allow_remote) as page:
        typer.echo(page.url)
        while True:
            # Unlike the wait for an event, a sleep can be interrupted on Windows too.
            SystemClock().sleep(3600)


def _show(source: LogFollower, once: bool, as_json: bool) -> None:
    console = Console()
    view = View()
    if once:
        while _fed(view, source):
            pass
        _show_once(view, source.title, as_json, console)
    elif as_json or not console.is_terminal:
        _follow(lambda: _print_rows(_fed(view, source), as_json))
    else:
        with Live(console=console, screen=True, auto_refresh=False) as live:

            def show() -> None:
                _fed(view, source)
                tables = as_tables(view, source.title, SystemClock().wall(), console.height)
                live.update(tables, refresh=True)

            _follow(show)


def _follow(step: Callable[[], None]) -> NoReturn:
    clock = SystemClock()
    while True:
        step()
        clock.sleep(_INTERVAL_S)


def _fed(view: View, source: LogFollower) -> list[dict[str, object] | None]:
    """Feed a view with what is new; return the rows to show, None for each other record."""
    return [view.take(record) for record in source.poll()]


def _show_once(view: View, title: str, as_json: bool, console: Console) -> None:
    if as_json:
        typer.echo(json.dumps({**view.state(), "rows": view.whole_rows_after(-1)}, indent=2))
    else:
        console.print(as_tables(view, title, SystemClock().wall()))


def _print_rows(rows: list[dict[str, object] | None], as_json: bool) -> None:
    for row in rows:
        if row is not None:
            typer.echo(json.dumps(row) if as_json else _plain_line(row))


def _plain_line(row: dict[str, object]) -> str:
    wall = cast("float", row["wall"])
    at = datetime.fromtimestamp(wall, UTC).isoformat(timespec="milliseconds")
    return f"{at} {as_line(row, wall).plain}"
