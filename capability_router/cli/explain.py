"""The command that tells who would serve a request, and why."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from capability_router.cli.terminal import failure, listed, output, print_json, router_of
from capability_router.engine.choice import Candidate, Choice, Standing
from capability_router.engine.request import CompletionRequest
from capability_router.engine.timing import spell
from capability_router.watching.wording import why_words

if TYPE_CHECKING:
    from capability_router.engine.decision import Decision

__all__ = ["explain"]

_SIGNS = {Standing.ACTIVE: "●", Standing.STANDBY: "○", Standing.ON_TRIAL: "◐"}


def explain(
    config: Annotated[Path, typer.Argument(help="The YAML file.")],
    capability: Annotated[str, typer.Argument(help="Node: path, last segment or alias.")],
    requires: Annotated[
        list[str] | None,
        typer.Option(help="Feature that the model must have, such as vision; may be repeated."),
    ] = None,
    prefers: Annotated[
        list[str] | None, typer.Option(help="Provider to ask first; may be repeated.")
    ] = None,
    input_tokens: Annotated[int, typer.Option(min=0, help="Estimated tokens of the input.")] = 0,
    output_tokens: Annotated[int, typer.Option(min=0, help="Tokens wanted at most.")] = 0,
    pool: Annotated[str | None, typer.Option(help="The only pool to use.")] = None,
    model: Annotated[str | None, typer.Option(help="The only model that may serve.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Tell who would serve a request first, and why the others would not; nobody is called."""
    router = router_of(config)
    try:
        request = CompletionRequest(
            capability,
            requires=frozenset(listed(requires)),
            prefers=tuple(listed(prefers)),
            input_tokens=input_tokens,
            output_tokens=output_tokens,
            pool=pool,
            model=model,
        )
        told = router.explain(request)
    except (KeyError, ValueError) as error:
        raise failure(error) from None
    if as_json:
        print_json(told.as_dict())
    else:
        _show(told)
    if told.served_by is None:
        raise typer.Exit(1)


def _show(told: Decision) -> None:
    console = output()
    console.print(f"[bold]{escape(told.capability)}[/] is {escape(told.node)}")
    for choice in told.choices:
        console.print(f"\npool [bold]{escape(choice.pool)}[/], strategy {escape(choice.strategy)}")
        console.print(_table(choice))
        if choice.omitted:
            console.print(f"[dim]and {choice.omitted} more[/]")
    console.print(f"\n{_verdict(told)}")


def _table(choice: Choice) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for column in ("model", "state", "score", "latency", "limits used", "why not"):
        table.add_column(column, overflow="fold")
    for candidate in sorted(choice.candidates, key=lambda each: each.rank):
        table.add_row(*_cells(candidate, chosen=candidate.model == choice.model))
    return table


def _cells(candidate: Candidate, *, chosen: bool) -> tuple[str, ...]:
    name = escape(candidate.model)
    return (
        f"[bold]{name}[/]" if chosen else name,
        f"{_SIGNS[candidate.state]} {candidate.state.replace('_', ' ')}",
        "" if candidate.score is None else f"{candidate.score:.4g}",
        spell(candidate.latency_s) if candidate.latency_s else "",
        f"{candidate.used:.0%}" if candidate.used else "",
        "[bold]serves[/]" if chosen else escape(candidate.obstacle or ""),
    )


def _verdict(told: Decision) -> str:
    choice = told.choices[-1]
    if told.served_by is None:
        return "[red]nobody[/] can serve this"
    why = why_words(choice.why, choice.strategy, choice.node)
    return f"[green]{escape(told.served_by)}[/] serves: {escape(why)}"
