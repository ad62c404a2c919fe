"""What the ``watch`` command prints: a view as tables, and its rows as lines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from capability_router.watching.standing import PoolView, Standing
from capability_router.watching.view import View
from capability_router.watching.wording import GLYPHS, STATES, ago, from_now, plain

__all__ = ["as_line", "as_tables", "as_tree"]

_STYLES = {"good": "green", "bad": "red", "failed": "red", "trial": "yellow", "plain": "dim"}
_ROWS = 12
"""Events and decisions that are shown below the pools."""
_ORDER = {"standby": 0, "on_trial": 1}
"""What needs attention stands first; all else comes after it."""


def as_tables(view: View, title: str, wall: float, height: int | None = None) -> RenderableType:
    """Return the whole view as tables.

    Args:
        view: What to show.
        title: What is watched.
        wall: Seconds since 1970, which times are told by.
        height: Lines that there is room for; None for any number.
    """
    parts: list[RenderableType] = [_head(view, title)]
    most = _most_models(view, height)
    parts += [_pool(name, pool, view, wall, most) for name, pool in view.pools.items()]
    if not view.pools:
        parts.append(Text("No pool is known yet.", "dim"))
    rows = view.rows_after(-1)[-_ROWS:]
    return Group(*parts, Text(), _rows(rows, wall)) if rows else Group(*parts)


def as_tree(view: View, wall: float) -> RenderableType:
    """Return the pools at their nodes, each below the one that it falls back to.

    Args:
        view: What to show.
        wall: Seconds since 1970, which times are told by.
    """
    shown = Tree("", hide_root=True, guide_style="dim")
    branches: list[tuple[str, Tree]] = []
    for name, pool in sorted(view.pools.items(), key=lambda each: each[1].node):
        above = [tree for node, tree in branches if pool.node.startswith(f"{node}.")]
        branch = (above[-1] if above else shown).add(_node(name, pool))
        branches.append((pool.node, branch))
        for model, standing in pool.members.items():
            why = _why(standing, wall)
            branch.add(
                Text.assemble(_state(standing), f" {model}", (f"  {why}" if why else "", "dim"))
            )
    return shown


def as_line(row: Mapping[str, object], wall: float) -> Text:
    """Return an event or a decision as one line, without its time.

    Args:
        row: What ``View.take`` returned.
        wall: Seconds since 1970, which times are told by.
    """
    return _decision(row) if row["record"] == "decision" else _event(row, wall)


def _most_models(view: View, height: int | None) -> int | None:
    """Return how many models of each pool there is room for, 3 at least; None for any number."""
    if height is None:
        return None
    return max(3, (height - _ROWS) // max(1, len(view.pools)) - 4)


def _head(view: View, title: str) -> Text:
    head, count = Text.assemble((title, "bold"), "\n"), view.counts()
    for state, (tone, word) in STATES.items():
        style = _STYLES[tone] if count[state] else "dim"
        head.append(f"{GLYPHS[tone]} {count[state]} {word}  ", style)
    for name, provider in view.providers.items():
        if provider.health != "healthy":
            head.append(f"provider {name} is {plain(provider.health)}  ", "red")
    if view.skipped:
        head.append(f"{view.skipped} lines not understood", "dim")
    return head


def _pool(name: str, pool: PoolView, view: View, wall: float, most: int | None) -> RenderableType:
    active = sum(each.state == "active" for each in pool.members.values())
    node = f"  {pool.node}" if pool.node not in {"", name} else ""
    head = Text.assemble("\n", (name, "bold"), (node, "dim"))
    count = f"{active} of {len(pool.members)} active" if pool.members else "no models"
    head.append(f"  {count}", "dim" if active else "red")
    if pool.closed:
        head.append(f"  closed: {plain(pool.closed)}{_until(pool.closed_until, wall)}", "red")
    if not pool.members:
        return head
    members = sorted(pool.members.items(), key=lambda each: _ORDER.get(each[1].state, 2))
    table = _models(members[:most], view, wall)
    left = len(members[most:]) if most is not None else 0
    more = [Text(f"… and {left} more", "dim")] if left else []
    return Group(head, table, *more)


def _node(name: str, pool: PoolView) -> Text:
    return Text.assemble((pool.node.rpartition(".")[2], "bold"), (f"  pool {name}", "yellow"))


def _models(members: list[tuple[str, Standing]], view: View, wall: float) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    table.add_column("state", no_wrap=True)
    table.add_column("model", overflow="fold")
    table.add_column("why, and until when", overflow="fold")
    table.add_column("answered", justify="right")
    table.add_column("failed", justify="right")
    for model, standing in members:
        tally = view.tallies.get(model)
        counts = (str(tally.answers), str(tally.failures)) if tally else ("", "")
        table.add_row(_state(standing), Text(model), Text(_why(standing, wall)), *counts)
    return table


def _state(standing: Standing) -> Text:
    tone, word = STATES.get(standing.state, ("plain", plain(standing.state)))
    if standing.spared:
        tone, word = "trial", "spared"
    return Text(f"{GLYPHS[tone]} {word}", _STYLES[tone])


def _why(standing: Standing, wall: float) -> str:
    if standing.state == "active" and not standing.spared:
        return ""
    by_hand = standing.until is None and standing.state == "standby"
    end = ", until it is recovered by hand" if by_hand else _until(standing.until, wall)
    return f"{plain(standing.reason)}{end}"


def _until(until: float | None, wall: float) -> str:
    return "" if until is None else f", next try {from_now(until - wall)}"


def _rows(rows: list[dict[str, object]], wall: float) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for row in reversed(rows):
        table.add_row(ago(wall - cast("float", row["wall"])), as_line(row, wall))
    return table


def _decision(row: Mapping[str, object]) -> Text:
    served_by, attempts = row["served_by"], cast("list[Mapping[str, object]]", row["attempts"])
    tone = "good" if served_by else "failed"
    line = Text.assemble((GLYPHS[tone], _STYLES[tone]), f" {row['capability']} → ")
    line.append(str(served_by or "nobody"), "" if served_by else "red")
    failed = [f"{each['model']} {plain(str(each['kind']))}" for each in attempts if each["kind"]]
    facts = [*failed, *(["tried before its time"] if row["panic"] else [])]
    if row["degraded_to"]:
        facts.append(f"as {row['degraded_to']}")
    line.append(f"  {' · '.join(facts)}" if facts else "", "dim")
    return line


def _event(row: Mapping[str, object], wall: float) -> Text:
    tone = str(row["tone"])
    details = cast("Mapping[str, str]", row["details"])
    who = str(row["model"] or details.get("provider") or row["pool"])
    line = Text.assemble((GLYPHS[tone], _STYLES[tone]), f" {who} {row['words']}".rstrip())
    facts = [f"pool {row['pool']}"] if row["model"] and row["pool"] else []
    if row["reason"] and row["type"] != "pool_membership_changed":
        facts.append(plain(str(row["reason"])))
    facts += [f"{plain(name)} {value}" for name, value in details.items() if name != "provider"]
    until = _until(cast("float | None", row["until"]), wall)
    line.append(f"  {' · '.join(facts)}{until}" if facts or until else "", "dim")
    return line
