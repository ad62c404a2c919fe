"""The endpoint that writes down what is said: the name of the file, for nothing is listened to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil

from capability_router.lab.json_values import as_sequence
from capability_router.lab.multipart import Form, Upload, flag_text, number_text, uploads
from capability_router.lab.refusals import invalid
from capability_router.lab.replies import Reply, json_reply
from capability_router.lab.sounds import is_sound, seconds_of
from capability_router.lab.validation_values import (
    Check,
    check_fields,
    decimal,
    filled,
    matching,
    one_of,
    text,
)

__all__ = [
    "transcription_reply",
]

_SOURCE = "echo"
_KINDS = ("flac", "m4a", "mp3", "mp4", "mpeg", "mpga", "oga", "ogg", "wav", "webm")
_GRANULARITIES = ("word", "segment")


def transcription_reply(provider: str, form: Form) -> Reply:
    """Answer a request to write down a sound.

    Args:
        provider: Name of the provider, which the text repeats before the name of the file.
        form: OpenAI's request; ``response_format`` is ``json`` by default, or ``text``,
            ``verbose_json``, ``srt`` or ``vtt``.

    Returns:
        The text in that form; the length of the sound is that of its WAV header, or as if it had
        32 kbit/s.

    Raises:
        RefusedError: With a 400 that names the field to blame.
    """
    fields = {name: flag_text(value) for name, value in form.items()}
    check_fields(fields, _FIELDS, _UNSERVED, needed=["file", "model"])
    wanted = str(fields.get("response_format") or "json")
    granularities = _listed(fields.get("timestamp_granularities"))
    if granularities and wanted != "verbose_json":
        message = "'timestamp_granularities' needs the response_format 'verbose_json'."
        raise invalid(message, "timestamp_granularities")
    (file,) = uploads(form["file"], "file")
    said, seconds = f"{provider} echoes: {file.filename}", seconds_of(file.content)
    usage = {"type": "duration", "seconds": ceil(seconds)}
    match wanted:
        case "json":
            return json_reply({"text": said, "usage": usage}, _SOURCE)
        case "verbose_json":
            language = str(fields.get("language") or "en")
            told = _verbose(said, seconds, language, granularities)
            return json_reply({**told, "usage": usage}, _SOURCE)
        case _:
            return Reply(_plain(wanted, said, seconds).encode(), "text/plain", _SOURCE)


def _verbose(
    said: str, seconds: float, language: str, granularities: Sequence[object]
) -> dict[str, object]:
    told: dict[str, object] = {
        "task": "transcribe",
        "language": language,
        "duration": seconds,
        "text": said,
    }
    if "segment" in granularities or not granularities:
        told["segments"] = [_segment(said, seconds)]
    if "word" in granularities:
        told["words"] = _words(said.split(), seconds)
    return told


def _segment(said: str, seconds: float) -> dict[str, object]:
    return {
        "id": 0,
        "seek": 0,
        "start": 0.0,
        "end": seconds,
        "text": said,
        "tokens": [],
        "temperature": 0.0,
        "avg_logprob": 0.0,
        "compression_ratio": 1.0,
        "no_speech_prob": 0.0,
    }


def _words(words: Sequence[str], seconds: float) -> list[dict[str, object]]:
    share = seconds / len(words)
    return [
        {"word": word, "start": index * share, "end": (index + 1) * share}
        for index, word in enumerate(words)
    ]


def _plain(wanted: str, said: str, seconds: float) -> str:
    match wanted:
        case "srt":
            return f"1\n{_time(0, ',')} --> {_time(seconds, ',')}\n{said}\n\n"
        case "vtt":
            return f"WEBVTT\n\n{_time(0, '.')} --> {_time(seconds, '.')}\n{said}\n\n"
        case _:
            return f"{said}\n"


def _time(seconds: float, point: str) -> str:
    minutes, rest = divmod(round(seconds * 1000), 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{rest // 1000:02}{point}{rest % 1000:03}"


def _check_file(value: object, place: str) -> None:
    (file,) = uploads(value, place)
    if not _is_known(file) or not is_sound(file.content):
        raise invalid(
            f"Invalid file format: '{file.filename}'. Supported formats: {', '.join(_KINDS)}.",
            place,
        )


def _listed(value: object) -> Sequence[object]:
    """Read a field that a client may send once or several times."""
    return as_sequence(value) or ([] if value is None else [value])


def _is_known(file: Upload) -> bool:
    return file.filename.rpartition(".")[2].lower() in _KINDS


def _check_format(value: object, place: str) -> None:
    one_of("json", "text", "srt", "verbose_json", "vtt", "diarized_json")(value, place)
    if value == "diarized_json":
        raise invalid(f"The lab tells no speakers apart: '{place}' cannot be '{value}'.", place)


def _check_granularities(value: object, place: str) -> None:
    for index, each in enumerate(_listed(value)):
        one_of(*_GRANULARITIES)(each, f"{place}[{index}]")


def _check_stream(value: object, place: str) -> None:
    if value is not False:
        raise invalid(f"The lab does not stream transcriptions: leave '{place}' out.", place)


_FIELDS: Mapping[str, Check] = {
    "file": _check_file,
    "language": matching("[a-z]{2,3}", 3),
    "model": filled(),
    "prompt": text,
    "response_format": _check_format,
    "stream": _check_stream,
    "temperature": number_text(decimal(0, 1)),
    "timestamp_granularities": _check_granularities,
}

_UNSERVED: Mapping[str, str] = {
    "chunking_strategy": "it takes a sound as a whole",
    "include": "it knows no likelihoods here",
    "keywords": "it listens to nothing",
    "known_speaker_names": "it tells no speakers apart",
    "known_speaker_references": "it tells no speakers apart",
    "languages": "use 'language'",
}
