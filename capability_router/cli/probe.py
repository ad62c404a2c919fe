"""The command that asks every model once, to see whether it answers."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from capability_router.cli.progress import progress_bar
from capability_router.cli.terminal import (
    counted,
    failure,
    listed,
    print_json,
    print_page,
    router_of,
)
from capability_router.display.blocks import Page, Table

if TYPE_CHECKING:
    from capability_router import CapabilityRouter, Model
    from litellm_capability_router.probes import Probed

__all__ = ["probe"]


def probe(
    config: Annotated[Path, typer.Argument(help="The YAML file.")],
    model: Annotated[
        list[str] | None, typer.Option(help="Ask only this model; may be repeated.")
    ] = None,
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds to an answer.")] = 20.0,
    at_once: Annotated[int, typer.Option(min=1, max=64, help="Calls at once.")] = 8,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Ask every model once, cheaply, through LiteLLM: this calls the providers, and costs a little.

    Chat, embedding, reranking and moderation models are asked; for others there is no cheap call.
    """
    router = router_of(config)
    asked = _chosen(router, listed(model))
    try:
        # Here and not above: it is of an extra, and takes seconds.
        from litellm_capability_router.probes import probe_all  # noqa: PLC0415 - said above
    except ImportError as error:
        raise failure(
            f"{error.name} is not installed; run: pip install 'capability-router[litellm]'"
        ) from None
    found: dict[str, Probed] = {}
    with progress_bar(f"asking {counted(len(asked), 'model')}") as tell:
        for each in probe_all(router, asked, timeout, at_once):
            found[each.model.id] = each
            tell(len(found), len(asked))
    ordered = [found[each.id] for each in asked]
    if as_json:
        print_json([each.as_dict() for each in ordered])
    else:
        print_page(_page(ordered))
    if any(each.failure for each in ordered):
        raise typer.Exit(1)


def _chosen(router: CapabilityRouter, names: list[str]) -> list[Model]:
    if not names:
        return router.models
    try:
        return [router.model(name) for name in names]
    except KeyError as error:
        raise failure(error) from None


def _page(found: Iterable[Probed]) -> Page:
    rows = [_row(each) for each in found]
    failed = sum(row[1].startswith("✗") for row in rows)
    heading = f"{counted(len(rows), 'model')}, {failed} without an answer"
    heads = ("model", "answer", "first call", "tokens", "cost USD", "what the provider says")
    return Page(heading, (Table(heads, rows),))


def _row(each: Probed) -> tuple[str, ...]:
    if each.endpoint is None:
        return each.model.id, "– not asked", "", "", "", "there is no cheap call for what it does"
    latency = f"{each.latency_s:.2f} s"
    if each.failure is not None:
        status = f" (HTTP {each.failure.status})" if each.failure.status else ""
        kind = each.failure.kind.replace("_", " ")
        return each.model.id, f"✗ {kind}{status}", latency, "", "", each.failure.message
    cost = "" if each.cost_usd is None else f"{each.cost_usd:.2g}"
    return each.model.id, "✓ yes", latency, f"{each.usage.total_tokens}", cost, ""
