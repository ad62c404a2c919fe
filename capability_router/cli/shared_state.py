"""What the commands have in common that change the state which processes share."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from contextlib import closing
from datetime import UTC, datetime
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer
from rich.markup import escape

from capability_router.cli.terminal import (
    failure,
    find_beside_the_application,
    output,
    print_json,
)
from capability_router.engine.errors import ConfigurationError, nearest
from capability_router.engine.limits import Scope

if TYPE_CHECKING:
    from capability_router.engine.blueprint import Blueprint
    from capability_router.storage.store import StateStore

__all__ = ["ConfigOption", "ForOption", "blueprint_of", "check_known", "in_store", "order"]

T = TypeVar("T")

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        envvar="CAPABILITY_ROUTER_CONFIG",
        help="The YAML file that the processes read, which names their state.",
    ),
]


def _duration(text: str) -> float:
    from capability_router.config.durations import parse_duration  # noqa: PLC0415 - as below

    try:
        return parse_duration(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


ForOption = Annotated[
    float | None,
    typer.Option(
        "--for",
        parser=_duration,
        metavar="DURATION",
        help="How long, such as 2h or 1h30m; without it, until it is recovered.",
    ),
]


def blueprint_of(config: Path | None) -> Blueprint:
    """Read the configuration; if it is wrong or shares nothing, that ends the command."""
    # Here and not above: help starts in half of the time.
    from capability_router.config import load  # noqa: PLC0415 - said above

    if config is None:
        raise failure("no configuration: pass --config FILE, or set CAPABILITY_ROUTER_CONFIG")
    find_beside_the_application()
    try:
        blueprint = load(config)
    except ConfigurationError as error:
        raise failure(error) from None
    if blueprint.state is None:
        raise failure(
            f"{os.fspath(config)} shares no state, so no process would hear of it: add a line such"
            " as 'state: sqlite:////var/lib/app/router.db'"
        )
    return blueprint


def check_known(what: str, name: str, known: Iterable[str]) -> None:
    """End the command if a name is none of those that the configuration has."""
    names = list(known)
    if name not in names:
        near = nearest(name, names)
        hint = f"; nearest: {near[0]}" if near else ""
        raise failure(f"the configuration has no {what} {name!r}{hint}")


def in_store(blueprint: Blueprint, work: Callable[[StateStore], T]) -> T:
    """Do something in the store of a configuration; that it cannot be asked ends the command."""
    from capability_router.storage.opening import open_store  # noqa: PLC0415 - as above
    from capability_router.storage.store import StoreError  # noqa: PLC0415 - as above

    try:
        store = open_store(blueprint.state)
        if store is None:
            raise failure("the configuration shares no state: memory:// is each process's own")
        with closing(store):
            return work(store)
    except (ImportError, StoreError, ValueError) as error:
        raise failure(error) from None


def order(
    blueprint: Blueprint, scope: Scope, reason: str, for_s: float | None, *, as_json: bool
) -> None:
    """Send a model or a provider away in every process, and say so."""
    from capability_router.storage.orders import give  # noqa: PLC0415 - as above

    until = in_store(blueprint, lambda store: give(store, scope, reason, for_s))
    if as_json:
        ends = None if until == inf else _moment(until)
        print_json({scope.kind: scope.name, "reason": reason, "until": ends})
        return
    ends = "it is recovered" if until == inf else _moment(until)
    output().print(f"[bold]{escape(scope.name)}[/] is on standby until {ends}: {escape(reason)}")


def _moment(until: float) -> str:
    return datetime.fromtimestamp(until, UTC).isoformat(timespec="seconds")
