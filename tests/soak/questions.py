"""What callers ask, and what the one true answer to it is."""

from dataclasses import dataclass
from itertools import count
from random import Random
from typing import Self

from tests.soak.lab_process import NAMES
from tests.soak.routing import DEADLINE_S, HASTE_S, HASTY, POOLS

_WORDS = ("so", "much", "depends", "upon", "a", "red", "wheel", "barrow", "rain", "water", "the")
_numbers = count(1)


@dataclass(frozen=True, slots=True)
class Question:
    """One request of one caller.

    Attributes:
        number: Unique in the process.
        prompt: Bears the number.
        pool: Who is asked.
        chunks: After how many chunks with text the caller leaves a stream; None for never.
        seconds: After how many seconds the caller's task is cancelled; None for never.
    """

    number: int
    prompt: str
    pool: str
    chunks: int | None = None
    seconds: float | None = None

    @classmethod
    def drawn(cls, chance: Random) -> Self:
        """Think of one."""
        number = next(_numbers)
        words = chance.choices(_WORDS, k=chance.randint(3, 60))
        return cls(
            number=number,
            prompt=f"number {number}: {' '.join(words)}",
            pool=chance.choice([*POOLS, HASTY]),
            chunks=chance.randint(1, 30) if chance.random() < 0.1 else None,
            seconds=chance.uniform(0.0, 1.0) if chance.random() < 0.1 else None,
        )

    @property
    def own_deadline_s(self) -> float | None:
        """The caller's own deadline; None for the pool's."""
        return HASTE_S if self.pool == HASTY else None

    @property
    def deadline_s(self) -> float:
        """Seconds in which it has to have ended."""
        return self.own_deadline_s or DEADLINE_S

    def is_answer(self, text: str, finish: str | None) -> bool:
        """Whether a text is the whole answer, or what a content filter has let through."""
        if finish == "content_filter":
            return self.is_beginning(text)
        return finish == "stop" and any(text.rstrip() == whole for whole in self._answers())

    def is_beginning(self, text: str) -> bool:
        """Whether the answer begins with a text."""
        # Spaces follow the text of an oversized answer.
        return any(whole.startswith(text.rstrip()) for whole in self._answers())

    def _answers(self) -> list[str]:
        return [f"{name} echoes: {self.prompt}" for name in NAMES]


class LeftError(Exception):
    """The caller has left, as it meant to."""


class Heard:
    """What has come of an answer.

    Args:
        question: What was asked.

    Attributes:
        text: Since the answer began, or began anew.
        finish: The finish reason; None before it.
        restarts: How often the answer began anew.
        is_left: Whether the caller's task was cancelled.
    """

    def __init__(self, question: Question) -> None:
        self.question = question
        self.text = ""
        self.finish: str | None = None
        self.restarts = 0
        self.is_left = False
        self._chunks = 0

    def take(self, text: str, finish: str | None = None, *, restarted: bool = False) -> None:
        """Take in a chunk, or a whole answer."""
        if restarted:
            self.text, self.finish = "", None
            self.restarts += 1
        self.text += text
        self.finish = finish or self.finish
        self._chunks += bool(text)

    @property
    def is_enough(self) -> bool:
        """Whether the caller leaves now."""
        return self.question.chunks is not None and self._chunks >= self.question.chunks
