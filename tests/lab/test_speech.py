"""The endpoint that speaks, and the sounds it makes."""

import hashlib
import io
import wave
from collections.abc import Callable, Mapping
from typing import Any

import httpx
import openai
import pytest

from capability_router.lab import Lab, LabProvider, cut_stream, malformed_chunk
from capability_router.lab.sounds import is_sound, mp3, opus, pcm, seconds_of, wav
from tests.lab.asking import post

Client = Callable[[LabProvider], openai.OpenAI]

FIELDS: Mapping[str, object] = {"model": "tts", "input": "one two three", "voice": "alloy"}


def speak(raw: httpx.Client, provider: LabProvider, **fields: object) -> httpx.Response:
    return post(raw, provider, {**FIELDS, **fields}, "/audio/speech")


def length_of_wav(content: bytes) -> float:
    with wave.open(io.BytesIO(content)) as sound:
        rate: int = sound.getframerate()
        frames: int = sound.getnframes()
        assert set(sound.readframes(frames)) == {0}
        return frames / rate


def test_words_last_a_tenth_of_a_second_each_by_the_speed(
    provider_lab: Lab, openai_client: Client
) -> None:
    client = openai_client(provider_lab["alpha"])
    lengths = [
        length_of_wav(
            client.audio.speech.create(
                model="tts-1",
                voice="alloy",
                input="one two three four",
                response_format="wav",
                speed=speed,
            ).content
        )
        for speed in (1.0, 4.0, 0.25)
    ]
    assert lengths == pytest.approx([0.4, 0.1, 1.6])


@pytest.mark.parametrize(
    ("wanted", "content_type", "beginning"),
    [
        ({}, "audio/mpeg", b"\xff\xfb"),
        ({"response_format": "mp3"}, "audio/mpeg", b"\xff\xfb"),
        ({"response_format": "opus"}, "audio/ogg", b"OggS"),
        ({"response_format": "wav"}, "audio/wav", b"RIFF"),
        ({"response_format": "pcm"}, "audio/pcm", b"\0\0"),
    ],
)
def test_sound_has_the_form_that_was_asked_for(
    provider_lab: Lab,
    raw: httpx.Client,
    wanted: dict[str, object],
    content_type: str,
    beginning: bytes,
) -> None:
    response = speak(raw, provider_lab["alpha"], **wanted)
    assert response.status_code == 200
    assert response.headers["content-type"] == content_type
    assert response.headers["x-lab-answers"] == "silence"
    assert response.content.startswith(beginning)


def test_sound_can_be_read_as_it_comes(provider_lab: Lab, openai_client: Client) -> None:
    speech = openai_client(provider_lab["alpha"]).audio.speech.with_streaming_response
    asked: Any = {**FIELDS, "response_format": "pcm"}
    with speech.create(**asked) as response:
        heard = b"".join(response.iter_bytes(1000))
    assert (len(heard), set(heard)) == (len(pcm(0.3)), {0})


