"""What a chat request needs of a model, read from its OpenAI-shaped arguments."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

from capability_router.engine.feature import Feature

__all__ = ["requirements_of"]

_PARTS = {
    "image": Feature.VISION,
    "image_url": Feature.VISION,
    "input_image": Feature.VISION,
    "audio": Feature.AUDIO_INPUT,
    "input_audio": Feature.AUDIO_INPUT,
    "file": Feature.PDF_INPUT,
    "input_file": Feature.PDF_INPUT,
    "video": Feature.VIDEO_INPUT,
    "video_url": Feature.VIDEO_INPUT,
}
_FORMATS = {"json_object": Feature.JSON_MODE, "json_schema": Feature.STRUCTURED_OUTPUT}


def requirements_of(arguments: Mapping[str, Any]) -> frozenset[str]:
    """Return the features that a model must have to serve these arguments.

    Args:
        arguments: Keyword arguments of a chat completion in OpenAI's form: ``messages``,
            ``tools``, ``response_format`` and ``stream`` are looked at. What has another form is
            passed over: the provider will say whether it takes it.
    """
    needed = {_PARTS[kind] for kind in _part_types(arguments.get("messages")) if kind in _PARTS}
    if arguments.get("tools"):
        needed.add(Feature.TOOL_CALLING)
    if arguments.get("stream"):
        needed.add(Feature.STREAMING)
    needed |= _format_feature(arguments.get("response_format"))
    return frozenset(needed)


def _part_types(messages: Any) -> Iterable[str]:
    for message in _items(messages):
        for part in _items(_field(message, "content")):
            yield str(_field(part, "type"))


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
