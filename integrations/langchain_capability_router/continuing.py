"""Streams of two chat models as one: what the second is asked, and how their chunks are joined."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.messages.utils import count_tokens_approximately
from langchain_core.outputs import ChatGenerationChunk

from capability_router.driving.joining import RESTARTED
from langchain_capability_router.backends import Prompt

__all__ = ["ChatSplice", "begun"]

_TEXT_TYPES = frozenset({"text", "text_delta", "output_text"})
_WITH_TEXT = _TEXT_TYPES | {"thinking", "reasoning", "reasoning_content", "redacted_thinking"}


def begun(prompt: Prompt, text: str) -> Prompt:
    """Return a prompt that asks a model to go on with an answer.

    The white space at the end is left out: Anthropic refuses it. What the answer has taken of
    ``max_tokens`` already is estimated.
    """
    beginning = AIMessage(text.rstrip())
    options, most = dict(prompt.options), prompt.options.get("max_tokens")
    if most is not None:
        options["max_tokens"] = max(1, most - count_tokens_approximately([beginning]))
    return replace(prompt, messages=[*prompt.messages, beginning], options=options)


class ChatSplice:
    """Lets the chunks of two models be one stream; see ``joining.Splice``."""

    def __init__(self) -> None:
        self._id: str | None = None

    def begin(self, chunk: ChatGenerationChunk) -> None:
        """Note the id of the message."""
        self._id = chunk.message.id

    def adopt(self, chunk: ChatGenerationChunk) -> ChatGenerationChunk:
        """Give a chunk the id of the message, by which front ends put chunks together."""
        chunk.message.id = self._id
        return chunk

    def text(self, chunk: ChatGenerationChunk) -> str:
        """Return the text that a chunk brings."""
        content = chunk.message.content
        return content if isinstance(content, str) else str(chunk.message.text)

    def cut(self, chunk: ChatGenerationChunk, characters: int) -> ChatGenerationChunk:
        """Return a chunk without the first characters of its text."""
        content = chunk.message.content
        if isinstance(content, str):
            left: Any = content[characters:]
        else:
            left = _cut_blocks(content, characters)
        message = chunk.message.model_copy(update={"content": left})
        return ChatGenerationChunk(message=message, generation_info=chunk.generation_info)

    def holds_only_text(self, chunk: ChatGenerationChunk) -> bool:
        """Whether nothing but text, or reasoning, comes with a chunk."""
        message = chunk.message
        if isinstance(message, AIMessageChunk) and message.tool_call_chunks:
            return False
        if isinstance(message.content, str):
            return True
        return all(isinstance(b, str) or b.get("type") in _WITH_TEXT for b in message.content)

    def restart(self, chunk: ChatGenerationChunk) -> ChatGenerationChunk:
        """Return the chunk that says that the answer begins anew."""
        del chunk
        told = AIMessageChunk(content="", id=self._id, response_metadata={RESTARTED: True})
        return ChatGenerationChunk(message=told)


def _cut_blocks(blocks: list[str | dict[Any, Any]], characters: int) -> list[Any]:
    left: list[Any] = []
    for block in blocks:
        text = block if isinstance(block, str) else str(block.get("text") or "")
        if not isinstance(block, str) and block.get("type") not in _TEXT_TYPES:
            left.append(block)
            continue
        dropped = min(characters, len(text))
        characters -= dropped
        rest = text[dropped:]
        left.append(rest if isinstance(block, str) else {**block, "text": rest})
    return left
