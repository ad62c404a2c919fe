"""Where healthy answers come from.

An answer is a series of pieces, the same whether it is streamed or not, so that a stream and a
plain reply can never differ in what they say. Knows no HTTP.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

from capability_router.lab.questions import ForcedTool, Question
from capability_router.lab.refusals import invalid
from capability_router.lab.schema_values import minimal_value

__all__ = [
    "Answer",
    "AnswerSource",
    "EchoAnswers",
    "Finish",
    "FinishReason",
    "Piece",
    "TextPiece",
    "ToolCallPiece",
]

FinishReason = Literal["stop", "length", "tool_calls"]


@dataclass(frozen=True, slots=True)
class TextPiece:
    """Some text, in the size one stream chunk has."""

    text: str


@dataclass(frozen=True, slots=True)
class ToolCallPiece:
    """A whole call of one function.

    Attributes:
        name: Function to call.
        arguments: Its arguments as JSON text.
    """

    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Finish:
    """The end of an answer; always the last piece.

    Attributes:
        reason: Why the answer ended.
        prompt_tokens: Tokens of the prompt, >= 0.
        completion_tokens: Tokens of the answer, >= 0.
    """

    reason: FinishReason
    prompt_tokens: int
    completion_tokens: int


Piece = TextPiece | ToolCallPiece | Finish


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer on its way.

    A context manager: leaving it lets go of whatever makes the pieces, read to the end or not.

    Attributes:
        source: Who really made it, such as ``echo``; the reply says so.
        pieces: The pieces in order, ending with :class:`Finish`.
        release: Called when the answer is over, also where no piece was ever read, which is what a
            generator's own ``finally`` would miss.
    """

    source: str
    pieces: Iterator[Piece]
    release: Callable[[], None] = lambda: None

    def __enter__(self) -> Answer:
        """Return the answer itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Release the answer."""
        self.release()


class AnswerSource(Protocol):
    """Makes healthy answers; its methods may be called from several threads at once."""

    def start(self) -> None:
        """Make ready; called once before the first question."""
        ...

    def close(self) -> None:
        """Let everything go and end the answers under way; called once, after the last question."""
        ...

    def answer(self, question: Question) -> Answer:
        """Begin an answer.

        Raises:
            RefusedError: If the source cannot serve the question; the client gets the refusal.
            ConnectionError: If the source is gone; the client's connection is closed.
        """
        ...


class EchoAnswers:
    """Repeats the user's last message, with the provider's name before it; always the same.

    Calls a tool the request forces and fills a JSON schema with its smallest value. Continues a
    prefill by counting its words, so another provider's beginning can be continued too.
    """

    def start(self) -> None:
        """Do nothing: an echo needs no preparation."""

    def close(self) -> None:
        """Do nothing: an echo holds nothing."""

    def answer(self, question: Question) -> Answer:
        """Echo the question.

        Raises:
            RefusedError: With a 400, if a schema cannot be satisfied or a forced tool is unknown.
        """
        tool = question.forced_tool
        if tool is not None:
            return Answer("echo", iter(_tool_call(question, tool)))
        words = re.findall(r"\s*\S+", self._text(question))
        return Answer("echo", _spoken(question, words[len(question.prefill.split()) :]))

    def _text(self, question: Question) -> str:
        if question.schema is None:
            return f"{question.provider} echoes: {question.text}"
        return _json_for(question.schema, "response_format")


def _spoken(question: Question, words: list[str]) -> Iterator[Piece]:
    limit = len(words) if question.max_tokens is None else question.max_tokens
    for word in words[:limit]:
        yield TextPiece(word)
    reason: FinishReason = "length" if limit < len(words) else "stop"
    yield Finish(reason, question.prompt_words, min(limit, len(words)))


def _tool_call(question: Question, tool: ForcedTool) -> list[Piece]:
    arguments = _json_for(tool.parameters, "tools")
    # OpenAI ends the call of a function that the request named with "stop".
    reason: FinishReason = "stop" if tool.by_name else "tool_calls"
    finish = Finish(reason, question.prompt_words, len(arguments.split()) + 1)
    return [ToolCallPiece(tool.name, arguments), finish]


def _json_for(schema: Mapping[str, object], param: str) -> str:
    try:
        return json.dumps(minimal_value(schema))
    except ValueError as error:
        raise invalid(f"The lab cannot satisfy this schema: {error}.", param) from error
