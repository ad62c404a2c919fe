"""Where healthy answers come from.

An answer is a series of pieces, the same whether it is streamed or not, so that a stream and a
plain reply can never differ in what they say. Knows no HTTP.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

from capability_router.lab.mentions import quoted
from capability_router.lab.questions import Question
from capability_router.lab.refusals import invalid
from capability_router.lab.schema_values import drawn_value
from capability_router.lab.tools import Tool, called_tools

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

FinishReason = Literal["stop", "length", "tool_calls", "content_filter"]

# A token or two, the size in which providers stream arguments.
_ARGUMENT_CHARACTERS = 8


@dataclass(frozen=True, slots=True)
class TextPiece:
    """Some text, in the size one stream chunk has.

    Attributes:
        text: The text.
        logprob: How likely it was, as a natural logarithm, <= 0; None where the source cannot say.
    """

    text: str
    logprob: float | None = None


@dataclass(frozen=True, slots=True)
class ToolCallPiece:
    """A whole call of one function.

    Attributes:
        name: Function to call.
        arguments: Its arguments as JSON text.
    """

    name: str
    arguments: str

    def argument_parts(self) -> list[str]:
        """Part the arguments for the chunks of a stream: three or more, where they are so long."""
        size = min(_ARGUMENT_CHARACTERS, max(1, len(self.arguments) // 3))
        return [self.arguments[at : at + size] for at in range(0, len(self.arguments), size)]


@dataclass(frozen=True, slots=True)
class Finish:
    """The end of an answer; always the last piece.

    Attributes:
        reason: Why the answer ended.
        prompt_tokens: Tokens of the prompt, >= 0.
        completion_tokens: Tokens of the answer, >= 0.
        stop: The stop text before which the answer ended, None for none or where nobody knows.
    """

    reason: FinishReason
    prompt_tokens: int
    completion_tokens: int
    stop: str | None = None


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

    Calls the tools that :func:`~capability_router.lab.tools.called_tools` decides on, with
    arguments from the message, and repeats their results afterwards. Fills a JSON schema from the
    message too; in JSON mode the answer has a text for each name the message has in quotation
    marks. Continues a prefill by counting its words, so another provider's beginning can be
    continued too. Its likelihoods are made up from the words.
    """

    def start(self) -> None:
        """Do nothing: an echo needs no preparation."""

    def close(self) -> None:
        """Do nothing: an echo holds nothing."""

    def answer(self, question: Question) -> Answer:
        """Echo the question.

        Raises:
            RefusedError: With a 400, if a schema cannot be satisfied.
        """
        tools = called_tools(question.tool_choice, question.text, question.is_answered)
        if tools:
            return Answer("echo", iter(_tool_calls(question, tools)))
        return Answer("echo", _spoken(question, _text(question)))


def _text(question: Question) -> str:
    if question.is_json_mode:
        return json.dumps(dict.fromkeys(quoted(question.text), "text"), ensure_ascii=False)
    if question.schema is not None:
        return _json_for(question.schema, question.text, question.format_place)
    return f"{question.provider} echoes: {' '.join(question.results) or question.text}"


def _spoken(question: Question, text: str) -> Iterator[Piece]:
    said = _continuation(text, question.prefill)
    ends = [(place, stop) for stop in question.stops if (place := said.find(stop)) >= 0]
    end, stop = min(ends, default=(len(said), None))
    words = _words(said[:end])
    limit = len(words) if question.max_tokens is None else question.max_tokens
    for word in words[:limit]:
        yield TextPiece(word, _logprob(word))
    if limit < len(words):
        yield Finish("length", question.prompt_words, limit)
    else:
        yield Finish("stop", question.prompt_words, len(words), stop)


def _continuation(text: str, prefill: str) -> str:
    """Give what is still to say after a beginning, also after half a word or a space too much.

    The first word counts as whole: it names a provider, maybe another one.
    """
    words, said = _words(text), prefill.split()
    rest = "".join(words[len(said) :])
    ending = prefill[len(prefill.rstrip()) :]
    if ending or not 1 < len(said) <= len(words):
        return rest.removeprefix(ending)
    word = words[len(said) - 1].lstrip()
    return (word.removeprefix(said[-1]) if word.startswith(said[-1]) else "") + rest


def _words(text: str) -> list[str]:
    """Part a text into words, each with the space before it; space at the end is a word too."""
    return re.findall(r"\s*\S+|\s+", text)


def _logprob(word: str) -> float:
    return -(zlib.crc32(word.encode("utf-8", "replace")) % 1000) / 1000


def _tool_calls(question: Question, tools: tuple[Tool, ...]) -> list[Piece]:
    calls = [
        ToolCallPiece(tool.name, _json_for(tool.parameters, question.text, "tools"))
        for tool in tools
    ]
    # OpenAI ends the call of a function that the request named with "stop".
    reason: FinishReason = "stop" if question.tool_choice.by_name else "tool_calls"
    tokens = sum(len(call.arguments.split()) + 1 for call in calls)
    return [*calls, Finish(reason, question.prompt_words, tokens)]


def _json_for(schema: Mapping[str, object], text: str, param: str) -> str:
    try:
        return json.dumps(drawn_value(schema, text), ensure_ascii=False)
    except ValueError as error:
        raise invalid(f"The lab cannot satisfy this schema: {error}.", param) from error
