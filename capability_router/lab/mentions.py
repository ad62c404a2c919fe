"""What a text mentions that a value can be made of: numbers, names and phrases.

Deterministic and simple, no understanding. A mention is given once, so that two values of one kind
take two mentions, in the order of the text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TypeVar

__all__ = [
    "Mentions",
    "quoted",
]

T = TypeVar("T")

_NUMBER = re.compile(r"(?<![\w.])-?\d{1,15}(?:\.\d{1,15})?(?!\w)")

# Quotation marks within words are apostrophes.
_QUOTED = re.compile(
    r"""(?<!\w)(?:'([^']+)'|"([^"]+)"|`([^`]+)`|“([^“”]+)”|‘([^‘’]+)’|「([^「」]+)」)(?!\w)"""
)

_PREPOSITION = re.compile(
    r"\b(?:about|at|by|for|from|in|into|near|of|on|to|with)\s+", re.IGNORECASE
)

_SENTENCE_END = re.compile(r"[.!?;:]+(?:\s|$)|\n")


class Mentions:
    """The mentions of one text, each taken at most once.

    Texts are what stands in quotation marks or, once that is used up, the words from the last
    preposition of the first sentence that has one to that sentence's end.

    Args:
        text: Any text; the empty one mentions nothing.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._numbers = [float(n) if "." in n else int(n) for n in _NUMBER.findall(text)]
        self._texts = [*quoted(text), *_last_phrase(text)]

    def take_number(self, fits: Callable[[float], bool]) -> float | None:
        """Take the next number that fits, None where there is none."""
        return _take(self._numbers, fits)

    def take_text(self, fits: Callable[[str], bool]) -> str | None:
        """Take the next text that fits, None where there is none."""
        return _take(self._texts, fits)

    def named(self, choices: Sequence[object]) -> object:
        """Give the choice that is mentioned first, or else the first choice.

        Args:
            choices: At least one; choices that are no text are never mentioned.
        """
        places = {
            index: place
            for index, choice in enumerate(choices)
            if isinstance(choice, str) and (place := _place(choice, self._text)) is not None
        }
        return choices[min(places, key=places.__getitem__, default=0)]


def quoted(text: str) -> list[str]:
    """Give what stands in quotation marks, in order."""
    return [next(filter(None, found)) for found in _QUOTED.findall(text)]


def _last_phrase(text: str) -> list[str]:
    for sentence in _SENTENCE_END.split(text):
        after = _PREPOSITION.split(sentence)[1:]
        if after and after[-1].strip():
            return [after[-1].strip()]
    return []


def _place(choice: str, text: str) -> int | None:
    found = re.search(rf"(?<!\w){re.escape(choice)}(?!\w)", text, re.IGNORECASE)
    return None if found is None else found.start()


def _take(mentions: list[T], fits: Callable[[T], bool]) -> T | None:
    for index, mention in enumerate(mentions):
        if fits(mention):
            return mentions.pop(index)
    return None
