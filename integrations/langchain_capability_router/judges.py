"""Reads answers and chunks for the drivers: tokens, completeness, and the point of no return."""

from __future__ import annotations

from typing import Any

from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGenerationChunk, ChatResult

from capability_router.engine.errors import IncompleteAnswerError
from capability_router.engine.outcome import Failure, Usage
from capability_router.engine.steps import Try
from langchain_capability_router.endings import (
    ended_by_itself,
    ended_with_an_error,
    explains_nothing,
    is_last,
)
from langchain_capability_router.errors import failure_of

__all__ = ["AnswerJudge", "ChunkWatch"]


class AnswerJudge:
    """Reads whole answers.

    Args:
        provider_tools: Whether the request has tools that a provider runs itself.
    """

    def __init__(self, provider_tools: bool) -> None:
        self._provider_tools = provider_tools

    def failure(self, error: Exception) -> Failure:
        """Name what an exception means."""
        return failure_of(error, provider_tools=self._provider_tools)

    def usage(self, answer: ChatResult, step: Try) -> Usage:
        """Return the tokens of an answer, whoever gave it.

        Raises:
            IncompleteAnswerError: If it holds no message, not even a token, or ended with an
                error.
        """
        del step
        if not answer.generations:
            raise IncompleteAnswerError
        generation, beside = answer.generations[0], answer.llm_output
        usage = _usage(generation.message)
        is_empty = not (usage.output_tokens or _brings(generation.message))
        if ended_with_an_error(generation, beside) or (
            is_empty and explains_nothing(generation, beside)
        ):
            raise IncompleteAnswerError
        return usage


class ChunkWatch:
    """Follows the chunks of one streamed attempt.

    Attributes:
        usage: The tokens counted so far; some providers tell input and output apart.
        committed: True once a chunk has brought text, a tool call or reasoning.
        finished: True once a chunk has said why the answer ends.

    Args:
        provider_tools: Whether the request has tools that a provider runs itself.
    """

    def __init__(self, provider_tools: bool) -> None:
        self._provider_tools = provider_tools
        self._texts: list[str] = []
        self.usage = Usage()
        self.committed = False
        self.finished = False
        self._ended_by_itself = False
        self._came = False

    @property
    def complete(self) -> bool:
        """True once anything came: a backend raises where an answer breaks off.

        An end alone is nothing: a model that has chosen to say nothing has taken a token for it.
        """
        something = self.committed or self.usage.output_tokens
        return self._came and bool(something or not self._ended_by_itself)

    @property
    def text(self) -> str:
        """The text so far."""
        return "".join(self._texts)

    def take(self, chunk: ChatGenerationChunk) -> None:
        """Note one chunk.

        Raises:
            IncompleteAnswerError: If it ends the answer with an error.
        """
        if ended_with_an_error(chunk):
            raise IncompleteAnswerError
        message = chunk.message
        self._came = True
        self._ended_by_itself = self._ended_by_itself or ended_by_itself(chunk)
        self.finished = self.finished or is_last(chunk)
        content = message.content
        self._texts.append(content if isinstance(content, str) else str(message.text))
        self.committed = self.committed or _brings(message)
        if getattr(message, "usage_metadata", None):
            more = _usage(message)
            self.usage = Usage(
                self.usage.input_tokens + more.input_tokens,
                self.usage.output_tokens + more.output_tokens,
            )

    def failure(self, error: Exception) -> Failure:
        """Name what an exception means."""
        return failure_of(error, provider_tools=self._provider_tools)


def _usage(message: BaseMessage) -> Usage:
    counted = message.usage_metadata if isinstance(message, AIMessage) else None
    if counted is None:
        return Usage()
    return Usage(counted["input_tokens"], counted["output_tokens"])


def _brings(message: BaseMessage) -> bool:
    if isinstance(message.content, str):
        shown = bool(message.content)
    else:
        shown = any(_block_shows_something(block) for block in message.content)
    called = isinstance(message, AIMessage) and bool(
        message.tool_calls or message.invalid_tool_calls
    )
    called = called or (isinstance(message, AIMessageChunk) and bool(message.tool_call_chunks))
    return shown or called or bool(message.additional_kwargs.get("reasoning_content"))


def _block_shows_something(block: str | dict[Any, Any]) -> bool:
    if isinstance(block, str):
        return bool(block)
    return bool(block.get("text")) if block.get("type") == "text" else True
