"""The endpoints for pictures, seen by OpenAI's own client, and their files read bit by bit."""

import base64
import struct
import zlib
from collections.abc import Callable
from typing import Any

import httpx
import openai
import pytest
from openai.types import ImagesResponse

from capability_router.lab import Lab, LabProvider
from capability_router.lab.pictures import picture_kind, png
from tests.lab.asking import post

Client = Callable[[LabProvider], openai.OpenAI]

PATHS = {"generations": "/images/generations", "edits": "/images/edits"}
JPEG, WEBP = b"\xff\xd8\xff\xe0", b"RIFF\0\0\0\0WEBPVP8 "


def size_of(content: bytes) -> tuple[int, int]:
    """Read a PNG strictly: its signature, every checksum, and as many pixels as its head says."""
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    chunks: dict[bytes, bytes] = {}
    rest = content[8:]
    while rest:
        (length,) = struct.unpack(">I", rest[:4])
        kind, data = rest[4:8], rest[8 : 8 + length]
        assert rest[8 + length : 12 + length] == struct.pack(">I", zlib.crc32(kind + data))
        chunks[kind], rest = data, rest[12 + length :]
    width, height, depth, *_ = struct.unpack(">IIBBBBB", chunks[b"IHDR"])
    assert list(chunks) == [b"IHDR", b"PLTE", b"IDAT", b"IEND"]
    assert len(zlib.decompress(chunks[b"IDAT"])) == height * (1 + (width * depth + 7) // 8)
    return width, height


def decoded(reply: ImagesResponse) -> list[bytes]:
    return [base64.b64decode(image.b64_json or "") for image in reply.data or []]


def ask(
    raw: httpx.Client, provider: LabProvider, endpoint: str, fields: dict[str, Any]
) -> httpx.Response:
    """Send fields as the endpoint takes them; of a form, bytes are files and None is left out."""
    if endpoint == "generations":
        return post(raw, provider, {"prompt": "a cat", **fields}, PATHS[endpoint])
    sent = {"prompt": "a cat", "image": png(), **fields}
    listed = {name: value if isinstance(value, list) else [value] for name, value in sent.items()}
    files: list[tuple[str, Any]] = [
        (name, (f"{name}.png" if isinstance(each, bytes) else None, each))
        for name, values in listed.items()
        for each in values
        if each is not None
    ]
    return raw.post(f"{provider.base_url}{PATHS[endpoint]}", files=files)


def test_pictures_have_the_size_that_was_asked_for(
    provider_lab: Lab, openai_client: Client
) -> None:
    client = openai_client(provider_lab["alpha"])
    reply = client.images.generate(model="gpt-image-1", prompt="a cat", size="1536x1024", n=2)
    pictures = decoded(reply)
    assert [size_of(picture) for picture in pictures] == [(1536, 1024)] * 2
    assert pictures[0] != pictures[1]
    assert (reply.size, reply.quality, reply.output_format) == ("1536x1024", "medium", "png")


def test_picture_is_the_same_for_the_same_prompt_and_another_from_another_provider(
    provider_lab: Lab, openai_client: Client
) -> None:
    drawn = [
        openai_client(provider_lab[name]).images.generate(model="gpt-image-1", prompt="a cat")
        for name in ("alpha", "alpha", "beta")
    ]
    first, again, other = (decoded(reply)[0] for reply in drawn)
    assert first == again != other
    prompts = [(reply.data or [])[0].revised_prompt for reply in drawn]
    assert prompts == ["alpha echoes: a cat"] * 2 + ["beta echoes: a cat"]


@pytest.mark.parametrize(
    ("quality", "tokens"), [("low", 272), ("medium", 1056), ("high", 4160), ("auto", 1056)]
)
def test_usage_counts_words_and_pictures(
    provider_lab: Lab, openai_client: Client, quality: Any, tokens: int
) -> None:
    client = openai_client(provider_lab["alpha"])
    usage = client.images.generate(prompt="a small cat", quality=quality, n=3).usage
    assert usage is not None
    assert usage.output_tokens_details is not None
    details = usage.input_tokens_details
    assert (details.text_tokens, details.image_tokens) == (3, 0)
    assert (usage.input_tokens, usage.output_tokens) == (3, 3 * tokens)
    assert usage.total_tokens == 3 + 3 * tokens
    assert usage.output_tokens_details.image_tokens == 3 * tokens


def test_address_of_a_picture_holds_the_picture(provider_lab: Lab, openai_client: Client) -> None:
    client = openai_client(provider_lab["alpha"])
    reply = client.images.generate(prompt="a cat", response_format="url", size="256x256")
    (image,) = reply.data or []
    assert image.b64_json is None
    kind, _, data = (image.url or "").partition(",")
    assert kind == "data:image/png;base64"
    assert size_of(base64.b64decode(data)) == (256, 256)


def test_pictures_are_changed_one_or_several_at_once(
    provider_lab: Lab, openai_client: Client
) -> None:
    client = openai_client(provider_lab["alpha"])
    several = [("a.png", png(2, 2)), ("b.jpg", JPEG), ("c.webp", WEBP)]
    one = client.images.edit(image=png(), mask=png(), prompt="a hat", n=2, size="512x512")
    more = client.images.edit(image=several, prompt="a hat", quality="low")
    assert [size_of(picture) for picture in decoded(one)] == [(512, 512)] * 2
    assert len(decoded(more)) == 1
    assert one.usage is not None
    assert more.usage is not None
    assert one.usage.input_tokens_details.image_tokens == 1
    assert more.usage.input_tokens_details.image_tokens == 3
    assert provider_lab["alpha"].requests[1].body == {
        "prompt": "a hat",
        "quality": "low",
        "image": [
            {"filename": "a.png", "content_type": "image/png", "size": len(png(2, 2))},
            {"filename": "b.jpg", "content_type": "image/jpeg", "size": len(JPEG)},
            {"filename": "c.webp", "content_type": "image/webp", "size": len(WEBP)},
        ],
    }


def test_header_says_that_nothing_was_drawn(provider_lab: Lab, raw: httpx.Client) -> None:
    for endpoint in PATHS:
        response = ask(raw, provider_lab["alpha"], endpoint, {})
        assert response.headers["x-lab-answers"] == "pixels"


@pytest.mark.parametrize("endpoint", PATHS)
@pytest.mark.parametrize(
    ("fields", "param", "code"),
    [
        ({"prompt": ""}, "prompt", "empty_string"),
        ({"prompt": "x" * 32_001}, "prompt", "string_above_max_length"),
        ({"model": ""}, "model", "empty_string"),
        ({"n": "0"}, "n", None),
        ({"n": "11"}, "n", None),
        ({"n": "two"}, "n", "invalid_type"),
        ({"size": "big"}, "size", "invalid_value"),
        ({"quality": "best"}, "quality", "invalid_value"),
        ({"response_format": "png"}, "response_format", "invalid_value"),
        ({"output_format": "webp"}, "output_format", None),
        ({"output_format": "gif"}, "output_format", "invalid_value"),
        ({"output_compression": "101"}, "output_compression", None),
        ({"background": "transparent"}, "background", None),
        ({"background": "green"}, "background", "invalid_value"),
        ({"moderation": "high"}, "moderation", "invalid_value"),
        ({"stream": "true"}, "stream", None),
        ({"colour": "red"}, "colour", "unknown_parameter"),
    ],
)
def test_wrong_field_is_a_400_that_names_it(
    provider_lab: Lab,
    raw: httpx.Client,
    endpoint: str,
    fields: dict[str, str],
    param: str,
    code: str | None,
) -> None:
    # JSON has numbers, a form has texts only.
    numbers = {name: int(text) for name, text in fields.items() if text.isdigit()}
    sent = fields | numbers if endpoint == "generations" else fields
    error = ask(raw, provider_lab["alpha"], endpoint, sent).json()["error"]
    assert (error["type"], error["param"]) == ("invalid_request_error", param)
    assert code is None or error["code"] == code


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"image": None}, "image"),
        ({"prompt": None}, "prompt"),
        ({"image": "a text"}, "image"),
        ({"image": b"no picture"}, "image"),
        ({"image": b""}, "image"),
        ({"image": [png()] * 17}, "image"),
        ({"mask": JPEG}, "mask"),
        ({"mask": [png(), png()]}, "mask"),
        ({"mask": "a text"}, "mask"),
        ({"input_fidelity": "some"}, "input_fidelity"),
        ({"style": "vivid"}, "style"),
    ],
)
def test_wrong_file_is_a_400_that_names_its_field(
    provider_lab: Lab, raw: httpx.Client, fields: dict[str, Any], param: str
) -> None:
    response = ask(raw, provider_lab["alpha"], "edits", fields)
    assert (response.status_code, response.json()["error"]["param"]) == (400, param)


