"""What a request needs of a model, read from its arguments in OpenAI's or Anthropic's form."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from capability_router.engine.feature import Feature

__all__ = ["has_side_effects", "input_tokens_of", "requirements_of"]

_PARTS = {
    "image": Feature.VISION,
    "image_url": Feature.VISION,
    "input_image": Feature.VISION,
    "audio": Feature.AUDIO_INPUT,
    "input_audio": Feature.AUDIO_INPUT,
    "file": Feature.PDF_INPUT,
    "input_file": Feature.PDF_INPUT,
    "document": Feature.PDF_INPUT,
    "video": Feature.VIDEO_INPUT,
    "video_url": Feature.VIDEO_INPUT,
}
_CALLERS_OWN = (None, "function", "custom")
_FREE_CHOICES = (None, "auto", "none")
_FORMATS = {"json_object": Feature.JSON_MODE, "json_schema": Feature.STRUCTURED_OUTPUT}


def requirements_of(arguments: Mapping[str, Any]) -> frozenset[str]:
    """Return the features that a model must have to serve these arguments.

    Args:
        arguments: Keyword arguments of a chat completion in OpenAI's form, of OpenAI's responses
            or of Anthropic's messages: ``messages``, ``input``, ``tools``, ``tool_choice``,
            ``response_format``, ``text`` and ``stream`` are looked at; parts of messages may have
            the types of LangChain as well. What has another form is passed over: the provider
            will say whether it takes it.
    """
    needed = {feature for part in _parts(arguments) if (feature := _part_feature(part))}
    if arguments.get("tools"):
        needed.add(Feature.TOOL_CALLING)
        if _is_constrained(arguments.get("tool_choice")):
            needed.add(Feature.TOOL_CHOICE)
    if arguments.get("stream"):
        needed.add(Feature.STREAMING)
    needed |= _format_feature(arguments.get("response_format"))
    needed |= _format_feature(_field(arguments.get("text"), "format"))
    return frozenset(needed)


def has_side_effects(arguments: Mapping[str, Any]) -> bool:
    """Return whether a request offers tools that the provider runs itself.

    What they do, such as a payment by an MCP server, would be done twice if two models were asked.
    """
    tools = arguments.get("tools")
    if not isinstance(tools, list | tuple):
        return False
    kinds = (_field(tool, "type") for tool in cast("Sequence[object]", tools))
    return any(kind not in _CALLERS_OWN for kind in kinds)


def input_tokens_of(arguments: Mapping[str, Any]) -> int:
    """Estimate the tokens of a request's text at four characters each.

    OpenAI gives that as a rule of thumb for English. Pictures, sounds and files are not counted.

    Args:
        arguments: Keyword arguments of a request in OpenAI's form: ``messages``, ``input`` and
            ``prompt`` are looked at.
    """
    texts = [arguments.get("input"), arguments.get("prompt"), *map(_content, _messages(arguments))]
    return math.ceil(sum(map(_characters, texts)) / 4)


def _characters(content: Any) -> int:
    if isinstance(content, str):
        return len(content)
    return sum(
        len(part) if isinstance(part, str) else len(_field(part, "text") or "")
        for part in _items(content)
    )


def _messages(arguments: Mapping[str, Any]) -> Iterator[Any]:
    """Return the messages of a chat, or the items that the Responses API has in their place."""
    yield from _items(arguments.get("messages"))
    yield from _items(arguments.get("input"))


def _content(message: Any) -> Any:
    """Return what a message says, or what a tool has answered."""
    content = _field(message, "content")
    return _field(message, "output") if content is None else content


def _parts(arguments: Mapping[str, Any]) -> Iterator[Any]:
    for message in _messages(arguments):
        for part in _items(_content(message)):
            yield part
            # Anthropic has the answers of tools among the parts, with parts of their own.
            yield from _items(_field(part, "content"))


def _part_feature(part: Any) -> Feature | None:
    feature = _PARTS.get(str(_field(part, "type")))
    return None if feature is Feature.PDF_INPUT and not _may_be_pdf(part) else feature


def _is_constrained(tool_choice: Any) -> bool:
    """Whether the model may not decide by itself; Anthropic wraps the word for it."""
    kind = _field(tool_choice, "type")
    return (tool_choice if kind is None else kind) not in _FREE_CHOICES


def _may_be_pdf(part: Any) -> bool:
    """Whether a file is a PDF, as far as it is told; a text file needs no feature."""
    told = _field(part, "mime_type") or _field(_field(part, "source"), "media_type")
    return told is None or "pdf" in str(told)


def _format_feature(response_format: Any) -> set[Feature]:
    if isinstance(response_format, type):
        # LiteLLM takes a pydantic class for a JSON schema.
        return {Feature.STRUCTURED_OUTPUT}
    kind = _field(response_format, "type")
    return {_FORMATS[kind]} if kind in _FORMATS else set()


def _items(value: Any) -> Sequence[Any]:
    return cast("Sequence[Any]", value) if isinstance(value, list) else ()


def _field(value: Any, name: str) -> Any:
    return cast("Mapping[str, Any]", value).get(name) if isinstance(value, Mapping) else None
