"""The command that shows the pools of a configuration."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from capability_router.cli.terminal import counted, output, print_json, router_of
from capability_router.engine.fingerprint import short_name

if TYPE_CHECKING:
    from capability_router.engine.pool import CapabilityPool
    from capability_router.engine.selection import StrategyFactory
    from capability_router.router import CapabilityRouter

__all__ = ["pools"]

_ENGINE = "capability_router.engine."


def pools(
    config: Annotated[Path, typer.Argument(help="The YAML file.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show the pools of a configuration: who serves what, in which order."""
    router = router_of(config)
    found = [*router.pools, *_implied(router)]
    if as_json:
        print_json([_as_json(pool, router) for pool in found])
    else:
        _show(found, router)


def _implied(router: CapabilityRouter) -> list[CapabilityPool]:
    """The pools that the router makes for capabilities which no declared one covers."""
    leaves = sorted({leaf for model in router.models for leaf in model.capabilities})
    return [pool for pool in map(router.pool, leaves) if pool not in router.pools]


def _show(found: list[CapabilityPool], router: CapabilityRouter) -> None:
    console = output()
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for column in ("pool", "node", "strategy", "models"):
        table.add_column(column, overflow="fold")
    for pool in found:
        models = [escape(model) for model in _models(pool)] or ["[red]none[/]"]
        # In a pipe each pool has one line.
        listed = ("\n" if console.is_terminal else ", ").join(models)
        name = f"[bold]{escape(pool.name)}[/]" if pool in router.pools else "[dim](defaults)[/]"
        table.add_row(name, pool.hierarchy_node, _strategy(pool.rotation_policy.selection), listed)
    if found:
        console.print(table)
    told = f"{counted(len(router.models), 'model')}, {counted(len(router.pools), 'pool')}"
    console.print(f"[dim]{told}[/]")


def _models(pool: CapabilityPool) -> list[str]:
    """Its models in the order in which it prefers them, and who is not at work."""
    resting = {model.id for model in pool.get_standby_models()}
    models = [*pool.get_active_models(), *pool.get_standby_models()]
    return [
        f"{model.id} (on standby)" if model.id in resting else model.id
        for model in sorted(models, key=pool.preferences.rank)
    ]


def _strategy(selection: StrategyFactory) -> str:
    """Its name in a configuration; of one that is somebody's own, where it is."""
    # Here and not above: with it comes most of the engine, and help does without.
    from capability_router.engine.selection import WithParameters  # noqa: PLC0415 - said above

    made: object = selection.make if isinstance(selection, WithParameters) else selection
    module = str(getattr(made, "__module__", ""))
    name = str(getattr(made, "__qualname__", type(made).__qualname__))
    if module.startswith(_ENGINE):
        return short_name(made)
    return f"{module}:{name}"


def _as_json(pool: CapabilityPool, router: CapabilityRouter) -> dict[str, object]:
    preferences = pool.preferences
    return {
        "name": pool.name,
        "declared": pool in router.pools,
        "hierarchy_node": pool.hierarchy_node,
        "strategy": _strategy(pool.rotation_policy.selection),
        "active": [m.id for m in sorted(pool.get_active_models(), key=preferences.rank)],
        "standby": [m.id for m in pool.get_standby_models()],
        "allowed_providers": list(preferences.allowed_providers),
        "excluded_providers": list(preferences.excluded_providers),
        "limits": [str(limit) for limit in pool.rotation_policy.limits],
    }
