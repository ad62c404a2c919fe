"""The command that sends every model of a provider to standby in every process."""

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

__all__ = ["drain"]


def drain(
    provider: Annotated[str, typer.Argument(help="Id of the provider.")],
    reason: Annotated[str, typer.Option(help="Why, in a word or a sentence.")] = Reason.DRAINED,
    for_s: ForOption = None,
    config: ConfigOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Send every model of a provider to standby, in every process that shares its state."""
    blueprint = blueprint_of(config)
    check_known("provider", provider, (model.provider for model in blueprint.models))
    order(blueprint, Scope("provider", provider), reason, for_s, as_json=as_json)
