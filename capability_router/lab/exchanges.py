"""A request to a text endpoint and how its answer is written, whatever the endpoint's dialect.

Knows no dialect; the modules of the endpoints make the exchanges.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from capability_router.lab.answers import Piece
from capability_router.lab.questions import Question

__all__ = [
    "Exchange",
    "Label",
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


@dataclass(frozen=True, slots=True)
class StreamEvent:
    """One server-sent event of a stream.

    Attributes:
        data: The payload of its ``data:`` line.
        name: The payload of its ``event:`` line; empty for none.
        is_content: Whether it carries text or a part of a tool call.
        is_ending: Whether it, or one before it, says that the answer is complete.
    """

    data: str
    name: str = ""
    is_content: bool = False
    is_ending: bool = False


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
