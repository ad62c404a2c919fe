"""The command that lets a model or a provider serve again in every process."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.markup import escape

from capability_router.cli.shared_state import ConfigOption, blueprint_of, check_known, in_store
from capability_router.cli.terminal import output, print_json
from capability_router.engine.limits import Scope

__all__ = ["recover"]


def recover(
    name: Annotated[str, typer.Argument(help="Id of the model, or of the provider.")],
    config: ConfigOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Let a model, or a provider with its models, serve again in every process."""
    from capability_router.storage.orders import lift  # noqa: PLC0415 - help does without

    blueprint = blueprint_of(config)
    provider_of = {model.id: model.provider for model in blueprint.models}
    check_known("model or provider", name, [*provider_of, *provider_of.values()])
    own = {name, *(model for model, provider in provider_of.items() if provider == name)}

    def concerns(scope: Scope) -> bool:
        return scope.name in own

    lifted = in_store(blueprint, lambda store: lift(store, concerns))
    if as_json:
        print_json({"lifted": [{"name": who, "reason": reason} for who, reason in lifted]})
        return
    for who, reason in lifted:
        output().print(f"[bold]{escape(who)}[/] is no longer on standby for: {escape(reason)}")
    if not lifted:
        output().print(f"nothing held [bold]{escape(name)}[/]")
