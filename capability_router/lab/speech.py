"""The endpoint that speaks: silence of the length that the text would have."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from capability_router.lab.json_values import as_mapping, as_number
from capability_router.lab.refusals import invalid
from capability_router.lab.replies import Reply
from capability_router.lab.sounds import mp3, opus, pcm, wav
from capability_router.lab.validation_values import (
    Check,
    check_fields,
    decimal,
    filled,
    one_of,
    required,
    text,
)

__all__ = [
    "speech_reply",
]

_SECONDS_PER_WORD = 0.1

_FORMATS: Mapping[str, tuple[Callable[[float], bytes], str]] = {
    "mp3": (mp3, "audio/mpeg"),
    "opus": (opus, "audio/ogg"),
    "wav": (wav, "audio/wav"),
    "pcm": (pcm, "audio/pcm"),
}


def speech_reply(body: Mapping[str, object]) -> Reply:
    """Answer a request to speak.

    Args:
        body: OpenAI's request; ``response_format`` is ``mp3`` by default, or ``opus``, ``wav`` or
            ``pcm``.

    Returns:
        A tenth of a second of silence for each word, divided by ``speed``.

    Raises:
        RefusedError: With a 400 that names the field to blame.
    """
    check_fields(body, _FIELDS, {}, needed=["model", "input", "voice"])
    words = len(str(body["input"]).split())
    speed = as_number(body.get("speed")) or 1.0
    make, content_type = _FORMATS[str(body.get("response_format") or "mp3")]
    return Reply(make(max(1, words) * _SECONDS_PER_WORD / speed), content_type, "silence")


def _check_format(value: object, place: str) -> None:
    one_of("mp3", "opus", "aac", "flac", "wav", "pcm")(value, place)
    if value not in _FORMATS:
        served = ", ".join(_FORMATS)
        raise invalid(f"The lab does not speak '{value}': set '{place}' to {served}.", place)


def _check_stream_format(value: object, place: str) -> None:
    one_of("audio", "sse")(value, place)
    if value == "sse":
        raise invalid(f"The lab sends no events here: set '{place}' to 'audio'.", place)


def _check_voice(value: object, place: str) -> None:
    voice = as_mapping(value)
    name = value if voice is None else required(voice, "id", place)
    filled()(name, place if voice is None else f"{place}.id")


_FIELDS: Mapping[str, Check] = {
    "input": filled(4096),
    "instructions": text,
    "model": filled(),
    "response_format": _check_format,
    "speed": decimal(0.25, 4),
    "stream_format": _check_stream_format,
    "voice": _check_voice,
}
