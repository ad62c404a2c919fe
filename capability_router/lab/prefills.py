"""What providers make of a conversation that ends with a message of the assistant."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import chain
from typing import Literal, cast, get_args

from capability_router.lab.answers import Piece, TextPiece
from capability_router.lab.checks import unknown
from capability_router.lab.questions import Question
from capability_router.lab.refusals import invalid

__all__ = [
    "Prefill",
    "checked_prefill",
    "echoed",
    "heard",
]

Prefill = Literal["continue", "echo", "refuse", "restart"]

_REFUSAL = (
    "This model does not support assistant message prefill. The conversation must end with a user"
    " message."
)


def checked_prefill(value: object) -> Prefill:
    """Pass a way to meet a prefill.

    Raises:
        ValueError: If it is none; the message names those there are.
    """
    if value not in get_args(Prefill):
        raise ValueError(unknown("prefill", value, get_args(Prefill)))
    return cast("Prefill", value)


def heard(question: Question, prefill: Prefill) -> Question:
    """Give the question as a provider hears it that meets a prefill in its own way.

    Raises:
        RefusedError: With a 400, if there is a prefill and the provider refuses it.
    """
    if prefill == "refuse" and question.prefill:
        raise invalid(_REFUSAL)
    return replace(question, prefill="") if prefill == "restart" else question


def echoed(question: Question, prefill: Prefill, pieces: Iterator[Piece]) -> Iterator[Piece]:
    """Put the prefill before its continuation, where the provider sends it again."""
    if prefill == "echo" and question.prefill:
        return chain([TextPiece(question.prefill)], pieces)
    return pieces
