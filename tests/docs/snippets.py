"""The code blocks of the README, by language and by the heading above them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

README = Path(__file__).parents[2] / "README.md"


@dataclass(frozen=True)
class Snippet:
    heading: str
    language: str
    code: str


def snippets(text: str) -> list[Snippet]:
    found: list[Snippet] = []
    heading = ""
    pattern = re.compile(
        r"^## (?P<heading>[^\n]+)$|^```(?P<language>\w+)\n(?P<code>.*?)^```",
        re.MULTILINE | re.DOTALL,
    )
    for match in pattern.finditer(text):
        if match["heading"]:
            heading = match["heading"]
        else:
            found.append(Snippet(heading, match["language"], match["code"]))
    return found


def snippet(heading: str) -> str:
    """The one block under a heading of the README."""
    (found,) = (s.code for s in snippets(README.read_text("utf-8")) if s.heading == heading)
    return found
