"""A request to a text endpoint and how its answer is written, whatever the endpoint's dialect.

Knows no dialect; the modules of the endpoints make the exchanges.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum, auto

from capability_router.lab.answers import Piece
from capability_router.lab.questions import Question

__all__ = [
    "Exchange",
    "Label",
    "Part",
    "StreamEvent",
]


@dataclass(frozen=True, slots=True)
class Label:
    """What every body of one answer repeats.

    Attributes:
        serial: Which answer of which provider, as ``alpha-3``; the ids are made of it.
        created: Unix time in whole seconds.
        fingerprint: Which provider answered with which source.
    """

    serial: str
    created: int
    fingerprint: str


class Part(Enum):
    """What an event of a stream does for the answer, whatever its dialect.

    CONTENT carries text or a part of a tool call, FINISH says why the answer ended, USAGE does
    nothing but count, END does nothing but say that the stream is over. FRAME is all the rest.
    """

    FRAME = auto()
    CONTENT = auto()
    FINISH = auto()
    USAGE = auto()
    END = auto()


@dataclass(frozen=True, slots=True)
class StreamEvent:
    """One server-sent event of a stream.

    Attributes:
        data: The payload of its ``data:`` line.
        name: The payload of its ``event:`` line; empty for none.
        part: What it does for the answer.
    """

    data: str
    name: str = ""
    part: Part = Part.FRAME

    @property
    def is_content(self) -> bool:
        """Whether it carries text or a part of a tool call."""
        return self.part is Part.CONTENT

    @property
    def is_ending(self) -> bool:
        """Whether it, or one before it, says that the answer is complete."""
        return self.part in (Part.FINISH, Part.USAGE, Part.END)


@dataclass(frozen=True, slots=True)
class Exchange:
    """A checked request and the two forms its answer can have.

    Attributes:
        question: What is asked, for the source of answers.
        whole: Gathers the pieces of an answer into one body.
        events: Turns the pieces into the events of a stream, one after the other.
    """

    question: Question
    whole: Callable[[Label, Iterable[Piece]], Mapping[str, object]]
    events: Callable[[Label, Iterable[Piece]], Iterator[StreamEvent]]
