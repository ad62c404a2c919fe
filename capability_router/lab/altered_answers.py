"""Faults of what an answer says: they change its pieces, so that every dialect has them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import islice

from capability_router.lab.answers import Finish, Piece, TextPiece
from capability_router.lab.faults import Fault, FaultKind
from capability_router.lab.padding import PLACE
from capability_router.lab.questions import Question

__all__ = [
    "altered_pieces",
]

_Alteration = Callable[[Fault, Question, Iterator[Piece]], Iterator[Piece]]


def altered_pieces(fault: Fault, question: Question, pieces: Iterator[Piece]) -> Iterator[Piece]:
    """Change the pieces of an answer as its fault says; most faults leave them as they are."""
    alter = _ALTERATIONS.get(fault.kind)
    return pieces if alter is None else alter(fault, question, pieces)


def _empty(fault: Fault, question: Question, pieces: Iterator[Piece]) -> Iterator[Piece]:
    yield Finish("stop", question.prompt_words, 0)


def _filtered(fault: Fault, question: Question, pieces: Iterator[Piece]) -> Iterator[Piece]:
    passed = 0
    for piece in islice(pieces, fault.after):
        if isinstance(piece, Finish):
            break
        passed += 1
        yield piece
    yield Finish("content_filter", question.prompt_words, passed)


def _marked(fault: Fault, question: Question, pieces: Iterator[Piece]) -> Iterator[Piece]:
    for piece in pieces:
        if isinstance(piece, Finish):
            yield TextPiece(PLACE)
        yield piece


_ALTERATIONS: Mapping[FaultKind, _Alteration] = {
    FaultKind.EMPTY_ANSWER: _empty,
    FaultKind.FILTERED: _filtered,
    FaultKind.OVERSIZED: _marked,
}
