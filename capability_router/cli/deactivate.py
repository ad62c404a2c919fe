"""The command that sends a model to standby in every process that shares its state."""

from __future__ import annotations

from typing import Annotated

import typer

from capability_router.cli.shared_state import (
    ConfigOption,
    ForOption,
    blueprint_of,
    check_known,
    order,
)
from capability_router.engine.limits import Scope
from capability_router.engine.reason import Reason

__all__ = ["deactivate"]


def deactivate(
    model: Annotated[str, typer.Argument(help="Id of the model.")],
    reason: Annotated[str, typer.Option(help="Why, in a word or a sentence.")] = Reason.MANUAL,
    for_s: ForOption = None,
    config: ConfigOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Send a model to standby in every process that shares its state; requests in progress end."""
    blueprint = blueprint_of(config)
    check_known("model", model, (each.id for each in blueprint.models))
    order(blueprint, Scope("model", model), reason, for_s, as_json=as_json)