@pytest.mark.parametrize("field", ["prompt", "style", "n", "stream"])
def test_field_of_another_type_is_refused(provider_lab: Lab, raw: httpx.Client, field: str) -> None:
    error = ask(raw, provider_lab["alpha"], "generations", {field: {}}).json()["error"]
    assert error["param"] == field


@pytest.mark.parametrize("endpoint", PATHS)
def test_every_setting_at_its_edge_is_served(
    provider_lab: Lab, raw: httpx.Client, endpoint: str
) -> None:
    settings: dict[str, Any] = {
        "model": "gpt-image-1",
        "n": 10,
        "size": "auto",
        "quality": "hd",
        "background": "opaque",
        "moderation": "low",
        "output_format": "png",
        "output_compression": 100,
        "user": "somebody",
    }
    if endpoint == "edits":
        settings = {name: str(value) for name, value in settings.items()} | {"stream": "false"}
    reply = ask(raw, provider_lab["alpha"], endpoint, settings).json()
    assert len(reply["data"]) == 10
    assert (reply["size"], reply["quality"]) == ("1024x1024", "high")


@pytest.mark.parametrize(
    ("content", "kind"),
    [(png(), "png"), (JPEG, "jpeg"), (WEBP, "webp"), (b"RIFF\0\0\0\0WAVE", None), (b"", None)],
)
def test_kind_of_a_picture_is_told_by_its_first_bytes(content: bytes, kind: str | None) -> None:
    assert picture_kind(content) == kind
