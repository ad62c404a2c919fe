"""The command that shows the capability tree."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.tree import Tree

from capability_router.cli.terminal import print_json, router_of

if TYPE_CHECKING:
    from capability_router.engine.pool import CapabilityPool
    from capability_router.engine.tree import CapabilityNode
    from capability_router.router import CapabilityRouter

__all__ = ["tree"]


def tree(
    config: Annotated[
        Path | None, typer.Argument(help="A YAML file, to see its pools and models at the nodes.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show the capability tree: the default one, or a configuration's."""
    # Here and not above: help does without.
    from capability_router.router import CapabilityRouter  # noqa: PLC0415 - said above

    router = CapabilityRouter() if config is None else router_of(config)
    if as_json:
        print_json([_as_json(node, router) for node in router.tree])
    elif Console().is_terminal:
        _show(router)
    else:
        _list(router)


def _show(router: CapabilityRouter) -> None:
    shown = Tree("capabilities", hide_root=True, guide_style="dim")
    branches: dict[str, Tree] = {}
    for node in router.tree:
        above = branches.get(node.path.rpartition(".")[0], shown)
        branches[node.path] = above.add(_label(node, router))
        for model in _models_at(node, router):
            branches[node.path].add(f"[cyan]{escape(model)}[/]")
    Console(highlight=False).print(shown)


def _label(node: CapabilityNode, router: CapabilityRouter) -> str:
    pools = "".join(f"  [yellow]pool {escape(p.name)}[/]" for p in _pools_at(node, router))
    # Where nobody can serve is in the background, so that what a file makes stands out.
    style = "bold" if not router.models or _is_served(node, router) else "dim"
    return f"[{style}]{escape(node.name)}[/]{pools}"


def _is_served(node: CapabilityNode, router: CapabilityRouter) -> bool:
    return any(node.path in router.tree.places(model.capabilities) for model in router.models)


def _list(router: CapabilityRouter) -> None:
    """Indented by two blanks: what reads it next needs no lines between the nodes."""
    for node in router.tree:
        indent = "  " * node.path.count(".")
        pools = "".join(f"  (pool {pool.name})" for pool in _pools_at(node, router))
        typer.echo(f"{indent}{node.name}{pools}")
        for model in _models_at(node, router):
            typer.echo(f"{indent}  {model}")


def _pools_at(node: CapabilityNode, router: CapabilityRouter) -> list[CapabilityPool]:
    return [pool for pool in router.pools if pool.hierarchy_node == node.path]


def _models_at(node: CapabilityNode, router: CapabilityRouter) -> list[str]:
    return [model.id for model in router.models if node.path in model.capabilities]


def _as_json(node: CapabilityNode, router: CapabilityRouter) -> dict[str, object]:
    return {
        "path": node.path,
        "pools": [pool.name for pool in _pools_at(node, router)],
        "models": _models_at(node, router),
    }
