"""The endpoint that writes sounds down, seen by OpenAI's own client and byte by byte."""

from collections.abc import Callable
from typing import Any

import httpx
import openai
import pytest
from openai.types.audio import TranscriptionVerbose

from capability_router.lab import Lab, LabProvider
from capability_router.lab.sounds import mp3, wav

Client = Callable[[LabProvider], openai.OpenAI]

SOUND = ("hello.wav", wav(1.5))


def transcribe(
    raw: httpx.Client, provider: LabProvider, file: Any = SOUND, **fields: Any
) -> httpx.Response:
    url = f"{provider.base_url}/audio/transcriptions"
    data = {name: value for name, value in {"model": "m", **fields}.items() if value is not None}
    return raw.post(url, data=data, files={"file": file})


def test_text_names_the_provider_and_the_file(provider_lab: Lab, openai_client: Client) -> None:
    client = openai_client(provider_lab["beta"])
    reply = client.audio.transcriptions.create(model="whisper-1", file=SOUND)
    assert reply.text == "beta echoes: hello.wav"
    assert reply.usage is not None
    assert reply.usage.type == "duration"
    assert reply.usage.seconds == 2
    file = {"filename": "hello.wav", "content_type": "audio/x-wav", "size": len(SOUND[1])}
    sent = provider_lab["beta"].requests[0].body
    assert sent == {"model": "whisper-1", "file": file}


def test_verbose_answer_tells_length_language_segments_and_words(
    provider_lab: Lab, openai_client: Client
) -> None:
    reply = openai_client(provider_lab["alpha"]).audio.transcriptions.create(
        model="whisper-1",
        file=SOUND,
        language="de",
        response_format="verbose_json",
        timestamp_granularities=["word", "segment"],
    )
    told = TranscriptionVerbose.model_validate(reply.model_dump())
    assert (told.duration, told.language) == (1.5, "de")
    assert [segment.text for segment in told.segments or []] == ["alpha echoes: hello.wav"]
    words = [(word.word, word.start, word.end) for word in told.words or []]
    assert words == [("alpha", 0.0, 0.5), ("echoes:", 0.5, 1.0), ("hello.wav", 1.0, 1.5)]


@pytest.mark.parametrize(
    ("granularities", "told"),
    [(None, {"segments"}), ("word", {"words"}), (["segment"], {"segments"})],
)
def test_verbose_answer_has_the_times_that_were_asked_for(
    provider_lab: Lab, raw: httpx.Client, granularities: object, told: set[str]
) -> None:
    reply = transcribe(
        raw,
        provider_lab["alpha"],
        response_format="verbose_json",
        timestamp_granularities=granularities,
    ).json()
    assert {"segments", "words"} & set(reply) == told


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ("text", "alpha echoes: hello.wav\n"),
        ("srt", "1\n00:00:00,000 --> 00:00:01,500\nalpha echoes: hello.wav\n\n"),
        ("vtt", "WEBVTT\n\n00:00:00.000 --> 00:00:01.500\nalpha echoes: hello.wav\n\n"),
    ],
)
def test_answer_is_plain_text_where_asked_for(
    provider_lab: Lab, openai_client: Client, form: Any, text: str
) -> None:
    client = openai_client(provider_lab["alpha"])
    told: object = client.audio.transcriptions.create(
        model="whisper-1", file=SOUND, response_format=form
    )
    assert told == text


def test_long_sound_has_hours_and_minutes(provider_lab: Lab, raw: httpx.Client) -> None:
    hour = b"ID3".ljust(4_000 * 3_723, b"\0")
    reply = transcribe(raw, provider_lab["alpha"], ("a.mp3", hour), response_format="srt")
    assert "00:00:00,000 --> 01:02:03,000" in reply.text


@pytest.mark.parametrize("name", ["a.mp3", "b.C.MP3", "c.mpga"])
def test_file_is_known_by_the_end_of_its_name(
    provider_lab: Lab, raw: httpx.Client, name: str
) -> None:
    reply = transcribe(raw, provider_lab["alpha"], (name, mp3()))
    assert reply.json()["text"] == f"alpha echoes: {name}"


@pytest.mark.parametrize(
    ("fields", "param", "code"),
    [
        ({"file": (None, b"a text")}, "file", "invalid_type"),
        ({"file": ("a.wav", b"")}, "file", None),
        ({"file": ("a.wav", b"no sound")}, "file", None),
        ({"file": ("a.txt", wav())}, "file", None),
        ({"file": ("wav", b"no sound")}, "file", None),
        ({"model": None}, "model", "missing_required_parameter"),
        ({"model": ""}, "model", "empty_string"),
        ({"model": ["a", "b"]}, "model", "invalid_type"),
        ({"language": "German"}, "language", "string_above_max_length"),
        ({"response_format": "xml"}, "response_format", "invalid_value"),
        ({"response_format": "diarized_json"}, "response_format", None),
        ({"temperature": "2"}, "temperature", "decimal_above_max_value"),
        ({"temperature": "hot"}, "temperature", "invalid_type"),
        ({"timestamp_granularities[]": "word"}, "timestamp_granularities", None),
        (
            {"timestamp_granularities[]": "line", "response_format": "verbose_json"},
            "timestamp_granularities[0]",
            "invalid_value",
        ),
        ({"stream": "true"}, "stream", None),
        ({"include[]": "logprobs"}, "include", None),
        ({"chunking_strategy": "auto"}, "chunking_strategy", None),
        ({"speakers": "2"}, "speakers", "unknown_parameter"),
    ],
)
def test_wrong_field_is_a_400_that_names_it(
    provider_lab: Lab,
    raw: httpx.Client,
    fields: dict[str, Any],
    param: str,
    code: str | None,
) -> None:
    sent = dict(fields)
    file = sent.pop("file", SOUND)
    data = {name: text for name, text in {"model": "m", **sent}.items() if text is not None}
    url = f"{provider_lab['alpha'].base_url}/audio/transcriptions"
    response = raw.post(url, data=data, files={"file": file})
    error = response.json()["error"]
    assert (response.status_code, error["param"]) == (400, param)
    assert code is None or error["code"] == code


def test_missing_file_is_a_400_that_names_it(provider_lab: Lab, raw: httpx.Client) -> None:
    url = f"{provider_lab['alpha'].base_url}/audio/transcriptions"
    error = raw.post(url, files={"model": (None, "m")}).json()["error"]
    assert (error["param"], error["code"]) == ("file", "missing_required_parameter")


@pytest.mark.parametrize("stated", ["0", "0.5", "1"])
def test_numbers_of_a_form_are_texts(provider_lab: Lab, raw: httpx.Client, stated: str) -> None:
    reply = transcribe(raw, provider_lab["alpha"], temperature=stated, prompt="hm", stream="false")
    assert reply.status_code == 200
