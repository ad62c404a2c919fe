"""The command that looks for what is doubtful in a configuration."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.padding import Padding

import capability_router
from capability_router.cli.terminal import (
    counted,
    failure,
    find_beside_the_application,
    listed,
    output,
    print_json,
)
from capability_router.engine.errors import ConfigurationError, nearest
from capability_router.linting.finding import RULES, Finding, Severity
from capability_router.linting.load import ExpectedLoad

__all__ = ["check"]

_COLOURS = {Severity.ERROR: "red", Severity.WARNING: "yellow", Severity.NOTE: "cyan"}
_DAY_S = 86_400


def check(
    config: Annotated[Path, typer.Argument(help="The YAML file.")],
    load: Annotated[
        str | None, typer.Option(help="Requests expected of all pools together, such as 5/s.")
    ] = None,
    requests_per_day: Annotated[
        int | None, typer.Option(min=1, help="The same, for a whole day.")
    ] = None,
    input_tokens: Annotated[
        int, typer.Option(min=0, help="Tokens of an average request, for limits on tokens.")
    ] = 0,
    output_tokens: Annotated[int, typer.Option(min=0, help="Tokens of an average answer.")] = 0,
    fail_on: Annotated[
        Severity, typer.Option(help="The least severity with which the command exits with 1.")
    ] = Severity.ERROR,
    ignore: Annotated[
        list[str] | None, typer.Option(help="Code to leave out; may be repeated.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Look for what is wrong or doubtful in a configuration."""
    find_beside_the_application()
    try:
        left_out = _codes(listed(ignore))
        # Fetched here: what reads YAML takes a while to import, and other commands do without.
        found = capability_router.lint(
            config, expected=_load(load, requests_per_day, input_tokens, output_tokens)
        )
    except (ConfigurationError, ValueError) as error:
        raise failure(error) from None
    findings = [finding for finding in found if finding.code not in left_out]
    if as_json:
        print_json({"findings": [finding.as_dict() for finding in findings]})
    else:
        _show(findings)
    if any(finding.severity.reaches(fail_on) for finding in findings):
        raise typer.Exit(1)


def _codes(names: list[str]) -> set[str]:
    for name in names:
        if name not in RULES:
            near = nearest(name, list(RULES), most=1)
            remedy = f"did you mean {near[0]}?" if near else f"there are {', '.join(RULES)}"
            raise ValueError(f"--ignore {name!r} is no code of a finding; {remedy}")
    return set(names)


def _load(load: str | None, per_day: int | None, given: int, wanted: int) -> ExpectedLoad | None:
    if load is not None and per_day is not None:
        raise ValueError("--load and --requests-per-day say the same; give one of them")
    if load is not None:
        return ExpectedLoad.parse(load, given, wanted)
    if per_day is not None:
        return ExpectedLoad(per_day / _DAY_S, given, wanted)
    if given or wanted:
        raise ValueError("--input-tokens and --output-tokens are those of a load; give --load too")
    return None


def _show(findings: list[Finding]) -> None:
    console = output()
    for finding in findings:
        if not console.is_terminal:
            console.print(escape(str(finding)), soft_wrap=True)
            continue
        colour = _COLOURS[finding.severity]
        at = f"[dim]{escape(finding.place)}[/] {escape(finding.key_path)}"
        console.print(f"[bold {colour}]{finding.severity}[/] [{colour}]{finding.code}[/] {at}")
        console.print(Padding(escape(finding.message), (0, 0, 0, 2)))
        console.print(Padding(f"[dim]→[/] {escape(finding.remedy)}", (0, 0, 1, 2)))
    console.print(_verdict(findings))


def _verdict(findings: list[Finding]) -> str:
    if not findings:
        return "[green]all is well[/]"
    counts = Counter(finding.severity for finding in findings)
    return ", ".join(counted(counts[severity], severity) for severity in Severity)
