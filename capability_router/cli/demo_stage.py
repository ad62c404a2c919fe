"""Where the demo is shown: in a terminal or a pipe for people, or as JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Protocol, cast

import typer
from rich.console import Console
from rich.live import Live
from rich.markup import escape

from capability_router.cli.watched import as_line, as_tree
from capability_router.clock import SystemClock
from capability_router.watching.fields import Record, mappings, text
from capability_router.watching.view import View
from capability_router.watching.wording import plain, why_words

__all__ = ["JsonStage", "Stage", "TextStage"]

_REFRESH_S = 0.1


class Stage(Protocol):
    """Shows the demo as it goes."""

    @property
    def is_read(self) -> bool:
        """Whether somebody reads it while it goes."""
        ...

    def begin(self, title: str) -> None:
        """Begin a scene."""
        ...

    def answer(self, got: str) -> None:
        """Show what the caller of a request got."""
        ...

    def take(self, records: Iterable[Record]) -> None:
        """Show what the router has done."""
        ...

    def end(self) -> None:
        """Show how things stand at the end of a scene."""
        ...

    def pause(self, seconds: float) -> None:
        """Wait, and show how time passes."""
        ...


class JsonStage:
    """One event or decision in a line, as a log has them; nothing else."""

    is_read = False

    def begin(self, title: str) -> None:
        """Do nothing."""

    def answer(self, got: str) -> None:
        """Do nothing."""

    def take(self, records: Iterable[Record]) -> None:
        """Print the events and decisions."""
        for record in records:
            if record["record"] != "state":
                typer.echo(json.dumps(record))

    def end(self) -> None:
        """Do nothing."""

    def pause(self, seconds: float) -> None:
        """Wait."""
        SystemClock().sleep(seconds)


class TextStage:
    """Lines, with the tree of pools below them: always the newest one, or one for each scene.

    Args:
        console: Where the lines go.
        live: Keeps the tree in sight; None for a pipe.
    """

    def __init__(self, console: Console, live: Live | None) -> None:
        self._console = console
        self._live = live
        self._view = View()
        self._scene = 0
        self._clock = SystemClock()
        self.is_read = live is not None

    def begin(self, title: str) -> None:
        """Number the scene."""
        self._scene += 1
        self._console.print(f"\n[bold]{self._scene}. {escape(title)}[/]")
        self._refresh()

    def answer(self, got: str) -> None:
        """Show it as the caller's."""
        self._console.print(f"  the caller got: [cyan]{escape(got)}[/]")

    def take(self, records: Iterable[Record]) -> None:
        """Print a line for each event, and for each model that a decision has tried."""
        for record in records:
            row = self._view.take(record)
            if row is None:
                continue
            if row["record"] == "event":
                self._console.print("    ", as_line(row, cast("float", row["wall"])), sep="")
            else:
                self._print_tries(record)
        self._refresh()

    def end(self) -> None:
        """Print the tree, unless it is in sight."""
        if self._live is None:
            self._console.print(as_tree(self._view, self._clock.wall()))

    def pause(self, seconds: float) -> None:
        """Refresh the tree meanwhile: it counts down."""
        end = self._clock.now() + seconds
        while (left := end - self._clock.now()) > 0:
            self._clock.sleep(min(left, _REFRESH_S))
            self._refresh()

    def _print_tries(self, decision: Record) -> None:
        chosen = [each for each in mappings(decision, "choices") if text(each, "model")]
        # Requests of the demo try one model after another: the choices are those of the attempts.
        for choice, attempt in zip(chosen, mappings(decision, "attempts"), strict=False):
            why = why_words(text(choice, "why"), text(choice, "strategy"), text(choice, "node"))
            kind = text(attempt, "kind")
            end = f"[red]{escape(plain(kind))}[/]" if kind else "[green]answered[/]"
            model, pool = escape(text(choice, "model")), escape(text(choice, "pool"))
            self._console.print(f"    {model} of pool {pool}: {escape(why)} → {end}")

    def _refresh(self) -> None:
        if self._live is not None:
            self._live.update(as_tree(self._view, self._clock.wall()), refresh=True)
