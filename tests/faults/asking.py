"""What is asked, and the one right answer to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

__all__ = ["Asked"]

_WEATHER: Mapping[str, Any] = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "Tell the weather of a city.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
        },
    },
}


@dataclass(frozen=True)
class Asked:
    """A question; the lab answers it with a provider's name and the same words.

    Attributes:
        question: The words.
        with_tool: Whether a tool has to be called, with the words as its argument.
    """

    question: str
    with_tool: bool = False

    @classmethod
    def drawn(cls, seed: int, *, words: int = 60, with_tool: bool = False) -> Asked:
        """Draw a question whose answer has so many words, each of them once."""
        rng = Random(seed)
        syllables = [first + second for first in "bdfglmnrst" for second in "aeiou"]
        drawn = [f"{rng.choice(syllables)}{number}" for number in range(words - 2)]
        rng.shuffle(drawn)
        return cls(" ".join(drawn), with_tool)

    def answer_of(self, provider: str) -> str:
        """Return the whole answer, begun by a provider; none if the tool is called instead."""
        return "" if self.with_tool else f"{provider} echoes: {self.question}"

    @property
    def tokens(self) -> int:
        """Tokens of the question: the lab counts words."""
        return len(self.question.split())

    @property
    def messages(self) -> list[dict[str, Any]]:
        """The question as OpenAI's API has it."""
        return [{"role": "user", "content": self.question}]

    @property
    def options(self) -> dict[str, Any]:
        """What else is asked for."""
        return {"tools": [_WEATHER], "tool_choice": "required"} if self.with_tool else {}