def test_sound_cut_short_breaks_the_transfer(provider_lab: Lab, openai_client: Client) -> None:
    provider_lab["alpha"].script(cut_stream())
    speech = openai_client(provider_lab["alpha"]).audio.speech.with_streaming_response
    asked: Any = {**FIELDS, "response_format": "wav"}
    heard: list[bytes] = []
    with speech.create(**asked) as response, pytest.raises(httpx.RemoteProtocolError):
        heard.extend(response.iter_bytes())
    assert b"".join(heard) == wav(0.3)[: len(wav(0.3)) // 2]


def test_malformed_sound_ends_in_the_middle(provider_lab: Lab, raw: httpx.Client) -> None:
    provider_lab["alpha"].script(malformed_chunk())
    assert speak(raw, provider_lab["alpha"]).content == mp3(0.3)[: len(mp3(0.3)) // 2]


@pytest.mark.parametrize(
    ("fields", "param", "code"),
    [
        ({"input": ""}, "input", "empty_string"),
        ({"input": "x" * 4097}, "input", "string_above_max_length"),
        ({"input": None}, "input", "invalid_type"),
        ({"model": ""}, "model", "empty_string"),
        ({"voice": ""}, "voice", "empty_string"),
        ({"voice": 3}, "voice", "invalid_type"),
        ({"voice": {}}, "voice.id", "missing_required_parameter"),
        ({"voice": {"id": ""}}, "voice.id", "empty_string"),
        ({"instructions": 3}, "instructions", "invalid_type"),
        ({"response_format": "ogg"}, "response_format", "invalid_value"),
        ({"response_format": "aac"}, "response_format", None),
        ({"speed": 0.2}, "speed", "decimal_below_min_value"),
        ({"speed": 4.1}, "speed", "decimal_above_max_value"),
        ({"speed": "fast"}, "speed", "invalid_type"),
        ({"stream_format": "sse"}, "stream_format", None),
        ({"stream_format": "raw"}, "stream_format", "invalid_value"),
        ({"pitch": 1}, "pitch", "unknown_parameter"),
    ],
)
def test_wrong_field_is_a_400_that_names_it(
    provider_lab: Lab,
    raw: httpx.Client,
    fields: dict[str, object],
    param: str,
    code: str | None,
) -> None:
    response = speak(raw, provider_lab["alpha"], **fields)
    error = response.json()["error"]
    assert (response.status_code, error["param"], error["code"]) == (400, param, code)


@pytest.mark.parametrize("field", ["model", "input", "voice"])
def test_missing_field_is_a_400_that_names_it(
    provider_lab: Lab, raw: httpx.Client, field: str
) -> None:
    body = {name: value for name, value in FIELDS.items() if name != field}
    error = post(raw, provider_lab["alpha"], body, "/audio/speech").json()["error"]
    assert (error["param"], error["code"]) == (field, "missing_required_parameter")


def test_voice_of_ones_own_is_spoken_with(provider_lab: Lab, raw: httpx.Client) -> None:
    response = speak(raw, provider_lab["alpha"], voice={"id": "voice_1"}, stream_format="audio")
    assert response.status_code == 200


def test_mp3_is_made_of_whole_silent_frames() -> None:
    sound = mp3(1)
    frames = [sound[place : place + 104] for place in range(0, len(sound), 104)]
    assert set(frames) == {b"\xff\xfb\x10\xc4".ljust(104, b"\0")}
    assert len(frames) == 39


def test_opus_is_the_very_file_that_a_decoder_has_read() -> None:
    # FFmpeg decodes both to silence of that length; six seconds need a second page.
    digests = {seconds: hashlib.sha256(opus(seconds)).hexdigest()[:16] for seconds in (0.1, 6)}
    assert digests == {0.1: "00f5550621dc49f4", 6: "e0b74228b088ae5b"}
    assert (opus(0.1).count(b"OggS"), opus(6).count(b"OggS")) == (3, 4)


@pytest.mark.parametrize(
    ("content", "sound"),
    [
        (wav(), True),
        (mp3(), True),
        (opus(), True),
        (b"ID3\4", True),
        (b"fLaC", True),
        (b"\0\0\0\x20ftypM4A ", True),
        (b"\x1a\x45\xdf\xa3", True),
        (b"RIFF\0\0\0\0WEBP", False),
        (b"\xff\xd8\xff", False),
        (b"text", False),
        (b"", False),
    ],
)
def test_sound_is_told_by_its_first_bytes(content: bytes, sound: bool) -> None:
    assert is_sound(content) is sound


def test_length_is_that_of_the_wav_header_or_of_32_kilobits_per_second() -> None:
    assert seconds_of(wav(2.5)) == 2.5
    assert seconds_of(mp3(2)) == pytest.approx(2, abs=0.05)
    assert seconds_of(b"RIFF") == 0.001
