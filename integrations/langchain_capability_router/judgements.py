"""What is to be judged, and what was found: OpenAI's moderation format and LangChain's messages.

Knows no model and sends nothing.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from langchain_core.language_models import LanguageModelInput
from langchain_core.messages import AIMessage, BaseMessage, convert_to_messages
from langchain_core.prompt_values import PromptValue

from langchain_capability_router.blocks import portable
from langchain_capability_router.litellm_messages import sent_block
from langchain_capability_router.replies import UnreadableReplyError

__all__ = ["Moderation", "ModerationInput", "Subject", "moderation_of", "subject_of"]

ModerationInput = LanguageModelInput | BaseMessage
"""A text, a message, a list of messages, or a prompt."""

# Blocks that say again what stands among the calls of tools.
_CALLS = frozenset(
    {"function_call", "input_json_delta", "invalid_tool_call", "tool_call", "tool_call_chunk"}
    | {"tool_use"}
)
_THOUGHTS = frozenset({"thinking", "reasoning", "summary", "content"})

# LiteLLM tells each category twice: as OpenAI's API names it and as its client's attribute.
_API_NAMES = {
    "harassment_threatening": "harassment/threatening",
    "hate_threatening": "hate/threatening",
    "illicit_violent": "illicit/violent",
    "self_harm": "self-harm",
    "self_harm_instructions": "self-harm/instructions",
    "self_harm_intent": "self-harm/intent",
    "sexual_minors": "sexual/minors",
    "violence_graphic": "violence/graphic",
}


@dataclass(frozen=True, slots=True)
class Moderation:
    """What a model thinks of an input.

    Attributes:
        flagged: Whether anything of it is against the model's rules.
        categories: Names of the categories it is flagged for, sorted; OpenAI's are
            ``harassment``, ``self-harm/intent``, ``violence`` and so on.
        scores: Score of each category, 0 to 1, the highest of all messages.
        model: Id of the model that served.
    """

    flagged: bool
    categories: tuple[str, ...]
    scores: Mapping[str, float]
    model: str


@dataclass(frozen=True, slots=True)
class Subject:
    """What is to be judged.

    Attributes:
        input: The request's ``input`` in OpenAI's format.
        results: How many results the answer has to have.
        has_pictures: Whether a model has to see pictures.
    """

    input: str | list[str] | list[dict[str, Any]]
    results: int
    has_pictures: bool


def subject_of(given: ModerationInput) -> Subject:
    """Read an input: one text for each message, or where there are pictures, parts of one whole.

    Raises:
        TypeError: If it is neither text, nor messages, nor a prompt.
        ValueError: If there is nothing to judge, or something that cannot be judged.
    """
    contents = [_parts(message) for message in _messages(given)]
    parts = [part for content in contents for part in content]
    if any(part["type"] == "image_url" for part in parts):
        return Subject(parts, 1, has_pictures=True)
    joined = ("\n".join(part["text"] for part in content) for content in contents)
    texts = [text for text in joined if text]
    if not texts:
        raise ValueError("there is nothing to judge: the input has neither text nor picture")
    return Subject(texts[0] if len(texts) == 1 else texts, len(texts), has_pictures=False)


def _messages(given: ModerationInput) -> list[BaseMessage]:
    if isinstance(given, PromptValue):
        return given.to_messages()
    if isinstance(given, str | BaseMessage):
        return convert_to_messages([given])
    if not isinstance(given, Sequence):  # pyright: ignore[reportUnnecessaryIsInstance]  # of callers without types
        # A dictionary most of all: what is read of it would be its keys.
        raise TypeError(f"judge a text, messages or a prompt, not a {type(given).__name__}")
    return convert_to_messages(given)


def _parts(message: BaseMessage) -> list[dict[str, Any]]:
    """Return all that a message says, whoever has said it: nothing may get by unread."""
    content = portable(message, "litellm").content
    blocks = [content] if isinstance(content, str) else content
    parts = [part for block in blocks if block and (part := _part(sent_block(block)))]
    return [*parts, *map(_text, _beside(message))]


def _part(block: Mapping[str, Any]) -> dict[str, Any] | None:
    match block.get("type"):
        case "text":
            return _text(block["text"])
        case "image_url":
            return {"type": "image_url", "image_url": {"url": block["image_url"]["url"]}}
        case "thinking" | "reasoning":
            return _text(json.dumps({key: block[key] for key in block if key in _THOUGHTS}))
        case other if other in _CALLS:
            return None
        case other:
            raise ValueError(
                f"content of type {other!r} cannot be judged: leave it out, or judge its text"
            )


def _beside(message: BaseMessage) -> list[str]:
    """Return what a message says beside its content: calls of tools, refusals, spoken words."""
    extras: dict[str, Any] = message.additional_kwargs
    audio: Any = extras.get("audio") or {}
    said: list[Any] = [extras.get("refusal"), extras.get("reasoning_content")]
    said.append(audio.get("transcript"))
    if isinstance(message, AIMessage):
        called = [call["args"] for call in message.tool_calls]
        said += [json.dumps(args, default=str) for args in called if args]
        said += [call["args"] for call in message.invalid_tool_calls]
    return [text for text in said if text and isinstance(text, str)]


def _text(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def moderation_of(answer: Any, expected: int, model: str) -> Moderation:
    """Read LiteLLM's answer, whose fields may all be missing.

    Args:
        answer: The answer.
        expected: How many results it has to have.
        model: Id of the model that gave it.

    Raises:
        UnreadableReplyError: If it leaves anything open.
    """
    results: list[Any] = list(getattr(answer, "results", None) or ())
    if len(results) != expected:
        raise UnreadableReplyError(f"{len(results)} of {expected} inputs were judged")
    flagged, found, scores = False, set[str](), dict[str, float]()
    for result in results:
        # A result that leaves it open must not look clean.
        if not isinstance(result.flagged, bool):
            raise UnreadableReplyError("a result does not say whether its input is flagged")
        marked = {name for name, mark in _told(result.categories).items() if mark}
        flagged = flagged or result.flagged or bool(marked)
        found |= marked
        for name, score in _told(result.category_scores).items():
            scores[name] = max(scores.get(name, 0.0), _checked(score))
    return Moderation(flagged, tuple(sorted(found)), scores, model)


def _told(by_category: Any) -> dict[str, Any]:
    """Return what is told of each category by the name that OpenAI's API has for it."""
    if not isinstance(by_category, Mapping):
        raise UnreadableReplyError("a result tells nothing of the categories")
    told = cast("Mapping[str, Any]", by_category)
    return {_api_name(name): value for name, value in told.items() if value is not None}


def _checked(score: Any) -> float:
    if isinstance(score, bool) or not isinstance(score, int | float) or not math.isfinite(score):
        raise UnreadableReplyError("the score of a category is no number")
    return float(score)


def _api_name(category: str) -> str:
    return _API_NAMES.get(category, category)
