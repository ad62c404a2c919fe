"""Streams of two models as one: what the second is asked, and how its chunks join the first's."""

from __future__ import annotations

from math import ceil
from typing import Any

from capability_router.driving.joining import RESTARTED
from litellm_capability_router.requests import Arguments

__all__ = ["ChatSplice", "continued"]

# Those that take a last message of the assistant for a beginning only where it says so.
_TOLD = frozenset({"deepseek", "mistral"})
_LIMITS = ("max_tokens", "max_completion_tokens")
_OTHER_PARTS = ("tool_calls", "function_call", "audio", "images", "refusal")


def continued(asked: Arguments, text: str, vendor: str) -> Arguments:
    """Return the arguments that differ where a model is to go on with an answer.

    The white space at the end is left out: Anthropic refuses it. What the answer has taken of
    ``max_tokens`` already is estimated, at four characters each.

    Args:
        asked: What the caller has asked.
        text: What the caller has of the answer.
        vendor: Whose API it is.
    """
    beginning: dict[str, Any] = {"role": "assistant", "content": text.rstrip()}
    if vendor in _TOLD:
        beginning["prefix"] = True
    taken = ceil(len(text) / 4)
    limits = {name: max(1, asked[name] - taken) for name in _LIMITS if asked.get(name)}
    return {"messages": [*asked["messages"], beginning], **limits}


class ChatSplice:
    """Lets the chunks of two models be one stream; see ``driving.joining.Splice``."""

    def __init__(self) -> None:
        self._id: str | None = None

    def begin(self, chunk: Any) -> None:
        """Note the id of the completion."""
        self._id = chunk.id

    def adopt(self, chunk: Any) -> Any:
        """Give a chunk the id of the completion; it has a role already."""
        chunk.id = self._id
        for choice in chunk.choices:
            choice.delta.role = None
        return chunk

    def text(self, chunk: Any) -> str:
        """Return the text that a chunk brings."""
        return "".join(choice.delta.content or "" for choice in chunk.choices)

    def cut(self, chunk: Any, characters: int) -> Any:
        """Return a chunk without the first characters of its text."""
        delta = chunk.choices[0].delta
        delta.content = delta.content[characters:]
        return chunk

    def holds_only_text(self, chunk: Any) -> bool:
        """Whether nothing but text, or reasoning, of a single answer comes with a chunk."""
        choices = chunk.choices
        return len(choices) <= 1 and not any(
            getattr(choice.delta, part, None) or choice.index
            for choice in choices
            for part in _OTHER_PARTS
        )

    def restart(self, chunk: Any) -> Any:
        """Return the chunk that says that the answer begins anew."""
        told = chunk.model_copy(deep=True)
        told.id = self._id
        for choice in told.choices:
            choice.finish_reason = None
            choice.delta = type(choice.delta)(provider_specific_fields={RESTARTED: True})
        return told
