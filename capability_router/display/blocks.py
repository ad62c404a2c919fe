"""What a display is made of: tables, nested lists, and headed sequences of them.

Knows nothing of routing. Every text that is handed in may come from a stranger: it is made
printable, and escaped in HTML.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Protocol

from capability_router.engine.displaying import Bundle
from capability_router.engine.untrusted import shown

__all__ = ["Block", "Branch", "Page", "Paged", "Table"]

_LEFT = ' style="text-align: left"'
"""Notebooks align cells to the right, which tears words from their column."""


class Block(Protocol):
    """A part of a display."""

    def text(self) -> str:
        """Return it as plain text, without a line break at the end."""
        ...

    def html(self) -> str:
        """Return it as HTML that reads well without any style."""
        ...


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under named columns; a notebook shows it as it is.

    Attributes:
        columns: The heads of the columns.
        rows: The cells, as many in each row as there are columns.
        omitted: How many further rows there are; they are counted below the table.

    Raises:
        ValueError: If a row has not as many cells as there are columns.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    omitted: int = 0

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.columns):
                raise ValueError(f"row {row!r} has to have {len(self.columns)} cells")

    def text(self) -> str:
        """Return it with its columns aligned."""
        lines = [[shown(cell) for cell in row] for row in (self.columns, *self.rows)]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        told = [
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
            for line in lines
        ]
        return "\n".join([*told, *_rest(self.omitted)])

    def html(self) -> str:
        """Return it as one table, with what was left out as its last row."""
        head = "".join(f'<th scope="col"{_LEFT}>{_safe(name)}</th>' for name in self.columns)
        body = "".join(
            "<tr>" + "".join(f"<td{_LEFT}>{_safe(cell)}</td>" for cell in row) + "</tr>"
            for row in self.rows
        )
        for line in _rest(self.omitted):
            body += f'<tr><td colspan="{len(self.columns)}"{_LEFT}>{line}</td></tr>'
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"

    def __str__(self) -> str:
        return self.text()

    def _repr_mimebundle_(self, **_: object) -> Bundle:
        return {"text/plain": self.text(), "text/html": self.html()}


@dataclass(frozen=True, slots=True)
class Branch:
    """A node of a nested list, with all that is below it.

    Attributes:
        label: What it is called.
        below: Its children.
    """

    label: str
    below: tuple[Branch, ...] = ()

    def text(self) -> str:
        """Return it with its children indented by two."""
        lines = [shown(self.label)]
        for child in self.below:
            lines += [f"  {line}" for line in child.text().splitlines()]
        return "\n".join(lines)

    def html(self) -> str:
        """Return it as something to fold, open at first; one without children is its label."""
        if not self.below:
            return _safe(self.label)
        items = "".join(f"<li>{child.html()}</li>" for child in self.below)
        return f"<details open><summary>{_safe(self.label)}</summary><ul>{items}</ul></details>"


@dataclass(frozen=True, slots=True)
class Page:
    """A heading and what stands below it; a notebook shows it as it is.

    Attributes:
        heading: One line; empty for none.
        blocks: What follows.
        omitted: How much of it was left out; it is counted at the end.
    """

    heading: str
    blocks: tuple[Block, ...] = ()
    omitted: int = 0

    def bundle(self) -> Bundle:
        """Return it as text and as HTML, by media type."""
        more = _rest(self.omitted)
        head = [self.heading] if self.heading else []
        text = [*map(shown, head), *(block.text() for block in self.blocks), *more]
        html = [f"<p><strong>{_safe(line)}</strong></p>" for line in head]
        html += [block.html() for block in self.blocks]
        html += [f"<p>{line}</p>" for line in more]
        return {"text/plain": "\n".join(text), "text/html": "".join(html)}

    def _repr_mimebundle_(self, **_: object) -> Bundle:
        return self.bundle()


class Paged:
    """Something that shows itself as a page: in a notebook, and as text."""

    __slots__ = ()

    def page(self) -> Page:
        """Return it as a page."""
        raise NotImplementedError

    def __str__(self) -> str:
        return self.page().bundle()["text/plain"]

    def _repr_mimebundle_(self, **_: object) -> Bundle:
        return self.page().bundle()


def _rest(omitted: int) -> list[str]:
    """Return the line that counts what was left out; no line if nothing was."""
    return [f"… and {omitted:,} more"] if omitted else []


def _safe(text: str) -> str:
    return escape(shown(text))
